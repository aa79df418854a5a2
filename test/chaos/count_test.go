package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// settledSlack is how far the wall time in a settled action and the lab's own
// look at the traffic may lie apart: the entry is stamped when it is proposed.
const settledSlack = 250 * time.Millisecond

// mendWithin is how long a stale write may stand until a drift repair takes it
// back: looks 1, 10 and 60 s after the plan, and some.
const mendWithin = 75 * time.Second

// tally is what came of one run, or of all runs of one fault. Its columns are
// those of the simulator's Proof and of facts that only this lab sees.
type tally struct {
	runs, accepted, done, superseded                 int
	duplicates, repeats, lost, stale, orphans, false int
	left                                             int // 1: traffic or setting stood wrong at the end
	slowest                                          time.Duration
	right                                            []time.Duration // each promotion, until traffic and setting were its master's
	violations                                       []string
}

func (t *tally) add(o tally) {
	t.runs += o.runs
	t.accepted += o.accepted
	t.done += o.done
	t.superseded += o.superseded
	t.duplicates += o.duplicates
	t.repeats += o.repeats
	t.lost += o.lost
	t.stale += o.stale
	t.orphans += o.orphans
	t.false += o.false
	t.left += o.left
	t.slowest = max(t.slowest, o.slowest)
	t.right = append(t.right, o.right...)
	t.violations = append(t.violations, o.violations...)
}

func (t *tally) violate(format string, args ...any) {
	t.violations = append(t.violations, fmt.Sprintf(format, args...))
}

// count counts what the run came to, after everything has been healed. An error
// means that it could not be counted, which is a violation too.
func (r *run) count(ctx context.Context) (t tally, err error) {
	t.runs = 1
	list, err := r.failovers(ctx)
	if err != nil {
		return t, err
	}
	r.outcomes(&t, list)
	if err := r.standing(ctx, &t); err != nil {
		return t, err
	}
	if err := r.l.WaitReady(ctx); err != nil { // a repair is over, and counted here
		return t, err
	}
	if err := r.proved(ctx, &t); err != nil {
		return t, err
	}
	if err := r.provedBesides(ctx, &t); err != nil {
		return t, err
	}
	if _, err := r.l.Nodes.Verify(ctx); err != nil {
		t.violate("log: %v", err)
	}
	if err := r.written(ctx); err != nil {
		t.violate("client: %v", err)
	}
	r.judge(&t)
	return t, nil
}

// outcomes counts what the log says, against what the lab's recorder saw.
func (r *run) outcomes(t *tally, list []*pointsmanv1.Failover) {
	promotions := r.l.Recorder.Promotions()[r.base.promotions:]
	t.accepted = len(list)
	for _, f := range list {
		switch f.State {
		case pointsmanv1.FailoverState_FAILOVER_STATE_DONE:
			t.done++
		case pointsmanv1.FailoverState_FAILOVER_STATE_SUPERSEDED:
			t.superseded++
		default:
			t.lost++
			t.violate("%s is %s", f.Id, f.State)
		}
		known := false
		for _, p := range promotions {
			known = known || p.Address == f.To && p.Epoch == f.SentinelEpoch
		}
		if !known {
			t.violate("%s (%s at epoch %d) was accepted, and the recorder saw no such promotion: %v", f.Id, f.To, f.SentinelEpoch, promotions)
		}
		r.falseSuccess(t, f)
	}
	if len(list) < len(promotions) && !r.unseen || len(list) == 0 {
		t.lost++
		t.violate("%d promotions and %d accepted failovers", len(promotions), len(list))
	}
	for _, p := range promotions {
		if at, ok := r.sight.since(p.Address, p.At); ok && r.swung(list, p.Address, p.Epoch) {
			t.slowest = max(t.slowest, at.Sub(p.At))
			t.right = append(t.right, max(at.Sub(p.At), set(list, p.Address, p.Epoch).Sub(p.At)))
		}
	}
}

// set is when the setting of a promotion was logged as done.
func set(list []*pointsmanv1.Failover, to string, epoch uint64) (at time.Time) {
	for _, f := range list {
		for _, a := range f.Actions {
			if f.To == to && f.SentinelEpoch == epoch && a.Kind == "setting" && a.SettledTime != nil {
				at = a.SettledTime.AsTime()
			}
		}
	}
	return at
}

// swung says whether a promotion's own load balancer step was done.
func (r *run) swung(list []*pointsmanv1.Failover, to string, epoch uint64) bool {
	for _, f := range list {
		for _, a := range f.Actions {
			if f.To == to && f.SentinelEpoch == epoch && a.Kind == balancing && a.State == pointsmanv1.ActionState_ACTION_STATE_DONE {
				return true
			}
		}
	}
	return false
}

// falseSuccess: when done was logged, traffic went where the action wanted it.
func (r *run) falseSuccess(t *tally, f *pointsmanv1.Failover) {
	for _, a := range f.Actions {
		if a.State != pointsmanv1.ActionState_ACTION_STATE_DONE || a.Kind != balancing {
			continue
		}
		at := a.SettledTime.AsTime()
		if !r.sight.went(f.To, at.Add(-settledSlack), at.Add(settledSlack)) {
			t.false++
			t.violate("%s is done since %s, and traffic did not go to %s then", a.Id, at.Format(time.TimeOnly), f.To)
		}
	}
}

// proved counts what the provider saw beyond what it had seen before.
func (r *run) proved(ctx context.Context, t *tally) error {
	p, err := r.l.Prove(ctx)
	if err != nil {
		return err
	}
	b := r.base.proof
	t.duplicates, t.repeats = p.Duplicates-b.Duplicates, p.Repeats-b.Repeats
	t.stale, t.orphans = p.Stale-b.Stale, p.Orphans-b.Orphans
	if n := p.Lost - b.Lost; n != 0 {
		t.lost += n
	}
	if p.Dropped > 0 {
		t.violate("%d writes are no longer in the provider's journal", p.Dropped)
	}
	if t.duplicates+t.stale+t.orphans+t.lost != 0 {
		r.say("the provider's proof: %q", p.Details)
	}
	return nil
}

// standing: at the end the traffic, what the next refresh would make of it, and
// the setting are those of the master that the Sentinels name. A stale write has the time that a drift repair takes.
func (r *run) standing(ctx context.Context, t *tally) error {
	limit := 3 * time.Second
	if r.outlasted > 0 {
		limit = mendWithin
	}
	err := lab.Until(ctx, limit, "traffic and setting of the master", func(ctx context.Context) error {
		master, err := r.l.Redis.Master(ctx)
		if err != nil {
			return err
		}
		is, due, err := r.l.Setting(ctx)
		if err != nil {
			return err
		}
		if at, next := r.l.Cloud.Applied(), r.l.Cloud.Staged(); at != master || next != master || is != due {
			return fmt.Errorf("the sentinels name %s, traffic goes to %s, staged is %s, the setting is %q and should be %q", master, at, next, is, due)
		}
		return r.standingBesides(ctx, master)
	})
	if err == nil {
		r.say("traffic %s, staged %s", r.l.Cloud.Applied(), r.l.Cloud.Staged())
	}
	if err != nil && ctx.Err() == nil {
		t.left++
		r.say("left standing: %v", err)
		return nil
	}
	return err
}

// written: the client's writes come through.
func (r *run) written(ctx context.Context) error {
	before := r.l.Writer.Seen().WritesOK
	return lab.Until(ctx, 5*time.Second, "writes of the client", func(context.Context) error {
		if n := r.l.Writer.Seen().WritesOK; n < before+3 {
			return fmt.Errorf("%d writes", n-before)
		}
		return nil
	})
}

// judge is the one place that decides what a run may not show.
func (r *run) judge(t *tally) {
	for _, g := range []struct {
		name  string
		count int
		soft  bool // tolerated, and shown apart, where something outlasted the window
	}{
		{"lost", t.lost, false},
		{"orphans", t.orphans, false},
		{"false success", t.false, false},
		{"duplicates", t.duplicates, true},
		{"stale", t.stale, true},
		{"left standing", t.left, false}, // it has had the time of a drift repair
	} {
		if g.count != 0 && (!g.soft || r.outlasted == 0) {
			t.violate("%s: %d", g.name, g.count)
		}
	}
}

// error joins what a run may not show.
func (t *tally) error() error {
	var errs []error
	for _, v := range t.violations {
		errs = append(errs, errors.New(v))
	}
	return errors.Join(errs...)
}
