package fsm

import (
	"slices"
	"strings"
)

// InitCluster gives the cluster its identity. The first leader proposes it once.
type InitCluster struct {
	Cluster ClusterID
}

// Kind implements Command.
func (InitCluster) Kind() Kind { return KindInitCluster }

func (c InitCluster) apply(s State, _ Entry) (State, Answer) {
	if s.cluster != "" && s.cluster != c.Cluster {
		return refused(s, refuse(ErrCluster, "it is %s", s.cluster))
	}
	s.cluster = c.Cluster
	return s, accepted()
}

// PutMember records a coordinator: its store, addresses, and what it can read.
// A node that comes with another store than recorded is refused.
type PutMember struct {
	Member Member // Clock and Wall are set from the entry
}

// Kind implements Command.
func (PutMember) Kind() Kind { return KindMember }

func (c PutMember) apply(s State, e Entry) (State, Answer) {
	m := c.Member
	old, known := s.Member(m.Node)
	switch {
	case m.Node == "" || m.Store == "":
		return refused(s, refuse(ErrStore, "member record without node or store"))
	case known && old.Store != m.Store:
		return refused(s, refuse(ErrStore, "node %s is known with store %s, it comes with %s", m.Node, old.Store, m.Store))
	case !known && s.members.Len() >= MaxMembers:
		return refused(s, refuse(ErrLimit, "%d members (at most %d)", s.members.Len(), MaxMembers))
	}
	m.Clock, m.Wall = s.clock, e.Wall
	s.members, _, _ = s.members.Insert([]byte(m.Node), m)
	return s, accepted()
}

// PutSpec replaces the spec. IfRevision names the revision that it was made
// from. Spec.Revision and Spec.Applied are set from the log. Open actions keep
// the step and target that they were accepted with.
type PutSpec struct {
	Spec       Spec
	IfRevision Revision
	Keep       int // former specs to keep, at most MaxFormerSpecs; 0, as entries of older builds have it: the replaced one is forgotten
	Reason     string
}

// Kind implements Command.
func (PutSpec) Kind() Kind { return KindPutSpec }

func (c PutSpec) apply(s State, e Entry) (State, Answer) {
	if err := s.CheckSpec(c); err != nil {
		return refused(s, err)
	}
	c.Spec.Revision, c.Spec.Applied = s.spec.Revision+1, Applied{}
	if c.Keep > 0 {
		s = s.keepSpec(c.Keep)
		c.Spec.Applied = Applied{Actor: e.Actor, Reason: cut(c.Reason), Index: e.Index, Clock: s.clock, Wall: e.Wall}
	}
	for _, old := range s.spec.Masters {
		if _, kept := c.Spec.Master(old.ID); !kept {
			s = s.dropMaster(old.ID)
		}
	}
	was := s.spec
	s.spec = c.Spec
	return s.putPools(was, e), accepted()
}

// CheckSpec says whether the spec would be accepted now. A dry run asks it too.
func (s State) CheckSpec(c PutSpec) error {
	if c.IfRevision != s.spec.Revision {
		return refuse(ErrRevision, "made from spec revision %d, the spec is at %d", c.IfRevision, s.spec.Revision)
	}
	if err := c.Spec.Check(); err != nil {
		return err
	}
	for _, a := range s.Open() {
		if _, kept := c.Spec.Master(a.For.Master); !kept && a.For.Master != "" {
			return refuse(ErrOpenActions, "master %s: action %s is %s; abandon it or let it finish", a.For.Master, a.ID, a.Phase)
		}
		if m, step, owned := c.Spec.Owner(a.Step.Object); owned && (m != a.For.Master || !step.is(a.Step)) {
			return refuse(ErrOpenActions, "object %s goes to step %s of master %s: action %s is %s; abandon it or let it finish", a.Step.Object, step.Name, m, a.ID, a.Phase)
		}
		if _, kept := c.Spec.Target(a.Target.ID); !kept && a.Target.ID != "" {
			return refuse(ErrOpenActions, "target %s: action %s is %s; abandon it or let it finish", a.Target.ID, a.ID, a.Phase)
		}
	}
	if err := s.checkPools(c.Spec); err != nil {
		return err
	}
	for _, m := range c.Spec.Masters {
		if now, ok := s.Master(m.ID); ok && now.Known() && !m.Candidate(now.Address) {
			return refuse(ErrCandidate, "master %s stands at %s, which must stay a candidate", m.ID, now.Address)
		}
	}
	return nil
}

// dropMaster forgets what was accepted for a master, and its state, but keeps its number and
// failovers, so that a number is never used twice.
func (s State) dropMaster(id MasterID) State {
	if _, ok := s.Condition(id); ok {
		s.conditions, _, _ = s.conditions.Delete([]byte(id))
		s = s.unset(StateKey(id))
	}
	m, ok := s.Master(id)
	s.switchovers, _, _ = s.switchovers.Delete([]byte(id))
	switch {
	case ok && m.Number > 0:
		s.masters, _, _ = s.masters.Insert([]byte(id), Master{ID: id, Number: m.Number})
	case ok:
		s.masters, _, _ = s.masters.Delete([]byte(id))
	}
	return s
}

// PutSetting writes a setting for a person or an app. A key that a plan owns
// is refused.
type PutSetting struct {
	Key, Value string
	IfRevision *uint64 // nil: any; 0: must not exist
}

// Kind implements Command.
func (PutSetting) Kind() Kind { return KindPutSetting }

func (c PutSetting) apply(s State, e Entry) (State, Answer) {
	if err := s.writable(c.Key, c.IfRevision); err != nil {
		return refused(s, err)
	}
	old, exists := s.Setting(c.Key)
	stored := s.stored - old.size() + len(c.Key) + len(c.Value)
	switch {
	case len(c.Value) > MaxValueBytes:
		return refused(s, refuse(ErrLimit, "value of %d bytes (at most %d)", len(c.Value), MaxValueBytes))
	case !exists && s.settings.Len() >= MaxSettings:
		return refused(s, refuse(ErrLimit, "%d settings (at most %d)", s.settings.Len(), MaxSettings))
	case stored > MaxStoredBytes:
		return refused(s, refuse(ErrLimit, "settings would hold %d bytes (at most %d)", stored, MaxStoredBytes))
	}
	return s.set(Setting{Key: c.Key, Value: c.Value, Actor: e.Actor}, e), accepted()
}

// DeleteSetting removes a setting. A key that a plan owns is refused.
type DeleteSetting struct {
	Key        string
	IfRevision *uint64 // nil: any
}

// Kind implements Command.
func (DeleteSetting) Kind() Kind { return KindDeleteSetting }

func (c DeleteSetting) apply(s State, _ Entry) (State, Answer) {
	if _, ok := s.Setting(c.Key); !ok {
		return refused(s, refuse(ErrUnknown, "setting %q", c.Key))
	}
	if err := s.writable(c.Key, c.IfRevision); err != nil {
		return refused(s, err)
	}
	return s.unset(c.Key), accepted()
}

func (s State) writable(key string, ifRevision *uint64) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if m, ok := Reserved(key); ok {
		return refuse(ErrOwned, "%s is the built-in state of master %s, which only the log writes", key, m)
	}
	if m, step, owned := s.spec.Writer(SettingObject(key)); owned {
		return refuse(ErrOwned, "%s is written by step %s of master %s", key, step.Name, m)
	}
	now, _ := s.Setting(key)
	if ifRevision != nil && *ifRevision != now.Revision {
		return refuse(ErrRevision, "setting %s is at revision %d, not %d", key, now.Revision, *ifRevision)
	}
	return nil
}

// sealedPrefix is of the settings that the program keeps for targets, sealed.
const sealedPrefix = "pointsman/sealed/"

// SealedKey is the key of what the program keeps for a target. Only the leader
// writes it; who offers settings to users refuses it.
func SealedKey(t TargetID) string { return sealedPrefix + string(t) }

// Sealed finds the target for which a key is kept.
func Sealed(key string) (TargetID, bool) {
	t, ok := strings.CutPrefix(key, sealedPrefix)
	return TargetID(t), ok
}

// CheckKey says whether a setting's key is allowed: 1 to MaxKeyBytes bytes of
// letters, digits and "._-/", no empty part between slashes.
func CheckKey(key string) error {
	odd := strings.ContainsFunc(key, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("._-/", r)
	})
	if odd || len(key) > MaxKeyBytes || slices.Contains(strings.Split(key, "/"), "") {
		return refuse(ErrLimit, "key %q: 1 to %d letters, digits or ._-/ without an empty part", cut(key), MaxKeyBytes)
	}
	return nil
}

func (s State) set(v Setting, e Entry) State {
	v.Revision, v.Clock, v.Wall = e.Index, s.clock, e.Wall
	return s.store(v)
}

// store is the one place where a setting enters the state.
func (s State) store(v Setting) State {
	old, _ := s.Setting(v.Key)
	s.stored += v.size() - old.size()
	s.settings, _, _ = s.settings.Insert([]byte(v.Key), v)
	return s
}

func (s State) unset(key string) State {
	old, _ := s.Setting(key)
	s.stored -= old.size()
	s.settings, _, _ = s.settings.Delete([]byte(key))
	return s
}

func (v Setting) size() int { return len(v.Key) + len(v.Value) }
