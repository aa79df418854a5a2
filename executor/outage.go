package executor

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// outageShare bounds how much longer an outage of the provider lasts for us
// than it did: the next look comes after one part in so many of what it has
// lasted, but not before lookLeast and not after BackoffCap. That is 0.5 s
// after a quarter of a minute, and some 40 looks until then, which a bucket of
// 60 requests covers with what it keeps back: looks that came sooner at first
// would be one a second when it counts.
const (
	outageShare = 32
	lookLeast   = 400 * time.Millisecond
)

// backoffLeast is what the pause between attempts grows to in any case.
const backoffLeast = time.Second

// persists says that an action has made the attempts that later stages wait for,
// and that nothing counts them. From then on a look that the provider does not
// answer is no attempt: it costs no entry, so it may come often and for long.
func (t try) persists(a fsm.Action) bool {
	return a.Attempts > fsm.LetPass && a.Limit == 0 && a.Step.Class != fsm.InLog
}

// answered looks before the claim, and keeps what it saw for the attempt. False
// when the provider does not answer: the action waits for the next look.
func (t *try) answered(ctx context.Context, state fsm.State, a fsm.Action) bool {
	seen, _, err := t.look(ctx, state, a, false)
	x := actuators.Explain(err)
	if err != nil && !x.Permanent { // else the claim is there to be settled as stuck
		t.Logger.Debug("provider does not answer", "action", string(a.ID), "error", err)
		t.postpone(a.ID, max(x.After, t.nextLook(a)))
		return false
	}
	if err == nil {
		t.reading = &seen.Reading
	}
	return true
}

// nextLook is the pause until the next look; the last attempt's settlement was
// the action's last change. An eighth of it is drawn, so that actions that
// failed together do not come back together.
func (t try) nextLook(a fsm.Action) time.Duration {
	lasted := time.Duration(t.Journal.Clock() - a.Changed)
	d := min(max(lasted/outageShare, lookLeast), t.BackoffCap)
	return d - rand.N(d/8)
}

// backoff is the pause after an attempt: base << attempts, of which a random
// half is left off, so that many actions that failed together do not come back
// together. An action whose attempts nobody counts waits for no longer than a
// part of what its trouble has lasted, or backoffLeast; it is patient with the
// target's rate instead (admitted). Half a second and more between attempts in
// doubt keeps them within an object's fsm.MaxHolds for as long as a window lasts.
func (t try) backoff(a fsm.Action) time.Duration {
	most := min(t.BackoffBase<<min(max(a.Attempts-1, 0), 20), t.BackoffCap)
	if a.Limit == 0 {
		lasted := time.Duration(t.Journal.Clock() - a.Created)
		most = min(most, max(lasted/outageShare, backoffLeast))
	}
	return most - rand.N(most/2)
}
