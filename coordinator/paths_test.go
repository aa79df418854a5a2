package coordinator_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/coordinator"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// path puts the simulated balancer's own port into the spec as a data path.
func path(t *testing.T, spec *pointsmanv1.Spec, sim *cloud.Sim, required bool) (address string) {
	t.Helper()
	address, err := sim.DataAddr(frontend, "gra")
	if err != nil {
		t.Fatal(err)
	}
	steps := spec.Masters[0].Plan[0].Steps
	steps[len(steps)-1].Probe = &pointsmanv1.DataPathProbe{Address: address, Required: required}
	return address
}

// probes waits until what all three nodes meet is as wanted, by the word of the
// node i.
func (tr *trio) probes(i int, what string, within time.Duration, good func(*pointsmanv1.ProbeReport) bool) {
	tr.t.Helper()
	ctx, cancel := context.WithTimeout(tr.t.Context(), within)
	defer cancel()
	conn := tr.dial(i)
	for {
		said, err := pointsmanv1.NewMasterServiceClient(conn).GetMaster(ctx, &pointsmanv1.GetMasterRequest{Id: "cache"})
		zones := map[string]bool{}
		for _, r := range said.GetMaster().GetProbes() {
			if good(r) {
				zones[r.GetZone()] = true
			}
		}
		if err == nil && len(zones) == 3 {
			return
		}
		select {
		case <-ctx.Done():
			tr.t.Fatalf("%s, within %s: %v, %v", what, within, said.GetMaster().GetProbes(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func state(want pointsmanv1.ProbeState) func(*pointsmanv1.ProbeReport) bool {
	return func(r *pointsmanv1.ProbeReport) bool { return r.GetState() == want }
}

func (tr *trio) action(id string) *pointsmanv1.Action {
	tr.t.Helper()
	said, err := pointsmanv1.NewActionServiceClient(tr.dial(1)).GetAction(tr.t.Context(), &pointsmanv1.GetActionRequest{Id: id})
	if err != nil {
		tr.t.Fatal(err)
	}
	return said.GetAction()
}

// alert waits for one at the master, by the leader's word.
func (tr *trio) alert(code string) (found *pointsmanv1.Alert) {
	tr.t.Helper()
	conn := tr.dial(tr.leader())
	eventually(tr.t, code, func(ctx context.Context) error {
		said, err := pointsmanv1.NewMasterServiceClient(conn).GetMaster(ctx, &pointsmanv1.GetMasterRequest{Id: "cache"})
		for _, a := range said.GetMaster().GetAlerts() {
			if a.GetCode() == code {
				found = a
				return nil
			}
		}
		return fmt.Errorf("alerts %v, probes %v, %w", said.GetMaster().GetAlerts(), said.GetMaster().GetProbes(), err)
	})
	return found
}

// TestDataPath follows what every zone meets at the balancer through a failover:
// ok, then not while the refresh is held back, then ok within a second; then a
// balancer that goes elsewhere behind our back, which is alerted.
func TestDataPath(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	sim := balanceOf(t, cloud.Config{DataPlane: true}, s, spec)
	path(t, spec, sim, false)
	tr.apply(spec)
	for i := range tr.files {
		tr.probes(i, "at rest", 15*time.Second, state(pointsmanv1.ProbeState_PROBE_STATE_OK))
	}
	_, err := sim.AddFault(cloud.Fault{Method: http.MethodPost, Path: "*/refresh", When: cloud.Before, Do: cloud.DoHold, Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.promote(1, 2)
	tr.probes(1, "before the refresh", 5*time.Second, func(r *pointsmanv1.ProbeReport) bool {
		return r.GetState() == pointsmanv1.ProbeState_PROBE_STATE_NOT_MASTER && r.GetReached() == s.nodes[0].Address()
	})
	s.nodes[0].SetRole("master") // the old one comes back as it was
	tr.probes(2, "before the refresh, two masters", 5*time.Second, func(r *pointsmanv1.ProbeReport) bool {
		return r.GetState() == pointsmanv1.ProbeState_PROBE_STATE_OTHER && r.GetReached() == s.nodes[0].Address()
	})
	if n := sim.ReleaseHeld(); n != 1 {
		t.Fatalf("%d refreshes were held", n)
	}
	eventually(t, "applied", func(context.Context) error {
		if farm, _ := stands(sim); farm != 12 {
			return fmt.Errorf("farm %d", farm)
		}
		return nil
	})
	tr.probes(1, "after the refresh", time.Second+reportSlack, state(pointsmanv1.ProbeState_PROBE_STATE_OK))
	tr.master("settled", func(m *pointsmanv1.Master) bool { return m.GetOpenActions() == 0 })

	if err := sim.ForeignPut(frontend, map[string]any{"defaultFarmId": 11}); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.ForeignRefresh(balancer, "gra"); err != nil {
		t.Fatal(err)
	}
	a := tr.alert(coordinator.AlertPathDisagrees)
	if !strings.Contains(a.GetMessage(), s.nodes[0].Address()) || !strings.Contains(a.GetMessage(), " of 3 zones") {
		t.Error(a)
	}
}

// reportSlack is what a report, this test's own polling, and a loaded machine may add.
const reportSlack = 2 * time.Second

// TestRequiredDataPath: the step is done only when traffic arrives. The balancer
// says applied, and a forwarder in front of it still leads elsewhere.
func TestRequiredDataPath(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	sim := balanceOf(t, cloud.Config{DataPlane: true}, s, spec)
	path(t, spec, sim, true)
	front := forward(t, s.nodes[0].Address())
	steps := spec.Masters[0].Plan[0].Steps
	steps[len(steps)-1].Probe.Address = front.address()
	tr.apply(spec)
	s.promote(1, 2)
	eventually(t, "applied", func(context.Context) error {
		if farm, _ := stands(sim); farm != 12 {
			return fmt.Errorf("farm %d", farm)
		}
		return nil
	})
	a := tr.alert(coordinator.AlertPathAwaited)
	if a.GetSubject() != "cache/1/lb" || !strings.Contains(a.GetMessage(), s.nodes[0].Address()) {
		t.Error(a)
	}
	if got := tr.action("cache/1/lb"); got.GetState() != pointsmanv1.ActionState_ACTION_STATE_WAITING {
		t.Errorf("the step is %s", got.GetState())
	}
	puts := writes(sim)
	front.turn(s.nodes[1].Address())
	tr.master("settled", func(m *pointsmanv1.Master) bool { return m.GetOpenActions() == 0 })
	if got := tr.action("cache/1/lb"); got.GetState() != pointsmanv1.ActionState_ACTION_STATE_DONE {
		t.Errorf("the step is %s", got.GetState())
	}
	if now := writes(sim); now != puts || puts != 1 {
		t.Errorf("%d writes to the frontend, then %d", puts, now)
	}

	// The leader does not get through; another zone does.
	tr.cuts[tr.leader()].forbid(front.address())
	front.turn(s.nodes[0].Address())
	s.promote(0, 3)
	tr.master("settled by another zone's word", func(m *pointsmanv1.Master) bool { return m.GetNumber() == 2 && m.GetOpenActions() == 0 })
}

// writes counts the changes of the frontend that the provider took.
func writes(sim *cloud.Sim) (n int) {
	for _, c := range sim.Journal(0).Calls {
		if c.Method == http.MethodPut && strings.Contains(c.Path, fmt.Sprint(frontend)) {
			n++
		}
	}
	return n
}

// forwarder is a tiny TCP balancer in front of one address at a time.
type forwarder struct {
	l  net.Listener
	to chan string // capacity 1
}

func forward(t *testing.T, to string) *forwarder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{l: l, to: make(chan string, 1)}
	f.to <- to
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.pipe(c)
		}
	}()
	return f
}

func (f *forwarder) address() string { return f.l.Addr().String() }

func (f *forwarder) turn(to string) { <-f.to; f.to <- to }

func (f *forwarder) pipe(client net.Conn) {
	defer func() { _ = client.Close() }()
	to := <-f.to
	f.to <- to
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	_, _ = io.Copy(client, server)
}
