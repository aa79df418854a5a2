package fsm

import (
	"fmt"
	"time"
)

// GateKind names what a pending action stands at.
type GateKind uint8

// The gates.
const (
	GateStage    GateKind = iota + 1 // an earlier stage is not finished
	GateBusy                         // another claim on the object may still send
	GateWindow                       // a dead or silent claim's window has not run out
	GateBackoff                      // a delay after an attempt
	GateBudget                       // the target's rate budget is used up
	GatePause                        // a human paused the master or the cluster
	GateHold                         // the spec holds the master down for a while
	GateApproval                     // a step wants a human's word
)

var gateNames = [...]string{"", "stage", "busy", "window", "backoff", "budget", "pause", "hold", "approval"}

func (g GateKind) String() string { return name(gateNames[:], uint8(g)) }

// Gate is one thing that a pending action waits for.
type Gate struct {
	Kind      GateKind
	Detail    string
	Remaining time.Duration // zero when only an entry opens it
}

// Now is what the gates need of the moment, since the state holds no deadline.
type Now struct {
	Clock  Clock
	Term   Term                         // of the caller; claims of other terms have no live holder
	Window func(Hold) time.Duration     // what is left of a claim's window as the caller counts it; 0: run out
	Budget func(TargetID) time.Duration // until the target may be asked again; nil: always
}

// Gates lists what keeps a pending or inherited action from its claim, and the
// claims on its object whose windows have run out, to be named in the claim.
// No gates: claim now. This is the one function that decides it; the API shows
// its answer and the executor obeys it.
func (s State) Gates(a Action, now Now) (gates []Gate, expired []Token) {
	if by, closed := s.stageClosed(a); closed {
		gates = append(gates, Gate{Kind: GateStage, Detail: fmt.Sprintf("waits for %s", by)})
	}
	if other, ok := s.runningRefresh(a); ok {
		gates = append(gates, Gate{Kind: GateBusy, Detail: fmt.Sprintf("waits for %s", other)})
	}
	if left := a.NotBefore - now.Clock; a.Phase == Pending && left > 0 {
		gates = append(gates, Gate{Kind: GateBackoff, Detail: a.Reason, Remaining: time.Duration(left)})
	}
	if now.Budget != nil && a.Target.ID != "" {
		if left := now.Budget(a.Target.ID); left > 0 {
			gates = append(gates, Gate{Kind: GateBudget, Detail: fmt.Sprintf("rate of %s", a.Target.ID), Remaining: left})
		}
	}
	held, expired := s.heldGates(a, now)
	return append(gates, held...), expired
}

func (s State) heldGates(a Action, now Now) (gates []Gate, expired []Token) {
	o, _ := s.Object(a.Step.Object)
	kept, soonest := 0, time.Duration(0)
	for _, h := range o.Held {
		left := now.Window(h)
		if left <= 0 {
			expired = append(expired, h.Token)
			continue
		}
		if kept++; kept == 1 || left < soonest {
			soonest = left
		}
		same := h.Action == a.ID && a.Step.Class != Blind && !a.Careful
		if !a.Step.Class.holds() || same || a.Step.WriteOver {
			continue
		}
		g := Gate{Kind: GateWindow, Remaining: left, Detail: fmt.Sprintf("claim %d of %s (%s, term %d) may still land", h.Token, h.Action, h.Node, h.Term)}
		if h.Term == now.Term {
			g.Kind = GateBusy
		}
		gates = append(gates, g)
	}
	if a.Step.Class.holds() && kept >= MaxHolds {
		gates = append(gates, Gate{Kind: GateBusy, Remaining: soonest, Detail: fmt.Sprintf(
			"%d claims on %s may still land, at most %d at once: the first must be released or run out", kept, o.ID, MaxHolds)})
	}
	return gates, expired
}
