package chaos

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// stop is the instruction at which the leader is stopped, as near as the
// provider's side can bring it.
type stop struct {
	name  string
	fault ovh.Fault // holds a call of the leader until it is stopped
	late  bool      // released when the leader goes on, not when it has been stopped
}

func stops() []stop {
	const frontend, refresh = "*/frontend/*", "*/refresh"
	return []stop{
		// The answer that it waits for before it writes lies in its socket.
		{"before its write", ovh.Fault{Method: http.MethodGet, Path: frontend, When: ovh.After, Do: ovh.DoHold}, false},
		// Its write lies at the provider's edge and is carried out when it goes on.
		{"its write delivered late", ovh.Fault{Method: http.MethodPut, Path: frontend, Do: ovh.DoHold}, true},
		{"before the answer of its write", ovh.Fault{Method: http.MethodPut, Path: frontend, When: ovh.After, Do: ovh.DoHold}, false},
		{"its refresh delivered late", ovh.Fault{Method: http.MethodPost, Path: refresh, Do: ovh.DoHold}, true},
		{"before the answer of its refresh", ovh.Fault{Method: http.MethodPost, Path: refresh, When: ovh.After, Do: ovh.DoHold}, false},
	}
}

// leaderPaused: the pause is of a drawn length, whatever happens meanwhile.
func leaderPaused(ctx context.Context, r *run) error {
	span := r.between(2*time.Second, 20*time.Second)
	if r.rng.IntN(5) == 0 {
		span = r.between(20*time.Second, 60*time.Second)
	}
	stopped, s, err := r.freeze(ctx, pick(r, stops()...))
	if err != nil {
		return err
	}
	woken := make(chan error, 1)
	go func() {
		err := rest(ctx, span-time.Since(stopped.at))
		if err == nil {
			err = stopped.wake(r)
		}
		woken <- err
	}()
	err = r.second(ctx, s)
	if wake := <-woken; wake != nil {
		return wake
	}
	if err != nil {
		return err
	}
	return r.calm(ctx)
}

// leaderPausedOver: it wakes when a newer failover has been finished.
func leaderPausedOver(ctx context.Context, r *run) error {
	stopped, s, err := r.freeze(ctx, pick(r, stops()...))
	if err != nil {
		return err
	}
	if err := r.second(ctx, s); err != nil {
		return err
	}
	if err := rest(ctx, r.between(0, 2*time.Second)); err != nil {
		return err
	}
	if err := stopped.wake(r); err != nil {
		return err
	}
	return r.calm(ctx)
}

// frozen is a leader that was stopped in mid-deed.
type frozen struct {
	node *lab.Node
	at   time.Time
}

// freeze begins a failover and stops the leader in its midst.
func (r *run) freeze(ctx context.Context, p stop) (f frozen, s *shot, err error) {
	mark := r.l.Cloud.Mark()
	rule, err := r.l.Cloud.Sim.AddFault(p.fault)
	if err != nil {
		return f, nil, err
	}
	if s, err = r.fire(ctx, byOrder); err != nil {
		return f, s, err
	}
	held, cancel := context.WithTimeout(ctx, promotedWithin)
	defer cancel()
	call, err := r.l.Cloud.Sim.WaitFor(held, func(c ovh.Call) bool { return c.Seq > mark && c.Phase == ovh.PhaseHeld })
	if err != nil {
		return f, s, fmt.Errorf("wait for a call to be held: %w", err)
	}
	if f.node, _, err = r.leader(ctx); err != nil {
		return f, s, err
	}
	r.say("SIGSTOP leading coordinator %s %s (call %d)", f.node.ID(), p.name, call.Seq)
	f.at = time.Now()
	if err := f.node.Pause(); err != nil {
		return f, s, err
	}
	if err := r.l.Cloud.Sim.RemoveFault(rule); err != nil {
		return f, s, err
	}
	if !p.late {
		r.l.Cloud.Sim.ReleaseHeld(call.Seq)
	}
	if err := r.promoted(ctx, s); err != nil {
		return f, s, err
	}
	return f, s, nil
}

// second: the first failover is carried through without the stopped leader, and
// a newer one after it.
func (r *run) second(ctx context.Context, s *shot) error {
	if err := r.carried(ctx, s); err != nil {
		return err
	}
	if err := r.rejoin(ctx); err != nil {
		return err
	}
	newer, err := r.fire(ctx, byOrder)
	if err != nil {
		return err
	}
	if err := r.promoted(ctx, newer); err != nil {
		return err
	}
	return r.carried(ctx, newer)
}

// wake lets the leader go on, and what was held for it.
func (f frozen) wake(r *run) error {
	if err := f.node.Resume(); err != nil {
		return err
	}
	span := time.Since(f.at)
	r.outlasted = max(0, span-window)
	r.say("SIGCONT %s after %.1f s (window %.1f s), %d held calls released", f.node.ID(), span.Seconds(), window.Seconds(), r.l.Cloud.Sim.ReleaseHeld())
	return nil
}

// calm waits until the woken one has followed, so that what it does late is
// counted. One that was stopped in the midst of a write to its disk for longer
// than its write deadline ends itself: it is started again, as by its supervisor.
func (r *run) calm(ctx context.Context) error {
	if err := r.revived(ctx); err != nil {
		return err
	}
	return rest(ctx, time.Second)
}
