package fsm

// Flat is a state as plain lists in key order: what a snapshot writes, what a
// hash is taken over. Derived trees are left out.
type Flat struct {
	Cluster     ClusterID
	Generation  uint16
	Index       uint64
	Term        Term
	Clock       Clock
	Spec        Spec
	Formers     []FormerSpec
	Masters     []Master
	Failovers   []Failover
	Actions     []Action
	Objects     []Object
	Refreshes   []Refreshes
	Settings    []Setting
	Members     []Member
	Drifts      []Drift
	Answers     []Kept
	Conditions  []Condition
	Switchovers []Switchover
	Scores      []Score
	Pools       []Pool
	Sessions    []Session
	Leases      []Lease
	Checkpoints []Checkpoint
}

// Flatten lists the state in key order, the same on every node.
func (s State) Flatten() Flat {
	return Flat{
		Cluster: s.cluster, Generation: s.generation, Index: s.index, Term: s.term, Clock: s.clock, Spec: s.spec,
		Formers:     s.FormerSpecs(),
		Masters:     values(s.masters, nil),
		Failovers:   values(s.failovers, nil),
		Actions:     values(s.actions, nil),
		Objects:     values(s.objects, nil),
		Refreshes:   values(s.refreshes, nil),
		Settings:    values(s.settings, nil),
		Members:     values(s.members, nil),
		Drifts:      values(s.drifts, nil),
		Answers:     values(s.answers, nil),
		Conditions:  values(s.conditions, nil),
		Switchovers: values(s.switchovers, nil),
		Scores:      values(s.scores, nil),
		Pools:       s.Pools(),
		Sessions:    s.Sessions(""),
		Leases:      s.Leases(""),
		Checkpoints: values(s.checkpoints, nil),
	}
}

// Unflatten builds the state that Flatten listed.
func Unflatten(f Flat) State {
	s := New()
	s.cluster, s.generation, s.index, s.term, s.clock, s.spec = f.Cluster, f.Generation, f.Index, f.Term, f.Clock, f.Spec
	for _, v := range f.Formers {
		s.formers, _, _ = s.formers.Insert(v.Revision.key(), v)
	}
	for _, m := range f.Masters {
		s.masters, _, _ = s.masters.Insert([]byte(m.ID), m)
	}
	for _, v := range f.Failovers {
		s.failovers, _, _ = s.failovers.Insert(v.ID.key(), v)
	}
	for _, a := range f.Actions {
		s = s.with(a)
	}
	for _, o := range f.Objects {
		s = s.withObject(o)
	}
	for _, r := range f.Refreshes {
		s.refreshes, _, _ = s.refreshes.Insert([]byte(r.Target), r)
	}
	for _, v := range f.Settings {
		s = s.store(v)
	}
	for _, m := range f.Members {
		s.members, _, _ = s.members.Insert([]byte(m.Node), m)
	}
	for _, d := range f.Drifts {
		s.drifts, _, _ = s.drifts.Insert([]byte(d.Object), d)
	}
	for _, w := range f.Switchovers {
		s.switchovers, _, _ = s.switchovers.Insert([]byte(w.Master), w)
	}
	for _, v := range f.Scores {
		s.scores, _, _ = s.scores.Insert(v.Action.key(), v)
	}
	s = s.unflattened(f)
	for _, k := range f.Answers {
		s = s.remember(k)
	}
	for _, c := range f.Conditions {
		s.conditions, _, _ = s.conditions.Insert([]byte(c.Master), c)
	}
	return s
}
