package ovh_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/ovh"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

const (
	endpoint           = "http://api.example:80/1.0"
	service            = "ip-203.0.113.7"
	frontend           = 4711
	farmA, farmB       = 11, 12
	addressA, addressB = "10.0.1.20:6379", "10.0.2.20:6379"
	ownText            = "Redis cache, call the team before editing"

	applicationKey    = "canaryapplicationkey"
	applicationSecret = "canaryapplicationsecret"
	consumerKey       = "canaryconsumerkey"
)

// wire is a network of pipes with one server at its other end.
type wire struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once

	mu   sync.Mutex // guards what follows
	down bool
	made int // connections
}

var errDown = errors.New("connection refused")

func newWire() *wire { return &wire{conns: make(chan net.Conn), done: make(chan struct{})} }

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	w.once.Do(func() { close(w.done) })
	return nil
}

func (w *wire) Addr() net.Addr { return &net.IPAddr{IP: net.IPv4(192, 0, 2, 1)} }

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	down := w.down
	w.made++
	w.mu.Unlock()
	if down {
		return nil, errDown
	}
	ours, theirs := net.Pipe()
	select {
	case w.conns <- theirs:
		return ours, nil
	case <-w.done:
		return nil, errDown
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (w *wire) setDown(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

// lab is a simulated OVH with one load balancer, and the kind that knows how to reach it.
type lab struct {
	sim    *cloud.Sim
	wire   *wire
	kind   *ovh.Kind
	target fsm.TargetSpec
	spec   *pb.OvhIplbTarget
	step   *pb.OvhIplbStep
}

func newLab(t *testing.T, turn ...func(*cloud.Knobs)) *lab {
	t.Helper()
	knobs := cloud.DefaultKnobs()
	for _, f := range turn {
		f(&knobs)
	}
	sim, err := cloud.New(cloud.Config{Knobs: &knobs})
	if err != nil {
		t.Fatal(err)
	}
	seed(t, sim)
	l := &lab{sim: sim, wire: newWire(), spec: &pb.OvhIplbTarget{Endpoint: endpoint, Service: service, Credentials: "file:" + conf(t)}}
	l.step = &pb.OvhIplbStep{
		Frontend: frontend, Farms: map[string]int64{addressA: farmA, addressB: farmB}, Foreign: pb.Foreign_FOREIGN_ADOPT,
	}
	l.kind = ovh.New(ovh.Config{Dial: l.wire.dial})
	params, err := proto.Marshal(l.spec)
	if err != nil {
		t.Fatal(err)
	}
	l.target = fsm.TargetSpec{ID: "lb-par", Kind: ovh.Name, Params: params, Hold: 10 * time.Second}
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
	must := func(_ int64, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := sim.AddService(service, "gra", "sbg"); err != nil {
		t.Fatal(err)
	}
	must(sim.AddFarm(service, cloud.Farm{FarmID: farmA}))
	must(sim.AddFarm(service, cloud.Farm{FarmID: farmB, Port: new(int64(6379))}))
	must(sim.AddServer(farmA, cloud.Server{ServerID: 21, Address: "10.0.1.20", Port: new(int64(6379))}))
	must(sim.AddServer(farmB, cloud.Server{ServerID: 22, Address: "10.0.2.20"})) // the farm's port
	must(sim.AddFrontend(service, cloud.Frontend{
		FrontendID: frontend, Port: "6379", DefaultFarmID: new(int64(farmA)), DisplayName: new(ownText), AllowedSource: []string{"192.0.2.0/24"},
	}))
	sim.AddCredential(cloud.Credential{ApplicationKey: applicationKey, ApplicationSecret: applicationSecret, ConsumerKey: consumerKey})
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
		Kind: l.kind, Name: ovh.Name, Target: l.target, Message: l.step, TargetOf: l.spec, A: addressA, B: addressB,
		Secrets: []string{applicationKey, applicationSecret, consumerKey},
		Outside: l, Late: l,
	}
}

// Value is where traffic goes, if that is the same in all zones.
func (l *lab) Value() fsm.Address {
	var at fsm.Address
	for _, zone := range []string{"gra", "sbg"} {
		f, err := l.sim.Applied(frontend, zone)
		if err != nil || f.DefaultFarmID == nil {
			return ""
		}
		here := map[int64]fsm.Address{farmA: addressA, farmB: addressB}[*f.DefaultFarmID]
		if at != "" && at != here {
			return ""
		}
		at = here
	}
	return at
}

func (l *lab) Seen() (n actuatortest.Requests) {
	for _, c := range l.sim.Journal(0).Calls {
		if c.Foreign || c.Method == cloud.MethodSeed {
			continue
		}
		n.All++
		if c.Write() {
			n.Mutating++
		}
		if c.Frontend != nil && c.Frontend.FarmBefore != c.Frontend.FarmAfter {
			n.Changes++
		}
	}
	return n
}

func (l *lab) Break(f actuatortest.Fault) {
	faults := map[actuatortest.Fault]cloud.Fault{
		actuatortest.FailBefore: {Do: cloud.DoAnswer, Status: 502, HTML: true},
		actuatortest.FailAfter:  {Do: cloud.DoAnswer, When: cloud.After, Status: 500, Code: new(404)},
		actuatortest.LoseBefore: {Do: cloud.DoReset},
		actuatortest.LoseAfter:  {Do: cloud.DoDrop, When: cloud.After},
		actuatortest.Hang:       {Do: cloud.DoHang},
		actuatortest.HangAfter:  {Do: cloud.DoHang, When: cloud.After},
		actuatortest.Garble:     {Do: cloud.DoTruncate, When: cloud.After},
		actuatortest.Refuse:     {Do: cloud.DoAnswer, Status: 403, Message: "key " + consumerKey + " may not do that"},
		actuatortest.TooMany:    {Do: cloud.DoAnswer, Status: 429, RetryAfter: fmt.Sprint(int(actuatortest.RetryAfter.Seconds()))},
		actuatortest.FailRead:   {Do: cloud.DoAnswer, Status: 503, HTML: true, Method: http.MethodGet},
	}
	if f == actuatortest.Unreachable {
		l.wire.setDown(true)
		return
	}
	fault := faults[f]
	if fault.Method != "" {
		l.add(fault)
		return
	}
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		fault.Method = method
		l.add(fault)
	}
}

func (l *lab) add(f cloud.Fault) {
	if _, err := l.sim.AddFault(f); err != nil {
		panic(err) // a fault that this file spells wrong
	}
}

func (l *lab) Mend() {
	l.wire.setDown(false)
	l.sim.ClearFaults()
}

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
