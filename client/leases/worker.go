package leases

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Handler works on one partition under one grant. ctx ends when the lease is
// lost (its cause is ErrLost) or the worker's time to stop is over (ErrStopped);
// until the handler returns nothing else starts on the partition here. It should
// return when the lease's Draining is closed; the partition then goes to another
// worker at once. One that returns ErrLost, since a sink has refused its token,
// gives its lease up and is called again under the next grant. A handler that
// returns unasked in any other way ends the worker. So does one that has not
// returned Config.Stop and 5 s after its lease was lost, once its partition is granted to
// this worker again: others take over what it cannot.
type Handler func(ctx context.Context, l *Lease) error

// Connection is what a worker calls: what a client's Conn gives.
type Connection = grpc.ClientConnInterface

// Run works for a pool until ctx ends or a handler returns unasked. It then asks
// the other handlers to finish, gives them Config.Stop, and closes the session,
// so that others take over at once. It returns when all handlers have: nil when
// ctx has ended, the error of the handler that ended it, ErrStuck, ErrConfig, or the
// cluster's word when asking again cannot help (no such pool, not allowed). While
// nobody answers it goes on trying. Handlers see the values of ctx, not its end.
//
// Any number may run at once, each with its own session. The connection should
// lead to the leader (client.Dial): then what is to finish is known at once; with
// any other node (client.DialAny) at the next renewal, a quarter of the pool's
// ttl later.
func Run(ctx context.Context, conn Connection, cfg Config, handle Handler) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	w := &worker{
		cfg: cfg.withDefaults(), calls: pointsmanv1.NewLeaseServiceClient(conn), handle: handle,
		values: context.WithoutCancel(ctx), events: make(chan func()),
		held: map[uint32]*holding{}, past: map[uint32]past{},
	}
	var cancel context.CancelFunc
	w.base, cancel = context.WithCancel(w.values)
	w.began = w.cfg.now()
	defer w.goes.Wait()
	defer cancel()
	w.loop(ctx)
	w.leave()
	return w.err
}

// worker is a run. Its loop owns every field below goes; what other goroutines
// have to say they tell it.
type worker struct {
	cfg    Config
	began  moment // of the run
	calls  pointsmanv1.LeaseServiceClient
	handle Handler
	values context.Context // parent of handlers
	base   context.Context // parent of calls and streams; outlives the loop
	events chan func()
	goes   sync.WaitGroup

	session  *session
	opening  bool
	openNext time.Time

	link     *link
	linkNext time.Time
	sequence uint64
	sent     []sending // renewals without an answer, the oldest first
	due      time.Time // of the next renewal

	held      map[uint32]*holding
	past      map[uint32]past
	releasing bool
	giveNext  time.Time // of the next try to release

	stopping bool
	stopAt   time.Time
	err      error // what Run returns
}

// session is one that the cluster knows.
type session struct {
	id  uint64
	key string
	ttl time.Duration
}

// sending is a renewal that is on its way.
type sending struct {
	sequence uint64
	at       moment
}

// Delays after a failure, and between two looks at the clock that also counts
// while the machine is suspended.
const (
	openDelay = time.Second
	linkDelay = 200 * time.Millisecond
	giveDelay = 500 * time.Millisecond
	look      = 250 * time.Millisecond
	leaveTime = 5 * time.Second
	stuckTime = 5 * time.Second // beyond Config.Stop
)

// Parts of the ttl: how often a renewal is sent, and for how long a link may
// owe an answer.
const (
	renewPart = 4
	owePart   = 0.4
	holdPart  = 0.9
)

// tell has the loop do something. It is dropped once the loop has ended.
func (w *worker) tell(do func()) {
	select {
	case w.events <- do:
	case <-w.base.Done():
	}
}

// loop runs until the worker stops and all its handlers have returned.
func (w *worker) loop(ctx context.Context) {
	stop := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w.expire()
		if w.stopping && w.idle() {
			return
		}
		w.keep()
		w.give()
		timer.Reset(w.wait())
		select {
		case <-stop:
			stop = nil
			w.stop(nil)
		case do := <-w.events:
			do()
		case <-timer.C:
		}
	}
}

// stop begins the end: handlers are asked to finish. The first reason counts.
func (w *worker) stop(err error) {
	if w.stopping {
		return
	}
	w.stopping, w.err, w.stopAt = true, err, time.Now().Add(w.cfg.Stop)
	for _, h := range w.held {
		h.lease.finish()
	}
	w.due = time.Now() // nothing more is granted once the cluster knows
}

// overdue reports whether the time to finish is over.
func (w *worker) overdue() bool { return w.stopping && !time.Now().Before(w.stopAt) }

// keep opens a session or renews the one there is. A worker whose time to finish
// is over renews no more: a handler that does not return must not hold its
// partition for ever.
func (w *worker) keep() {
	now := time.Now()
	switch {
	case w.overdue():
	case w.session == nil:
		if !w.opening && !w.stopping && !now.Before(w.openNext) {
			w.open()
		}
	default:
		w.giveUpLink()
		if !now.Before(w.due) && !now.Before(w.linkNext) {
			w.renew()
		}
	}
}

// open asks for a session.
func (w *worker) open() {
	w.opening = true
	s := &session{key: rand.Text()}
	w.goes.Go(func() {
		resp, err := w.calls.OpenSession(w.base, &pointsmanv1.OpenSessionRequest{
			Pool: w.cfg.Pool, Worker: w.cfg.Worker, Zone: w.cfg.Zone, Capacity: uint32(w.cfg.Capacity), Key: s.key, RequestId: rand.Text()})
		w.tell(func() { w.opened(s, resp, err) })
	})
}

func (w *worker) opened(s *session, resp *pointsmanv1.OpenSessionResponse, err error) {
	w.opening = false
	switch {
	case err == nil:
		s.id, s.ttl = resp.GetSession().GetId(), resp.GetTtl().AsDuration()
		w.session, w.due = s, time.Now()
		w.cfg.Log.Info("session opened", "session", s.id, "ttl", s.ttl)
		if most := scale(s.ttl, holdPart-owePart); w.cfg.Margin > most {
			w.stop(fmt.Errorf("%w: a margin of %s leaves no time of the ttl of pool %s, %s: at most %s", ErrConfig, w.cfg.Margin, w.cfg.Pool, s.ttl, most))
		}
	case final(err):
		w.stop(fmt.Errorf("open a session of pool %s: %w", w.cfg.Pool, err))
	default:
		w.openNext = time.Now().Add(jittered(openDelay))
		w.cfg.Log.Warn("no session could be opened", "error", err)
	}
}

// renew sends a renewal, over another link when there is none.
func (w *worker) renew() {
	if w.link == nil {
		w.link = w.connect()
	}
	w.sequence++
	r := &pointsmanv1.RenewRequest{Session: w.session.id, Key: w.session.key, Uptime: durationpb.New(w.cfg.since(w.began)), Leaving: w.stopping}
	for p, h := range w.held {
		if !h.ended {
			r.Held = append(r.Held, &pointsmanv1.HeldToken{Partition: p, Token: h.lease.Token})
		}
	}
	w.sent = append(w.sent, sending{w.sequence, w.cfg.now()}) // before it is sent
	w.link.send(&pointsmanv1.KeepAliveRequest{Sequence: w.sequence, Renewal: r})
	w.due = time.Now().Add(w.session.ttl / renewPart)
}

// giveUpLink ends a link that owes an answer for too long: it is half open, or
// the node behind it hangs.
func (w *worker) giveUpLink() {
	if w.link == nil || len(w.sent) == 0 {
		return
	}
	if owed := w.cfg.since(w.sent[0].at); owed >= scale(w.session.ttl, owePart) {
		w.cfg.Log.Warn("renewal is not answered, trying another stream", "session", w.session.id, "after", owed)
		w.unlink()
		w.due = time.Now()
	}
}

func (w *worker) unlink() {
	if w.link != nil {
		w.link.cancel()
	}
	w.link, w.sent = nil, nil
}

// broken says that a link has ended.
func (w *worker) broken(l *link, err error) {
	if l != w.link {
		return
	}
	w.unlink()
	w.linkNext = time.Now().Add(jittered(linkDelay))
	w.due = w.linkNext
	switch {
	case sessionGone(err):
		w.gone()
	case final(err):
		w.stop(fmt.Errorf("renew session %d of pool %s: %w", w.session.id, w.cfg.Pool, err))
	default:
		w.cfg.Log.Info("stream ended, trying another", "session", w.session.id, "error", err)
	}
}

// gone says that the cluster has ended the session: nothing is held any more.
func (w *worker) gone() {
	w.cfg.Log.Warn("session has ended", "session", w.session.id)
	w.unlink()
	w.session, w.openNext = nil, time.Now()
	for p, h := range w.held {
		w.lose(h, "the session has ended")
		h.fenced = true // there is no session to release it with
		if h.ended {
			delete(w.held, p)
		}
	}
}

// leave closes the session, so that nobody has to wait for its end.
func (w *worker) leave() {
	if w.session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(w.base, leaveTime)
	defer cancel()
	_, err := w.calls.CloseSession(ctx, &pointsmanv1.CloseSessionRequest{Session: w.session.id, Key: w.session.key, RequestId: rand.Text()})
	if err != nil && !sessionGone(err) {
		w.cfg.Log.Warn("session could not be closed, it ends by itself", "session", w.session.id, "error", err)
	}
}

// wait is the time until something may be due.
func (w *worker) wait() time.Duration {
	wait := look
	switch {
	case w.overdue(): // neither renews nor opens
	case w.session != nil:
		wait = min(wait, time.Until(later(w.due, w.linkNext)))
	case !w.opening && !w.stopping:
		wait = min(wait, time.Until(w.openNext))
	}
	for _, h := range w.held {
		if left := h.lease.Left(); left > 0 {
			wait = min(wait, left)
		}
	}
	return max(wait, time.Millisecond)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func scale(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }
