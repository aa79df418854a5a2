package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
)

// Bounds that are not settings.
const (
	MaxCommandBytes   = journal.MaxEntryBytes // one encoded entry
	maxFrameBytes     = MaxCommandBytes + 64<<10
	maxHelloBytes     = 4 << 10
	maxConns          = 256             // open connections on the Raft port, both kinds
	maxHandshakes     = 64              // of them not yet past their hello
	handshakeDeadline = 3 * time.Second // first byte, hello and its answer
	peerIdle          = time.Minute     // an idle peer connection is closed
	peekDeadline      = time.Second     // one question to one peer at start
	enqueueTimeout    = time.Second     // a proposal waits this long for raft's main loop
	closeGrace        = 2 * time.Second // proposals in flight are waited for at Close
	stampsKept        = 2 * time.Hour   // longer than any window: act is at most 60 s, hold an hour
	logCacheEntries   = 512
	snapshotsKept     = 2
)

// Peer is a voter of the static list, the same on each node. Address is
// host:port; a host name is kept as written and resolved at each dial.
type Peer struct {
	ID      fsm.NodeID
	Address string
}

// Timings are the spans that decide how soon a lost leader is replaced: about
// 2.2 times Heartbeat in the middle, less than 3 times at worst.
type Timings struct {
	Heartbeat time.Duration // a follower without contact for so long asks for votes
	Election  time.Duration // a candidate without a majority for so long tries again
	Lease     time.Duration // a leader without a majority for so long steps down
	Commit    time.Duration // followers learn of a commit at most about so late
	RPC       time.Duration // one request between nodes
	Write     time.Duration // one store write; then the node ends
	Stall     time.Duration // a leader that commits nothing for so long hands over or ends
}

// Profiles of timings by name.
const (
	ProfileDefault = "default"
	ProfileFast    = "fast"
	ProfileCalm    = "calm"
)

// TimingsOf returns the timings of a profile. Fast suits one datacenter's
// quiet hosts, calm suits noisy ones.
func TimingsOf(profile string) (Timings, error) {
	t := Timings{
		Heartbeat: 400 * time.Millisecond, Election: 400 * time.Millisecond,
		Lease: 350 * time.Millisecond, Commit: 50 * time.Millisecond,
		RPC: 2 * time.Second, Write: 5 * time.Second, Stall: 3 * time.Second,
	}
	switch profile {
	case ProfileDefault, "":
	case ProfileFast:
		t.Heartbeat, t.Election, t.Lease = 300*time.Millisecond, 300*time.Millisecond, 250*time.Millisecond
	case ProfileCalm:
		t.Heartbeat, t.Election, t.Lease = time.Second, time.Second, 900*time.Millisecond
	default:
		return t, fmt.Errorf("%w: timing profile %q is none of %q, %q, %q", ErrConfig, profile, ProfileDefault, ProfileFast, ProfileCalm)
	}
	return t, nil
}

// Snapshots says when the state is written out and the log cut: whichever
// bound is met first. Interval counts only if a command came since.
type Snapshots struct {
	Entries  uint64
	Interval time.Duration
	Bytes    uint64 // of commands
	Trailing uint64 // entries kept behind a snapshot for followers that lag
}

// Network is the way bytes travel between nodes. The TCP one is used when
// Config.Network is nil; TLS and tests bring their own. Dial must resolve host
// names anew each time. Both methods may be called concurrently.
type Network interface {
	Listen(address string) (net.Listener, error)
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// Config is what one node needs. Start refuses it unless Validate passes.
type Config struct {
	NodeID  fsm.NodeID
	Zone    string
	Version string // of the program, shown to people
	DataDir string // created with mode 0700

	Listen string // host:port that the Raft port binds
	Peers  []Peer // the voters, this node included
	GRPC   string // address of the API as clients reach it; told to the other nodes
	HTTP   string

	Timings   Timings
	Snapshots Snapshots
	DiskFloor uint64 // bytes; a node with less free space on DataDir does not lead

	Logger  *slog.Logger
	Network Network
	Faults  Faults
}

// Faults are seams for tests. The zero value is the real thing.
type Faults struct {
	Store func(Store) Store                         // wraps the bolt store below the guards
	Free  func(dir string) (free uint64, err error) // bytes free for an ordinary user
	Rate  float64                                   // of the clock that carries the log clock on; 0: 1
	Wall  func() time.Time                          // for display only; nil: time.Now
}

func (f Faults) wall() time.Time {
	if f.Wall != nil {
		return f.Wall().UTC()
	}
	return time.Now().UTC()
}

func (f Faults) since(t time.Time) time.Duration {
	if f.Rate != 0 {
		return time.Duration(float64(time.Since(t)) * f.Rate)
	}
	return time.Since(t)
}

// DefaultConfig returns a config that lacks only NodeID, DataDir and Peers.
func DefaultConfig() Config {
	t, _ := TimingsOf(ProfileDefault)
	return Config{
		Listen:    "127.0.0.1:7800",
		Timings:   t,
		Snapshots: Snapshots{Entries: 8192, Interval: time.Hour, Bytes: 64 << 20, Trailing: 10240},
		DiskFloor: 256 << 20,
		Logger:    slog.New(slog.DiscardHandler),
	}
}

// Validate compares the fields with each other and returns all that is wrong
// at once.
func (c Config) Validate() error {
	errs := append(c.validateNode(), c.Timings.validate()...)
	if s := c.Snapshots; s.Entries == 0 || s.Bytes == 0 || s.Interval <= 0 {
		errs = append(errs, fmt.Errorf("snapshots: entries %d, bytes %d and interval %s must be positive", s.Entries, s.Bytes, s.Interval))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("logger is missing"))
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrConfig, errors.Join(errs...))
}

func (c Config) validateNode() []error {
	var errs []error
	if c.NodeID == "" {
		errs = append(errs, errors.New("id is missing"))
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("data directory is missing"))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen %q: %w", c.Listen, err))
	}
	byID, byAddress := map[fsm.NodeID]string{}, map[string]fsm.NodeID{}
	for _, p := range c.Peers {
		if _, _, err := net.SplitHostPort(p.Address); err != nil {
			errs = append(errs, fmt.Errorf("peer %q address %q: %w", p.ID, p.Address, err))
		}
		if other, ok := byID[p.ID]; ok {
			errs = append(errs, fmt.Errorf("peer %q is listed twice: %q and %q", p.ID, other, p.Address))
		}
		if other, ok := byAddress[p.Address]; ok {
			errs = append(errs, fmt.Errorf("peers %q and %q share the address %q", other, p.ID, p.Address))
		}
		byID[p.ID], byAddress[p.Address] = p.Address, p.ID
	}
	if _, ok := byID[c.NodeID]; !ok {
		errs = append(errs, fmt.Errorf("id %q is not among the %d peers", c.NodeID, len(c.Peers)))
	}
	return errs
}

func (t Timings) validate() []error {
	var errs []error
	if t.Heartbeat < 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("heartbeat %s is below 100ms", t.Heartbeat))
	}
	if t.Election < t.Heartbeat {
		errs = append(errs, fmt.Errorf("election %s is below heartbeat %s", t.Election, t.Heartbeat))
	}
	if t.Lease > t.Heartbeat || t.Lease < t.Heartbeat/2 {
		errs = append(errs, fmt.Errorf("lease %s is not between half of heartbeat %s and all of it", t.Lease, t.Heartbeat))
	}
	if t.Commit <= 0 || t.Commit > t.Heartbeat/2 {
		errs = append(errs, fmt.Errorf("commit %s is not between 0 and half of heartbeat %s", t.Commit, t.Heartbeat))
	}
	if t.RPC < t.Heartbeat {
		errs = append(errs, fmt.Errorf("rpc %s is below heartbeat %s", t.RPC, t.Heartbeat))
	}
	if t.Stall < 2*t.Election {
		errs = append(errs, fmt.Errorf("stall %s is below twice election %s", t.Stall, t.Election))
	}
	if t.Write < t.Stall {
		errs = append(errs, fmt.Errorf("write %s is below stall %s", t.Write, t.Stall))
	}
	return errs
}

// address is where a voter's Raft port is reached; empty for a stranger.
func (c Config) address(id fsm.NodeID) string {
	for _, p := range c.Peers {
		if p.ID == id {
			return p.Address
		}
	}
	return ""
}
