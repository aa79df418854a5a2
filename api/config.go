package api

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Log is the replicated log as this node has it. All methods may be called
// concurrently.
type Log interface {
	// Read returns a state that includes every command acknowledged before
	// the call, on any node. ErrNoQuorum when that cannot be had.
	Read(ctx context.Context) (fsm.State, error)
	// Watch returns this node's state and a channel that is closed at its
	// next change, a restore included.
	Watch() (fsm.State, <-chan struct{})
	// Propose carries a command to the leader and returns the log's answer.
	// The error is ErrNoQuorum when the command certainly was not proposed,
	// ErrOutcomeUnknown when it may have been. A refusal is in the answer.
	Propose(ctx context.Context, cmd fsm.Command, id fsm.CommandID, actor string) (fsm.Answer, error)
	// Status is how this node stands now. It is called for every response,
	// so it must be cheap.
	Status() Status
}

// Sights is what the Sentinels of the masters say, as this node sees it and,
// on the leader, as the others report it. Safe for concurrent use.
type Sights interface {
	// See returns the sight of one master; a zero Sight when there is none.
	See(master fsm.MasterID) Sight
	// Report takes another node's report and answers it; the header is set by
	// api. It is called on the leader only. ErrReport when it is refused.
	Report(ctx context.Context, report *pointsmanv1.ReportViewRequest) (*pointsmanv1.ReportViewResponse, error)
}

// Fitness is how fit this node is to lead, and where the leadership stands.
// Safe for concurrent use.
type Fitness interface {
	// Targets says which targets of the spec this node reaches, by id.
	Targets() []*pointsmanv1.TargetReach
	// Placement says why the leadership stands where it stands. A node that
	// does not lead knows the rule and the last hand-over alone.
	Placement() *pointsmanv1.Placement
}

// Preflight looks at the objects of a spec's steps before a failover needs
// them. Safe for concurrent use.
type Preflight interface {
	// Check looks now, at a spec that need not be the current one. It reads
	// alone, is called on the leader, and ends with ctx at the latest.
	Check(ctx context.Context, s fsm.State, spec fsm.Spec) *pointsmanv1.Preflight
	// Last is what this node, leading, found last at the current spec; nil
	// before its first look and when it does not lead.
	Last() *pointsmanv1.Preflight
}

// Transfer is what a human asks of the leadership.
type Transfer struct {
	To     fsm.NodeID // empty: to the fittest
	Force  bool       // to one that is not as fit, its disk floor excepted
	DryRun bool       // check only
}

// Gates says what an action waits for. Windows, budgets and the clock are
// those of the node that is asked.
type Gates interface {
	// Gates lists what keeps a pending action from its claim.
	Gates(s fsm.State, a fsm.Action) []fsm.Gate
}

// Operator does what is not in the log. Safe for concurrent use.
type Operator interface {
	// Transfer hands the leadership over and returns the new leader. Called on
	// the leader only. ErrUnfit when the node is not fit, or nobody is.
	Transfer(ctx context.Context, t Transfer) (fsm.NodeID, error)
	// Verify reads this node's log back from its disk. ErrCorrupt when an
	// entry does not hold.
	Verify(ctx context.Context) (Verified, error)
	// Notify takes the arguments of a Sentinel hook as a hint and returns the
	// masters that are looked at because of it.
	Notify(ctx context.Context, kind pointsmanv1.NotifyKind, args []string) ([]fsm.MasterID, error)
	// Hash returns the hash of this node's state and the index of the last
	// command in it. It may cost a walk over the state.
	Hash() (index uint64, hash []byte)
}

// Switcher moves a master when a human asks. Safe for concurrent use.
type Switcher interface {
	// Switchover checks everything and, unless it is a dry run, logs the request
	// and asks one Sentinel, once. Called on the leader only. Errors:
	// *ObjectionsError when something stands against it, ErrDeclined and
	// ErrDenied when it is logged and nothing was begun, *fsm.Refused,
	// ErrNoQuorum, ErrOutcomeUnknown, ErrOldMember, *NotLeaderError.
	Switchover(ctx context.Context, ask SwitchoverAsk) (Switched, error)
}

// Compile turns a spec into what the log keeps of it, and finds all its
// problems. It must not panic on any message, valid or not. Spec.Source and
// Spec.Revision of the result are set by api.
type Compile func(*pointsmanv1.Spec) (fsm.Spec, []Problem)

// Problem is one thing wrong in a spec. Path is relative to it, such as
// `masters[0].plan[0].steps[1].ovh_iplb.farms["10.0.1.20:6379"]`.
type Problem struct {
	Path, Message string
}

// Errors that the interfaces above answer with.
var (
	// ErrNoQuorum is returned when there is no leader with a majority.
	ErrNoQuorum = errors.New("no leader with a majority")
	// ErrOutcomeUnknown is returned when a command may or may not have been logged.
	ErrOutcomeUnknown = errors.New("outcome of the command is not known")
	// ErrUnfit is returned when no voter is fit to take the leadership over.
	ErrUnfit = errors.New("no voter is fit to lead")
	// ErrReport is returned when another node's report is not taken.
	ErrReport = errors.New("report refused")
	// ErrDeclined is returned when the Sentinel that was asked did nothing, or the
	// logged request was not sent.
	ErrDeclined = errors.New("nothing was begun")
	// ErrDenied is returned when the Sentinel's ACL does not allow to ask it.
	ErrDenied = errors.New("the Sentinel's ACL does not allow it")
	// ErrOldMember is returned when a voter of an older release could not read the command.
	ErrOldMember = errors.New("not every node can read this yet")
	// ErrCorrupt is returned when an entry read back from disk does not hold.
	ErrCorrupt = errors.New("log entry does not verify")
)

// NotLeaderError is returned by what only the leader can do.
type NotLeaderError struct {
	Leader  fsm.NodeID // empty when unknown
	Address string     // its gRPC address; empty when unknown
}

func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return "this node does not lead, and knows no leader"
	}
	return "this node does not lead, " + string(e.Leader) + " does"
}

// Status is how one node stands.
type Status struct {
	Node             fsm.NodeID
	Zone             string
	Store            fsm.StoreID
	Raft, GRPC, HTTP string // advertised addresses
	Version          string // of the program
	Role             pointsmanv1.NodeRole
	Term             fsm.Term   // Raft's own, which may be newer than the state's
	Leader           fsm.NodeID // empty when unknown
	LeaderAddress    string     // gRPC; empty when unknown
	FirstIndex       uint64     // on disk
	LastIndex        uint64
	CommitIndex      uint64
	SnapshotIndex    uint64
	LastContact      time.Duration // since the leader was heard; zero on the leader
	Voters           []fsm.NodeID
	DiskFree         uint64 // bytes
	DiskFloor        uint64 // bytes below which the node takes on no leadership
	Uptime           time.Duration
	Degraded         []string  // why it is not fit to lead
	Clock            fsm.Clock // the node's own idea of the log clock now
}

// Leads reports whether the node believed that it leads. It is no guard: the
// answer is old when it arrives.
func (s Status) Leads() bool { return s.Role == pointsmanv1.NodeRole_NODE_ROLE_LEADER }

// Sight is what the Sentinels say about one master.
type Sight struct {
	Sentinels []*pointsmanv1.SentinelReport
	Roles     []*pointsmanv1.RoleReport
	Alerts    []*pointsmanv1.Alert
	Probes    []*pointsmanv1.ProbeReport
	// Standing is STEADY, FAILING_OVER or DISPUTED as the Sentinels have it;
	// UNSPECIFIED when they were not heard.
	Standing pointsmanv1.MasterState
}

// Verified is what Operator.Verify read back.
type Verified struct {
	Entries               uint64
	FirstIndex, LastIndex uint64
	StateIndex            uint64
	StateHash             []byte
}

// Config is what a Server is made of. All but Dial, Registry, Logger and
// Limits is required.
type Config struct {
	Log       Log
	Sights    Sights
	Gates     Gates
	Operator  Operator
	Fitness   Fitness
	Preflight Preflight
	Switcher  Switcher
	Leases    Leaser
	Compile   Compile
	Dial      []grpc.DialOption    // to other nodes; without: no transport security
	Registry  *prometheus.Registry // without: a new one
	Logger    *slog.Logger         // without: the default one
	Limits    Limits               // zero fields take their defaults
}

// Limits bounds what callers may ask of one server.
type Limits struct {
	Streams      int           // watches at once; default 1024
	StreamBuffer int           // messages waiting for one watcher; default 64
	SlowConsumer time.Duration // a watcher that takes no message for so long is ended; default 30s
	Bookmark     time.Duration // idle time between bookmarks; default 10s
	Coalesce     time.Duration // least time between two looks of one watch; default 20ms
	CatchUp      time.Duration // longest wait for this node to reach an index; default 5s
	ReadWait     time.Duration // longest wait for a linearizable read; default 5s
	CallTime     time.Duration // longest unary call, VerifyNode excepted; default 30s
	VerifyTime   time.Duration // longest VerifyNode; default 10min
	CheckTime    time.Duration // longest look at the providers of CheckSpec; default 25s
	PeerTime     time.Duration // longest wait for another node's status; default 500ms
	HTTPStreams  int           // streams and long polls over HTTP at once; default 512
	HTTPBody     int           // bytes of a request's body over HTTP; default 1 MiB
	HTTPWrite    time.Duration // longest write of an answer over HTTP; default 30s
	LongPoll     time.Duration // longest ?wait=; default 60s
	Look         time.Duration // time between two looks of a long poll while the log stands still; default 1s
}

func (l Limits) withDefaults() Limits {
	orElse(&l.Streams, 1024)
	orElse(&l.StreamBuffer, 64)
	orElse(&l.SlowConsumer, 30*time.Second)
	orElse(&l.Bookmark, 10*time.Second)
	orElse(&l.Coalesce, 20*time.Millisecond)
	orElse(&l.CatchUp, 5*time.Second)
	orElse(&l.ReadWait, 5*time.Second)
	orElse(&l.CallTime, 30*time.Second)
	orElse(&l.VerifyTime, 10*time.Minute)
	orElse(&l.CheckTime, 25*time.Second)
	orElse(&l.PeerTime, 500*time.Millisecond)
	orElse(&l.HTTPStreams, 512)
	orElse(&l.HTTPBody, 1<<20)
	orElse(&l.HTTPWrite, 30*time.Second)
	orElse(&l.LongPoll, 60*time.Second)
	orElse(&l.Look, time.Second)
	return l
}

func orElse[T ~int | ~int64](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// Validate finds what is missing.
func (c Config) Validate() error {
	switch {
	case c.Log == nil:
		return errors.New("api config: no Log")
	case c.Sights == nil:
		return errors.New("api config: no Sights")
	case c.Gates == nil:
		return errors.New("api config: no Gates")
	case c.Operator == nil:
		return errors.New("api config: no Operator")
	case c.Fitness == nil:
		return errors.New("api config: no Fitness")
	case c.Switcher == nil:
		return errors.New("api config: no Switcher")
	case c.Preflight == nil:
		return errors.New("api config: no Preflight")
	case c.Leases == nil:
		return errors.New("api config: no Leases")
	case c.Compile == nil:
		return errors.New("api config: no Compile")
	}
	return nil
}
