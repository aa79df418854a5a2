package octavia_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/octavia"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/octavia"
	"github.com/pointsman/pointsman/test/clouds/pipe"
)

const (
	lbID               = "11111111-0000-4000-8000-000000000001"
	listenerID         = "22222222-0000-4000-8000-000000000001"
	poolA, poolB       = "33333333-0000-4000-8000-00000000000a", "33333333-0000-4000-8000-00000000000b"
	addressA, addressB = "10.0.1.20:6379", "10.0.2.20:6379"
	ownText            = "Redis cache, call the team before editing"

	credentialID = "7c1b2f0e"
	secret       = "canarysecret"
	password     = "canarypassword"
)

// lab is a simulated Octavia with one load balancer, and the kind that knows how to reach it.
type lab struct {
	sim    *cloud.Sim
	wire   *pipe.Net
	kind   *octavia.Kind
	target fsm.TargetSpec
	spec   *pb.OctaviaTarget
	step   *pb.OctaviaStep
}

func newLab(t *testing.T, turn ...func(*cloud.Knobs)) *lab {
	t.Helper()
	var knobs cloud.Knobs
	knobs.Provision = 2 * time.Second
	for _, f := range turn {
		f(&knobs)
	}
	sim, err := cloud.New(cloud.Config{Knobs: knobs, Endpoint: "http://octavia.example"})
	if err != nil {
		t.Fatal(err)
	}
	seed(t, sim)
	l := &lab{
		sim: sim, wire: pipe.New(),
		spec: &pb.OctaviaTarget{Credentials: "file:" + clouds(t), Cloud: "ovh", Loadbalancer: lbID},
		step: &pb.OctaviaStep{Listener: listenerID, Pools: map[string]string{addressA: poolA, addressB: poolB}},
	}
	l.kind = octavia.New(octavia.Config{Dial: l.wire.Dial})
	params, err := proto.Marshal(l.spec)
	if err != nil {
		t.Fatal(err)
	}
	l.target = fsm.TargetSpec{ID: "lb-par", Kind: octavia.Name, Params: params, Hold: 10 * time.Second}
	server := &http.Server{Handler: sim.Handler()}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l.wire) }()
	t.Cleanup(func() {
		if err := errors.Join(sim.Close(), server.Close()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l
}

func seed(t *testing.T, sim *cloud.Sim) {
	t.Helper()
	sim.AddLoadBalancer(cloud.LoadBalancer{ID: lbID, Name: "redis"})
	for _, err := range []error{
		sim.AddPool(cloud.Pool{ID: poolA, Balancer: lbID, Members: []cloud.Member{{ID: "a", Address: "10.0.1.20", Port: 6379}}}),
		sim.AddPool(cloud.Pool{ID: poolB, Balancer: lbID, Members: []cloud.Member{{ID: "b", Address: "10.0.2.20", Port: 6379}}}),
		sim.AddListener(cloud.Listener{ID: listenerID, Balancer: lbID, Name: "cache", Description: ownText, Port: 6379, Pool: poolA}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	sim.AddUser(cloud.User{CredentialID: credentialID, Secret: secret})
	sim.AddUser(cloud.User{Name: "pointsman", Domain: "Default", Password: password, Project: "p1"})
}

func clouds(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clouds.yaml")
	text := fmt.Sprintf(`clouds:
  other:
    auth: {auth_url: "http://elsewhere.invalid/v3", username: me, password: %[1]s, project_id: p9}
  ovh:
    auth_type: v3applicationcredential
    region_name: EU-WEST-PAR
    auth: {auth_url: "http://keystone.example/v3", application_credential_id: %[2]s, application_credential_secret: %[3]s}
`, password, credentialID, secret)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (l *lab) world() actuatortest.World {
	return actuatortest.World{
		Kind: l.kind, Name: octavia.Name, Target: l.target, Message: l.step, TargetOf: l.spec, A: addressA, B: addressB,
		Secrets: []string{secret, password, "gAAAAA"}, // tokens begin so
		Outside: l, Late: l,
	}
}

// Value is where traffic goes.
func (l *lab) Value() fsm.Address {
	_, members := l.sim.Effect(listenerID)
	if len(members) != 1 || members[0].Disabled {
		return ""
	}
	return fsm.Address(fmt.Sprintf("%s:%d", members[0].Address, members[0].Port))
}

func (l *lab) Seen() (n actuatortest.Requests) {
	for _, c := range l.sim.Journal() {
		if c.Foreign {
			continue
		}
		n.All++
		if c.Write() {
			n.Mutating++
		}
		if c.Listener != nil && c.Listener.PoolBefore != c.Listener.PoolAfter {
			n.Changes++
		}
	}
	return n
}

func (l *lab) Break(f actuatortest.Fault) {
	faults := map[actuatortest.Fault]cloud.Fault{
		actuatortest.FailBefore: {Status: 502, HTML: true},
		actuatortest.FailAfter:  {When: cloud.After, Status: 500},
		actuatortest.LoseBefore: {Do: cloud.DoReset},
		actuatortest.LoseAfter:  {Do: cloud.DoReset, When: cloud.After},
		actuatortest.Hang:       {Do: cloud.DoHang},
		actuatortest.HangAfter:  {Do: cloud.DoHang, When: cloud.After},
		actuatortest.Garble:     {Do: cloud.DoTruncate, When: cloud.After},
		actuatortest.Refuse:     {Status: 403, Message: "user with " + secret + " may not do that"},
		actuatortest.TooMany:    {Status: 429, RetryAfter: fmt.Sprint(int(actuatortest.RetryAfter.Seconds()))},
		actuatortest.FailRead:   {Status: 503, HTML: true, Method: http.MethodGet},
	}
	if f == actuatortest.Unreachable {
		l.wire.SetDown(true)
		return
	}
	fault := faults[f]
	if fault.Method == "" {
		fault.Method = http.MethodPut
	}
	l.add(fault)
}

func (l *lab) add(f cloud.Fault) {
	if err := l.sim.AddFault(f); err != nil {
		panic(err) // a fault that this file spells wrong
	}
}

func (l *lab) Mend() {
	l.wire.SetDown(false)
	l.sim.ClearFaults()
}

func (l *lab) HoldNext() { l.add(cloud.Fault{Method: http.MethodPut, Do: cloud.DoHold}) }

func (l *lab) Deliver() {
	held := l.sim.ReleaseHeld()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(time.Millisecond) {
		for _, c := range l.sim.Journal() {
			if len(held) > 0 && c.Seq == held[0] && !c.Effect.IsZero() {
				return
			}
		}
	}
	panic("nothing was held, or it had no effect")
}
