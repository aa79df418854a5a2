package fsm

import (
	"strings"
	"time"
)

// Bounds of a spec and of what the state keeps.
const (
	MaxMasters      = 4096
	MaxTargets      = 1024
	MaxCandidates   = 16
	MaxStages       = 16
	MaxSteps        = 64               // of one plan
	MaxSpecBytes    = 4 << 20          // of the source text
	FormerSpecs     = 20               // replaced specs kept, unless a command says otherwise
	MaxFormerSpecs  = 100              // whatever a command says
	MaxFormerBytes  = 16 << 20         // of all their sources; the oldest go first
	MaxOpaqueBytes  = 64 << 10         // of one step's, target's or value's opaque bytes
	MaxHolds        = 32               // claims that may keep one object busy at once
	MaxAttemptsKept = 16               // of one action's history
	MaxFailovers    = 1000             // kept per master; the oldest finished ones go first
	MaxRefreshes    = 1000             // kept per target
	MaxSettings     = 10000            // keys
	MaxKeyBytes     = 512              // of a setting's key; API and spec take 256, a longer one in an old entry stays readable
	MaxValueBytes   = 64 << 10         // of a setting's value
	MaxStoredBytes  = 64 << 20         // of all settings' keys and values; a plan's write is never refused for it
	MaxMembers      = 64               // nodes ever met
	MaxReasonBytes  = 2048             // of any reason or detail; longer ones are cut
	MaxAnswers      = 100000           // kept for repeated command ids
	AnswersKept     = 10 * time.Minute // of log clock
)

// Spec is what the rules need of the cluster-wide configuration. What an
// actuator or the Sentinel view needs stays opaque in Params and Source.
type Spec struct {
	Revision Revision
	Masters  []MasterSpec
	Targets  []TargetSpec
	Pools    []PoolSpec
	Source   []byte  // the whole spec as the API knows it; opaque here
	Applied  Applied // set from the log
}

// MasterSpec declares a master, who may become it, and what a failover does.
type MasterSpec struct {
	ID         MasterID
	Candidates []Candidate
	Plan       []Stage
	Mend       bool // drift: repair; a human's edit of an object is written over, not only reported
	Observe    bool // its failovers are accepted and planned, and no action of them is ever claimed
}

// Candidate is a Redis node that may become master, and where it stands.
type Candidate struct {
	Address Address
	Zone    string
}

// Stage is a set of steps that run side by side; stages run one after another.
type Stage struct {
	Name  string
	Steps []Step
}

// Step is one effect of a plan on one object.
type Step struct {
	Name        string
	Target      TargetID // empty for an effect inside the log
	Kind        string   // the actuator
	Object      ObjectID
	Class       Class
	Params      []byte        // the actuator's own
	Block       bool          // on_failure: block; a stuck step then holds later stages
	WriteOver   bool          // on_newer: write; trades the wait for a drift repair
	MaxAttempts int           // 0: no limit
	Act         time.Duration // all requests of a claim end within it
}

// TargetSpec declares an outside service.
type TargetSpec struct {
	ID     TargetID
	Kind   string
	Params []byte
	Hold   time.Duration // how long the provider may still finish an abandoned request
	Rate   int           // requests a minute; 0: the actuator's default
}

// is reports whether a step of an action, a repair's included, came of this one.
func (s Step) is(acted Step) bool {
	base, _, _ := strings.Cut(acted.Name, "~")
	return s.Name == base
}

// Master finds a declared master.
func (s Spec) Master(id MasterID) (MasterSpec, bool) {
	for _, m := range s.Masters {
		if m.ID == id {
			return m, true
		}
	}
	return MasterSpec{}, false
}

// Target finds a declared target.
func (s Spec) Target(id TargetID) (TargetSpec, bool) {
	for _, t := range s.Targets {
		if t.ID == id {
			return t, true
		}
	}
	return TargetSpec{}, false
}

// Owner finds the step that names an object: no two steps may.
func (s Spec) Owner(object ObjectID) (MasterID, Step, bool) {
	for _, m := range s.Masters {
		for _, stage := range m.Plan {
			for _, step := range stage.Steps {
				if step.Object == object {
					return m.ID, step, true
				}
			}
		}
	}
	return "", Step{}, false
}

// Writer is the Owner that writes its object: the step of a master that is only
// observed writes nothing, so a setting that it names is anybody's.
func (s Spec) Writer(object ObjectID) (MasterID, Step, bool) {
	id, step, ok := s.Owner(object)
	if m, _ := s.Master(id); ok && m.Observe {
		return "", Step{}, false
	}
	return id, step, ok
}

// Candidate reports whether the address may become this master.
func (m MasterSpec) Candidate(a Address) bool {
	for _, c := range m.Candidates {
		if c.Address == a {
			return true
		}
	}
	return false
}

func (m MasterSpec) steps() (steps []Step) {
	for _, stage := range m.Plan {
		steps = append(steps, stage.Steps...)
	}
	return steps
}

// Check finds the first contradiction inside a spec.
func (s Spec) Check() error {
	if len(s.Masters) > MaxMasters || len(s.Targets) > MaxTargets || len(s.Source) > MaxSpecBytes {
		return refuse(ErrLimit, "%d masters (at most %d), %d targets (at most %d), %d bytes (at most %d)",
			len(s.Masters), MaxMasters, len(s.Targets), MaxTargets, len(s.Source), MaxSpecBytes)
	}
	targets := map[TargetID]bool{}
	for _, t := range s.Targets {
		if t.ID == "" || targets[t.ID] {
			return refuse(ErrSpec, "target %q is empty or declared twice", t.ID)
		}
		targets[t.ID] = true
	}
	masters, objects := map[MasterID]bool{}, map[ObjectID]string{}
	for _, m := range s.Masters {
		if m.ID == "" || masters[m.ID] {
			return refuse(ErrSpec, "master %q is empty or declared twice", m.ID)
		}
		if _, clash := targets[TargetID(m.ID)]; clash {
			return refuse(ErrSpec, "%q names a master and a target", m.ID)
		}
		masters[m.ID] = true
		if err := m.check(targets, objects); err != nil {
			return err
		}
	}
	return s.checkPools(objects)
}

func (m MasterSpec) check(targets map[TargetID]bool, objects map[ObjectID]string) error {
	steps := m.steps()
	if len(m.Candidates) == 0 || len(m.Candidates) > MaxCandidates || len(m.Plan) > MaxStages || len(steps) > MaxSteps {
		return refuse(ErrLimit, "master %s: %d candidates (1 to %d), %d stages (at most %d), %d steps (at most %d)",
			m.ID, len(m.Candidates), MaxCandidates, len(m.Plan), MaxStages, len(steps), MaxSteps)
	}
	names := map[string]bool{}
	for _, step := range steps {
		at := string(m.ID) + "/" + step.Name
		switch {
		case step.Name == "" || names[step.Name]:
			return refuse(ErrSpec, "step %s has no name or one used twice", at)
		case step.Target != "" && !targets[step.Target]:
			return refuse(ErrSpec, "step %s: target %q is not declared", at, step.Target)
		case step.Object == "" || step.Class == 0 || step.Kind == "":
			return refuse(ErrSpec, "step %s has no kind, class or object", at)
		case objects[step.Object] != "":
			return refuse(ErrSpec, "steps %s and %s both name %s", objects[step.Object], at, step.Object)
		case len(step.Params) > MaxOpaqueBytes:
			return refuse(ErrLimit, "step %s: %d bytes (at most %d)", at, len(step.Params), MaxOpaqueBytes)
		}
		names[step.Name] = true
		objects[step.Object] = at
	}
	return nil
}
