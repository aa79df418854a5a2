package fsm

import (
	"fmt"
	"strings"
	"time"

	"github.com/pointsman/pointsman/internal/planted"
)

// Settle says what came of a claim: pending again (after a delay), waiting for
// a provider, done, or stuck. It names the claim's token, so a late word of
// another attempt is refused. It does not free the object: Release does.
type Settle struct {
	Action     ActionID
	Token      Token
	To         Phase
	Effect     Effect        // when done
	After      time.Duration // when pending: not before, from now
	Reason     string
	Doubt      bool           // a request got no clear answer; cleared by done and by waiting, which both follow a read
	Checkpoint []byte         // of the provider's task; with Pending: what the next attempt goes on from, where there is any
	Partial    bool           // with Pending: a part was carried out already, so that a later join would not be covered by it
	Refresh    *Refresh       // when waiting: the staged value needs a refresh
	Settings   []SettingWrite // effects inside the log; only of class InLog
	Requests   []string       // ids that the provider gave its answers
	First      time.Duration  // from the claim's log clock to the request that could change the object; zero: none left
}

// Refresh asks for a refresh of the action's target. It joins one that is to be
// claimed, since that covers everything staged before its claim; but none that
// did a part under an earlier claim.
type Refresh struct {
	Kind   string
	Object ObjectID
	Act    time.Duration
}

// SettingWrite is a setting's new value.
type SettingWrite struct {
	Key, Value string
}

// MaxRounds bounds the refreshes that one action waits for before it is stuck.
const MaxRounds = 50

// Kind implements Command.
func (Settle) Kind() Kind { return KindSettle }

func (c Settle) apply(s State, e Entry) (State, Answer) {
	a, ok := s.Action(c.Action)
	if !ok {
		return refused(s, refuse(ErrUnknown, "action %s", c.Action))
	}
	if err := c.allowed(a); err != nil {
		return refused(s, err)
	}
	from := a.Phase
	a = a.move(c.To, c.Reason, s, e).record(c, s, e)
	switch c.To {
	case Done:
		a.Effect = c.Effect
		s.drifts, _, _ = s.drifts.Delete([]byte(a.Step.Object))
	case Pending:
		a.NotBefore, a.Doubt, a.Partial = s.clock+Clock(c.After), c.Doubt || a.Doubt, c.Partial || a.Partial
		if len(c.Checkpoint) > 0 {
			a.Checkpoint = c.Checkpoint
		}
	case Stuck:
		a.Doubt = c.Doubt || a.Doubt
	case Waiting:
		a.Doubt, a.Checkpoint, a.On = false, c.Checkpoint, ""
	}
	if c.To == Waiting && c.Refresh != nil {
		if a.Rounds++; a.Rounds > MaxRounds {
			a = a.move(Stuck, fmt.Sprintf("still not applied after %d refreshes", MaxRounds), s, e)
		} else {
			s, a.On = s.refresh(a, *c.Refresh, e)
		}
	}
	if from == Claimed && c.To == Done {
		for _, w := range c.Settings {
			s = s.set(Setting{Key: w.Key, Value: w.Value, Owner: a.ID, Actor: e.Actor}, e)
		}
		s = s.reopen(a, e)
	}
	if planted.Bug(planted.FreeAtSettle) {
		s, _ = Release{Object: a.Step.Object, Token: c.Token}.apply(s, e)
	}
	return s.with(a), accepted()
}

func (c Settle) allowed(a Action) error {
	switch {
	case a.Phase != Claimed && a.Phase != Waiting:
		return refuse(ErrPhase, "action %s is %s", a.ID, a.Phase)
	case a.Token != c.Token && !planted.Bug(planted.SettleAnyTerm):
		return refuse(ErrNotHolder, "action %s is claimed by token %d, not %d", a.ID, a.Token, c.Token)
	case c.To != Pending && c.To != Waiting && c.To != Done && c.To != Stuck:
		return refuse(ErrPhase, "nothing settles to %s", c.To)
	case c.To == Done && c.Effect != Changed && c.Effect != Already:
		return refuse(ErrPhase, "action %s settles done without an effect", a.ID)
	case c.To == Stuck && c.Reason == "":
		return refuse(ErrReason, "action %s settles stuck without a reason", a.ID)
	case len(c.Checkpoint) > MaxOpaqueBytes:
		return refuse(ErrLimit, "checkpoint of %d bytes (at most %d)", len(c.Checkpoint), MaxOpaqueBytes)
	case c.Refresh != nil && a.Target.ID == "":
		return refuse(ErrPlan, "action %s has no target to refresh", a.ID)
	}
	for _, w := range c.Settings {
		if a.Step.Class != InLog || a.Step.Object != SettingObject(w.Key) || len(w.Value) > MaxValueBytes {
			return refuse(ErrOwned, "action %s may not write setting %s", a.ID, w.Key)
		}
	}
	return nil
}

// record keeps the attempt in the action's bounded history.
func (a Action) record(c Settle, s State, e Entry) Action {
	at := Attempt{
		Token: c.Token, Term: a.Term, Node: a.Node, Outcome: c.To, Doubt: c.Doubt,
		Reason: cut(c.Reason), Requests: bounded(c.Requests),
		Claimed: a.Claimed, First: max(0, c.First), Clock: s.clock, Wall: e.Wall,
	}
	keep := max(0, len(a.History)-(MaxAttemptsKept-1))
	a.History = append(append([]Attempt(nil), a.History[keep:]...), at)
	return a
}

// SettingObject is the object of a setting's key.
func SettingObject(key string) ObjectID { return ObjectID("setting/" + key) }

func refreshID(t TargetID, n uint64) ActionID { return ActionID(fmt.Sprintf("%s/refresh/%d", t, n)) }

// IsRefresh reports whether the action is a refresh of a target.
func (a Action) IsRefresh() bool {
	return a.For.Master == "" && strings.HasPrefix(string(a.ID), string(a.Target.ID)+"/refresh/")
}

// refresh joins the target's refresh that is pending or makes the next one.
func (s State) refresh(a Action, r Refresh, e Entry) (State, ActionID) {
	count, _ := s.refreshes.Get([]byte(a.Target.ID))
	if b, ok := s.Action(refreshID(a.Target.ID, count.Last)); ok && (b.Phase == Pending && !b.Partial || planted.Bug(planted.JoinRunning) && !b.Phase.Final()) {
		return s, b.ID
	}
	count.Target = a.Target.ID
	count.Last++
	count.Oldest = max(count.Oldest, 1)
	s = s.pruneRefresh(&count)
	s.refreshes, _, _ = s.refreshes.Insert([]byte(count.Target), count)
	b := Action{
		ID: refreshID(count.Target, count.Last), Phase: Pending, Target: a.Target, Wanted: "everything staged is applied",
		Step:    Step{Name: "refresh", Target: count.Target, Kind: r.Kind, Object: r.Object, Class: Trigger, Act: r.Act},
		Created: s.clock, Changed: s.clock, CreatedWall: e.Wall, ChangedWall: e.Wall, Index: e.Index,
	}
	return s.with(b), b.ID
}

func (s *State) dropRefresh(t TargetID, n uint64) bool {
	old, ok := s.Action(refreshID(t, n))
	if ok && !old.Phase.Final() {
		return false
	}
	s.actions, _, _ = s.actions.Delete(old.ID.key())
	return true
}

func (s State) pruneRefresh(count *Refreshes) State {
	if count.Last-count.Oldest >= MaxRefreshes && s.dropRefresh(count.Target, count.Oldest) {
		count.Oldest++
	}
	return s
}

// Retry is a human's word that a stuck action may be tried again, or that a
// backoff may end now. In doubt, it waits for the windows of its own claims too.
type Retry struct {
	Action ActionID
	Reason string
}

// Kind implements Command.
func (Retry) Kind() Kind { return KindRetry }

func (c Retry) apply(s State, e Entry) (State, Answer) {
	a, ok := s.Action(c.Action)
	if !ok {
		return refused(s, refuse(ErrUnknown, "action %s", c.Action))
	}
	if a.Phase != Stuck && a.Phase != Pending {
		return refused(s, refuse(ErrPhase, "action %s is %s; only a stuck or pending one can be retried", a.ID, a.Phase))
	}
	a.Careful = a.Careful || a.Phase == Stuck && a.Doubt
	a = a.move(Pending, c.Reason, s, e)
	a.NotBefore, a.Rounds = 0, 0
	if a.Limit > 0 {
		a.Limit = a.Attempts + a.Step.MaxAttempts
	}
	return s.with(a), accepted()
}

// Abandon is a human's word, with a reason, that an action is given up. A
// claimed one may have a request on the wire: it must settle first.
type Abandon struct {
	Action ActionID
	Reason string
}

// Kind implements Command.
func (Abandon) Kind() Kind { return KindAbandon }

func (c Abandon) apply(s State, e Entry) (State, Answer) {
	a, ok := s.Action(c.Action)
	switch {
	case !ok:
		return refused(s, refuse(ErrUnknown, "action %s", c.Action))
	case c.Reason == "":
		return refused(s, refuse(ErrReason, "abandoning %s needs a reason", c.Action))
	case a.Phase != Stuck && a.Phase != Pending && a.Phase != Waiting:
		return refused(s, refuse(ErrPhase, "action %s is %s; only a stuck, pending or waiting one can be abandoned", a.ID, a.Phase))
	}
	return s.with(a.move(Abandoned, c.Reason, s, e)).reopen(a, e), accepted()
}
