package assign

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// fewest is the definition, by trying all there is: of all quotas that are
// balanced (each worker and each zone has its share rounded down or up) the
// fewest partitions that have to leave their holder.
func fewest(workers []Worker, partitions int, held map[string]int) int {
	sum, zones := 0, map[string]int{}
	workers = slices.Clone(workers)
	for i := range workers { // a pool's partitions are the most that counts
		workers[i].Capacity = min(workers[i].Capacity, partitions)
	}
	for _, w := range workers {
		sum += w.Capacity
		zones[w.Zone] += w.Capacity
	}
	seated := min(partitions, sum)
	fits := func(quota, capacity int) bool { // its share rounded down or up
		return quota*sum > seated*capacity-sum && quota*sum < seated*capacity+sum
	}
	best := partitions + 1
	var try func(i, left, cost int, inZone map[string]int)
	try = func(i, left, cost int, inZone map[string]int) {
		if i == len(workers) {
			for z, c := range zones {
				if !fits(inZone[z], c) {
					return
				}
			}
			if left == 0 {
				best = min(best, cost)
			}
			return
		}
		w := workers[i]
		for quota := 0; quota <= left; quota++ {
			if fits(quota, w.Capacity) {
				inZone[w.Zone] += quota
				try(i+1, left-quota, cost+max(0, held[w.ID]-quota), inZone)
				inZone[w.Zone] -= quota
			}
		}
	}
	if sum == 0 { // whatever is held has to go, and nobody takes it
		return 0
	}
	try(0, seated, 0, map[string]int{})
	return best
}

// scene draws a pool in any state: held, draining and locked partitions, some
// of a worker that is gone.
func scene(t *rapid.T) (Pool, []Worker) {
	var workers []Worker
	for i := range rapid.IntRange(1, 5).Draw(t, "workers") {
		workers = append(workers, Worker{
			ID: fmt.Sprint("w", i), Zone: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "zone"), Capacity: rapid.IntRange(0, 9).Draw(t, "capacity"),
		})
	}
	pool := Pool{Partitions: rapid.IntRange(1, 14).Draw(t, "partitions"), Moves: rapid.IntRange(1, 5).Draw(t, "moves"), Held: map[int]string{}, Draining: map[int]string{}, Locked: map[int]bool{}}
	for p := range pool.Partitions {
		holder := fmt.Sprint("w", rapid.IntRange(0, len(workers)).Draw(t, "holder")) // the last is gone
		switch rapid.SampledFrom([]string{"free", "held", "held", "held", "draining", "locked"}).Draw(t, "state") {
		case "held":
			pool.Held[p] = holder
		case "draining":
			pool.Draining[p] = holder
		case "locked":
			pool.Locked[p] = true
		}
	}
	return pool, workers
}

// In every state: no partition stays free while a worker has room, no capacity
// is exceeded by a grant, only free ones are granted, only held ones drained,
// and in any order of workers the plan is the same.
func TestPlanPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool, workers := scene(t)
		moves := Plan(pool, workers)
		busy := count(pool.Held)
		for w, n := range count(pool.Draining) {
			busy[w] += n
		}
		capacity, room := map[string]int{}, 0
		for _, w := range workers {
			capacity[w.ID] = w.Capacity
			room += max(0, w.Capacity-busy[w.ID])
		}
		free, granted, drained := 0, 0, 0
		for p := range pool.Partitions {
			if pool.Held[p] == "" && pool.Draining[p] == "" && !pool.Locked[p] {
				free++
			}
		}
		for _, m := range moves {
			switch {
			case m.Grant() && (pool.Held[m.Partition] != "" || pool.Draining[m.Partition] != "" || pool.Locked[m.Partition]):
				t.Fatalf("%+v is not free", m)
			case m.Grant():
				granted++
				if busy[m.To]++; busy[m.To] > capacity[m.To] {
					t.Fatalf("%+v: more than it can hold", m)
				}
			case pool.Held[m.Partition] != m.From || capacity[m.To] == 0 || m.From == m.To:
				t.Fatalf("%+v cannot be", m)
			default:
				drained++
			}
		}
		if granted != min(free, room) {
			t.Fatalf("%d free, room for %d, %d granted", free, room, granted)
		}
		if drained > max(0, pool.Moves-len(pool.Draining)) {
			t.Fatalf("%d drained besides %d, at most %d", drained, len(pool.Draining), pool.Moves)
		}
		shuffled := slices.Clone(workers)
		rand.New(rand.NewSource(1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := Plan(pool, shuffled); !slices.Equal(again, moves) {
			t.Fatalf("%v in another order %v", moves, again)
		}
	})
}

// Whatever the state, what moves until the pool is at rest is no more than the
// fewest by definition, however few may move at once; and then it is balanced.
func TestFewestMoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool, workers := scene(t)
		pool.Draining, pool.Locked = nil, nil
		maps.DeleteFunc(pool.Held, func(_ int, w string) bool { return w == fmt.Sprint("w", len(workers)) })
		want := fewest(workers, pool.Partitions, count(pool.Held))
		held, moved := settle(t, pool, workers)
		room := 0
		for _, w := range workers {
			room += w.Capacity
		}
		if room >= pool.Partitions && moved != want {
			t.Fatalf("%d moved, %d would do", moved, want)
		}
		if rest := fewest(workers, pool.Partitions, count(held)); room >= pool.Partitions && (rest != 0 || len(held) != pool.Partitions) {
			t.Fatalf("at rest with %v, %d moves from balance", held, rest)
		}
	})
}
