package fsm

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MasterID is our id of a Redis master that Sentinels monitor, such as "cache".
type MasterID string

// TargetID names an outside service declared in the spec, such as "lb-par".
type TargetID string

// ObjectID names a target plus the actuator's key in it, such as
// "lb-par/frontend/4711". Order, holds and markers are per object.
type ObjectID string

// NodeID names a coordinator.
type NodeID string

// StoreID is the random identity of one node's Raft store.
type StoreID string

// ClusterID is the random identity of the cluster, set once at bootstrap.
type ClusterID string

// CommandID makes a proposal idempotent: a repeat gets the first answer.
type CommandID string

// Address is host:port as Sentinel gives it.
type Address string

// Number counts the accepted failovers of one master, from 1, without gaps.
type Number uint64

// Epoch is Sentinel's config-epoch. It is a fact about a failover, never its identity.
type Epoch uint64

// Term is a Raft term.
type Term uint64

// Revision counts the accepted specs, from 1.
type Revision uint64

// Clock is the log clock: time since the cluster's first command, carried on by
// each leader's own monotonic clock. It only rises. It is not wall time.
type Clock time.Duration

// Token fences a claim: generation << 48 + Raft index. It only rises over the
// cluster's whole life, restores included, since these raise the generation.
type Token uint64

// TokenOf builds the token of a claim that the log holds at index.
func TokenOf(generation uint16, index uint64) Token {
	return Token(uint64(generation)<<48 | index&(1<<48-1))
}

// Index is the Raft index of the entry that made the token.
func (t Token) Index() uint64 { return uint64(t) & (1<<48 - 1) }

// FailoverID is a master and the number of one of its failovers: "cache/7".
type FailoverID struct {
	Master MasterID
	Number Number
}

func (f FailoverID) String() string { return fmt.Sprintf("%s/%d", f.Master, f.Number) }

// Action returns the id of the failover's action for one step.
func (f FailoverID) Action(step string) ActionID { return ActionID(f.String() + "/" + step) }

// ActionID is "master/number/step", or "target/refresh/number" for a refresh.
type ActionID string

// key orders actions by number, not by its decimal digits.
func (a ActionID) key() []byte {
	p := strings.Split(string(a), "/")
	if len(p) != 3 {
		return []byte(a)
	}
	for i := 1; i < 3; i++ {
		if n, err := strconv.ParseUint(p[i], 10, 64); err == nil {
			p[i] = fmt.Sprintf("%020d", n)
			break
		}
	}
	return []byte(strings.Join(p, "/"))
}

func (f FailoverID) key() []byte {
	return fmt.Appendf(nil, "%s/%020d", f.Master, f.Number)
}

// Phase is where an action stands. doc.go draws the moves between phases.
type Phase uint8

// The phases of an action. Done, Superseded, Abandoned and Observed are final:
// an entry that reached one of them never changes again.
const (
	Pending    Phase = iota + 1 // waits at gates; nothing is in the world
	Claimed                     // a request may be on the wire
	Waiting                     // the write is answered; a provider's task or a refresh is not; reads only
	Done                        // a read after the write saw the wanted value
	Stuck                       // only a human opens it
	Superseded                  // a newer failover of the master was accepted
	Abandoned                   // given up by a human, with a reason
	Observed                    // planned while its master was only observed: never claimed, final from the start
)

var phaseNames = [...]string{"", "pending", "claimed", "waiting", "done", "stuck", "superseded", "abandoned", "observed"}

func (p Phase) String() string { return name(phaseNames[:], uint8(p)) }

// Final reports whether the phase never changes again.
func (p Phase) Final() bool { return p == Done || p == Superseded || p == Abandoned || p == Observed }

// Effect is what a done action did to the world.
type Effect uint8

// Effects of a done action.
const (
	Changed Effect = iota + 1 // a write of this action made the value
	Already                   // the value stood as wanted before any write of this action
)

var effectNames = [...]string{"", "changed", "already"}

func (e Effect) String() string { return name(effectNames[:], uint8(e)) }

// Class is how an object takes late and repeated writes (guarantee G6).
type Class uint8

// Classes of objects.
const (
	InLog    Class = iota + 1 // the effect is part of the Settle entry: no window, never in doubt
	Fenced                    // honours a token, or compare-and-swap on values that never repeat: never waits
	Keyed                     // honours an idempotency key: dedupes, does not order, so the window holds
	Readable                  // plain write, can be read back
	Blind                     // neither: never repeated or taken over without a human
	Trigger                   // carries no value (a refresh): never waits for any window
)

var classNames = [...]string{"", "in_log", "fenced", "keyed", "readable", "blind", "trigger"}

func (c Class) String() string { return name(classNames[:], uint8(c)) }

// holds reports whether a claim of the class keeps its object busy.
func (c Class) holds() bool { return c == Keyed || c == Readable || c == Blind }

// ObservedAs is why an observation is proposed.
type ObservedAs uint8

// Kinds of observation.
const (
	Seed    ObservedAs = iota + 1 // first view of a master: its address, at any epoch; runs nothing
	Advance                       // a higher config-epoch than the last accepted
	Resolve                       // another address at the accepted epoch, held by majority and ROLE
	Rebase                        // a majority of Sentinels regressed: the epoch base falls, the address stays
)

var observedNames = [...]string{"", "seed", "advance", "resolve", "rebase"}

func (o ObservedAs) String() string { return name(observedNames[:], uint8(o)) }

func name(names []string, i uint8) string {
	if int(i) < len(names) && i > 0 {
		return names[i]
	}
	return "unknown(" + strconv.Itoa(int(i)) + ")"
}
