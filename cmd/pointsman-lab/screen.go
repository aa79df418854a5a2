package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// settling is how long a line waits for earlier ones: those who report an event
// are not equally quick, and a timeline reads best in the order of events.
const settling = 120 * time.Millisecond

// screen writes the talk of a run: plain lines, with a little colour on a
// terminal. All methods may be called concurrently.
type screen struct {
	out    io.Writer
	colour bool

	mu      sync.Mutex // guards what follows
	zero    time.Time  // of the timeline
	waiting []lab.Event
	quit    chan struct{}
	ended   chan struct{}
}

func newScreen(out *os.File) *screen {
	info, err := out.Stat()
	_, plain := os.LookupEnv("NO_COLOR")
	s := &screen{
		out: out, colour: err == nil && info.Mode()&os.ModeCharDevice != 0 && !plain && os.Getenv("TERM") != "dumb",
		quit: make(chan struct{}), ended: make(chan struct{}),
	}
	go s.run()
	return s
}

func (s *screen) run() {
	defer close(s.ended)
	t := time.NewTicker(settling / 3)
	defer t.Stop()
	for {
		select {
		case <-s.quit:
			s.flush(time.Now())
			return
		case now := <-t.C:
			s.flush(now.Add(-settling))
		}
	}
}

// close writes what is left.
func (s *screen) close() {
	close(s.quit)
	<-s.ended
}

// event takes a line of the timeline in.
func (s *screen) event(e lab.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, e)
}

// flush writes the events up to a moment, in their order.
func (s *screen) flush(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.waiting, func(a, b lab.Event) int { return a.At.Compare(b.At) })
	n := 0
	for _, e := range s.waiting {
		if e.At.After(until) {
			break
		}
		n++
		if e.Zero {
			s.zero = e.At
		}
		if s.zero.IsZero() {
			continue // the start is told in its own words
		}
		at := fmt.Sprintf("%9.1f ms", float64(e.At.Sub(s.zero).Microseconds())/1000)
		fmt.Fprintf(s.out, "  %s  %s %s\n", s.paint(dim, at), s.paint(tone(e), fmt.Sprintf("%-9s", e.Who)), s.paint(tone(e), e.Text))
	}
	s.waiting = slices.Delete(s.waiting, 0, n)
}

// say writes a line beside the timeline, after what came before it.
func (s *screen) say(format string, args ...any) {
	s.flush(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// title begins a part of the run.
func (s *screen) title(format string, args ...any) {
	s.say("\n%s", s.paint(bold, fmt.Sprintf(format, args...)))
}

// The few colours.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	blue  = "34"
	amber = "33"
)

func tone(e lab.Event) string {
	switch {
	case strings.HasPrefix(e.Text, "kill"):
		return red
	case e.Who == lab.ByCoordinator && strings.HasSuffix(e.Text, " settled"):
		return green
	case e.Who == lab.ByProvider:
		return blue
	case e.Who == lab.BySentinel:
		return amber
	}
	return ""
}

func (s *screen) paint(code, text string) string {
	if !s.colour || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// places shows where everything is.
func (s *screen) places(a lab.Addresses, leader string) {
	line := func(what, where string) { s.say("  %-14s %s", what, where) }
	var redis, sentinels []string
	for _, r := range a.Redis {
		redis = append(redis, strings.TrimSuffix(r.Address+" "+cmp.Or(map[string]string{"master": "master"}[r.Role], ""), " "))
	}
	for _, n := range a.Sentinels {
		sentinels = append(sentinels, n.Address)
	}
	line("redis", strings.Join(redis, ", "))
	line("sentinels", strings.Join(sentinels, ", "))
	for _, c := range a.Coordinators {
		leads := ""
		if c.ID == leader {
			leads = "  leads"
		}
		line("coordinator", fmt.Sprintf("%s in %s: grpc %s, http %s%s", c.ID, c.Zone, c.GRPC, c.HTTP, leads))
	}
	line("load balancer", a.LoadBalancer)
	line("ovh", fmt.Sprintf("%s, control %s", a.Providers.OVH.URL, a.Providers.OVH.Control))
	if shop := a.Providers.Shopify; shop != nil {
		line("shopify", fmt.Sprintf("%s, token in %s", shop.URL, shop.Token))
	}
	if a.Providers.HTTP != "" {
		line("http", a.Providers.HTTP)
	}
	if a.Providers.Command != "" {
		line("command", a.Providers.Command)
	}
	if b := a.Providers.HAProxy; b != nil {
		line("haproxy", fmt.Sprintf("%s, clients at %s", b.Runtime, b.Socket))
	}
	line("spec", a.Spec)
}
