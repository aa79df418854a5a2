package cli

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
)

// defaultInterval is the time between two looks of --watch.
const defaultInterval = time.Second

// look asks once and shows the answer.
type look func(ctx context.Context, s *remote.Session, p *show.Printer) error

// watching is the pair of flags of a command that can look again and again.
type watching struct {
	on       bool
	interval time.Duration
}

func (w *watching) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&w.on, "watch", "w", false, "look again until Ctrl-C; with -o json one object a line, at each change")
	cmd.Flags().DurationVar(&w.interval, "interval", defaultInterval, "time between two looks of --watch")
}

// ask runs a look once, or again and again with --watch.
func (a *App) ask(cmd *cobra.Command, w *watching, do look) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	if w == nil || !w.on {
		return do(cmd.Context(), s, a.printer())
	}
	if w.interval < 100*time.Millisecond {
		return fault.Wrong("--interval must be at least 100ms, is "+w.interval.String(), "--interval 1s")
	}
	return a.again(cmd.Context(), s, w.interval, do)
}

// again looks until ctx ends. A look that fails because nobody answers is told
// and repeated; any other failure ends the watch.
func (a *App) again(ctx context.Context, s *remote.Session, interval time.Duration, do look) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	frame := &frame{app: a}
	for {
		err := frame.draw(ctx, s, do)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// frame is what a watch has drawn last.
type frame struct {
	app  *App
	last []byte
}

func (f *frame) draw(ctx context.Context, s *remote.Session, do look) error {
	var screen, talk bytes.Buffer
	p := f.app.printer()
	p.Out, p.Talk, p.Stream = &screen, &talk, true
	err := do(ctx, s, p)
	if err != nil && screen.Len() == 0 {
		e := fault.Explain(err)
		if e.Code != fault.TryLater {
			return err
		}
		if !p.Format.ForPeople() || !f.app.Terminal {
			e.Print(f.app.Err)
			return nil
		}
		e.Print(&screen)
	}
	f.show(p, screen.Bytes(), talk.Bytes())
	return nil
}

// show redraws a terminal in place; elsewhere it writes what has changed.
func (f *frame) show(p *show.Printer, screen, talk []byte) {
	switch {
	case p.Format.ForPeople() && f.app.Terminal:
		fmt.Fprintf(f.app.Out, "\x1b[H\x1b[2J%s%s", screen, talk)
	case bytes.Equal(screen, f.last):
	case p.Format.ForPeople() && f.last != nil:
		fmt.Fprintf(f.app.Out, "\n%s", screen)
	default:
		_, _ = f.app.Out.Write(screen)
	}
	f.last = screen
}

// follow reads one stream after another until ctx ends: a broken stream is
// begun again where it was left. run reads one stream from a resume token and
// answers the last token that it saw.
func (a *App) follow(ctx context.Context, run func(ctx context.Context, token string) (string, error)) error {
	token, delay := "", firstDelay
	for {
		last, err := run(ctx, token)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the watcher was told to stop
		}
		if last != token {
			token, delay = last, firstDelay
		}
		e := fault.Explain(err)
		switch {
		case client.Reason(err) == "COMPACTED":
			token = ""
		case e.Code != fault.TryLater:
			return err
		}
		fmt.Fprintf(a.Err, "watch broken, going on in %s: %s\n", show.Span(delay), e.Why)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
		delay = min(2*delay, longestDelay)
	}
}

// Delays before a broken watch is begun again.
const (
	firstDelay   = 200 * time.Millisecond
	longestDelay = 5 * time.Second
)
