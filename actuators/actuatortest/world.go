package actuatortest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// World is an outside service with one object, and the kind that acts on it.
type World struct {
	Kind     actuators.Kind
	Name     string         // of the kind in the spec
	Target   fsm.TargetSpec // zero for an effect inside the log
	Message  proto.Message  // of the step
	TargetOf proto.Message  // of the target; nil for an effect inside the log
	A, B     fsm.Address    // the two candidates
	Secrets  []string       // planted in the credentials; must show up nowhere
	Outside  Outside        // nil for an effect inside the log
	Late     Late           // nil: the world cannot deliver late
	Lacks    []Fault        // what this outside world cannot do
	Unread   bool           // a keyed deed that nothing can read back: a clear answer is all
	Standing bool           // the value is the same for every failover, and nothing marks whose it is; B is where it points
}

// Outside is the world as its owner sees it.
type Outside interface {
	// Value is the candidate that the object points at in effect; empty: none of ours.
	Value() fsm.Address
	// Seen counts what reached the world so far.
	Seen() Requests
	// Break lets the next request that may change something (or, for FailRead,
	// the next read; for Unreachable, every request until Mend) go wrong.
	Break(Fault)
	// Mend ends all faults.
	Mend()
}

// Late plays a request that arrives after its sender gave up.
type Late interface {
	// HoldNext stops the next request that may change something before its effect.
	HoldNext()
	// Deliver carries it out, and returns when that has happened.
	Deliver()
}

// Requests counts what reached the world.
type Requests struct {
	All      int // of any kind
	Mutating int // that could change something, whatever came of them
	Marks    int // of these, the ones that could change the marker alone
	Changes  int // that changed the object's value
}

// Fault is one way in which a world goes wrong.
type Fault uint8

// Faults.
const (
	FailBefore  Fault = iota + 1 // a server error, without effect
	FailAfter                    // the effect, then a server error
	LoseBefore                   // the connection ends, without effect
	LoseAfter                    // the effect, then the connection ends
	Hang                         // no effect, no answer until the sender leaves
	HangAfter                    // the effect, no answer until the sender leaves
	Garble                       // the effect, an answer that means nothing
	Refuse                       // refused for good: rights, or the request itself
	TooMany                      // refused for now, with RetryAfter
	FailRead                     // a server error to a read
	Unreachable                  // no connection can be made
)

// RetryAfter is what TooMany asks for.
const RetryAfter = 7 * time.Second

// Run runs the suite. Each case gets a new world; what it needs to end, world
// registers with t.Cleanup.
func Run(t *testing.T, world func(t *testing.T) World) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, world(t))
				if c.about(b) {
					c.run(b)
				}
				b.noSecrets()
			})
		})
	}
}

// law is one case, and the worlds that it is about.
type law struct {
	name  string
	about func(*bench) bool
	run   func(*bench)
}

func anyWorld(*bench) bool { return true }

func inLog(b *bench) bool { return b.world.Outside == nil }

func outside(b *bench) bool { return b.world.Outside != nil }

// seenAgain are the worlds whose value a read can tell.
func seenAgain(b *bench) bool {
	return outside(b) && b.step.Class != fsm.Blind && !b.world.Unread
}

// swings are those whose value follows the master.
func swings(b *bench) bool { return seenAgain(b) && !b.world.Standing }

func stands(b *bench) bool { return seenAgain(b) && b.world.Standing }

func unread(b *bench) bool { return outside(b) && b.world.Unread && b.step.Class == fsm.Keyed }

// compares are the worlds that the comparer has something to say about, or must not.
func compares(b *bench) bool {
	_, ok := b.tool.(actuators.Comparer)
	return ok && outside(b)
}

func canSayTooMany(b *bench) bool {
	return seenAgain(b) && !slices.Contains(b.world.Lacks, TooMany)
}

func canBeLate(b *bench) bool { return b.world.Late != nil && swings(b) }

func ofClass(c fsm.Class) func(*bench) bool {
	return func(b *bench) bool { return outside(b) && b.step.Class == c }
}

func cases() []law {
	return []law{
		{"plan is clean and render is pure", anyWorld, renderPure},
		{"plan refuses what is not its own", anyWorld, planRefuses},
		{"judge is a function of its arguments", anyWorld, judgePure},
		{"ended context sends nothing", anyWorld, endedContext},
		{"side by side", anyWorld, sideBySide},

		{"in log: act names its own setting only", inLog, namesOwnSetting},
		{"in log: act again names the same", inLog, namesTheSame},

		{"read changes nothing", seenAgain, readChangesNothing},
		{"compare tells values, whoever wrote them", compares, comparesValues},
		{"write and read back", seenAgain, writeReadBack},
		{"act again changes nothing", seenAgain, actAgain},
		{"there and back", swings, thereAndBack},
		{"same address again", swings, sameAgain},
		{"older failover never writes", swings, olderNeverWrites},
		{"another cluster's object is left alone", swings, otherCluster},
		{"what stands is found by every failover", stands, foundByAll},
		{"late write of an older failover is repaired", canBeLate, lateIsRepaired},
		{"refresh twice does no harm", seenAgain, refreshTwice},
		{"every request waits for the budget", seenAgain, budgetPaces},
		{"ended budget sends nothing", outside, budgetEnds},
		{"a probe has no budget", outside, probeWithoutBudget},

		{"server error before the effect is doubt", seenAgain, doubtful(FailBefore, false)},
		{"server error after the effect is doubt", seenAgain, doubtful(FailAfter, true)},
		{"connection lost before the effect is doubt", seenAgain, doubtful(LoseBefore, false)},
		{"connection lost after the effect is doubt", seenAgain, doubtful(LoseAfter, true)},
		{"no answer is doubt", seenAgain, doubtful(Hang, false)},
		{"no answer after the effect is doubt", seenAgain, doubtful(HangAfter, true)},
		{"garbled answer is found by reading", seenAgain, garbled},
		{"refusal is permanent", seenAgain, refusedForGood},
		{"too many is for later", canSayTooMany, tooMany},
		{"unreachable is not doubt", seenAgain, unreachable},
		{"failed read is for later", seenAgain, failedRead},

		{"fenced: the claim's version decides", ofClass(fsm.Fenced), claimsVersionDecides},
		{"fenced: versions never repeat", ofClass(fsm.Fenced), versionsNeverRepeat},
		{"keyed: the key is the action's", ofClass(fsm.Keyed), keyIsTheActions},
		{"keyed: a lost answer that nothing can read back is asked for again", unread, lostIsAskedAgain},
		{"blind: a clear answer is all", ofClass(fsm.Blind), blindIsSentOnce},
		{"blind: no clear answer is doubt, and nothing is sent again", ofClass(fsm.Blind), blindIsNotRepeated},
	}
}

var errBudget = errors.New("budget has ended")

func leaks(text string, secrets []string) bool {
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			return true
		}
	}
	return false
}
