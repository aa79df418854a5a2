package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// beatsConn is how many streams share a connection: a node allows 128.
const beatsConn = 100

// atOnce is how many sessions or leases are opened at a time.
const atOnce = 128

// beater is a session that is renewed by hand.
type beater struct {
	calls   pointsmanv1.LeaseServiceClient
	renewal *pointsmanv1.RenewRequest
}

// newBeater opens a session for at most so many partitions; 0: all of the pool.
func newBeater(ctx context.Context, conn *client.Client, pool, worker string, capacity uint32) (*beater, error) {
	s := &beater{calls: pointsmanv1.NewLeaseServiceClient(conn.Conn())}
	key := rand.Text()
	resp, err := s.calls.OpenSession(ctx, &pointsmanv1.OpenSessionRequest{Pool: pool, Worker: worker, Key: key, Capacity: capacity})
	if err != nil {
		return nil, err
	}
	s.renewal = &pointsmanv1.RenewRequest{Session: resp.GetSession().GetId(), Key: key}
	return s, nil
}

// renew answers how many partitions are held.
func (s *beater) renew(ctx context.Context) (int, error) {
	resp, err := s.calls.Renew(ctx, s.renewal)
	if err != nil {
		return 0, err
	}
	return s.take(resp), nil
}

// take names what is held in the next renewal.
func (s *beater) take(resp *pointsmanv1.RenewResponse) int {
	s.renewal.Held = s.renewal.Held[:0]
	for _, a := range resp.GetAssignments() {
		s.renewal.Held = append(s.renewal.Held, &pointsmanv1.HeldToken{Partition: a.GetPartition(), Token: a.GetToken()})
	}
	return len(resp.GetAssignments())
}

// last implements nodes. The node that is asked stands first, and reads what it
// has: another read would add an entry.
func (c *cluster) last(ctx context.Context) (uint64, error) {
	conn, err := client.DialNode(c.leader)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	resp, err := pointsmanv1.NewClusterServiceClient(conn.Conn()).GetCluster(ctx, &pointsmanv1.GetClusterRequest{
		Read: &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_STALE},
	})
	if err != nil || len(resp.GetCluster().GetNodes()) == 0 {
		return 0, fmt.Errorf("ask for the log's last entry: %w", err)
	}
	return resp.GetCluster().GetNodes()[0].GetLastIndex(), nil
}

// pids implements nodes.
func (c *cluster) pids() (list []int) {
	for _, n := range c.List() {
		list = append(list, n.PID())
	}
	return list
}

// workers is our side: sessions that hold one partition each.
type workers struct {
	*cluster
	list []*beater
}

// newWorkers opens sessions and renews until each holds its partition.
func newWorkers(ctx context.Context, c *cluster, o leaseOptions) (*workers, error) {
	w := &workers{cluster: c, list: make([]*beater, o.beats)}
	conn, err := client.DialNode(c.leader)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	err = some(o.beats, func(i int) (err error) {
		w.list[i], err = newBeater(ctx, conn, fmt.Sprint(beatPool, i/massEach), fmt.Sprint("beat-", i), 1)
		return err
	})
	if err != nil {
		return nil, err
	}
	all, hangUp, err := w.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	return w, lab.Until(ctx, handWithin, "each to hold its partition", func(context.Context) error {
		_, err := together(all)
		held := 0
		for _, s := range w.list {
			held += len(s.renewal.GetHeld())
		}
		if err == nil && held != o.beats {
			err = fmt.Errorf("%d of %d do", held, o.beats)
		}
		return err
	})
}

// connect implements party.
func (w *workers) connect(ctx context.Context) (all []pulse, hangUp func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var conns []*client.Client
	hangUp = func() {
		cancel()
		for _, conn := range conns {
			conn.Close()
		}
	}
	for i, s := range w.list {
		if i%beatsConn == 0 {
			conn, err := client.DialNode(w.leader)
			if err != nil {
				hangUp()
				return nil, nil, err
			}
			conns = append(conns, conn)
		}
		s.calls = pointsmanv1.NewLeaseServiceClient(conns[len(conns)-1].Conn())
		all = append(all, &streamed{beater: s, ctx: ctx})
	}
	return all, hangUp, nil
}

// streamed is a session that is renewed over a stream, opened at its first beat.
type streamed struct {
	*beater
	ctx    context.Context //nolint:containedctx // of the stream
	stream pointsmanv1.LeaseService_KeepAliveClient
	n      uint64
}

// beat implements pulse.
func (s *streamed) beat() (err error) {
	if s.stream == nil {
		if s.stream, err = s.calls.KeepAlive(s.ctx); err != nil {
			return err
		}
	}
	s.n++
	if err := s.stream.Send(&pointsmanv1.KeepAliveRequest{Sequence: s.n, Renewal: s.renewal}); err != nil {
		_, why := s.stream.Recv()
		return errors.Join(err, why)
	}
	for {
		answer, err := s.stream.Recv()
		if err != nil {
			return err
		}
		had := len(s.renewal.GetHeld())
		if s.take(answer.GetRenewal()) < had {
			return fmt.Errorf("session %d has lost its partition", s.renewal.GetSession())
		}
		if answer.GetSequence() == s.n { // else it tells of a change
			return nil
		}
	}
}

// some does n things, some at a time, and answers the first error.
func some(n int, do func(i int) error) error {
	var next atomic.Int64
	failed := make(chan error, atOnce)
	var wg sync.WaitGroup
	for range min(atOnce, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
