package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// cut is a way to Sentinels and Redis nodes that can be taken away.
type cut struct {
	mu    sync.Mutex
	off   bool
	never string // the one address that is not reached
	conns []net.Conn
}

func (c *cut) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off || address == c.never {
		return nil, errors.New("cut")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cut) cutOff() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// forbid takes one address away.
func (c *cut) forbid(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.never = address
}

func (c *cut) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off, c.conns = false, nil
}

// flap cuts it for a while.
func (c *cut) flap(d time.Duration) {
	c.cutOff()
	time.Sleep(d)
	c.mend()
}

// sights are three Sentinels and two Redis nodes that say what they are told.
type sights struct {
	sentinels, nodes []*redislab.Fake
}

func newSights(t *testing.T) *sights {
	t.Helper()
	s := &sights{}
	for _, role := range []string{"sentinel", "sentinel", "sentinel", "master", "slave"} {
		f, err := redislab.NewFake(role)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
		if role == "sentinel" {
			s.sentinels = append(s.sentinels, f)
		} else {
			s.nodes = append(s.nodes, f)
		}
	}
	s.say(0, 1)
	return s
}

func (s *sights) say(node int, epoch uint64) {
	for _, f := range s.sentinels {
		f.Say("mymaster", redislab.Claim{Address: s.nodes[node].Address(), Epoch: epoch, OtherSentinels: 2})
	}
}

func (s *sights) promote(node int, epoch uint64) {
	for i, f := range s.nodes {
		f.SetRole(map[bool]string{true: "master", false: "slave"}[i == node])
	}
	s.say(node, epoch)
}

func (s *sights) spec() *pointsmanv1.Spec {
	m := &pointsmanv1.MasterSpec{
		Id: "cache", Sentinel: &pointsmanv1.SentinelSpec{Name: "mymaster"},
		Plan: []*pointsmanv1.Stage{{Stage: "cutover", Steps: []*pointsmanv1.Step{{
			Name: "url", Kind: &pointsmanv1.Step_Setting{Setting: &pointsmanv1.SettingStep{Key: "cache/url", Value: "redis://{{.New}}"}},
		}}}},
	}
	for _, f := range s.sentinels {
		m.Sentinel.Addresses = append(m.Sentinel.Addresses, f.Address())
	}
	for i, f := range s.nodes {
		m.Candidates = append(m.Candidates, &pointsmanv1.Candidate{Address: f.Address(), Zone: fmt.Sprint("zone-", i)})
	}
	return &pointsmanv1.Spec{Masters: []*pointsmanv1.MasterSpec{m}}
}

func (tr *trio) apply(spec *pointsmanv1.Spec) {
	tr.t.Helper()
	eventually(tr.t, "apply", func(ctx context.Context) error {
		_, err := pointsmanv1.NewSpecServiceClient(tr.dial(0)).ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: spec})
		return err
	})
	tr.master("the first view", func(m *pointsmanv1.Master) bool { return m.GetAddress() != "" })
}

func (tr *trio) master(what string, good func(*pointsmanv1.Master) bool) (got *pointsmanv1.Master) {
	tr.t.Helper()
	eventually(tr.t, what, func(ctx context.Context) error {
		said, err := pointsmanv1.NewMasterServiceClient(tr.dial(1)).GetMaster(ctx, &pointsmanv1.GetMasterRequest{Id: "cache"})
		if got = said.GetMaster(); err == nil && !good(got) {
			err = fmt.Errorf("master is %v", got)
		}
		return err
	})
	return got
}

func (tr *trio) setting(want string) {
	tr.t.Helper()
	eventually(tr.t, "setting", func(ctx context.Context) error {
		said, err := pointsmanv1.NewSettingServiceClient(tr.dial(2)).GetSetting(ctx, &pointsmanv1.GetSettingRequest{Key: "cache/url"})
		if v := said.GetSetting().GetValue(); err == nil && v != want {
			err = fmt.Errorf("setting is %q", v)
		}
		return err
	})
}

// TestSwitchIsCarriedOut follows one switch from the Sentinels' word to the
// setting that apps read, and back.
func TestSwitchIsCarriedOut(t *testing.T) {
	s, tr := newSights(t), three(t)
	tr.apply(s.spec())
	for i, node := range []int{1, 0, 1} {
		s.promote(node, uint64(i+2))
		tr.setting("redis://" + s.nodes[node].Address())
		m := tr.master("settled", func(m *pointsmanv1.Master) bool { return m.GetOpenActions() == 0 })
		if m.GetNumber() != uint64(i+1) || m.GetEpoch() != uint64(i+2) || m.GetAddress() != s.nodes[node].Address() {
			t.Fatalf("after switch %d: %v", i+1, m)
		}
	}
}

// TestLeaderCutFromSentinelsLearnsFromPeers takes every Sentinel and Redis node
// from the leader's sight: its followers tell it of the switch.
func TestLeaderCutFromSentinelsLearnsFromPeers(t *testing.T) {
	s, tr := newSights(t), three(t)
	tr.apply(s.spec())
	leader := tr.leader()
	tr.cuts[leader].cutOff()
	s.promote(1, 2)
	tr.setting("redis://" + s.nodes[1].Address())
	if now := tr.leader(); now != leader {
		t.Errorf("leadership moved from %d to %d: the test proves nothing", leader, now)
	}
	m := tr.master("told by peers", func(m *pointsmanv1.Master) bool { return m.GetNumber() == 1 })
	t.Log(m.GetSentinels())
}

// TestRoleVetoHoldsASwitchBack pins that Sentinels' word alone is not enough.
func TestRoleVetoHoldsASwitchBack(t *testing.T) {
	s, tr := newSights(t), three(t)
	tr.apply(s.spec())
	s.say(1, 2) // all three name it; it answers ROLE slave
	tr.master("the veto is an alert", func(m *pointsmanv1.Master) bool {
		for _, a := range m.GetAlerts() {
			if a.GetCode() == "ROLE_VETO" {
				return m.GetNumber() == 0
			}
		}
		return false
	})
	s.promote(1, 2)
	tr.setting("redis://" + s.nodes[1].Address())
}

// TestSecretThatDoesNotResolveIsRefusedAtApply pins that nothing changes then.
func TestSecretThatDoesNotResolveIsRefusedAtApply(t *testing.T) {
	s, tr := newSights(t), three(t)
	tr.leader()
	spec := s.spec()
	spec.Masters[0].Redis = &pointsmanv1.RedisSpec{User: "observer", Password: "env:POINTSMAN_TEST_NOT_SET"}
	_, err := pointsmanv1.NewSpecServiceClient(tr.dial(0)).ApplySpec(t.Context(), &pointsmanv1.ApplySpecRequest{Spec: spec})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "masters[0].redis.password") {
		t.Fatalf("got %v", err)
	}
	got, err := pointsmanv1.NewSpecServiceClient(tr.dial(0)).GetSpec(t.Context(), &pointsmanv1.GetSpecRequest{})
	if err != nil || got.GetRevision().GetRevision() != 0 {
		t.Fatalf("revision %v, %v", got.GetRevision().GetRevision(), err)
	}
}
