//go:build !failpoints

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/client/leases"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// hand is a worker inside of this process that holds what it is granted until it
// is asked for it.
type hand struct {
	name string
	stop func()

	mu    sync.Mutex
	taken []*leases.Lease // all that were granted, the newest last
	ended int             // handlers that have returned
	begun func(*leases.Lease)
}

// hire starts a worker; stop ends it, as the test does.
func hire(ctx context.Context, t *testing.T, c *client.Client, pool, name string, begun func(*leases.Lease)) *hand {
	t.Helper()
	h, done := &hand{name: name, begun: begun}, make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(done)
		if err := leases.Run(ctx, c.Conn(), leases.Config{Pool: pool, Worker: name, Stop: time.Second}, h.hold); err != nil {
			t.Errorf("worker %s: %v", name, err)
		}
	}()
	h.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		c.Close()
	})
	t.Cleanup(h.stop)
	return h
}

func (h *hand) hold(ctx context.Context, l *leases.Lease) error {
	h.begun(l)
	h.mu.Lock()
	h.taken = append(h.taken, l)
	h.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-l.Draining():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended++
	return nil
}

// good lists the leases that the worker believes in.
func (h *hand) good() (list []*leases.Lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.taken {
		if l.Check() == nil {
			list = append(list, l)
		}
	}
	return list
}

func (h *hand) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended == len(h.taken)
}

// holds waits until the worker believes in so many leases.
func (d *days) holds(ctx context.Context, t *testing.T, h *hand, n int) {
	t.Helper()
	d.until(ctx, t, fmt.Sprintf("%s to hold %d", h.name, n), func(context.Context) error {
		if got := len(h.good()); got != n {
			return fmt.Errorf("it holds %d", got)
		}
		return nil
	})
}

func unwatched(*leases.Lease) {}

// overlap notes what is granted to one worker while another believes in it.
type overlap struct {
	mu    sync.Mutex
	other []*leases.Lease
	early []string
}

func (o *overlap) follow(other []*leases.Lease) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.other = other
}

func (o *overlap) granted(l *leases.Lease) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.other {
		if left := m.Left(); m.Partition == l.Partition && left > 0 {
			o.early = append(o.early, fmt.Sprintf("%s, with %s left", l.ID(), left))
		}
	}
}

func (o *overlap) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.early
}

// dial connects as a worker does: to whoever leads among the endpoints.
func (d *days) dial(t *testing.T, endpoints ...string) *client.Client {
	t.Helper()
	c, err := client.Dial(endpoints)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// relays puts one before the API of each node.
func (d *days) relays(t *testing.T) (map[string]*relay, []string) {
	t.Helper()
	all, endpoints := map[string]*relay{}, []string{}
	for _, n := range d.nodes.List() {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed with the relay
		if err != nil {
			t.Fatal(err)
		}
		all[n.ID()] = startRelay(l, n.GRPC())
		t.Cleanup(all[n.ID()].close)
		endpoints = append(endpoints, l.Addr().String())
	}
	return all, endpoints
}

// cutFromLeader: a worker that reaches every node but the leader loses its lease
// by its own clock before another is granted it, and works again when it is
// mended. One that goes through another node notices nothing.
func (d *days) cutFromLeader(ctx context.Context, t *testing.T) {
	relays, endpoints := d.relays(t)
	a := hire(ctx, t, d.dial(t, endpoints...), "cut", "a", unwatched)
	d.holds(ctx, t, a, 2)
	watch := &overlap{other: a.good()}
	b := hire(ctx, t, d.dial(t, strings.Split(d.nodes.Endpoints(), ",")...), "cut", "b", watch.granted)
	d.holds(ctx, t, a, 1)
	d.holds(ctx, t, b, 1)
	watch.follow(a.good())
	near := hire(ctx, t, d.follower(ctx, t), "near", "near", unwatched)
	d.holds(ctx, t, near, 1)
	through := near.good()[0]
	d.until(ctx, t, "b to hold both", func(ctx context.Context) error {
		leader, err := d.nodes.Leader(ctx)
		if err != nil {
			return err
		}
		relays[leader.ID()].set(silent) // whoever leads now
		if n := len(b.good()); n != 2 {
			return fmt.Errorf("it holds %d", n)
		}
		return nil
	})
	if early := watch.seen(); len(early) > 0 || len(a.good()) > 0 {
		t.Errorf("granted to b while a believed in them: %q; a still holds %d", early, len(a.good()))
	}
	for _, r := range relays {
		r.set(passing)
	}
	d.holds(ctx, t, a, 1)
	d.holds(ctx, t, b, 1)
	if err := through.Check(); err != nil {
		t.Errorf("a worker that went through another node: %v", err)
	}
}

// follower connects to one node that does not lead.
func (d *days) follower(ctx context.Context, t *testing.T) *client.Client {
	t.Helper()
	var other *lab.Node
	d.until(ctx, t, "a node that does not lead", func(ctx context.Context) error {
		leader, err := d.nodes.Leader(ctx)
		if err != nil {
			return err
		}
		for _, n := range d.nodes.List() {
			if n != leader {
				other = n
			}
		}
		return nil
	})
	c, err := client.DialAny([]string{other.GRPC()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// quorumLost: two of three coordinators are killed. Within one ttl no worker
// believes in any lease and no handler runs; with the two back, work goes on
// under higher tokens.
func (d *days) quorumLost(ctx context.Context, t *testing.T) {
	a := hire(ctx, t, d.dial(t, strings.Split(d.nodes.Endpoints(), ",")...), "quorum", "a", unwatched)
	b := hire(ctx, t, d.dial(t, strings.Split(d.nodes.Endpoints(), ",")...), "quorum", "b", unwatched)
	d.holds(ctx, t, a, 2)
	d.holds(ctx, t, b, 2)
	was := append(a.good(), b.good()...)
	dead := d.nodes.List()[:2]
	for _, n := range dead {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if err := rest(ctx, quorumTTL); err != nil {
		t.Fatal(err)
	}
	for _, l := range was {
		if err := l.Check(); !errors.Is(err, leases.ErrLost) {
			t.Errorf("%s, one ttl without a quorum: %v", l.ID(), err)
		}
	}
	d.until(ctx, t, "every handler to return", func(context.Context) error {
		if !a.idle() || !b.idle() {
			return errors.New("some run")
		}
		return nil
	})
	d.restart(ctx, t, dead...)
	d.until(ctx, t, "all to be held again", func(context.Context) error {
		if n := len(a.good()) + len(b.good()); n != 4 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	for _, l := range append(a.good(), b.good()...) {
		for _, old := range was {
			if l.Partition == old.Partition && l.Token <= old.Token {
				t.Errorf("%s has token %d after %d", l.ID(), l.Token, old.Token)
			}
		}
	}
}
