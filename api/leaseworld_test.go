package api

import (
	"context"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// Renew implements Leaser: judged by the newest state, as package leases does.
func (n *node) Renew(ctx context.Context, r Renewal) (Renewed, error) {
	n.tape.mu.Lock()
	lead, s := n.tape.lead, n.tape.state
	n.tape.mu.Unlock()
	if lead != n.id {
		return Renewed{}, &NotLeaderError{}
	}
	if n.barrier != nil {
		select {
		case <-n.barrier:
		case <-ctx.Done():
			return Renewed{}, ctx.Err()
		}
	}
	v, ok := s.Session(r.Session)
	if !ok || v.Key != r.Key {
		return Renewed{}, ErrNoSession
	}
	out := Renewed{State: s, Session: v}
	for _, l := range s.Holdings(v) {
		out.Assigned = append(out.Assigned, RenewedLease{l, 7 * time.Second})
	}
	for _, item := range r.Held {
		if l, ok := s.Lease(v.Pool, item.Number); !ok || l.Token != item.Token || l.Session != v.ID || !l.State.Owned() {
			out.Refused = append(out.Refused, RefusedLease{item, l})
		}
	}
	return out, ctx.Err()
}

// Subscribe implements Leaser: every change of the state nudges.
func (n *node) Subscribe(id fsm.SessionID) (<-chan struct{}, func()) {
	if n.between != nil {
		n.between()
	}
	c := make(chan struct{}, 1)
	n.tape.mu.Lock()
	defer n.tape.mu.Unlock()
	if n.subs == nil {
		n.subs = map[chan struct{}]fsm.SessionID{}
	}
	n.subs[c] = id
	return c, func() {
		n.tape.mu.Lock()
		defer n.tape.mu.Unlock()
		delete(n.subs, c)
	}
}

// nudge is called under the tape's lock.
func (n *node) nudge() {
	for c := range n.subs {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
