package work

import (
	"container/heap"
	"time"

	"golang.org/x/time/rate"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
)

// task is an event that waits for its end. The loop of its partition owns it,
// while it is under way the goroutine that carries it out.
type task struct {
	event    event
	stream   *following
	number   uint64
	key      string // of the segment
	calls    int    // made under this lease
	attempts int    // of these, failed ones that count
	first    time.Time
	history  []*webhookv1.Attempt
	dead     string    // why it is to become a dead letter
	told     string    // of that, what logs may show
	lost     time.Time // since when its segment is gone or damaged
	other    bool      // another body than the finished one of its id
}

// shop is the queue of one shop: its events are handed out one after another.
type shop struct {
	name     string
	queue    []*task
	limit    *rate.Limiter // nil: none
	rated    bool          // the first of the queue has had its turn at the limit
	failures int           // in a row
	paused   time.Time     // since when each answer is that it is closed; zero: it is not
	until    time.Time     // nothing is handed out before
	under    bool          // way
	place    int           // in the heap of those that wait, -1: in none
	ready    bool          // it is in the list of those that are next
}

// shops are those of a partition. Its loop owns them.
type shops struct {
	rate    rate.Limit // 0: none
	burst   int
	all     map[string]*shop
	ready   []*shop
	waits   waiting
	waiting int // events, those under way included
}

func newShops(perSecond float64, burst int) *shops {
	return &shops{rate: rate.Limit(perSecond), burst: burst, all: map[string]*shop{}}
}

// add puts a task at the end of its shop's queue.
func (s *shops) add(t *task, now time.Time) {
	name := t.event.App + "\x00" + t.event.Shop
	sh := s.all[name]
	if sh == nil {
		sh = &shop{name: name, place: -1}
		if s.rate > 0 {
			sh.limit = rate.NewLimiter(s.rate, s.burst)
		}
		s.all[name] = sh
	}
	t.event.App, t.event.Shop = sh.own(t) // one copy of the names
	sh.queue = append(sh.queue, t)
	s.waiting++
	s.settle(sh, now)
}

func (sh *shop) own(t *task) (app, name string) {
	if len(sh.queue) > 0 {
		return sh.queue[0].event.App, sh.queue[0].event.Shop
	}
	return t.event.App, t.event.Shop
}

// settle puts a shop where it belongs: among the ready, among those that wait, or
// nowhere.
func (s *shops) settle(sh *shop, now time.Time) {
	if sh.under || sh.ready || len(sh.queue) == 0 {
		return
	}
	if sh.limit != nil && !sh.rated && !sh.until.After(now) {
		sh.rated = true
		sh.until = now.Add(sh.limit.ReserveN(now, 1).DelayFrom(now))
	}
	switch {
	case !sh.until.After(now):
		if sh.place >= 0 {
			heap.Remove(&s.waits, sh.place)
		}
		sh.ready = true
		s.ready = append(s.ready, sh)
	case sh.place >= 0:
		heap.Fix(&s.waits, sh.place)
	default:
		heap.Push(&s.waits, sh)
	}
}

// wake readies the shops whose time has come, and answers how long until the
// next one's; a long time when there is none.
func (s *shops) wake(now time.Time) time.Duration {
	for len(s.waits) > 0 {
		if left := s.waits[0].until.Sub(now); left > 0 {
			return left
		}
		sh := s.waits[0]
		heap.Remove(&s.waits, sh.place)
		s.settle(sh, now)
	}
	return time.Hour
}

// take answers the shop that is next, if there is one.
func (s *shops) take() *shop {
	if len(s.ready) == 0 {
		return nil
	}
	sh := s.ready[0]
	s.ready[0] = nil
	s.ready = s.ready[1:]
	sh.ready = false
	return sh
}

// drop takes the first task of a shop out, which is finished.
func (s *shops) drop(sh *shop, now time.Time) {
	sh.queue[0] = nil
	sh.queue = sh.queue[1:]
	sh.rated = false
	s.waiting--
	if len(sh.queue) > 0 {
		s.settle(sh, now)
		return
	}
	sh.queue = nil
	if sh.idle(now) {
		delete(s.all, sh.name)
	}
}

// idle reports whether a shop without events can be forgotten: its limit and its
// failures hold nothing back.
func (sh *shop) idle(now time.Time) bool {
	return len(sh.queue) == 0 && !sh.under && sh.failures == 0 && !sh.until.After(now) &&
		(sh.limit == nil || sh.limit.TokensAt(now) >= float64(sh.limit.Burst()))
}

// sweep forgets what can be forgotten, and answers when the oldest event that is
// next in its shop has arrived.
func (s *shops) sweep(now time.Time) (oldest time.Time) {
	for name, sh := range s.all {
		if len(sh.queue) > 0 {
			if at := sh.queue[0].event.Arrived; oldest.IsZero() || at.Before(oldest) {
				oldest = at
			}
			continue
		}
		if sh.failures > 0 && now.Sub(sh.until) > DefaultMaxBackoff {
			sh.failures = 0
		}
		if sh.idle(now) {
			delete(s.all, name)
		}
	}
	return oldest
}

// waiting is a heap of shops by the time at which they go on.
type waiting []*shop

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return w[i].until.Before(w[j].until) }
func (w waiting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].place, w[j].place = i, j
}

// Push implements heap.Interface.
func (w *waiting) Push(x any) {
	sh := x.(*shop)
	sh.place = len(*w)
	*w = append(*w, sh)
}

// Pop implements heap.Interface.
func (w *waiting) Pop() any {
	old := *w
	sh := old[len(old)-1]
	old[len(old)-1] = nil
	*w = old[:len(old)-1]
	sh.place = -1
	return sh
}
