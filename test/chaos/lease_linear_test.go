//go:build !failpoints

package chaos

import (
	"math"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// linearWithin bounds the search of all partitions together.
const linearWithin = 2 * time.Minute

// fenced is what a sink that compares tokens has of one partition.
type fenced struct {
	token uint64
	value int64
}

// fencedSink is the model: whoever comes with a token below the highest is
// refused and changes nothing, everybody else raises it; and while nobody else
// gets in, the holder counts one by one.
var fencedSink = porcupine.Model{
	Init: func() any { return fenced{} },
	Step: func(state, input, _ any) (bool, any) {
		s, _ := state.(fenced)
		m, _ := input.(mark)
		switch {
		case m.Said == "fenced":
			return m.Token < s.token && m.Newest == s.token, s
		case m.Token < s.token:
			return false, s
		case m.Value == 0:
			return true, fenced{m.Token, s.value}
		}
		return m.Value == s.value+1, fenced{m.Token, m.Value}
	},
}

// linear holds what all workers saw of the sink against the model. What the sink
// has taken though nobody was told, since its worker was killed, may have happened
// at any time.
func (c *crew) linear(journals map[uint32][]mark) {
	c.t.Helper()
	operations := map[uint32][]porcupine.Operation{}
	took, raised := map[uint32]map[int64]bool{}, map[uint32]map[uint64]bool{}
	for p := range uint32(countParts) {
		took[p], raised[p] = map[int64]bool{}, map[uint64]bool{}
	}
	add := func(p uint32, m mark, from, to int64) {
		operations[p] = append(operations[p], porcupine.Operation{Input: m, Call: from, Return: to})
	}
	for _, m := range c.all {
		add(m.Partition, m, int64(m.Asked), int64(m.Heard))
		if m.Said != "fenced" {
			took[m.Partition][m.Value], raised[m.Partition][m.Token] = true, true
		}
	}
	for p, journal := range journals {
		for _, m := range journal {
			if raised[p][m.Token] = true; !took[p][m.Value] {
				m.Said = "applied"
				add(p, m, 0, math.MaxInt64)
			}
		}
	}
	for _, m := range c.all {
		if !raised[m.Partition][m.Newest] {
			raised[m.Partition][m.Newest] = true
			add(m.Partition, mark{Said: "raised", Token: m.Newest}, 0, math.MaxInt64)
		}
	}
	began, count := time.Now(), 0
	for p, history := range operations {
		count += len(history)
		if got := porcupine.CheckOperationsTimeout(fencedSink, history, max(linearWithin-time.Since(began), time.Second)); got != porcupine.Ok {
			c.t.Errorf("partition %d: what its workers saw of the sink, %d operations, is not what one sink does, one by one: %s", p, len(history), got)
		}
	}
	c.t.Logf("%d operations judged in %s", count, time.Since(began).Round(time.Millisecond))
}

// TestFencedSinkModel: the model refuses what it is there to find.
func TestFencedSinkModel(t *testing.T) {
	at := func(from, to int64, m mark) porcupine.Operation {
		return porcupine.Operation{Input: m, Call: from, Return: to}
	}
	for name, row := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"a late one is refused": {[]porcupine.Operation{
			at(1, 2, mark{Said: "raised", Token: 5}), at(3, 4, mark{Said: "applied", Token: 5, Value: 1}),
			at(5, 9, mark{Said: "raised", Token: 7}), at(6, 8, mark{Said: "fenced", Token: 5, Value: 2, Newest: 7}),
		}, true},
		"a late one gets in": {[]porcupine.Operation{
			at(1, 2, mark{Said: "raised", Token: 7}), at(3, 4, mark{Said: "applied", Token: 5, Value: 1}),
		}, false},
		"refused by nobody": {[]porcupine.Operation{
			at(1, 2, mark{Said: "raised", Token: 5}), at(3, 4, mark{Said: "fenced", Token: 5, Value: 1, Newest: 7}),
		}, false},
		"a number twice": {[]porcupine.Operation{
			at(1, 2, mark{Said: "applied", Token: 5, Value: 1}), at(3, 4, mark{Said: "applied", Token: 7, Value: 1}),
		}, false},
	} {
		if got := porcupine.CheckOperations(fencedSink, row.history); got != row.want {
			t.Errorf("%s: linearizable is %v, want %v", name, got, row.want)
		}
	}
}
