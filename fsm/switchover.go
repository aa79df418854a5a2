package fsm

import "time"

// MaxSwitchoverWindow bounds how long a request for a switchover may stand open.
const MaxSwitchoverWindow = 10 * time.Minute

// SwitchoverPhase is where a human's request for a switchover stands.
type SwitchoverPhase uint8

// The phases of a request. The first three are open while its window lasts.
const (
	SwitchoverAsked   SwitchoverPhase = iota + 1 // in the log; the request to a Sentinel may be on the wire
	SwitchoverStarted                            // the Sentinel said yes
	SwitchoverDoubt                              // the Sentinel's answer was lost
	SwitchoverRefused                            // the Sentinel said no, or the request never left: nothing was begun
	SwitchoverLed                                // a failover of the master was accepted
	SwitchoverUnseen                             // the window ran out and no failover was seen
)

var switchoverNames = [...]string{"", "asked", "started", "doubt", "refused", "led", "unseen"}

func (p SwitchoverPhase) String() string { return name(switchoverNames[:], uint8(p)) }

// Switchover is the newest request of a human that a master moves. There is at
// most one for each master; a newer one takes the place of one that is over.
type Switchover struct {
	Master   MasterID
	Base     Number    // the last accepted failover when it was asked
	Command  CommandID // a repeat of the same call finds it by this
	Sender   string    // of the one call, in one process, that may send it
	From, To Address   // To: whom the Sentinel was expected to promote
	Named    bool      // the human named To
	Sentinel string    // the only one that is asked
	Window   time.Duration
	Actor    string
	Reason   string
	Token    Token // of its entry: who may say what came of it
	Term     Term
	Node     NodeID
	Phase    SwitchoverPhase
	Detail   string // for people: what the Sentinel answered
	Number   Number // of the failover that it led to

	Asked, Changed         Clock
	AskedWall, ChangedWall time.Time // display only
	Index                  uint64    // of the entry that changed it last
}

// Open reports whether the request may still lead to a failover.
func (w Switchover) Open(now Clock) bool {
	return w.Phase >= SwitchoverAsked && w.Phase <= SwitchoverDoubt && w.Left(now) > 0
}

// Left is what is left of its window.
func (w Switchover) Left(now Clock) time.Duration {
	return max(0, w.Window-time.Duration(now-w.Asked))
}

// Asked is the request that a failover came of. Its Index is zero when nobody
// asked.
type Asked struct {
	Actor, Reason string
	To            Address // whom the Sentinel was expected to promote
	Sentinel      string
	Clock         Clock
	Wall          time.Time // display only
	Index         uint64    // of the request's entry
}

// Switchover finds the newest request of a master.
func (s State) Switchover(id MasterID) (Switchover, bool) { return s.switchovers.Get([]byte(id)) }

// Switchovers lists the newest request of each master, by id.
func (s State) Switchovers() []Switchover { return values(s.switchovers, nil) }

// AskSwitchover claims the right to ask one Sentinel, once, for a failover. Only
// the process that proposed it in its own term and saw it committed may send the
// request.
type AskSwitchover struct {
	Master   MasterID
	Base     Number   // the last accepted number that the proposer saw
	Revision Revision // of the spec that the plan was shown from
	Term     Term     // of the proposer
	To       Address
	Named    bool
	Sentinel string
	Reason   string
	Sender   string
	Window   time.Duration // of log clock; then it is over, whatever came of it
}

// Kind implements Command.
func (AskSwitchover) Kind() Kind { return KindAskSwitchover }

func (c AskSwitchover) apply(s State, e Entry) (State, Answer) {
	if err := c.fits(s, e); err != nil {
		return refused(s, err)
	}
	m, _ := s.Master(c.Master)
	w := Switchover{
		Master: c.Master, Base: c.Base, Command: e.ID, Sender: cut(c.Sender), From: m.Address, To: c.To, Named: c.Named,
		Sentinel: cut(c.Sentinel), Window: c.Window, Actor: cut(e.Actor), Reason: cut(c.Reason), Token: TokenOf(s.generation, e.Index),
		Term: c.Term, Node: e.Node, Phase: SwitchoverAsked, Asked: s.clock, AskedWall: e.Wall,
	}
	return s.withSwitchover(w, e), Answer{Token: w.Token}
}

func (c AskSwitchover) fits(s State, e Entry) error {
	spec, ok := s.spec.Master(c.Master)
	m, _ := s.Master(c.Master)
	switch {
	case !ok:
		return refuse(ErrUnknown, "master %q is not declared", c.Master)
	case c.Revision != s.spec.Revision:
		return refuse(ErrRevision, "built on spec revision %d, the spec is at %d", c.Revision, s.spec.Revision)
	case c.Term != e.Term:
		return refuse(ErrTerm, "request of term %d in term %d", c.Term, e.Term)
	case c.Base != m.Number:
		return refuse(ErrBase, "base %d, master %s is at %d", c.Base, c.Master, m.Number)
	case !m.Known() || !spec.Candidate(c.To) || c.To == m.Address:
		return refuse(ErrCandidate, "%s, master %s is at %q", c.To, c.Master, m.Address)
	case c.Window <= 0 || c.Window > MaxSwitchoverWindow:
		return refuse(ErrLimit, "window of %s (at most %s)", c.Window, MaxSwitchoverWindow)
	}
	return s.CheckSwitchover(c.Master)
}

// CheckSwitchover says whether the log would take a request for a switchover of
// a master now. A dry run asks it too.
func (s State) CheckSwitchover(id MasterID) error {
	if w, ok := s.Switchover(id); ok && w.Open(s.clock) {
		return refuse(ErrSwitchover, "asked by %s, not seen to end, over in %s at the latest", w.Actor, w.Left(s.clock).Round(time.Second))
	}
	m, _ := s.Master(id)
	for _, a := range s.Actions(FailoverID{id, m.Number}) {
		if !a.Phase.Final() {
			return refuse(ErrOpenActions, "action %s is %s", a.ID, a.Phase)
		}
	}
	return nil
}

// NoteSwitchover says what came of a request: started, doubt or refused by the
// process that sent it, unseen by any leader once the window has run out.
type NoteSwitchover struct {
	Master MasterID
	Token  Token
	To     SwitchoverPhase
	Detail string
}

// Kind implements Command.
func (NoteSwitchover) Kind() Kind { return KindNoteSwitchover }

func (c NoteSwitchover) apply(s State, e Entry) (State, Answer) {
	w, ok := s.Switchover(c.Master)
	if !ok || w.Token != c.Token {
		return refused(s, refuse(ErrNotHolder, "token %d, the newest request of %s has %d", c.Token, c.Master, w.Token))
	}
	open := w.Phase <= SwitchoverDoubt
	switch {
	case c.To == SwitchoverStarted && w.Phase == SwitchoverLed, c.To == SwitchoverDoubt && w.Phase == SwitchoverLed:
		return s, accepted() // the failover was faster than the answer
	case c.To == SwitchoverStarted && w.Phase == SwitchoverAsked, c.To == SwitchoverDoubt && w.Phase == SwitchoverAsked:
	case c.To == SwitchoverRefused && w.Phase == SwitchoverAsked:
	case c.To == SwitchoverRefused && w.Phase == SwitchoverLed:
		s = s.notAsked(FailoverID{c.Master, w.Number}) // it came of itself meanwhile
		w.Number = 0
	case c.To == SwitchoverUnseen && open && w.Left(s.clock) > 0:
		return refused(s, refuse(ErrBackoff, "%s of its window is left", w.Left(s.clock)))
	case c.To == SwitchoverUnseen && open:
	default:
		return refused(s, refuse(ErrPhase, "it is %s, cannot become %s", w.Phase, c.To))
	}
	w.Phase, w.Detail = c.To, cut(c.Detail)
	return s.withSwitchover(w, e), accepted()
}

// led joins a failover that is being accepted to the request that asked for it.
func (s State) led(f Failover, e Entry) (State, Failover) {
	w, ok := s.Switchover(f.ID.Master)
	if !ok || !w.Open(s.clock) || w.Base+1 != f.ID.Number {
		return s, f
	}
	f.Asked = Asked{
		Actor: w.Actor, Reason: w.Reason, To: w.To, Sentinel: w.Sentinel, Clock: w.Asked, Wall: w.AskedWall, Index: w.Token.Index(),
	}
	w.Phase, w.Number = SwitchoverLed, f.ID.Number
	return s.withSwitchover(w, e), f
}

func (s State) notAsked(id FailoverID) State {
	if f, ok := s.Failover(id); ok {
		f.Asked = Asked{}
		s.failovers, _, _ = s.failovers.Insert(id.key(), f)
	}
	return s
}

func (s State) withSwitchover(w Switchover, e Entry) State {
	w.Changed, w.ChangedWall, w.Index = s.clock, e.Wall, e.Index
	s.switchovers, _, _ = s.switchovers.Insert([]byte(w.Master), w)
	return s
}
