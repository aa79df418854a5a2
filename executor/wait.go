package executor

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

// settleLag is how long a provider's counter of unapplied changes may lag
// behind a refresh that is done, before another refresh is asked for.
const settleLag = 2 * time.Second

// taskLimit is how long a provider's task may take. Beyond it the action is
// stuck, so that the refreshes behind it go on.
const taskLimit = 15 * time.Minute

// lagLimit is how long a provider's count of unapplied changes may lag behind a
// write. Until then an empty count is believed only if it has counted the write.
const lagLimit = 5 * time.Second

// counted is the checkpoint of an action whose write the provider has counted.
const counted = "counted"

// waiting says what a waiting action needs now, and what that costs; nil:
// nothing yet.
func (t try) waiting(state fsm.State, a fsm.Action) (func(context.Context), int) {
	t.token = a.Token
	r, ok := state.Action(a.On)
	switch {
	case a.On == "" && len(a.Checkpoint) > 0:
		return t.unchanged(a, func(ctx context.Context) { t.follow(ctx, state, a) }), costFollow
	case ok && r.Phase == fsm.Done:
		// It was pending when this action joined it, so its claim came after the value was staged.
		return t.unchanged(a, func(ctx context.Context) { t.finish(ctx, state, a, true, r.Changed) }), costLook
	case !ok || r.Phase.Final():
		return t.unchanged(a, func(ctx context.Context) { t.finish(ctx, state, a, false, 0) }), costLook
	case r.Phase == fsm.Stuck:
		return t.unchanged(a, func(ctx context.Context) {
			t.settle(ctx, a, fsm.Settle{To: fsm.Stuck, Reason: fmt.Sprintf("%s is stuck: %s", r.ID, r.Reason)})
		}), 0
	}
	return nil, 0
}

// unchanged does nothing when an entry changed the action since it was looked
// at: a waiting action keeps its token over several refreshes.
func (t try) unchanged(a fsm.Action, do func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		state, _ := t.Journal.Watch()
		if now, ok := state.Action(a.ID); ok && now.Index == a.Index {
			do(ctx)
		}
	}
}

// finish reads once more after the refresh: only that read makes it done.
func (t try) finish(ctx context.Context, state fsm.State, a fsm.Action, covered bool, refreshed fsm.Clock) {
	seen, _, err := t.look(ctx, state, a, covered)
	if err != nil {
		t.unanswered(ctx, a, err)
		return
	}
	young := t.Journal.Clock()-a.Changed < fsm.Clock(lagLimit) && string(a.Checkpoint) != counted
	if covered && seen.Verdict == actuators.Applied && young {
		t.postpone(a.ID, lagLimit/10)
		return
	}
	if covered && seen.Verdict == actuators.Staged && t.Journal.Clock()-refreshed < fsm.Clock(settleLag) {
		t.postpone(a.ID, settleLag/8)
		return
	}
	t.doubt = true // it waited for what it had written
	t.conclude(ctx, a, seen)
}

const (
	confirmEvery = 100 * time.Millisecond // how often it is asked whether what stands as wanted is done
	confirmAgain = 5 * time.Second        // longest pause between two claims that only ask that
	confirmRead  = 30 * time.Second       // then the object is read anew
)

// unconfirmed leaves an action open that stands as wanted and is not done yet.
// One that waits goes on waiting. One under a claim becomes pending: its next
// claim finds the object as wanted and writes nothing.
func (t try) unconfirmed(ctx context.Context, a fsm.Action, why string) {
	if a.Phase == fsm.Waiting {
		t.mu.Lock()
		maps.DeleteFunc(t.held, func(_ fsm.ActionID, at time.Time) bool { return time.Since(at) > 2*confirmRead }) // superseded meanwhile
		t.held[a.ID] = time.Now()
		t.mu.Unlock()
		t.postpone(a.ID, confirmEvery)
		return
	}
	t.settle(ctx, a, fsm.Settle{To: fsm.Pending, After: min(t.backoff(a), confirmAgain), Reason: why})
}

// holds reports whether a waiting action was read as wanted lately and is still
// not confirmed. It asks nobody outside; the object is read anew now and then,
// since somebody may have changed it meanwhile.
func (e *Executor) holds(a fsm.Action) bool {
	e.mu.Lock()
	at, held := e.held[a.ID]
	e.mu.Unlock()
	if !held {
		return false
	}
	if time.Since(at) < confirmRead && e.Confirm(a) != "" {
		return true
	}
	e.mu.Lock()
	delete(e.held, a.ID)
	e.mu.Unlock()
	return false
}

// follow asks once how the provider's task goes.
func (t try) follow(ctx context.Context, state fsm.State, a fsm.Action) {
	tool, err := t.tools.of(a.Step, a.Target)
	if err == nil {
		within, cancel := context.WithTimeout(ctx, t.Executor.span(a.Step))
		defer cancel()
		var p actuators.Progress
		if p, err = tool.Follow(within, t.work(state, a, false)); err == nil {
			t.progress(ctx, a, p)
			return
		}
	}
	x := actuators.Explain(err)
	if x.Permanent {
		t.settle(ctx, a, fsm.Settle{To: fsm.Stuck, Reason: err.Error(), Requests: x.Requests})
		return
	}
	t.Logger.Warn("follow", "action", string(a.ID), "error", err)
	t.postpone(a.ID, max(x.After, t.nextLook(a)))
}

func (t try) progress(ctx context.Context, a fsm.Action, p actuators.Progress) {
	switch {
	case p.Done && a.Step.Class != fsm.Trigger: // it has a value: only a read of that makes it done
		crashAt(followed, a)
		state, _ := t.Journal.Watch()
		t.finish(ctx, state, a, false, 0)
	case p.Done, planted.Bug(planted.TaskUnfollowed):
		crashAt(followed, a)
		t.settle(ctx, a, fsm.Settle{To: fsm.Done, Effect: fsm.Changed, Requests: p.Requests})
	case p.Again:
		t.settle(ctx, a, limited(a, fsm.Settle{To: fsm.Pending, After: t.backoff(a), Reason: p.Reason, Requests: p.Requests, Partial: p.Partial, Checkpoint: p.Next}))
	case t.Journal.Clock()-a.Changed > fsm.Clock(taskLimit):
		t.settle(ctx, a, fsm.Settle{To: fsm.Stuck, Reason: fmt.Sprintf("the provider's task has not ended after %s: %s", taskLimit, p.Reason), Requests: p.Requests})
	default:
		if p.Reason != "" {
			t.Logger.Warn("provider's task", "action", string(a.ID), "reason", p.Reason)
		}
		t.postpone(a.ID, max(p.After, 10*time.Millisecond))
	}
}
