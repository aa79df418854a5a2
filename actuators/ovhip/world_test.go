package ovhip_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/ovhip"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
	"github.com/pointsman/pointsman/test/clouds/pipe"
)

const (
	endpoint           = "http://api.example:80/1.0"
	block              = "203.0.113.9/32"
	serviceA, serviceB = "ns1.ip-198-51-100.eu", "ns2.ip-198-51-100.eu"
	elsewhere          = "ns9.ip-198-51-100.eu"
	addressA, addressB = "10.0.1.20:6379", "10.0.2.20:6379"
	ownText            = "Redis cache, call the team before editing"

	applicationKey    = "canaryapplicationkey"
	applicationSecret = "canaryapplicationsecret"
	consumerKey       = "canaryconsumerkey"
)

// lab is a simulated OVH with one Additional IP, and the kind that knows how to reach it.
type lab struct {
	sim    *cloud.Sim
	wire   *pipe.Net
	kind   *ovhip.Kind
	target fsm.TargetSpec
	spec   *pb.OvhIpTarget
	step   *pb.OvhIpStep
}

func newLab(t *testing.T, turn ...func(*cloud.IPKnobs)) *lab {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	common := cloud.DefaultKnobs()
	common.TimeWindow = 0 // or what is held over a slow move would be refused for its age
	sim, err := cloud.New(cloud.Config{Knobs: &common})
	must(err)
	knobs := cloud.DefaultIPKnobs()
	for _, f := range turn {
		f(&knobs)
	}
	must(sim.SetIPKnobs(knobs))
	must(sim.AddIP(cloud.IP{Block: block, Service: serviceA, Description: ownText, Destinations: []string{serviceA, serviceB, elsewhere}}))
	sim.AddCredential(cloud.Credential{ApplicationKey: applicationKey, ApplicationSecret: applicationSecret, ConsumerKey: consumerKey})
	l := &lab{sim: sim, wire: pipe.New(), spec: &pb.OvhIpTarget{Endpoint: endpoint, Credentials: "file:" + conf(t)}}
	l.step = &pb.OvhIpStep{Ip: "203.0.113.9", Services: map[string]string{addressA: serviceA, addressB: serviceB}, Foreign: pb.Foreign_FOREIGN_ADOPT}
	l.kind = ovhip.New(ovhip.Config{Dial: l.wire.Dial})
	params, err := proto.Marshal(l.spec)
	must(err)
	l.target = fsm.TargetSpec{ID: "ovh", Kind: ovhip.Name, Params: params, Hold: 10 * time.Second}
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

func conf(t *testing.T) string {
	t.Helper()
	return confFor(t, endpoint)
}

func confFor(t *testing.T, endpoint string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ovh.conf")
	text := fmt.Sprintf("[default]\nendpoint=%s\n\n[%s]\napplication_key=%s\napplication_secret=%s\nconsumer_key=%s\n",
		endpoint, endpoint, applicationKey, applicationSecret, consumerKey)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (l *lab) world() actuatortest.World {
	return actuatortest.World{
		Kind: l.kind, Name: ovhip.Name, Target: l.target, Message: l.step, TargetOf: l.spec, A: addressA, B: addressB,
		Secrets: []string{applicationKey, applicationSecret, consumerKey},
		Outside: l, Late: l,
	}
}

func (l *lab) now() cloud.IP {
	i, err := l.sim.IP(block)
	if err != nil {
		panic(err) // it is seeded
	}
	return i
}

// Value is the candidate at whose service the IP is.
func (l *lab) Value() fsm.Address {
	return map[string]fsm.Address{serviceA: addressA, serviceB: addressB}[l.now().Service]
}

func (l *lab) Seen() (n actuatortest.Requests) {
	for _, c := range l.sim.Journal(0).Calls {
		n.All++
		if c.Write() {
			n.Mutating++
		}
		if c.Method == http.MethodPut {
			n.Marks++
		}
	}
	for _, m := range l.sim.IPMoves() {
		if m.Seq > 0 && m.From != m.To {
			n.Changes++
		}
	}
	return n
}

func (l *lab) Break(f actuatortest.Fault) {
	faults := map[actuatortest.Fault]cloud.Fault{
		actuatortest.FailBefore: {Status: 502, HTML: true},
		actuatortest.FailAfter:  {When: cloud.After, Status: 500, Code: new(404)},
		actuatortest.LoseBefore: {Do: cloud.DoReset},
		actuatortest.LoseAfter:  {Do: cloud.DoDrop, When: cloud.After},
		actuatortest.Hang:       {Do: cloud.DoHang},
		actuatortest.HangAfter:  {Do: cloud.DoHang, When: cloud.After},
		actuatortest.Garble:     {Do: cloud.DoTruncate, When: cloud.After},
		actuatortest.Refuse:     {Status: 403, Message: "key " + consumerKey + " may not do that"},
		actuatortest.TooMany:    {Status: 429, RetryAfter: fmt.Sprint(int(actuatortest.RetryAfter.Seconds()))},
		actuatortest.FailRead:   {Status: 503, HTML: true, Method: http.MethodGet},
	}
	if f == actuatortest.Unreachable {
		l.wire.SetDown(true)
		return
	}
	fault := faults[f]
	if fault.Method == "" {
		fault.Method = http.MethodPost
	}
	l.add(fault)
}

func (l *lab) add(f cloud.Fault) {
	if _, err := l.sim.AddFault(f); err != nil {
		panic(err) // a fault that this file spells wrong
	}
}

func (l *lab) Mend() {
	l.wire.SetDown(false)
	l.sim.ClearFaults()
}

// HoldNext holds the next write: of an action for where the IP is, the marker.
func (l *lab) HoldNext() { l.add(cloud.Fault{Method: http.MethodPut, Do: cloud.DoHold}) }

func (l *lab) Deliver() {
	held := l.sim.Held()
	l.sim.ReleaseHeld(held...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := l.sim.WaitFor(ctx, func(c cloud.Call) bool {
		return len(held) > 0 && c.Seq == held[0] && !c.Effect.IsZero() && c.Phase != cloud.PhaseHeld
	})
	if err != nil {
		panic(err) // nothing was held
	}
}

// posts counts the moves that were asked for.
func (l *lab) posts() (n int) {
	for _, c := range l.sim.Journal(0).Calls {
		if c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/move") {
			n++
		}
	}
	return n
}
