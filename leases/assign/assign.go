package assign

import (
	"cmp"
	"maps"
	"slices"
)

// MaxPartitions bounds a pool. A worker's capacity beyond its pool's partitions
// counts as that many.
const MaxPartitions = 4096

// Worker is one that may hold partitions.
type Worker struct {
	ID   string // distinct among the workers of a pool
	Zone string // empty is a zone of its own
	// Capacity is the most partitions that it may hold, and its weight in
	// sharing them. Zero or less: it gets none, and what it holds moves away.
	Capacity int
}

// Pool is who has what. The maps are read only; partitions are numbered from 0,
// and other numbers are left out of account.
type Pool struct {
	Partitions int
	Held       map[int]string // by a worker's ID; without those that drain
	Draining   map[int]string // still its holder's, and on the way to another
	Locked     map[int]bool   // nobody's, and not to be granted yet
	Moves      int            // partitions that may drain at once; zero or less: none is moved
}

// Move is one thing to do.
type Move struct {
	Partition int
	// From is the holder to drain; empty: the partition is free, grant it.
	From string
	// To is who should have it. For a drain that is a forecast: when it is free,
	// Plan says again.
	To string
}

// Grant reports whether the move gives a free partition to To.
func (m Move) Grant() bool { return m.From == "" }

// Plan says what to do next: all grants that are possible, then drains as far
// as Moves allows, each in order of partition. Any number may call it at once.
// It costs partitions to be given or taken times workers, about 3 ns each.
func Plan(pool Pool, workers []Worker) []Move {
	s := newSeating(pool, workers)
	return append(s.grants(), s.drains()...)
}

// seat is a worker and its account while a plan is made.
type seat struct {
	Worker
	hash  uint64
	held  int // will stay, as far as is known
	busy  int // held or draining: what its capacity has to hold
	share share
	quota int
}

// seating is a plan in the making; it owns its seats.
type seating struct {
	pool  Pool
	seats []*seat // by ID
	byID  map[string]*seat
}

func newSeating(pool Pool, workers []Worker) *seating {
	pool.Partitions = min(max(pool.Partitions, 0), MaxPartitions)
	s := &seating{pool: pool, byID: make(map[string]*seat, len(workers))}
	for _, w := range workers {
		if s.byID[w.ID] != nil || w.ID == "" {
			continue
		}
		w.Capacity = min(max(w.Capacity, 0), pool.Partitions)
		s.byID[w.ID] = &seat{Worker: w, hash: hash(w.ID)}
	}
	s.seats = slices.SortedFunc(maps.Values(s.byID), func(a, b *seat) int { return cmp.Compare(a.ID, b.ID) })
	for p := range pool.Partitions {
		if w := s.byID[pool.Held[p]]; w != nil {
			w.held, w.busy = w.held+1, w.busy+1
		}
		if w := s.byID[pool.Draining[p]]; w != nil {
			w.busy++
		}
	}
	setQuotas(s.seats, pool.Partitions)
	return s
}

// grants gives each free partition to the worker that ranks it highest among
// those below their quota, else among those that have room at all.
func (s *seating) grants() (moves []Move) {
	for p := range s.pool.Partitions {
		if s.pool.Held[p] != "" || s.pool.Draining[p] != "" || s.pool.Locked[p] {
			continue
		}
		to := s.best(p, func(w *seat) bool { return w.held < w.quota && w.busy < w.Capacity })
		if to == nil {
			to = s.best(p, func(w *seat) bool { return w.busy < w.Capacity })
		}
		if to == nil {
			return moves
		}
		to.held, to.busy = to.held+1, to.busy+1
		moves = append(moves, Move{Partition: p, To: to.ID})
	}
	return moves
}

// drains takes partitions from workers above their quota, those pairs first
// that rank highest, until nobody is above it or enough are on the way.
func (s *seating) drains() (moves []Move) {
	room := s.pool.Moves
	for p := range s.pool.Partitions {
		if s.pool.Draining[p] != "" {
			room--
		}
	}
	var offers []offer
	for p := range s.pool.Partitions {
		from := s.byID[s.pool.Held[p]]
		if room <= 0 || from == nil || from.held <= from.quota {
			continue
		}
		if to := s.best(p, func(w *seat) bool { return w.held < w.quota }); to != nil {
			offers = append(offers, offer{Move{p, from.ID, to.ID}, rank(to.hash, p)})
		}
	}
	slices.SortFunc(offers, func(a, b offer) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.Partition, b.Partition))
	})
	for _, o := range offers {
		from := s.byID[o.From]
		if len(moves) >= room || from.held <= from.quota {
			continue
		}
		to := s.best(o.Partition, func(w *seat) bool { return w.held < w.quota }) // the first choice may be full by now
		if to == nil {
			break
		}
		from.held, to.held = from.held-1, to.held+1
		moves = append(moves, Move{o.Partition, o.From, to.ID})
	}
	slices.SortFunc(moves, func(a, b Move) int { return cmp.Compare(a.Partition, b.Partition) })
	return moves
}

// offer is a partition that could move, and how highly its best taker ranks it.
type offer struct {
	Move
	rank uint64
}

// best is the worker of those that may, that ranks the partition highest; nil
// when none may. The first by ID wins a tie.
func (s *seating) best(partition int, may func(*seat) bool) (found *seat) {
	highest := uint64(0)
	for _, w := range s.seats {
		if !may(w) {
			continue
		}
		if r := rank(w.hash, partition); found == nil || r > highest {
			found, highest = w, r
		}
	}
	return found
}
