package assign

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func team(n int, zones []string, capacity int) (workers []Worker) {
	for i := range n {
		workers = append(workers, Worker{ID: fmt.Sprintf("w%d", i), Zone: zones[i%len(zones)], Capacity: capacity})
	}
	return workers
}

// settle does what Plan says, one call after another, until it says nothing
// more: drained partitions are free at the next call. It counts what moved.
func settle(t rapid.TB, pool Pool, workers []Worker) (held map[int]string, moved int) {
	t.Helper()
	pool.Held = maps.Clone(pool.Held)
	if pool.Held == nil {
		pool.Held = map[int]string{}
	}
	for range 2*pool.Partitions + 2 {
		moves := Plan(pool, workers)
		if len(moves) == 0 {
			return pool.Held, moved
		}
		drains := 0
		for _, m := range moves {
			if m.Grant() {
				pool.Held[m.Partition] = m.To
				continue
			}
			drains++
			delete(pool.Held, m.Partition)
		}
		if moved += drains; drains > pool.Moves {
			t.Fatalf("%d partitions drain at once, at most %d may", drains, pool.Moves)
		}
	}
	t.Fatalf("no end: %+v with %+v", pool, workers)
	return nil, 0
}

func count(held map[int]string) map[string]int {
	n := map[string]int{}
	for _, w := range held {
		n[w]++
	}
	return n
}

func TestPlan(t *testing.T) {
	ab := team(2, []string{"x"}, 2)
	for _, row := range []struct {
		name    string
		pool    Pool
		workers []Worker
		want    string
	}{
		{"nobody", Pool{Partitions: 2, Moves: 1}, nil, "[]"},
		{"no partitions", Pool{Moves: 1}, ab, "[]"},
		{"one worker takes all", Pool{Partitions: 2}, ab[:1], "[{0  w0} {1  w0}]"},
		{"capacity is short", Pool{Partitions: 3}, ab[:1], "[{0  w0} {1  w0}]"},
		{"locked is not granted", Pool{Partitions: 2, Locked: map[int]bool{0: true}}, ab[:1], "[{1  w0}]"},
		{"a stranger's is left alone", Pool{Partitions: 2, Held: map[int]string{0: "gone", 1: "gone"}, Moves: 2}, ab, "[]"},
		{"in balance", Pool{Partitions: 2, Held: map[int]string{0: "w1", 1: "w0"}, Moves: 2}, ab, "[]"},
		{"no moves allowed", Pool{Partitions: 2, Held: map[int]string{0: "w1", 1: "w1"}}, ab, "[]"},
		{"one on the way already", Pool{Partitions: 4, Held: map[int]string{0: "w1", 1: "w1", 2: "w1"}, Draining: map[int]string{3: "w1"}, Moves: 1}, ab, "[]"},
		{"a worker that leaves", Pool{Partitions: 2, Held: map[int]string{0: "w0", 1: "w1"}, Moves: 2}, []Worker{{"w0", "x", 0}, ab[1]}, "[{0 w0 w1}]"},
		{"twice the capacity, twice the share", Pool{Partitions: 3, Held: map[int]string{0: "w0", 1: "w0", 2: "w0"}, Moves: 3}, []Worker{{"w0", "x", 1}, {"w1", "x", 2}}, "[{0 w0 w1} {1 w0 w1}]"},
		{"above its quota, since only it has room", Pool{Partitions: 4, Draining: map[int]string{0: "w0", 1: "w0"}, Held: map[int]string{2: "w1"}}, []Worker{{"w0", "x", 2}, {"w1", "x", 3}}, "[{3  w1}]"},
	} {
		got := Plan(row.pool, row.workers)
		if s := fmt.Sprint(got); s != row.want {
			t.Errorf("%s: %s, want %s", row.name, s, row.want)
		}
	}
}

// The choice of owners is part of what nodes of different releases must agree
// on: a newer leader that ranks otherwise would move every partition once.
func TestRankIsPinned(t *testing.T) {
	held, _ := settle(t, Pool{Partitions: 12}, team(4, []string{"a", "b"}, 12))
	owners := ""
	for p := range 12 {
		owners += held[p][1:]
	}
	if want := "212211330003"; owners != want {
		t.Errorf("owners %s, want %s", owners, want)
	}
}

// Sixteen workers of one capacity, any number of partitions: the one that joins
// takes its share rounded up at most and nothing moves between the others;
// when one leaves, what it held finds owners and what others hold stays.
func TestJoinAndLeaveOfSixteen(t *testing.T) {
	for _, zones := range [][]string{{""}, {"a", "b"}, {"a", "b", "c"}, {"a", "b", "c", "d", "e"}} {
		for partitions := range 130 {
			workers := team(16, zones, partitions)
			pool := Pool{Partitions: partitions, Moves: 4}
			pool.Held, _ = settle(t, pool, workers[:15])
			joined, moved := settle(t, pool, workers)
			if most := (partitions + 15) / 16; moved > most || moved != count(joined)["w15"] {
				t.Errorf("%d partitions, %d zones: w15 joins, %d moved, at most %d; it has %d", partitions, len(zones), moved, most, count(joined)["w15"])
			}
			pool.Held = maps.Clone(joined)
			maps.DeleteFunc(pool.Held, func(_ int, w string) bool { return w == "w7" })
			left := slices.Concat(workers[:7], workers[8:])
			after, moved := settle(t, pool, left)
			if moved > 1 {
				t.Errorf("%d partitions, %d zones: w7 leaves, and %d others move", partitions, len(zones), moved)
			}
			if len(after) != partitions {
				t.Errorf("%d partitions, %d have an owner", partitions, len(after))
			}
		}
	}
}
