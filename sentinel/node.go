package sentinel

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// node is one candidate, shared by all masters that declare it with the same
// access. One goroutine asks it for its ROLE. Only declared candidates are ever
// dialed: an address that a Sentinel names may be forged, and dialing it would
// hand out the password.
type node struct {
	key     key
	address string
	nudge   chan struct{} // capacity 1: ask now

	// Guarded by Watcher.mu:
	access Access
	refs   []*ref // index is of the role in m
	cancel context.CancelFunc
}

const roleBuffer = 512

// wireNodes, under mu, makes nodes and refs fit the masters.
func (w *Watcher) wireNodes() {
	old := w.nodes
	w.nodes = map[key]*node{}
	for _, m := range w.masters {
		for i, address := range m.spec.Candidates {
			k := keyOf(address, m.spec.Redis)
			n, ok := w.nodes[k]
			if !ok {
				if n, ok = old[k]; !ok {
					n = &node{key: k, address: address, nudge: make(chan struct{}, 1)}
				}
				n.refs = nil
				w.nodes[k] = n
			}
			n.access = m.spec.Redis
			n.refs = append(n.refs, &ref{m: m, index: i})
		}
	}
	for k, n := range old {
		if _, stays := w.nodes[k]; !stays {
			n.refs = nil
			if n.cancel != nil {
				n.cancel()
			}
		}
	}
	for _, n := range w.nodes {
		if n.cancel == nil {
			w.startNode(n)
		}
		n.hurry()
	}
}

// startNode, under mu, does nothing before Run.
func (w *Watcher) startNode(n *node) {
	if w.ctx == nil || w.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(w.ctx)
	n.cancel = cancel
	w.wg.Go(func() { w.watchNode(ctx, n) })
}

func (n *node) hurry() { signal(n.nudge) }

// watchNode asks for ever. A connection that ends in the middle is redialed at
// once, because a promotion cuts all of them (CLIENT KILL) just when the answer
// matters; only when that fails too is the node unreachable.
func (w *Watcher) watchNode(ctx context.Context, n *node) {
	retry := w.newRetry()
	var s *session
	defer func() {
		if s != nil {
			s.close()
		}
	}()
	for ctx.Err() == nil {
		kept := s != nil
		var role Role
		var err error
		s, role, err = w.ask(ctx, n, s)
		if err != nil && kept && !replied(err) && !timedOut(err) {
			s, role, err = w.ask(ctx, n, nil)
		}
		if ctx.Err() != nil {
			return
		}
		wait, hot := w.hear(n, role, err)
		if err != nil {
			wait = min(retry.NextBackOff(), wait)
			if hot {
				wait = min(wait, w.cfg.RoleFast)
			}
		} else {
			retry.Reset()
		}
		pause(ctx, wait, n.nudge)
	}
}

// ask uses s or a new session, and returns the session that is still good.
func (w *Watcher) ask(ctx context.Context, n *node, s *session) (*session, Role, error) {
	if s == nil {
		w.mu.Lock()
		access := n.access
		w.mu.Unlock()
		var err error
		if s, err = w.open(ctx, n.address, access, roleBuffer); err != nil {
			return nil, Role{}, err
		}
	}
	role, err := roleOf(ctx, s.conn)
	if err != nil {
		s.close()
		return nil, Role{}, err
	}
	return s, role, nil
}

// roleOf asks for ROLE:
//
//	master OFFSET [[ip port offset] …]
//	slave MASTER-IP MASTER-PORT LINK OFFSET
//
// Only the first word is judged by; what else is not as expected stays empty.
func roleOf(ctx context.Context, c *redis.Conn) (Role, error) {
	cmd := redis.NewSliceCmd(ctx, "ROLE")
	if err := c.Process(ctx, cmd); err != nil {
		return Role{}, err
	}
	list := cmd.Val()
	if len(list) == 0 {
		return Role{}, fmt.Errorf("%w to ROLE", errReply)
	}
	switch word, _ := list[0].(string); word {
	case RoleMaster:
		r := Role{Role: word}
		if len(list) > 1 {
			r.Offset, _ = list[1].(int64)
		}
		return r, nil
	case RoleSlave:
		return replicaOf(list), nil
	case RoleSentinel:
		return Role{Role: word}, nil
	default:
		return Role{}, fmt.Errorf("%w: role %q", errReply, word)
	}
}

func replicaOf(list []any) Role {
	r := Role{Role: RoleSlave}
	if len(list) != 5 {
		return r
	}
	host, _ := list[1].(string)
	port, _ := list[2].(int64)
	if host != "" {
		r.Master = net.JoinHostPort(host, strconv.FormatInt(port, 10))
	}
	r.Link, _ = list[3].(string)
	r.Offset, _ = list[4].(int64)
	return r
}

// hear takes in an answer and returns when to ask next.
func (w *Watcher) hear(n *node, answer Role, err error) (wait time.Duration, hot bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	answer.At = now
	if err != nil {
		answer = Role{Role: RoleUnreachable, Err: plain(err), At: now}
	}
	for _, r := range n.refs {
		hot = hot || now.Before(r.m.hot)
		old := r.m.roles[r.index]
		answer.Address = old.Address
		r.m.roles[r.index] = answer
		if old.Role != "" && old.Role != answer.Role {
			w.heat(r.m, now)
			hot = true
		}
		if old.Role != answer.Role || old.Err != answer.Err || old.Link != answer.Link || old.Master != answer.Master {
			r.m.tell()
		}
	}
	if hot {
		return w.roleFast(now), true
	}
	rest := time.Duration(len(w.nodes)) * time.Second / time.Duration(w.cfg.RoleRate)
	return jitter(min(max(w.cfg.RoleRest, rest), maxRest)), false
}

// roleFast, under mu, stretches RoleFast when many nodes are in trouble. They
// are counted anew at most once per RoleFast.
func (w *Watcher) roleFast(now time.Time) time.Duration {
	if now.Sub(w.hotAt) > w.cfg.RoleFast {
		w.hotNodes, w.hotAt = 0, now
		for _, m := range w.masters {
			if now.Before(m.hot) {
				w.hotNodes += len(m.roles)
			}
		}
	}
	return w.cfg.RoleFast * time.Duration(max(1, (w.hotNodes+w.cfg.RoleBurst-1)/w.cfg.RoleBurst))
}

// jitter takes off up to a tenth, so that nodes are not asked in step.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/10+1) }
