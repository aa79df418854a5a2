package sentinel

import (
	"fmt"
	"slices"
	"time"
)

// Kind of a Verdict.
type Kind int

// What may be proposed. Every kind but None stays the verdict, call after call,
// until the acceptance shows in Accepted.
const (
	None    Kind = iota
	Seed         // the first address of a master; runs nothing
	Advance      // a failover: an epoch higher than the accepted one
	Resolve      // a failover: another address at the accepted epoch, held long enough
	Rebase       // the epoch falls to what the Sentinels say now; the address stays
)

func (k Kind) String() string {
	names := [...]string{"none", "seed", "advance", "resolve", "rebase"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return names[k]
}

// Accepted is what the log holds for the master.
type Accepted struct {
	Known   bool
	Address string
	Epoch   uint64
	// Rebased: the last accepted entry was a rebase, so that Address and Epoch
	// are of different histories. Another address at that epoch is then a
	// difference to report, not a conflict to resolve.
	Rebased bool
}

// Reasons of an Alert.
const (
	AlertNotCandidate = "NOT_A_CANDIDATE"      // a Sentinel names an undeclared address
	AlertVeto         = "ROLE_VETO"            // the named node does not answer ROLE as master
	AlertUnreachable  = "NODE_UNREACHABLE"     // the named node does not answer and no majority names it
	AlertConflict     = "EPOCH_CONFLICT"       // one epoch, two addresses
	AlertDifference   = "ADDRESS_DIFFERS"      // after a rebase: a majority names another address
	AlertRegressed    = "EPOCH_REGRESSED"      // a majority of Sentinels has lost the accepted epoch
	AlertBehind       = "SENTINELS_BEHIND"     // a majority stays below the accepted epoch
	AlertAlone        = "SENTINEL_ALONE"       // one Sentinel holds an epoch that nobody follows
	AlertDisagree     = "SENTINELS_DISAGREE"   // two addresses for longer than a failover takes
	AlertUnannounced  = "PROMOTED_UNANNOUNCED" // a replica became master, no Sentinel names it
	AlertTilt         = "SENTINEL_TILT"
	AlertAborted      = "FAILOVER_ABORTED"
	AlertCount        = "SENTINEL_COUNT" // a Sentinel knows another number than declared
	AlertSilent       = "SENTINEL_UNREACHABLE"
	AlertBlind        = "NO_SENTINEL_MAJORITY"
)

// Alert is one thing that a human should know. It is repeated in every Verdict
// while it lasts.
type Alert struct{ Reason, Detail string }

// Verdict is what Judge makes of a View.
type Verdict struct {
	Kind     Kind
	Address  string
	Epoch    uint64
	Evidence []string // who said what, for people
	// First is when the first Sentinel named Address at Epoch, as far as this
	// node or a peer heard it: a peer's word counts from its age at arrival, so
	// late by the way of the report. Zero: not known, since a Sentinel named it
	// before it was first asked, or for a Seed or Rebase.
	First  time.Time
	Alerts []Alert
	WarmUp bool // a switch is likely: read objects, open connections, no more
	// Standing is how the master stands at its accepted address; Why is for people.
	Standing Standing
	Why      string
	Again    time.Duration // look again after this, even if the view does not change
}

// Bounds of Judge, from measurements of real failovers: Sentinels are behind
// for 0.1 to 2 s (one hello period), a returned master says so for 10 s.
const (
	FreshFor       = 5 * time.Second        // older reports count as unseen
	RoleFreshFor   = 250 * time.Millisecond // for an advance on one Sentinel's word
	PeerFreshFor   = 2 * time.Second        // what peers told us
	AloneAfter     = 5 * time.Second        // a claim that nobody follows
	ResolveAfter   = 5 * time.Second
	RebaseAfter    = 10 * time.Second
	BehindAfter    = 10 * time.Second
	UnannouncedFor = 3 * time.Second
	DisagreeFor    = 5 * time.Second
	SilentFor      = 3 * time.Second
	CountFor       = 10 * time.Second
	VetoFor        = time.Second
	NoteFor        = time.Minute
	LookAgain      = time.Second // at least this often
	askAgain       = 20 * time.Millisecond
)

// timer measures how long a condition has stood without interruption.
type timer struct {
	key   string
	since time.Time
}

// Memory is what Judge has to remember between calls. It is a value: Judge
// returns a new one. It is not kept across restarts; an empty one is only more
// careful.
type Memory struct {
	last      time.Time
	accepted  Accepted
	rebased   bool
	moved     time.Time // when the acceptance last changed, as far as the calls saw it
	sentinels []remembered
	timers    []timer
}

// remembered is the history of one Sentinel.
type remembered struct {
	sentinel string
	runID    string
	renewed  bool   // its id changed, and it has not held the accepted epoch since
	highest  uint64 // epoch that it has reported, since the last rebase
	mark     uint64 // epoch that it reported when the present acceptance came
	address  string // its present claim
	epoch    uint64
	since    time.Time // of the claim
	told     time.Time // of the first report of the claim, which is older than the call that learned it
	first    bool      // the claim was the first thing it told us
	alone    bool      // nobody followed its claim for AloneAfter
}

func (m Memory) of(sentinel string) remembered {
	i := slices.IndexFunc(m.sentinels, func(r remembered) bool { return r.sentinel == sentinel })
	if i < 0 {
		return remembered{sentinel: sentinel}
	}
	return m.sentinels[i]
}
