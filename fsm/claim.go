package fsm

import (
	"slices"
	"time"

	"github.com/pointsman/pointsman/internal/planted"
)

// Claim says: the proposer may act on the action's object for this span. It is
// refused unless its term is that of its own Raft entry, so a claim that was
// held back over an election is void.
type Claim struct {
	Action  ActionID
	Term    Term
	Act     time.Duration // all requests of this claim end within it, counted from before it was proposed
	Version string        // compare-and-swap version, read before the claim
	Expired []Token       // claims on the object whose windows the proposer saw run out
}

// Kind implements Command.
func (Claim) Kind() Kind { return KindClaim }

func (c Claim) apply(s State, e Entry) (State, Answer) {
	if c.Term != e.Term && !planted.Bug(planted.ClaimAnyTerm) {
		return refused(s, refuse(ErrTerm, "claimed in term %d, logged in term %d", c.Term, e.Term))
	}
	a, ok := s.Action(c.Action)
	if !ok {
		return refused(s, refuse(ErrUnknown, "action %s", c.Action))
	}
	if err := s.claimable(a); err != nil {
		return refused(s, err)
	}
	o, err := s.hold(a, c, e)
	if err != nil {
		return refused(s, err)
	}
	token := TokenOf(s.generation, e.Index)
	if a.Step.Class.holds() {
		o.Held = append(o.Held, Hold{Token: token, Action: a.ID, Term: e.Term, Node: e.Node, Act: c.Act, Keep: a.Target.Hold})
		s = s.withObject(o)
	}
	a = a.move(Claimed, a.Reason, s, e)
	a.Token, a.Term, a.Node, a.Version, a.Claimed = token, e.Term, e.Node, c.Version, s.clock
	a.Attempts++
	a.NotBefore, a.On, a.Careful = 0, "", false
	return s.with(a), Answer{Token: token}
}

// claimable holds the rules that no window has a part in.
func (s State) claimable(a Action) error {
	switch {
	case a.Phase != Pending && a.Phase != Claimed:
		return refuse(ErrPhase, "action %s is %s", a.ID, a.Phase)
	case a.Phase == Claimed && a.Step.Class == Blind && !planted.Bug(planted.BlindTakenOver):
		return refuse(ErrBlind, "action %s was claimed in term %d and may have been sent", a.ID, a.Term)
	case a.Phase == Pending && a.NotBefore > s.clock:
		return refuse(ErrBackoff, "action %s not before %s of log clock, it is %s", a.ID, time.Duration(a.NotBefore), time.Duration(s.clock))
	}
	if by, closed := s.stageClosed(a); closed {
		return refuse(ErrStage, "action %s waits for %s", a.ID, by)
	}
	if other, ok := s.runningRefresh(a); ok {
		return refuse(ErrBusy, "refresh %s is not finished", other)
	}
	return nil
}

// LetPass is how many attempts a step may make before later stages go on
// without it, unless it blocks: it is tried on, but a load balancer that does
// not answer must not keep others from being told.
const LetPass = 5

// stageClosed finds the action of an earlier stage that keeps this one waiting.
func (s State) stageClosed(a Action) (ActionID, bool) {
	if a.For.Master == "" {
		return "", false
	}
	for _, b := range s.Actions(a.For) {
		if b.Stage >= a.Stage {
			break
		}
		if !b.Phase.Final() && (b.Step.Block || b.underWay()) {
			return b.ID, true
		}
	}
	return "", false
}

// underWay reports whether an action goes on: it is not over, nor stuck, nor was
// it tried in vain so often that others pass it.
func (a Action) underWay() bool {
	return !a.Phase.Final() && a.Phase != Stuck && (a.Phase == Waiting || a.Attempts <= LetPass)
}

// runningRefresh finds another refresh of the same target that is under way:
// a provider does one at a time, and the later one covers more.
func (s State) runningRefresh(a Action) (ActionID, bool) {
	if a.Step.Class != Trigger {
		return "", false
	}
	var other ActionID
	s.open.Root().WalkPrefix([]byte(a.Target.ID+"/refresh/"), func(_ []byte, id ActionID) bool {
		if b, _ := s.Action(id); b.ID != a.ID && (b.Phase == Claimed || b.Phase == Waiting) {
			other = b.ID
		}
		return other != ""
	})
	return other, other != ""
}

// hold returns the object as the claim finds it once the named windows are
// taken off, or refuses: while it is busy nobody writes another value to it.
// A claim of the same action writes the same value and need not wait, unless
// the class is blind or a human retried it in doubt.
func (s State) hold(a Action, c Claim, e Entry) (Object, error) {
	o, ok := s.Object(a.Step.Object)
	if !ok {
		o = Object{ID: a.Step.Object}
	}
	kept := make([]Hold, 0, len(o.Held)+1)
	for _, h := range o.Held {
		if !slices.Contains(c.Expired, h.Token) {
			kept = append(kept, h)
		}
	}
	o.Held = kept
	if !a.Step.Class.holds() {
		return o, nil
	}
	if len(kept) >= MaxHolds {
		return o, refuse(ErrLimit, "object %s is held by %d claims (at most %d)", o.ID, len(kept), MaxHolds)
	}
	for _, h := range kept {
		same := h.Action == a.ID && a.Step.Class != Blind && !a.Careful
		if !same && !a.Step.WriteOver {
			return o, refuse(ErrBusy, "object %s is held by %s (token %d, term %d)", o.ID, h.Action, h.Token, h.Term)
		}
	}
	return o, nil
}

// Release says: every request of the claim has been answered, or (Expired)
// its window has run out. It frees the object whatever became of the action.
type Release struct {
	Object  ObjectID
	Token   Token
	Expired bool
}

// Kind implements Command.
func (Release) Kind() Kind { return KindRelease }

func (c Release) apply(s State, _ Entry) (State, Answer) {
	o, _ := s.Object(c.Object)
	kept := slices.DeleteFunc(slices.Clone(o.Held), func(h Hold) bool { return h.Token == c.Token })
	if len(kept) == len(o.Held) {
		return refused(s, refuse(ErrNotHolder, "object %s is not held by token %d", c.Object, c.Token))
	}
	o.Held = kept
	return s.withObject(o), accepted()
}
