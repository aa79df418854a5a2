package fsm

import (
	"time"

	"github.com/pointsman/pointsman/internal/planted"
)

// Observe reports what the Sentinels of a master agree on. An advance or a
// resolve is a failover: its plan's actions and the claims of its first stage
// are in the same entry, so that one round trip lies between sight and deed.
type Observe struct {
	Master   MasterID
	Base     Number   // the last accepted number that the proposer saw
	Revision Revision // the spec that Values was rendered from
	Address  Address
	Epoch    Epoch
	As       ObservedAs
	Evidence []string
	Seen     time.Duration // since the proposer first saw Address named at Epoch; zero: not known
	Values   []Value       // one for each step of the plan, in its order
	Term     Term          // of the proposer, for the claims
	Claims   []Ride
}

// Value is what one step wants, rendered by its actuator.
type Value struct {
	Step   string
	Value  []byte
	Wanted string // for people; must hold no secret
}

// Ride is a claim of a first-stage step that rides in an Observe.
type Ride struct {
	Step    string
	Act     time.Duration
	Version string
	Expired []Token
}

// Kind implements Command.
func (Observe) Kind() Kind { return KindObserve }

func (c Observe) apply(s State, e Entry) (State, Answer) {
	spec, ok := s.spec.Master(c.Master)
	if !ok {
		return refused(s, refuse(ErrUnknown, "master %q is not declared", c.Master))
	}
	if c.Revision != s.spec.Revision {
		return refused(s, refuse(ErrRevision, "built on spec revision %d, the spec is at %d", c.Revision, s.spec.Revision))
	}
	m, _ := s.Master(c.Master)
	if c.Base != m.Number {
		return refused(s, refuse(ErrBase, "base %d, master %s is at %d", c.Base, c.Master, m.Number))
	}
	if err := c.fits(m, m.Known(), spec); err != nil {
		return refused(s, err)
	}
	from := m.Address
	m.ID, m.Epoch, m.As, m.Since, m.Wall = c.Master, c.Epoch, c.As, s.clock, e.Wall
	if c.As != Rebase {
		m.Address = c.Address
	}
	if c.As == Seed && !planted.Bug(planted.FirstViewRuns) || c.As == Rebase {
		s.masters, _, _ = s.masters.Insert([]byte(m.ID), m)
		if c.As == Seed {
			s = s.located(m.ID, m.Address, e)
		}
		return s, accepted()
	}
	if len(c.Values) != len(spec.steps()) {
		return refused(s, refuse(ErrPlan, "%d values for %d steps", len(c.Values), len(spec.steps())))
	}
	m.Number++
	s.masters, _, _ = s.masters.Insert([]byte(m.ID), m)
	s = s.supersede(FailoverID{c.Master, m.Number - 1}, e)
	s = s.suspend(FailoverID{c.Master, m.Number}, e)
	return c.begin(s, e, spec, from, m.Number)
}

// fits holds the epoch rules. Base already guards against a second observation
// of the same switch: whoever comes later finds another base.
func (c Observe) fits(m Master, known bool, spec MasterSpec) error {
	if c.As != Rebase && !spec.Candidate(c.Address) {
		return refuse(ErrCandidate, "%s is not a candidate of %s", c.Address, c.Master)
	}
	ok := false
	switch c.As {
	case Seed:
		ok = !known
	case Advance:
		ok = known && c.Epoch > m.Epoch
	case Resolve:
		ok = known && m.As != Rebase && c.Epoch == m.Epoch && c.Address != m.Address
	case Rebase:
		ok = known && c.Epoch < m.Epoch
	}
	if !ok {
		return refuse(ErrEpoch, "%s to %s at epoch %d, accepted are %s at epoch %d", c.As, c.Address, c.Epoch, m.Address, m.Epoch)
	}
	return nil
}

// begin writes the failover, its actions, and the first stage's claims.
func (c Observe) begin(s State, e Entry, spec MasterSpec, from Address, n Number) (State, Answer) {
	f := Failover{
		ID: FailoverID{c.Master, n}, From: from, To: c.Address, Epoch: c.Epoch, As: c.As,
		Evidence: bounded(c.Evidence), Revision: c.Revision, Term: e.Term, Index: e.Index,
		Node: e.Node, Clock: s.clock, Seen: max(0, c.Seen), Wall: e.Wall,
	}
	phase := Pending
	if spec.Observe {
		phase = Observed
	}
	i := 0
	for at, stage := range spec.Plan {
		for _, step := range stage.Steps {
			v := c.Values[i]
			i++
			if v.Step != step.Name || len(v.Value) > MaxOpaqueBytes {
				return refused(s, refuse(ErrPlan, "value %d is of step %q, the plan has %q", i, v.Step, step.Name))
			}
			target, _ := s.spec.Target(step.Target)
			a := Action{
				ID: f.ID.Action(step.Name), For: f.ID, Stage: at, Stages: stage.Name, Phase: phase, Step: step,
				Target: target, Value: v.Value, Wanted: cut(v.Wanted), Limit: step.MaxAttempts,
				Created: s.clock, Changed: s.clock, CreatedWall: e.Wall, ChangedWall: e.Wall, Index: e.Index,
			}
			f.Actions = append(f.Actions, a.ID)
			s = s.with(a)
		}
	}
	s, f = s.led(f, e)
	s.failovers, _, _ = s.failovers.Insert(f.ID.key(), f)
	answer := Answer{Number: n}
	for _, r := range c.Claims {
		claim := Claim{Action: f.ID.Action(r.Step), Term: c.Term, Act: r.Act, Version: r.Version, Expired: r.Expired}
		next, said := claim.apply(s, e)
		if said.Refusal == 0 { // a refused claim leaves its action pending
			s = next
			answer.Claims = append(answer.Claims, Granted{Action: claim.Action, Token: said.Token})
		}
	}
	return s.prune(c.Master, n).pruneScores(c.Master, n), answer
}

// supersede ends what is open of the failover before a new one. The objects
// stay busy until freed.
func (s State) supersede(id FailoverID, e Entry) State {
	for _, a := range s.Actions(id) {
		if !a.Phase.Final() && !planted.Bug(planted.NoSupersede) {
			s = s.with(a.move(Superseded, "a newer failover was accepted", s, e))
			if planted.Bug(planted.FreeWhenSuperseded) {
				s, _ = Release{Object: a.Step.Object, Token: a.Token}.apply(s, e)
			}
		}
	}
	return s
}

// prune forgets the failover that leaves the number kept. All its actions are
// final, since it was superseded long ago.
func (s State) prune(m MasterID, n Number) State {
	if n <= MaxFailovers {
		return s
	}
	id := FailoverID{m, n - MaxFailovers}
	f, ok := s.Failover(id)
	if !ok {
		return s
	}
	for _, a := range f.Actions {
		s.actions, _, _ = s.actions.Delete(a.key())
	}
	s.failovers, _, _ = s.failovers.Delete(id.key())
	return s
}

// move sets a phase. It is the one place where a phase changes.
func (a Action) move(to Phase, reason string, s State, e Entry) Action {
	a.Phase, a.Reason = to, cut(reason)
	a.Changed, a.ChangedWall, a.Index = s.clock, e.Wall, e.Index
	if to.Final() {
		a.Doubt, a.On, a.NotBefore = false, "", 0
	}
	return a
}

func bounded(lines []string) []string {
	const most = 32
	if len(lines) > most {
		lines = lines[:most]
	}
	kept := make([]string, len(lines))
	for i, l := range lines {
		kept[i] = cut(l)
	}
	return kept
}
