package fsm

import (
	"time"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// State is everything the log has decided. It is a value: a reader keeps what
// it was given and nothing changes under it; a snapshot is that value.
// The zero State is not ready for use: call New.
type State struct {
	cluster    ClusterID
	generation uint16
	index      uint64
	term       Term
	clock      Clock
	spec       Spec

	formers     *iradix.Tree[FormerSpec] // by revision
	masters     *iradix.Tree[Master]
	failovers   *iradix.Tree[Failover]
	actions     *iradix.Tree[Action]
	open        *iradix.Tree[ActionID] // derived: the actions in no final phase
	objects     *iradix.Tree[Object]   // objects that a claim keeps busy
	refreshes   *iradix.Tree[Refreshes]
	settings    *iradix.Tree[Setting]
	members     *iradix.Tree[Member]
	drifts      *iradix.Tree[Drift]      // by object
	answers     *iradix.Tree[Kept]       // by command id
	conditions  *iradix.Tree[Condition]  // by master
	switchovers *iradix.Tree[Switchover] // by master
	scores      *iradix.Tree[Score]      // by action
	pools       *iradix.Tree[Pool]
	sessions    *iradix.Tree[Session]
	leases      *iradix.Tree[Lease]      // partitions that were granted at least once
	checkpoints *iradix.Tree[Checkpoint] // of partitions in leases
	joined      *iradix.Tree[SessionID]  // derived: the sessions by pool
	leased      uint64                   // derived: index of the last entry that changed pools, sessions or leases
	aged        *iradix.Tree[CommandID]  // derived: the same by index, oldest first
	stored      int                      // derived: bytes of all settings' keys and values
}

// Master is what was last accepted for one declared master.
type Master struct {
	ID      MasterID
	Number  Number // of the last accepted failover
	Address Address
	Epoch   Epoch
	As      ObservedAs // how Epoch was accepted; after a rebase, Address is of an older history
	Since   Clock
	Wall    time.Time // display only
}

// Known reports whether the master has had its first view. One that was taken
// out of the spec keeps only its number.
func (m Master) Known() bool { return m.Address != "" }

// Failover is an accepted change of a master's address. Its number is its
// identity; everything else is a fact about it.
type Failover struct {
	ID       FailoverID
	From, To Address
	Epoch    Epoch
	As       ObservedAs
	Evidence []string
	Revision Revision
	Term     Term
	Index    uint64
	Node     NodeID
	Clock    Clock
	Seen     time.Duration // from the first sight of To at Epoch to the acceptance; zero: not known
	Wall     time.Time     // display only
	Actions  []ActionID    // in the order of the plan
	Asked    Asked         // the human's request that it came of; zero: it came of itself
}

// Action is one step of one failover, or a refresh of a staged target: the
// unit of the action log.
type Action struct {
	ID     ActionID
	For    FailoverID // zero for a refresh
	Stage  int
	Phase  Phase
	Step   Step
	Target TargetSpec // as the spec stood when the failover was accepted
	Stages string     // the stage's name
	Value  []byte     // wanted, rendered by the actuator; opaque here
	Wanted string     // the same for people

	// The current or last claim.
	Token   Token
	Term    Term
	Node    NodeID
	Version string // compare-and-swap version read before the claim
	Claimed Clock  // of its entry; zero: the entry that made it is of a build that kept none

	Effect     Effect
	Attempts   int   // claims so far
	Limit      int   // stuck when Attempts reaches it; 0: never
	NotBefore  Clock // backoff
	Doubt      bool  // a request got no clear answer and no read has resolved it
	Partial    bool  // of a refresh: an earlier claim did a part of it
	Careful    bool  // a human retried it in doubt: wait for its own window too
	Mend       bool  // a repair that may write over a human's edit
	Reason     string
	Checkpoint []byte   // of a provider's task; opaque here
	On         ActionID // the refresh that a waiting action stands on
	Rounds     int      // refreshes waited for
	History    []Attempt

	Created, Changed         Clock
	CreatedWall, ChangedWall time.Time // display only
	Index                    uint64    // of the entry that changed it last
}

// Attempt is one settled claim.
type Attempt struct {
	Token    Token
	Term     Term
	Node     NodeID
	Outcome  Phase
	Doubt    bool
	Reason   string
	Requests []string      // ids that the provider gave its answers
	Claimed  Clock         // of the claim's entry; zero: not kept
	First    time.Duration // from Claimed to the request that could change the object; zero: none left
	Clock    Clock
	Wall     time.Time
}

// Object is an object that claims keep busy.
type Object struct {
	ID   ObjectID
	Held []Hold // oldest first; never empty
}

// Hold is a claim whose requests may not all have been answered.
type Hold struct {
	Token  Token
	Action ActionID
	Term   Term
	Node   NodeID
	Act    time.Duration // all its requests end within it
	Keep   time.Duration // how long the provider may still finish an abandoned one
}

// Refreshes counts the refresh actions of one target.
type Refreshes struct {
	Target TargetID
	Last   uint64
	Oldest uint64 // kept
}

// Setting is a replicated key and value that apps read and watch.
type Setting struct {
	Key      string
	Value    string
	Revision uint64   // Raft index of the entry that wrote it
	Owner    ActionID // the action that wrote it, if a plan did
	Actor    string
	Clock    Clock
	Wall     time.Time // display only
}

// Member is a coordinator that the log has met.
type Member struct {
	Node    NodeID
	Zone    string
	Store   StoreID
	Raft    string // addresses as its peers reach them
	GRPC    string
	HTTP    string
	Version string
	Reads   []Kind // the command kinds that it can read
	Clock   Clock
	Wall    time.Time
}

// New is the state before the first entry.
func New() State {
	return State{
		formers:     iradix.New[FormerSpec](),
		masters:     iradix.New[Master](),
		failovers:   iradix.New[Failover](),
		actions:     iradix.New[Action](),
		open:        iradix.New[ActionID](),
		objects:     iradix.New[Object](),
		refreshes:   iradix.New[Refreshes](),
		settings:    iradix.New[Setting](),
		members:     iradix.New[Member](),
		drifts:      iradix.New[Drift](),
		answers:     iradix.New[Kept](),
		aged:        iradix.New[CommandID](),
		conditions:  iradix.New[Condition](),
		switchovers: iradix.New[Switchover](),
		scores:      iradix.New[Score](),
		pools:       iradix.New[Pool](),
		sessions:    iradix.New[Session](),
		leases:      iradix.New[Lease](),
		checkpoints: iradix.New[Checkpoint](),
		joined:      iradix.New[SessionID](),
	}
}

// Cluster is the cluster's identity; empty before the first InitCluster.
func (s State) Cluster() ClusterID { return s.cluster }

// Generation is raised by restore and recover.
func (s State) Generation() uint16 { return s.generation }

// Index is that of the last command applied. Raft's own entries do not count.
func (s State) Index() uint64 { return s.index }

// Term is that of the last command applied.
func (s State) Term() Term { return s.term }

// Clock is the log clock of the last command applied.
func (s State) Clock() Clock { return s.clock }

// Spec is the accepted spec.
func (s State) Spec() Spec { return s.spec }

// Master finds what was accepted for a master; false before its first view.
func (s State) Master(id MasterID) (Master, bool) { return s.masters.Get([]byte(id)) }

// Failover finds an accepted failover.
func (s State) Failover(id FailoverID) (Failover, bool) { return s.failovers.Get(id.key()) }

// Action finds an action.
func (s State) Action(id ActionID) (Action, bool) { return s.actions.Get(id.key()) }

// Object finds a busy object; false when it is free.
func (s State) Object(id ObjectID) (Object, bool) { return s.objects.Get([]byte(id)) }

// Setting finds a setting.
func (s State) Setting(key string) (Setting, bool) { return s.settings.Get([]byte(key)) }

// Member finds a coordinator.
func (s State) Member(id NodeID) (Member, bool) { return s.members.Get([]byte(id)) }

// Masters lists what was accepted, by id.
func (s State) Masters() []Master { return values(s.masters, nil) }

// Failovers lists a master's failovers by number; all masters' for an empty id.
func (s State) Failovers(id MasterID) []Failover {
	if id == "" {
		return values(s.failovers, nil)
	}
	return values(s.failovers, []byte(id+"/"))
}

// Actions lists the actions of one failover in the order of its plan.
func (s State) Actions(id FailoverID) []Action {
	f, _ := s.Failover(id)
	actions := make([]Action, 0, len(f.Actions))
	for _, a := range f.Actions {
		if found, ok := s.Action(a); ok {
			actions = append(actions, found)
		}
	}
	return actions
}

// AllActions lists every action kept, refreshes included, by id.
func (s State) AllActions() []Action { return values(s.actions, nil) }

// Open lists the actions in no final phase, by id.
func (s State) Open() []Action {
	open := make([]Action, 0, s.open.Len())
	s.open.Root().Walk(func(_ []byte, id ActionID) bool {
		a, _ := s.Action(id)
		open = append(open, a)
		return false
	})
	return open
}

// Objects lists the busy objects, by id.
func (s State) Objects() []Object { return values(s.objects, nil) }

// Stored is how many bytes the keys and values of all settings have.
func (s State) Stored() int { return s.stored }

// Settings lists the settings whose keys begin with the prefix, by key.
func (s State) Settings(prefix string) []Setting { return values(s.settings, []byte(prefix)) }

// Members lists the coordinators, by id.
func (s State) Members() []Member { return values(s.members, nil) }

func values[T any](tree *iradix.Tree[T], prefix []byte) []T {
	var all []T
	tree.Root().WalkPrefix(prefix, func(_ []byte, v T) bool {
		all = append(all, v)
		return false
	})
	return all
}

// with stores an action and keeps the open set in step: the one place where a
// changed action enters the state.
func (s State) with(a Action) State {
	key := a.ID.key()
	s.actions, _, _ = s.actions.Insert(key, a)
	if a.Phase.Final() {
		s.open, _, _ = s.open.Delete(key)
	} else {
		s.open, _, _ = s.open.Insert(key, a.ID)
	}
	return s
}

func (s State) withObject(o Object) State {
	if len(o.Held) == 0 {
		s.objects, _, _ = s.objects.Delete([]byte(o.ID))
	} else {
		s.objects, _, _ = s.objects.Insert([]byte(o.ID), o)
	}
	return s
}
