package executor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

// try is one attempt at one action, in one goroutine.
type try struct {
	*Executor
	term    fsm.Term
	id      fsm.ActionID
	token   fsm.Token // of the claim it acts under
	span    span      // since before that claim was proposed
	reading *actuators.Reading
	doubt   bool          // an earlier claim may have written
	unread  bool          // the look before the write got no answer
	unseen  error         // nor did the look before the claim, which therefore names no version
	first   time.Duration // from the claim's log clock until the request that may change the object left
}

var (
	errSpan      = errors.New("the claim's span ran out before the request")
	errNoVersion = errors.New("the claim names no version to compare with")
	errNoTask    = errors.New("the provider named no task to follow")
)

// fresh claims a pending action and performs it.
func (t try) fresh(ctx context.Context) {
	state, _ := t.Journal.Watch()
	a, ok := state.Action(t.id)
	if !ok || a.Phase != fsm.Pending {
		return
	}
	t.doubt = a.Doubt
	if t.persists(a) && !t.answered(ctx, state, a) {
		return
	}
	t.claim(ctx, state, a)
}

// inherited takes over an action that was claimed and not settled: it looks
// first, and settles from the read alone where that tells enough.
func (t try) inherited(ctx context.Context) {
	state, _ := t.Journal.Watch()
	a, ok := state.Action(t.id)
	if !ok || a.Phase != fsm.Claimed {
		return
	}
	t.token, t.doubt = a.Token, true
	if a.Step.Class == fsm.Blind && !planted.Bug(planted.BlindTakenOver) { // of this term too: the attempt ended without a word
		t.settle(ctx, a, fsm.Settle{To: fsm.Stuck, Doubt: true, Reason: fmt.Sprintf("%s ended after its claim in term %d without an outcome; a blind write is never repeated", a.Node, a.Term)})
		return
	}
	if a.Step.Class != fsm.InLog && a.Step.Class != fsm.Trigger && !planted.Bug(planted.SkipInspect) {
		seen, tool, err := t.look(ctx, state, a, false)
		if tool == nil || err != nil {
			t.unanswered(ctx, a, err)
			return
		}
		if seen.Verdict == actuators.Applied || seen.Verdict == actuators.Staged {
			t.conclude(ctx, a, seen)
			return
		}
		t.reading = &seen.Reading
	}
	t.claim(ctx, state, a)
}

// unanswered deals with a look that failed before anything of this try was sent:
// what no further look can mend is stuck, the rest is tried again.
func (t try) unanswered(ctx context.Context, a fsm.Action, err error) {
	x := actuators.Explain(err)
	if x.Permanent {
		t.tools.forget(a.Target.ID)
		t.settle(ctx, a, fsm.Settle{To: fsm.Stuck, Doubt: t.doubt, Reason: err.Error(), Requests: x.Requests})
		return
	}
	t.Logger.Warn("look", "action", string(a.ID), "phase", a.Phase.String(), "error", err)
	t.postpone(a.ID, max(x.After, t.nextLook(a)))
}

// claim asks the log for the action and performs it once granted.
func (t try) claim(ctx context.Context, state fsm.State, a fsm.Action) {
	gates, expired := state.Gates(a, t.now(t.term, 0))
	if len(gates) > 0 {
		t.postpone(a.ID, min(max(longest(gates), 50*time.Millisecond), time.Second))
		return
	}
	c := fsm.Claim{Action: a.ID, Term: t.term, Act: t.Executor.span(a.Step), Expired: expired}
	if a.Step.Class == fsm.Fenced { // the version must be read before the claim and stand in it
		seen, _, err := t.look(ctx, state, a, false)
		switch {
		case err == nil:
			c.Version, t.reading = seen.Version, &seen.Reading
		case !actuators.Explain(err).Permanent:
			t.unseen = err // the claim is there to say so in the log, and to count the attempt
		} // else it is there to be settled as stuck
	}
	crashAt(beforeClaim, a)
	t.span = startSpan()
	crashDuring(proposing, a)
	answer, err := t.propose(ctx, t.term, c)
	if err != nil {
		if isRefusal(err) {
			t.postpone(a.ID, 200*time.Millisecond)
		}
		return
	}
	crashAt(claimed, a)
	if planted.Bug(planted.SpanFromGrant) {
		t.span = startSpan()
	}
	t.token = answer.Token
	t.perform(ctx)
}

// perform acts under the granted claim: judge, act, release, read back, settle.
// What is wanted is read from the state after the claim was applied.
func (t try) perform(ctx context.Context) {
	state, a, ok := t.await(ctx)
	if !ok {
		if ctx.Err() == nil {
			t.free(ctx, a) // superseded before anything was sent
		}
		return
	}
	within, cancel := t.within(ctx, t.Executor.span(a.Step)-t.rated(t.span.elapsed()))
	defer cancel()
	if t.unseen != nil {
		t.unread = true
		t.fail(ctx, a, t.unseen)
		return
	}
	seen, tool, err := t.look(within, state, a, false)
	if err != nil {
		t.unread = true
		t.fail(ctx, a, err)
		return
	}
	if planted.Bug(planted.SkipInspect) {
		seen.Verdict = actuators.Absent
	}
	switch seen.Verdict {
	case actuators.Absent:
		t.act(ctx, within, state, a, tool, seen)
	case actuators.Busy:
		t.free(ctx, a)
		t.settle(ctx, a, fsm.Settle{To: fsm.Pending, After: seen.After, Reason: seen.Detail, Doubt: a.Doubt, Requests: seen.Reading.Requests})
	default:
		t.free(ctx, a)
		t.conclude(ctx, a, seen)
	}
}

// act sends the one request that may change the object.
func (t try) act(ctx, within context.Context, state fsm.State, a fsm.Action, tool actuators.Actuator, seen actuators.Sight) {
	if t.rated(t.span.elapsed()) >= t.Executor.span(a.Step) {
		t.fail(ctx, a, errSpan)
		return
	}
	if a.Step.Class == fsm.Fenced && a.Version == "" {
		t.fail(ctx, a, errNoVersion)
		return
	}
	if a.Step.Class == fsm.Fenced && planted.Bug(planted.VersionReread) {
		t.reading = nil
		if again, _, err := t.look(within, state, a, false); err == nil {
			a.Version, seen = again.Version, again
		}
	}
	crashAt(looked, a)
	began := time.Now()
	left := new(departure)
	out, err := tool.Act(actuators.WithSending(within, func() { left.note(t.Journal.Clock()) }), t.work(state, a, false), seen)
	t.first = left.after(a.Claimed)
	t.meters.acted(a, time.Since(began))
	crashAt(acted, a)
	x := actuators.Explain(err)
	if err != nil && !x.Doubt {
		t.fail(ctx, a, err)
		return
	}
	if x.Doubt && !planted.Bug(planted.FreeInDoubt) {
		t.Logger.Warn("request got no clear answer", "action", string(a.ID), "token", uint64(t.token), "error", err)
	} else {
		done := t.freeing(ctx, a)
		defer func() { <-done }()
	}
	switch {
	case out.Waiting:
		t.settle(ctx, a, fsm.Settle{To: fsm.Waiting, Checkpoint: out.Checkpoint, Requests: out.Requests})
	case a.Step.Class == fsm.InLog:
		t.settle(ctx, a, fsm.Settle{To: fsm.Done, Effect: settingEffect(state, out), Settings: out.Settings})
	case a.Step.Class == fsm.Trigger: // has no value to read back
		t.fail(ctx, a, cmp.Or(err, errNoTask))
	case a.Step.Class == fsm.Blind && err != nil:
		t.settle(ctx, a, fsm.Settle{To: fsm.Stuck, Doubt: true, Reason: fmt.Sprintf("no clear answer, and a blind write is never repeated: %v", err), Requests: x.Requests})
	case a.Step.Class == fsm.Blind: // the clear answer is all that there is to see
		t.settle(ctx, a, fsm.Settle{To: fsm.Done, Effect: fsm.Changed, Requests: out.Requests})
	default:
		t.check(ctx, a, append(out.Requests, x.Requests...), err)
	}
}

// check reads back after a write: done only when a read saw the value.
func (t try) check(ctx context.Context, a fsm.Action, requests []string, acted error) {
	state, _ := t.Journal.Watch()
	t.reading = nil
	seen, _, err := t.look(ctx, state, a, false)
	crashAt(readBack, a)
	seen.Reading.Requests = append(requests, seen.Reading.Requests...)
	after := t.backoff(a)
	switch {
	case err != nil:
		t.settle(ctx, a, limited(a, fsm.Settle{To: fsm.Pending, After: after, Doubt: true, Requests: requests, Reason: fmt.Sprintf("written, not read back: %v", errors.Join(acted, err))}))
	case seen.Verdict == actuators.Absent || seen.Verdict == actuators.Busy:
		reason := "read back another value: " + seen.Detail
		if acted != nil {
			reason = acted.Error()
		}
		t.settle(ctx, a, limited(a, fsm.Settle{To: fsm.Pending, After: after, Doubt: acted != nil, Reason: reason, Requests: seen.Reading.Requests}))
	default:
		t.doubt = true // this claim has written: the effect is a change
		t.conclude(ctx, a, seen)
	}
}

// conclude settles what a sight decides by itself.
func (t try) conclude(ctx context.Context, a fsm.Action, seen actuators.Sight) {
	if seen.Verdict == actuators.Applied && t.Confirm != nil {
		if why := t.Confirm(a); why != "" {
			t.unconfirmed(ctx, a, why)
			return
		}
	}
	c := fsm.Settle{Reason: seen.Detail, Requests: seen.Reading.Requests}
	switch seen.Verdict {
	case actuators.Applied:
		c.To, c.Effect, c.Reason = fsm.Done, fsm.Already, seen.Warning
		if !seen.Found && (t.doubt || a.Attempts > 1) {
			c.Effect = fsm.Changed
		}
	case actuators.Staged:
		c.To, c.Refresh = fsm.Waiting, seen.Refresh
		if planted.Bug(planted.StagedIsDone) {
			c.To, c.Effect, c.Reason, c.Refresh = fsm.Done, fsm.Changed, "", nil
		}
		if seen.Counted || string(a.Checkpoint) == counted {
			c.Checkpoint = []byte(counted)
		}
	case actuators.Newer, actuators.Foreign:
		c.To, c.Reason = fsm.Stuck, fmt.Sprintf("%s: %s", seen.Verdict, seen.Detail)
	default:
		c.To, c.After = fsm.Pending, t.backoff(a)
	}
	t.settle(ctx, a, c)
}

// fail settles an attempt that ended without a change or without an answer.
func (t try) fail(ctx context.Context, a fsm.Action, err error) {
	x := actuators.Explain(err)
	if !x.Doubt || planted.Bug(planted.FreeInDoubt) {
		t.free(ctx, a)
	}
	after := t.backoff(a)
	if t.unread && t.persists(a) {
		after = t.BackoffBase
	}
	c := fsm.Settle{To: fsm.Pending, After: max(x.After, after), Reason: err.Error(), Doubt: x.Doubt, Requests: x.Requests}
	if x.Permanent {
		c.To = fsm.Stuck
		t.tools.forget(a.Target.ID) // a human may mend the credential: open it anew then
	}
	t.settle(ctx, a, limited(a, c))
}

// limited ends the attempts at an action that has had as many as its step allows.
func limited(a fsm.Action, c fsm.Settle) fsm.Settle {
	if c.To == fsm.Pending && a.Limit > 0 && a.Attempts >= a.Limit {
		c.To, c.Reason = fsm.Stuck, fmt.Sprintf("%d attempts: %s", a.Attempts, c.Reason)
	}
	return c
}
