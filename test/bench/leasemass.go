package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// mass is many leases held.
type mass struct {
	Side    string  `json:"side"`
	Leases  int     `json:"leases"`
	Granted float64 `json:"granted_s"`     // until all were held
	RSS     float64 `json:"rss_mib"`       // of the largest node
	Entries float64 `json:"entries_per_s"` // of the log, while all are renewed
}

// massRenew is how often many leases are renewed.
const massRenew = 2 * time.Second

// hold holds many leases, a session for each pool, and looks at the nodes.
func (b *bench) hold(ctx context.Context, c *cluster, o leaseOptions) (mass, error) {
	b.say("%s: %d leases are held", byPointsman, o.leases)
	out := mass{Side: byPointsman, Leases: o.leases}
	o.beats = 0
	if err := o.declare(ctx, c); err != nil {
		return out, err
	}
	conn, err := client.DialNode(c.leader, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(8<<20)))
	if err != nil {
		return out, err
	}
	defer conn.Close()
	began := time.Now()
	var all []*beater
	for i := range poolsFor(o.leases) {
		s, err := newBeater(ctx, conn, fmt.Sprint(massPool, i), "mass", 0)
		if err != nil {
			return out, err
		}
		all = append(all, s)
	}
	renew := func(ctx context.Context) error { return renewAll(ctx, all, o.leases) }
	if err := lab.Until(ctx, 2*time.Minute, "all to be held", renew); err != nil {
		return out, err
	}
	out.Granted = tenth(time.Since(began).Seconds())
	return out, out.steady(ctx, c, func() error {
		for began := time.Now(); time.Since(began) < o.span; {
			if err := renew(ctx); err != nil {
				return err
			}
			if err := rest(ctx, massRenew); err != nil {
				return err
			}
		}
		return nil
	})
}

// renewAll has each renew once; they are to hold so many together.
func renewAll(ctx context.Context, all []*beater, want int) error {
	held := 0
	for _, s := range all {
		n, err := s.renew(ctx)
		if err != nil {
			return err
		}
		held += n
	}
	if held != want {
		return fmt.Errorf("%d of %d leases are held", held, want)
	}
	return nil
}

// holdBesides does the same at etcd, where each lease is renewed by itself, three
// times in its ttl.
func (b *bench) holdBesides(ctx context.Context, e *etcd, o leaseOptions) (mass, error) {
	b.say("%s: %d leases are held", byEtcd, o.leases)
	out := mass{Side: byEtcd, Leases: o.leases}
	l, took, err := newLessees(ctx, e, o.leases, o.leases/beatsConn+1)
	if err != nil {
		return out, err
	}
	out.Granted = tenth(took)
	all, hangUp, err := l.connect(ctx)
	if err != nil {
		return out, err
	}
	defer hangUp()
	return out, out.steady(ctx, e, func() error {
		_, err := pace(ctx, all, l, float64(o.leases)/(calmTTL/3).Seconds(), o.span)
		return err
	})
}

// steady looks at log and memory while all leases are renewed.
func (m *mass) steady(ctx context.Context, on nodes, renew func() error) error {
	from, err := on.last(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := renew(); err != nil {
		return err
	}
	to, err := on.last(ctx)
	if err != nil {
		return err
	}
	m.Entries = tenth(float64(to-from) / time.Since(began).Seconds())
	u, err := used(on.pids())
	m.RSS = tenth(float64(u.RSS) / (1 << 20))
	return err
}
