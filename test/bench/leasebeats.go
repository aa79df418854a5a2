package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// beatsConn is how many streams share a connection: a node allows 128.
const beatsConn = 100

// beats is renewals over streams, as many as come through.
type beats struct {
	Sessions int     `json:"sessions"` // each with one renewal under way
	Rate     float64 `json:"per_second"`
	Delay    spread  `json:"delay_ms"` // from before it was sent to its answer
	P99      float64 `json:"p99_ms"`
	PerCPU   float64 `json:"per_cpu_second"` // of the three nodes together
}

// mass is many leases held.
type mass struct {
	Leases  int     `json:"leases"`
	Granted float64 `json:"granted_s"`     // until all were held
	RSS     float64 `json:"rss_mib"`       // of the largest node
	Entries float64 `json:"entries_per_s"` // of the log, while all are renewed
}

// beater is a session that is renewed by hand.
type beater struct {
	calls   pointsmanv1.LeaseServiceClient
	renewal *pointsmanv1.RenewRequest
}

func newBeater(ctx context.Context, conn *client.Client, pool, worker string) (*beater, error) {
	s := &beater{calls: pointsmanv1.NewLeaseServiceClient(conn.Conn())}
	key := rand.Text()
	resp, err := s.calls.OpenSession(ctx, &pointsmanv1.OpenSessionRequest{Pool: pool, Worker: worker, Key: key})
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
	s.renewal.Held = nil
	for _, a := range resp.GetAssignments() {
		s.renewal.Held = append(s.renewal.Held, &pointsmanv1.HeldToken{Partition: a.GetPartition(), Token: a.GetToken()})
	}
	return len(resp.GetAssignments()), nil
}

// beat renews over a stream until ctx ends, one after another, and answers how
// long each took.
func (s *beater) beat(ctx context.Context) (took []float64, err error) {
	stream, err := s.calls.KeepAlive(ctx)
	for n := uint64(1); err == nil; n++ {
		sent := time.Now()
		if err = stream.Send(&pointsmanv1.KeepAliveRequest{Sequence: n, Renewal: s.renewal}); err != nil {
			break
		}
		for answer := (*pointsmanv1.KeepAliveResponse)(nil); answer.GetSequence() != n; {
			if answer, err = stream.Recv(); err != nil {
				break
			}
		}
		if err == nil {
			took = append(took, millis(time.Since(sent)))
		}
	}
	if ctx.Err() != nil {
		err = nil
	}
	return took, err
}

// keepalives has many sessions renew at once for a span.
func (b *bench) keepalives(ctx context.Context, c *cluster, o leaseOptions) (beats, error) {
	b.say("%d sessions renew for %s", o.beats, o.span)
	out := beats{Sessions: o.beats}
	var all []*beater
	for i := 0; i < o.beats; i += beatsConn {
		conn, err := client.DialNode(c.leader)
		if err != nil {
			return out, err
		}
		defer conn.Close() //nolint:revive // few, and all until the end
		if err := open(ctx, conn, &all, min(beatsConn, o.beats-i)); err != nil {
			return out, err
		}
	}
	before, err := cpu(c)
	if err != nil {
		return out, err
	}
	run, cancel := context.WithTimeout(ctx, o.span)
	defer cancel()
	var mu sync.Mutex
	var took []float64
	var failed error
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() {
			mine, err := s.beat(run)
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, mine...), errors.Join(failed, err)
		})
	}
	wg.Wait()
	after, err := cpu(c)
	if err := errors.Join(err, failed); err != nil || len(took) == 0 {
		return out, fmt.Errorf("%d renewals were answered: %w", len(took), err)
	}
	slices.Sort(took)
	out.Rate, out.Delay, out.P99 = tenth(float64(len(took))/o.span.Seconds()), spreadOf(took), took[len(took)*99/100]
	out.PerCPU = tenth(float64(len(took)) / max((after-before).Seconds(), 0.01))
	return out, nil
}

// open makes sessions on one connection.
func open(ctx context.Context, conn *client.Client, all *[]*beater, n int) error {
	for range n {
		s, err := newBeater(ctx, conn, beatPool, fmt.Sprint("beat-", len(*all)))
		if err != nil {
			return err
		}
		*all = append(*all, s)
	}
	return nil
}

// cpu is what the nodes have taken together.
func cpu(c *cluster) (sum time.Duration, err error) {
	for _, n := range c.List() {
		u, err := lab.UsageOf(n.PID())
		if err != nil {
			return 0, err
		}
		sum += u.CPU
	}
	return sum, nil
}

// massRenew is how often many leases are renewed.
const massRenew = 2 * time.Second

// hold holds many leases, a session for each pool, and looks at the nodes.
func (b *bench) hold(ctx context.Context, c *cluster, o leaseOptions) (mass, error) {
	b.say("%d leases are held", o.leases)
	out := mass{Leases: o.leases}
	conn, err := client.DialNode(c.leader, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(8<<20)))
	if err != nil {
		return out, err
	}
	defer conn.Close()
	var all []*beater
	for i := range o.pools() {
		s, err := newBeater(ctx, conn, fmt.Sprint(massPool, i), "mass")
		if err != nil {
			return out, err
		}
		all = append(all, s)
	}
	renew := func(ctx context.Context) (held int, err error) {
		for _, s := range all {
			n, err := s.renew(ctx)
			if err != nil {
				return held, err
			}
			held += n
		}
		return held, nil
	}
	began := time.Now()
	err = lab.Until(ctx, 2*time.Minute, "all to be held", func(ctx context.Context) error {
		held, err := renew(ctx)
		if err == nil && held != o.leases {
			err = fmt.Errorf("%d of %d are", held, o.leases)
		}
		return err
	})
	if err != nil {
		return out, err
	}
	out.Granted = tenth(time.Since(began).Seconds())
	return out, b.steady(ctx, c, o, conn, &out, renew)
}

// steady looks at log and memory while all leases are renewed.
func (b *bench) steady(ctx context.Context, c *cluster, o leaseOptions, conn *client.Client, out *mass, renew func(context.Context) (int, error)) error {
	index := func() (uint64, error) {
		resp, err := pointsmanv1.NewClusterServiceClient(conn.Conn()).GetCluster(ctx, &pointsmanv1.GetClusterRequest{})
		return resp.GetHeader().GetAppliedIndex(), err
	}
	from, err := index()
	if err != nil {
		return err
	}
	began := time.Now()
	for time.Since(began) < o.span {
		held, err := renew(ctx)
		if err == nil && held != o.leases {
			err = fmt.Errorf("%d of %d leases are held", held, o.leases)
		}
		if err != nil {
			return err
		}
		if err := rest(ctx, massRenew); err != nil {
			return err
		}
	}
	to, err := index()
	if err != nil {
		return err
	}
	out.Entries = tenth(float64(to-from) / time.Since(began).Seconds())
	for _, n := range c.List() {
		u, err := lab.UsageOf(n.PID())
		if err != nil {
			return err
		}
		out.RSS = max(out.RSS, tenth(float64(u.RSS)/(1<<20)))
	}
	return nil
}
