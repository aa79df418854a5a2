package actuators

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/fsm"
)

// Kind is one kind of object, by the name of its field in the spec's oneof
// (such as "ovh_iplb"). All methods may be called concurrently. Its value can be
// compared: a pointer, or a struct without functions, slices and maps.
type Kind interface {
	// CheckTarget finds every problem of a target's message before any use.
	// Paths are relative to the message.
	CheckTarget(msg proto.Message) []Problem
	// Plan finds a step's object and class, or every problem of its message.
	Plan(in StepInput) (Planned, []Problem)
	// Render makes the wanted value of a step for one failover. Pure.
	Render(step fsm.Step, facts Facts) (fsm.Value, error)
	// Open makes an actuator for one target, resolving its secrets. It sends
	// nothing. The error names a reference that does not resolve, never a value.
	// A nil budget is none: requests go out at once, as those of a probe do.
	Open(target fsm.TargetSpec, budget Budget) (Actuator, error)
}

// Targeted is what a Kind may be besides: one whose target's message has another
// name in the spec than its step's. Such a kind is registered under both.
type Targeted interface {
	// Target is the name of the target's message.
	Target() string
}

// Constant is what a Kind may be besides: one of whose steps some want the same of
// their object whichever failover it is. What the spec says of such a step by now
// counts, rather than what it said at the last failover. Pure.
type Constant interface {
	Constant(step fsm.Step) bool
}

// Kinds holds the kinds that this program was built with, by name.
type Kinds map[string]Kind

// Actuator reads and writes the objects of one target. All methods may be
// called concurrently, Act never twice at once for one object.
type Actuator interface {
	// Read looks at the object. It never changes anything.
	Read(ctx context.Context, s Subject) (Reading, error)
	// Judge says how a reading stands to what an action wants. Pure.
	Judge(r Reading, w Work) Sight
	// Act makes at most one request that could change the object, and calls
	// Sending with its context when that leaves.
	Act(ctx context.Context, w Work, seen Sight) (Outcome, error)
	// Follow asks how the provider's task in the action's checkpoint goes.
	Follow(ctx context.Context, w Work) (Progress, error)
}

// Prober is what an actuator may be besides: one that can tell whether its
// provider would serve this node. Probe sends one request that changes nothing,
// and what proving its identity takes; it may be called concurrently. Nil means
// that the provider itself answered and did not refuse this node: an answer
// that it is busy or in trouble is one too, since no other node would fare
// better. A target whose actuator is none counts as reached.
type Prober interface {
	Probe(ctx context.Context) error
}

// Checker is what an actuator may be besides: one that can tell beforehand what
// a step's writes would be refused for. Check sends requests that change
// nothing and names each right that is not granted, as the provider spells it;
// empty when none is known to be missing. Its error says that it could not be
// asked. It may be called concurrently.
type Checker interface {
	Check(ctx context.Context, s Subject) ([]string, error)
}

// Comparer is what an actuator may be besides: one that can tell whether a reading
// shows an action's value, whoever wrote it. Markers, policies and the action's
// phase have no part in that, so it also says what became of an object that
// Pointsman only observes. Pure, and may be called concurrently.
type Comparer interface {
	Compare(r Reading, a fsm.Action) Shown
}

// Shown is how a reading stands to an action's value alone. Zero: it does not tell.
type Shown uint8

// What a reading shows.
const (
	ShownOther  Shown = iota + 1 // another value
	ShownStored                  // the value, and the provider has something that is not applied yet
	ShownValue                   // the value
)

// ShownIf is ShownValue or ShownOther.
func ShownIf(match bool) Shown {
	if match {
		return ShownValue
	}
	return ShownOther
}

// Budget paces requests to one target. Every request waits for it first.
type Budget interface {
	// Wait returns when one more request may be sent, or with ctx's error.
	Wait(ctx context.Context) error
}

// StepInput is a step as the spec has it.
type StepInput struct {
	Master     fsm.MasterID
	Candidates []fsm.Candidate
	Step       string
	Target     fsm.TargetID
	Message    proto.Message // the kind's own, out of the step's oneof
	TargetMsg  proto.Message // the target's own; nil for an effect inside the log
}

// Planned is what the log must know of a step.
type Planned struct {
	Object fsm.ObjectID
	Class  fsm.Class
}

// Problem is one thing wrong in a message; Path is relative to it, such as
// `farms["10.0.1.20:6379"]`.
type Problem struct {
	Path, Message string
}

// Facts are what a failover is about.
type Facts struct {
	Failover fsm.FailoverID
	From, To fsm.Address
	Epoch    fsm.Epoch
	Zone     string // of the new master
}

// Subject names an object to look at, before or for an action.
type Subject struct {
	Step       fsm.Step
	Candidates []fsm.Address // whose place in the object should be read too: the new master's, or all that could become it
	Value      []byte        // what the action wants; nil while there is no action
}

// Reading is what Read saw. Body is the actuator's own.
type Reading struct {
	At       time.Time // when the read began
	Body     any
	Requests []string // ids that the provider gave its answers
}

// Verdict is how an object stands to what an action wants.
type Verdict uint8

// Verdicts.
const (
	Absent  Verdict = iota + 1 // not as wanted: a write is due
	Staged                     // as wanted in what the provider stored, not proven applied
	Applied                    // as wanted, in effect
	Foreign                    // not ours by policy: never write, a human decides
	Newer                      // a newer failover or another cluster wrote it: never write
	Busy                       // not now: the provider is at something that must end first
)

func (v Verdict) String() string {
	names := [...]string{"unknown", "absent", "staged", "applied", "foreign", "newer", "busy"}
	if int(v) < len(names) {
		return names[v]
	}
	return names[0]
}

// Sight is a judged reading.
type Sight struct {
	Verdict Verdict
	Detail  string        // for people: what stands there
	Version string        // for compare-and-swap: goes into the claim
	Refresh *fsm.Refresh  // with Staged: what would apply it
	After   time.Duration // with Busy: look again then
	Owed    bool          // with Absent: it should stand already, failover or not
	Found   bool          // with Applied: it stands so without any write of ours
	Counted bool          // with Staged: the provider was seen to count the write as not applied
	Warning string        // with Applied: what will need care, though all is well; shown as the reason
	Reading Reading
}

// Work is an action to judge or to act on.
type Work struct {
	Cluster fsm.ClusterID
	Action  fsm.Action
	Covered bool // the refresh that the action stood on is done, and was claimed after the value was staged
}

// Outcome is what Act did.
type Outcome struct {
	Waiting    bool               // a provider's task must end: Follow it
	Checkpoint []byte             // its identity, kept in the log
	Settings   []fsm.SettingWrite // the effect of class InLog, which rides in the Settle entry
	Requests   []string           // ids that the provider gave its answers
}

// Progress is how a followed task goes.
type Progress struct {
	Done     bool
	Again    bool          // it ended without effect, or nobody knows of it: act again under a new claim
	Partial  bool          // with Again: it ended, and did a part of what was asked
	Next     []byte        // with Again: the checkpoint that Act goes on from; empty: the present one
	After    time.Duration // otherwise: ask again then
	Reason   string
	Requests []string
}
