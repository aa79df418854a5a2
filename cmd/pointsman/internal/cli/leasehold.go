package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/pointsman/pointsman/client/leases"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/guarded"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
)

// errTold is why a run comes to its end when somebody tells it to.
var errTold = errors.New("told to stop")

// heed has signals stop the run from now on, until the returned function is
// called. What was ignored when the program was started stays so (nohup).
func (r *holdRun) heed() (stop func()) {
	told := make(chan os.Signal, 4) // a few at once; more say nothing new
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGTSTP} {
		if !signal.Ignored(s) {
			signal.Notify(told, s)
		}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for times := 0; ; {
			select {
			case <-quit:
				return
			case s := <-told:
				if s == syscall.SIGTSTP {
					r.say("not suspended: who does not renew loses the lease")
					continue
				}
				times++
				r.told(s, times, func() { signal.Stop(told) })
			}
		}
	}()
	return func() {
		signal.Stop(told)
		close(quit)
		<-ended
	}
}

// told takes a signal to stop; from the third on the system's own way is taken.
func (r *holdRun) told(s os.Signal, times int, release func()) {
	switch times {
	case 1:
		r.say("%s: stopping", s)
		r.stop(errTold)
	case 2:
		r.say("%s once more: the command is killed", s)
		close(r.hurry)
		release()
	}
}

// giveUp ends the wait for the first grant.
func (r *holdRun) giveUp() {
	select {
	case <-r.granted:
	default:
		r.stop(errNoGrant)
	}
}

// hold is the handler. A pool with several partitions can grant one while the
// command of another that was taken by force is still being ended: it waits for
// that end, as long as its lease is good.
func (r *holdRun) hold(ctx context.Context, l *leases.Lease) error {
	r.first.Do(func() { close(r.granted) })
	select {
	case r.turn <- struct{}{}:
	case <-l.Draining():
		return nil
	case <-ctx.Done():
		return nil
	}
	defer func() { <-r.turn }()
	select {
	case <-l.Draining(): // while it waited
		return nil
	case <-r.over:
		return nil
	case <-ctx.Done():
		return nil
	default:
	}
	r.carryOut(ctx, l)
	return nil
}

// carryOut runs the command under the lease.
func (r *holdRun) carryOut(ctx context.Context, l *leases.Lease) {
	r.ran = true
	r.say("lease %s held, token %d%s", l.ID(), l.Token, at(l.Address))
	r.end, r.err = guarded.Run(ctx, guarded.Lease{ID: l.ID(), Token: l.Token, Address: l.Address, Draining: l.Draining()},
		guarded.Command{Args: r.args, In: r.app.In, Out: r.app.Out, Err: r.app.Err, Grace: r.grace, Hurry: r.hurry})
	if leases.Lost(r.err) { // before the command was started
		r.end, r.err = guarded.End{Cut: r.err}, nil
	}
	if r.end.Cut != nil {
		r.say("command stopped: %s", r.end.Cut)
	}
	if !r.again || r.err != nil || r.end.Cut == nil {
		r.stop(nil)
	}
}

func at(address string) string {
	if address == "" {
		return ""
	}
	return ", master " + address
}

func (r *holdRun) say(format string, args ...any) {
	r.saying.Lock()
	defer r.saying.Unlock()
	fmt.Fprintf(r.app.Err, format+"\n", args...)
}

// complaints tells people what goes wrong with the session, each thing once.
type complaints struct{ run *holdRun }

func (c complaints) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (c complaints) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			text += ": " + err.Error()
		}
		return true
	})
	if c.run.fresh(text) {
		c.run.say("pool %s: %s", c.run.pool, text)
	}
	return nil
}

func (c complaints) WithAttrs([]slog.Attr) slog.Handler { return c }

func (c complaints) WithGroup(string) slog.Handler { return c }

func (r *holdRun) fresh(complaint string) bool {
	r.saying.Lock()
	defer r.saying.Unlock()
	was := r.last
	r.last = complaint
	return was != complaint
}

// withoutGrant says why the command was never run.
func (r *holdRun) withoutGrant(held context.Context, err error) error {
	doing := "run under a lease of pool " + r.pool
	switch {
	case err != nil:
		return fault.About(doing, "pointsman pools list", err)
	case errors.Is(context.Cause(held), errNoGrant):
		return &fault.Error{Code: fault.TryLater, What: doing, Why: "none was granted in " + show.Span(r.wait),
			Next: "pointsman leases list " + r.pool + ", to see who holds it", Err: errNoGrant}
	}
	return &fault.Error{Code: fault.Failed, What: doing, Why: "interrupted before one was granted"}
}

// afterwards says how the command came to its end. One that was ended since this
// program was told to stop says so by its own code. err is why no lease is waited
// for any more; a command that has ended by itself is not concerned by it.
func (r *holdRun) afterwards(told bool, err error) error {
	switch {
	case r.err != nil:
		return fault.At("run "+r.args[0]+" under a lease of pool "+r.pool, r.err)
	case r.end.Cut != nil && err != nil:
		return fault.About("the command was stopped ("+r.end.Cut.Error()+"); wait for another lease of pool "+r.pool, "pointsman pools list", err)
	case err != nil:
		r.say("pool %s: %v", r.pool, err)
		return fault.Quiet(fault.Code(r.end.Code))
	case r.end.Cut == nil || told:
		return fault.Quiet(fault.Code(r.end.Code))
	}
	return &fault.Error{Code: fault.TryLater, What: "the command was stopped", Why: r.end.Cut.Error(),
		Next: "pointsman leases list " + r.pool + "; --again waits for the lease and runs it again", Err: r.end.Cut}
}
