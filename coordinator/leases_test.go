package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const workTTL = 2 * time.Second

// withPool adds a pool of four that the master's failovers move, in a stage that
// begins when the endpoint before it answers.
func withPool(t *testing.T, spec *pointsmanv1.Spec) (shut *atomic.Bool) {
	t.Helper()
	shut = &atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if shut.Load() && r.Method == http.MethodPost {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef-hook\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec.Targets = map[string]*pointsmanv1.Target{
		"hook": {Rate: 6000, Hold: durationpb.New(time.Second), Kind: &pointsmanv1.Target_Http{Http: &pointsmanv1.HttpTarget{
			Url: server.URL, Secret: "file:" + secret, Allow: []string{"127.0.0.0/8"},
		}}},
	}
	m := spec.Masters[0]
	m.Plan[0].Steps = append(m.Plan[0].Steps, &pointsmanv1.Step{Name: "hook", Target: "hook", Timeout: durationpb.New(time.Second), Kind: &pointsmanv1.Step_Http{Http: &pointsmanv1.HttpStep{Value: "{{.New}}"}}})
	m.Plan = append(m.Plan, &pointsmanv1.Stage{Stage: "announce", Steps: []*pointsmanv1.Step{
		{Name: "workers", Kind: &pointsmanv1.Step_Leases{Leases: &pointsmanv1.LeasesStep{Pool: "work"}}},
	}})
	spec.Pools = map[string]*pointsmanv1.PoolSpec{
		"work": {Master: "cache", Partitions: 4, Ttl: durationpb.New(workTTL), Drain: durationpb.New(2 * time.Second), LockDelay: durationpb.New(0)},
	}
	return shut
}

// hand is a worker on a stream: it renews, notes what it is told, and releases
// what drains.
type hand struct {
	tr      *trio
	name    string
	key     string
	session uint64

	mu     sync.Mutex
	holds  map[uint32]*pointsmanv1.Assignment // by partition, as told last
	tokens map[uint32]map[uint64]string       // every token that it was told of, and the address that came with it
	pushed int                                // messages that nobody had asked for
}

func (tr *trio) hire(name string) *hand {
	tr.t.Helper()
	h := &hand{tr: tr, name: name, key: "the key of worker " + name, holds: map[uint32]*pointsmanv1.Assignment{}, tokens: map[uint32]map[uint64]string{}}
	eventually(tr.t, "session", func(ctx context.Context) error {
		got, err := pointsmanv1.NewLeaseServiceClient(tr.dial(1)).OpenSession(ctx, &pointsmanv1.OpenSessionRequest{Pool: "work", Worker: name, Key: h.key, RequestId: name})
		h.session = got.GetSession().GetId()
		return err
	})
	ctx, cancel := context.WithCancel(tr.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			_ = h.stream(ctx, i%3) // the next node may lead
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	tr.t.Cleanup(func() { cancel(); <-done })
	return h
}

// stream speaks with one node until that ends it.
func (h *hand) stream(ctx context.Context, node int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	service := pointsmanv1.NewLeaseServiceClient(h.tr.dial(node))
	s, err := service.KeepAlive(ctx)
	if err != nil {
		return err
	}
	answers := make(chan *pointsmanv1.KeepAliveResponse)
	go func() {
		defer close(answers)
		for {
			m, err := s.Recv()
			if err != nil {
				return
			}
			select {
			case answers <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		for range answers { // until its reader has ended
		}
	}()
	defer cancel()
	for sequence := uint64(1); ; sequence++ {
		if err := s.Send(&pointsmanv1.KeepAliveRequest{Sequence: sequence, Renewal: &pointsmanv1.RenewRequest{Session: h.session, Key: h.key}}); err != nil {
			return err
		}
		for pause := time.After(workTTL / 6); pause != nil; {
			select {
			case m, ok := <-answers:
				if !ok {
					return errors.New("ended")
				}
				if err := h.take(ctx, service, m); err != nil {
					return err
				}
			case <-pause:
				pause = nil
			}
		}
	}
}

func (h *hand) take(ctx context.Context, service pointsmanv1.LeaseServiceClient, m *pointsmanv1.KeepAliveResponse) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.GetSequence() == 0 {
		h.pushed++
	}
	clear(h.holds)
	release := &pointsmanv1.ReleaseRequest{Session: h.session, Key: h.key}
	for _, a := range m.GetRenewal().GetAssignments() {
		p := a.GetPartition()
		if h.tokens[p] == nil {
			h.tokens[p] = map[uint64]string{}
		}
		h.tokens[p][a.GetToken()] = a.GetAddress()
		h.holds[p] = a
		if a.GetState() == pointsmanv1.LeaseState_LEASE_STATE_DRAINING {
			release.Released = append(release.Released, &pointsmanv1.HeldToken{Partition: p, Token: a.GetToken()})
		}
	}
	if len(release.GetReleased()) == 0 {
		return nil
	}
	_, err := service.Release(ctx, release)
	return err
}

func (h *hand) has() map[uint32]*pointsmanv1.Assignment {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[uint32]*pointsmanv1.Assignment{}
	for p, a := range h.holds {
		all[p] = a
	}
	return all
}

func (tr *trio) pool(what string, good func(*pointsmanv1.Pool) bool) (got *pointsmanv1.Pool) {
	tr.t.Helper()
	eventually(tr.t, what, func(ctx context.Context) error {
		said, err := pointsmanv1.NewLeaseServiceClient(tr.dial(2)).GetPool(ctx, &pointsmanv1.GetPoolRequest{Id: "work"})
		if got = said.GetPool(); err == nil && !good(got) {
			err = fmt.Errorf("pool is %v", got)
		}
		return err
	})
	return got
}

// shared waits until the workers were told that they hold all four partitions,
// two each, for one address.
func shared(t *testing.T, address string, hands ...*hand) map[uint32]uint64 {
	t.Helper()
	tokens := map[uint32]uint64{}
	eventually(t, "all is held for "+address, func(context.Context) error {
		clear(tokens)
		for _, h := range hands {
			holds := h.has()
			if len(holds) != 4/len(hands) {
				return fmt.Errorf("%s holds %v", h.name, holds)
			}
			for p, a := range holds {
				if a.GetState() != pointsmanv1.LeaseState_LEASE_STATE_HELD || a.GetAddress() != address {
					return fmt.Errorf("%s holds %v", h.name, a)
				}
				tokens[p] = a.GetToken()
			}
		}
		if len(tokens) != 4 {
			return fmt.Errorf("tokens %v", tokens)
		}
		return nil
	})
	return tokens
}

// TestLeasesMoveInAFailover follows two workers over real streams through a
// failover: the entry that accepts it holds the pool back, nothing is granted
// until the plan says so, and then new tokens and the new address come together.
// A leader that goes costs nobody a lease.
func TestLeasesMoveInAFailover(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	shut := withPool(t, spec)
	tr.apply(spec)
	one, two := tr.hire("w1"), tr.hire("w2")
	from, to := s.nodes[0].Address(), s.nodes[1].Address()
	old := shared(t, from, one, two)

	shut.Store(true)
	s.promote(1, 2)
	p := tr.pool("suspended, and all given back", func(p *pointsmanv1.Pool) bool { return p.GetSuspendedBy() != "" && p.GetFree() == 4 })
	if p.GetSuspendedBy() != "cache/1" || p.GetAddress() != from {
		t.Errorf("in the failover: %v", p)
	}
	shut.Store(false)
	fresh := shared(t, to, one, two)
	if p := tr.pool("open", func(p *pointsmanv1.Pool) bool { return p.GetSuspendedBy() == "" }); p.GetAddress() != to || p.GetHeld() != 4 {
		t.Errorf("after it: %v", p)
	}
	for p, token := range old {
		if fresh[p] <= token {
			t.Errorf("partition %d: token %d after %d", p, fresh[p], token)
		}
	}
	for _, h := range []*hand{one, two} {
		h.neverTheOld(t, to, old)
		h.fenced(t, old, fresh)
	}

	gone := tr.leader()
	tr.stop(gone)
	for range 3 {
		time.Sleep(workTTL / 2) // a lease that nobody renewed would have ended by then
		if kept := shared(t, to, one, two); fmt.Sprint(kept) != fmt.Sprint(fresh) {
			t.Errorf("the leader went, and tokens are %v, were %v", kept, fresh)
		}
	}
}

// neverTheOld: no token above the old ones came with another address than the
// new one.
func (h *hand) neverTheOld(t *testing.T, to string, old map[uint32]uint64) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, all := range h.tokens {
		for token, address := range all {
			if token > old[p] && address != to {
				t.Errorf("%s was told of token %d of %d for %s", h.name, token, p, address)
			}
		}
	}
	if h.pushed == 0 {
		t.Errorf("%s was never told without asking", h.name)
	}
}

// fenced: the old tokens are refused, with those that fence them.
func (h *hand) fenced(t *testing.T, old, fresh map[uint32]uint64) {
	t.Helper()
	service := pointsmanv1.NewLeaseServiceClient(h.tr.dial(0))
	r := &pointsmanv1.RenewRequest{Session: h.session, Key: h.key}
	for p, token := range old {
		r.Held = append(r.Held, &pointsmanv1.HeldToken{Partition: p, Token: token})
	}
	got, err := service.Renew(t.Context(), r)
	if err != nil || len(got.GetRefused()) != len(old) {
		t.Fatalf("%s renews old tokens: %v, %v", h.name, got, err)
	}
	for _, x := range got.GetRefused() {
		if x.GetCurrentToken() != fresh[x.GetPartition()] {
			t.Errorf("%s is told %v, the token is %d", h.name, x, fresh[x.GetPartition()])
		}
	}
	for p, token := range old {
		_, err := service.CheckToken(t.Context(), &pointsmanv1.CheckTokenRequest{Id: fmt.Sprintf("work/%d", p), Token: token})
		if status.Code(err) != codes.Aborted || client.Reason(err) != "LEASE_FENCED" {
			t.Errorf("token %d of %d: %v", token, p, err)
		}
	}
}
