package leases

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// holding is a grant that was taken up: its handler runs, or it is to be
// released.
type holding struct {
	lease  *Lease
	cancel context.CancelCauseFunc
	ended  bool // the handler has returned
	fenced bool // nobody waits for its release
	told   bool // its loss is in the log
	lost   time.Time
	awaits bool // a newer grant of its partition waits for its end
}

// past is what was taken up of a partition.
type past struct {
	token uint64    // the highest
	given time.Time // when its release was known to be done
}

// answered takes what the cluster says of the session. Only an answer to a
// renewal prolongs or begins anything; what comes unasked (sequence 0) asks
// handlers to finish, and is a reason to renew at once.
func (w *worker) answered(l *link, sequence uint64, r *pointsmanv1.RenewResponse) {
	if l != w.link {
		return
	}
	if sequence == 0 {
		w.nudged(r)
		return
	}
	from, ok := w.sentAt(sequence)
	if !ok {
		return
	}
	if ttl := r.GetTtl().AsDuration(); ttl > 0 {
		w.session.ttl = ttl
	}
	named := map[uint32]bool{}
	for _, a := range r.GetAssignments() {
		named[a.GetPartition()] = true
		w.assigned(a, from)
	}
	for _, f := range r.GetRefused() {
		w.refused(f)
	}
	for p, h := range w.held {
		if !named[p] {
			h.awaits = false
			w.lose(h, "it is not assigned to this session any more")
		}
	}
}

// sentAt is when a renewal was sent; what was sent before it is forgotten, since
// a later answer knows more.
func (w *worker) sentAt(sequence uint64) (moment, bool) {
	for i, s := range w.sent {
		if s.sequence == sequence {
			w.sent = w.sent[i+1:]
			return s.at, true
		}
	}
	return moment{}, false
}

func (w *worker) nudged(r *pointsmanv1.RenewResponse) {
	for _, a := range r.GetAssignments() {
		if h := w.held[a.GetPartition()]; h != nil && h.lease.Token == a.GetToken() && draining(a) {
			h.lease.finish()
		}
	}
	w.due = time.Now()
}

func draining(a *pointsmanv1.Assignment) bool {
	return a.GetState() == pointsmanv1.LeaseState_LEASE_STATE_DRAINING
}

// assigned takes one grant: a known one is prolonged, a newer one waits until
// the handler of the older has returned, one that was given back is given back
// again, unless the renewal is older than that.
func (w *worker) assigned(a *pointsmanv1.Assignment, from moment) {
	p, h := a.GetPartition(), w.held[a.GetPartition()]
	span := scale(min(a.GetValidFor().AsDuration(), w.session.ttl), holdPart) - w.cfg.Margin
	switch {
	case h != nil && h.lease.Token == a.GetToken():
		h.lease.prolong(from, span)
		if draining(a) {
			h.lease.finish()
		}
	case h != nil:
		h.fenced = h.lease.Token < a.GetToken()
		h.awaits = h.fenced
		w.lose(h, "a newer grant has replaced it")
	case a.GetToken() <= w.past[p].token && !from.mono.After(w.past[p].given):
	case a.GetToken() <= w.past[p].token || w.stopping || draining(a):
		w.held[p] = &holding{lease: w.grant(a, from, 0), cancel: func(error) {}, ended: true}
	case span > w.cfg.since(from):
		w.start(w.grant(a, from, span))
	}
}

func (w *worker) grant(a *pointsmanv1.Assignment, from moment, span time.Duration) *Lease {
	return &Lease{Pool: w.cfg.Pool, Partition: a.GetPartition(), Token: a.GetToken(), Address: a.GetAddress(),
		cfg: w.cfg, calls: w.calls, session: w.session, draining: make(chan struct{}), from: from, span: span}
}

func (w *worker) refused(f *pointsmanv1.RefusedToken) {
	h := w.held[f.GetPartition()]
	if h == nil || h.lease.Token != f.GetToken() {
		return
	}
	h.fenced = f.GetCurrentToken() > f.GetToken()
	w.lose(h, "the cluster refuses it")
}

// start runs the handler.
func (w *worker) start(l *Lease) {
	ctx, cancel := context.WithCancelCause(w.values)
	h := &holding{lease: l, cancel: cancel}
	w.held[l.Partition], w.past[l.Partition] = h, past{token: l.Token}
	w.cfg.Log.Info("lease granted", "partition", l.Partition, "token", l.Token, "address", l.Address)
	w.goes.Go(func() {
		err := w.handle(ctx, l)
		cancel(nil)
		w.tell(func() { w.returned(h, err) })
	})
}

// returned says that a handler has come to its end.
func (w *worker) returned(h *holding, err error) {
	l := h.lease
	h.ended = true
	if Lost(err) && l.Check() == nil {
		w.lose(h, "its handler gives it up")
		w.giveNext = time.Now().Add(giveDelay) // a sink that refuses every token must not fill the log with grants
	}
	unasked := l.Check() == nil && !l.asked()
	w.cfg.Log.Info("handler returned", "partition", l.Partition, "token", l.Token, "asked", !unasked, "error", err)
	if unasked {
		w.stop(err)
	} else if w.stopping && w.err == nil && err != nil && !errors.Is(err, context.Canceled) && !Lost(err) {
		w.err = err
	}
	w.lose(h, "its handler has returned") // before it is released: what the handler left behind sees it
	if h.fenced {
		delete(w.held, l.Partition)
	}
	w.due = time.Now() // what has waited for this end is granted sooner
}

// lose ends a handler's context, since its lease is over.
func (w *worker) lose(h *holding, why string) {
	err := h.lease.lose(why)
	h.cancel(err)
	if h.lost.IsZero() {
		h.lost = time.Now()
	}
	if !h.told && !h.ended {
		h.told = true
		w.cfg.Log.Warn("lease lost", "partition", h.lease.Partition, "token", h.lease.Token, "error", err)
	}
}

// expire ends the handlers whose leases are over by this process's clocks, and
// all of them when the time to finish is.
func (w *worker) expire() {
	for _, h := range w.held {
		if h.lease.Left() <= 0 {
			w.lose(h, "its time is over")
		} else if w.overdue() && !h.ended {
			h.cancel(ErrStopped)
		}
		if h.awaits && !h.ended && time.Since(h.lost) >= w.cfg.Stop+stuckTime {
			w.stop(fmt.Errorf("%w: partition %d, %s after its lease of token %d was lost", ErrStuck, h.lease.Partition, w.cfg.Stop+stuckTime, h.lease.Token))
		}
	}
}

// idle reports whether every handler has returned.
func (w *worker) idle() bool {
	for _, h := range w.held {
		if !h.ended {
			return false
		}
	}
	return true
}

// give releases what handlers have returned from. A release that fails is tried
// again: otherwise the session would hold a partition that nobody works on.
func (w *worker) give() {
	if w.releasing || w.session == nil || time.Now().Before(w.giveNext) {
		return
	}
	var ended []*holding
	r := &pointsmanv1.ReleaseRequest{Session: w.session.id, Key: w.session.key, RequestId: rand.Text()}
	for p, h := range w.held {
		if h.ended {
			ended = append(ended, h)
			r.Released = append(r.Released, &pointsmanv1.HeldToken{Partition: p, Token: h.lease.Token})
		}
	}
	if len(ended) == 0 {
		return
	}
	w.releasing = true
	w.goes.Go(func() {
		_, err := w.calls.Release(w.base, r)
		w.tell(func() { w.released(ended, err) })
	})
}

func (w *worker) released(ended []*holding, err error) {
	w.releasing = false
	if err != nil && !final(err) && client.Reason(err) != fenced { // fenced: they are somebody else's by now
		w.giveNext = time.Now().Add(giveDelay)
		w.cfg.Log.Warn("partitions could not be released", "partitions", len(ended), "error", err)
		return
	}
	for _, h := range ended {
		p := h.lease.Partition
		if w.held[p] == h {
			delete(w.held, p)
			w.past[p] = past{token: max(h.lease.Token, w.past[p].token), given: time.Now()}
			if h.fenced { // what has replaced it waits
				w.due = time.Now()
			}
		}
	}
}

// sessionGone reports whether the cluster knows the session no more.
func sessionGone(err error) bool { return status.Code(err) == codes.NotFound }
