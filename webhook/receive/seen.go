package receive

import (
	"crypto/sha256"
	"sync"

	"github.com/pointsman/pointsman/webhook"
)

// verdict is what is known of an event's id.
type verdict int

const (
	fresh   verdict = iota // nothing: the caller stores it
	again                  // it is stored, with the same body
	waiting                // another request stores it now, with the same body
	differs                // it is stored, or being stored, with another body
)

// seen knows the newest events of this start that are stored or being stored.
// What other receivers and earlier days have seen is found by the workers.
type seen struct {
	mu    sync.Mutex
	known map[webhook.ID]sight
	order []webhook.ID // a ring; the next one to be forgotten stands at next
	next  int
}

// sight is one event.
type sight struct {
	sum   [sha256.Size]byte
	place int     // in the ring
	now   *ticket // nil: it is stored
}

func newSeen(most int) *seen {
	return &seen{known: map[webhook.ID]sight{}, order: make([]webhook.ID, most)}
}

// begin judges an event, and remembers a fresh one as being stored by the
// ticket. With waiting it answers the ticket to wait for.
func (s *seen) begin(t *ticket) (verdict, *ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, ok := s.known[t.event.ID]
	switch {
	case !ok:
	case before.sum != t.event.Sum:
		return differs, nil
	case before.now == nil:
		return again, nil
	default:
		return waiting, before.now
	}
	oldest := s.order[s.next]
	if before, ok := s.known[oldest]; ok && before.place == s.next {
		delete(s.known, oldest)
	}
	s.order[s.next] = t.event.ID
	s.known[t.event.ID] = sight{sum: t.event.Sum, place: s.next, now: t}
	s.next = (s.next + 1) % len(s.order)
	return fresh, nil
}

// end says what became of an event that was fresh. One that is not stored is
// forgotten, so that the shop's next try is fresh again.
func (s *seen) end(t *ticket, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.known[t.event.ID]
	if !ok || known.now != t {
		return
	}
	if !kept {
		delete(s.known, t.event.ID)
		return
	}
	known.now = nil
	s.known[t.event.ID] = known
}
