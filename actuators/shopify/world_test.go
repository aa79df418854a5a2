package shopify_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/shopify"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

const (
	addressA, addressB = "10.0.1.20:6379", "10.0.2.20:6379"
	namespace          = "pointsman"
	key, otherKey      = "redis_connection", "zone"
	accessToken        = "shpat_canarytokenvalue"
	clientID           = "canaryclient"
	clientSecret       = "shpss_canarysecret"
	cluster            = actuatortest.Cluster
)

var errDown = errors.New("connection refused")

// lab is a simulated shop, and the kind that knows how to reach it.
type lab struct {
	sim    *cloud.Sim
	kind   *shopify.Kind
	spec   *pb.ShopifyTarget
	step   *pb.ShopifyMetafieldsStep
	target fsm.TargetSpec
	shelf  *shelf // of tokens that rotate

	mu   sync.Mutex // guards down
	down bool
}

func static(l *lab, dir string) {
	path := filepath.Join(dir, "token")
	if err := os.WriteFile(path, []byte(accessToken+"\n"), 0o600); err != nil {
		panic(err)
	}
	l.spec.Token = "file:" + path
	l.sim.AddToken(accessToken)
}

func granted(l *lab, dir string) {
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte(clientSecret), 0o600); err != nil {
		panic(err)
	}
	l.spec.ClientCredentials = &pb.ShopifyClientCredentials{ClientId: clientID, ClientSecret: "file:" + path}
	l.sim.AddApp(clientID, clientSecret)
}

func newLab(t *testing.T, login func(*lab, string), turn ...func(*cloud.Knobs)) *lab {
	t.Helper()
	knobs := cloud.DefaultKnobs()
	for _, f := range turn {
		f(&knobs)
	}
	sim, err := cloud.New(cloud.Config{Knobs: &knobs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &lab{sim: sim, spec: &pb.ShopifyTarget{Shop: "example.myshopify.com", ApiVersion: "2026-10", Endpoint: "http://example.myshopify.com"}}
	l.step = &pb.ShopifyMetafieldsStep{Namespace: namespace, Values: map[string]string{key: "redis://{{.New}}/0?x=1&y=2", otherKey: "{{.Zone}}"}}
	l.kind = shopify.New(shopify.Config{Dial: l.dial})
	login(l, t.TempDir())
	params, err := proto.Marshal(l.spec)
	if err != nil {
		t.Fatal(err)
	}
	l.target = fsm.TargetSpec{ID: "shop", Kind: shopify.TargetName, Params: params, Hold: 10 * time.Second}
	return l
}

func (l *lab) dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	down := l.down
	l.mu.Unlock()
	if down {
		return nil, errDown
	}
	return l.sim.DialPipe(ctx, network, address)
}

func (l *lab) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *lab) world() actuatortest.World {
	return actuatortest.World{
		Kind: l.kind, Name: shopify.Name, Target: l.target, Message: l.step, TargetOf: l.spec, A: addressA, B: addressB,
		Secrets: []string{accessToken, clientSecret, "shpat_granted", "shprt_"}, Outside: l, Late: l,
	}
}

// Value implements actuatortest.Outside.
func (l *lab) Value() fsm.Address {
	text, _ := l.sim.Value(namespace, key)
	w, ok := cloud.ParseWords(text)
	if !ok {
		return ""
	}
	for _, a := range []string{addressA, addressB} {
		if w.Value == fmt.Sprintf("redis://%s/0?x=1&y=2", a) {
			return fsm.Address(a)
		}
	}
	return ""
}

// Seen implements actuatortest.Outside.
func (l *lab) Seen() (n actuatortest.Requests) {
	for _, c := range l.sim.Journal(0).Calls {
		if c.Foreign {
			continue
		}
		n.All++
		if !c.Write() {
			continue
		}
		n.Mutating++
		for _, set := range c.Sets {
			before, _ := cloud.ParseWords(set.Before)
			after, _ := cloud.ParseWords(set.After)
			if c.Accepted && set.Key == key && before.Value != after.Value {
				n.Changes++
			}
		}
	}
	return n
}

// Break implements actuatortest.Outside.
func (l *lab) Break(f actuatortest.Fault) {
	faults := map[actuatortest.Fault]cloud.Fault{
		actuatortest.FailBefore: {Status: 502, HTML: true},
		actuatortest.FailAfter:  {When: cloud.After, Status: 500},
		actuatortest.LoseBefore: {Do: cloud.DoDrop},
		actuatortest.LoseAfter:  {Do: cloud.DoDrop, When: cloud.After},
		actuatortest.Hang:       {Do: cloud.DoHang},
		actuatortest.HangAfter:  {Do: cloud.DoHang, When: cloud.After},
		actuatortest.Garble:     {Do: cloud.DoTruncate, When: cloud.After},
		actuatortest.Refuse:     {Status: 403, Message: "token " + accessToken + " may not do that"},
		actuatortest.TooMany:    {Status: 429, RetryAfter: fmt.Sprintf("%.1f", actuatortest.RetryAfter.Seconds())},
		actuatortest.FailRead:   {Status: 503, HTML: true},
	}
	if f == actuatortest.Unreachable {
		l.setDown(true)
		return
	}
	fault := faults[f]
	fault.Op = cloud.OpWrite
	if f == actuatortest.FailRead {
		fault.Op = cloud.OpRead
	}
	l.add(fault)
}

func (l *lab) add(f cloud.Fault) {
	if _, err := l.sim.AddFault(f); err != nil {
		panic(err) // a fault that this file spells wrong
	}
}

// Mend implements actuatortest.Outside.
func (l *lab) Mend() {
	l.setDown(false)
	l.sim.ClearFaults()
}

// HoldNext implements actuatortest.Late.
func (l *lab) HoldNext() { l.add(cloud.Fault{Op: cloud.OpWrite, Do: cloud.DoHold}) }

// Deliver implements actuatortest.Late.
func (l *lab) Deliver() {
	held := l.sim.Held()
	l.sim.ReleaseHeld(held...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := l.sim.WaitFor(ctx, func(c cloud.Call) bool {
		return len(held) > 0 && c.Seq == held[0] && (c.Accepted || c.Refused != "") && c.Phase != cloud.PhaseHeld
	})
	if err != nil {
		panic(err) // nothing was held
	}
}

// rig is an open actuator in a bubble, with what the executor would keep.
type rig struct {
	*lab
	t    *testing.T
	tool actuators.Actuator
	plan fsm.Step
}

func inBubble(t *testing.T, login func(*lab, string), f func(*rig), turn ...func(*cloud.Knobs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(newRig(t, newLab(t, login, turn...)))
	})
}

func newRig(t *testing.T, l *lab) *rig {
	t.Helper()
	r := &rig{lab: l, t: t}
	planned, problems := l.kind.Plan(r.input())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	params, err := proto.Marshal(l.step)
	r.must(err)
	r.plan = fsm.Step{
		Name: "shopify", Target: "shop", Kind: shopify.Name, Object: planned.Object, Class: planned.Class, Params: params, Act: actSpan,
	}
	r.tool, err = l.kind.Open(l.target, nil)
	r.must(err)
	t.Cleanup(func() { r.must(r.tool.(interface{ Close() error }).Close()) })
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (l *lab) input() actuators.StepInput {
	return actuators.StepInput{
		Master: "cache", Step: "shopify", Target: "shop", Message: l.step, TargetMsg: l.spec,
		Candidates: []fsm.Candidate{{Address: addressA, Zone: "a"}, {Address: addressB, Zone: "b"}},
	}
}

// work is the action of failover n, claimed.
func (r *rig) work(n fsm.Number, to fsm.Address) actuators.Work {
	r.t.Helper()
	id := fsm.FailoverID{Master: "cache", Number: n}
	v, err := r.kind.Render(r.plan, actuators.Facts{Failover: id, From: addressA, To: to, Epoch: fsm.Epoch(n), Zone: "z"})
	r.must(err)
	return actuators.Work{Cluster: cluster, Action: fsm.Action{
		ID: id.Action("shopify"), For: id, Phase: fsm.Claimed, Step: r.plan, Target: r.target, Value: v.Value, Wanted: v.Wanted, Attempts: 1,
	}}
}

func span() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), actSpan)
}

func (r *rig) look(w actuators.Work) actuators.Sight {
	r.t.Helper()
	s, err := r.see(w)
	r.must(err)
	return s
}

func (r *rig) see(w actuators.Work) (actuators.Sight, error) {
	ctx, cancel := span()
	defer cancel()
	reading, err := r.tool.Read(ctx, actuators.Subject{Step: w.Action.Step})
	if err != nil {
		return actuators.Sight{}, err
	}
	return r.tool.Judge(reading, w), nil
}

// act acts on a sight under a claim that names its version.
func (r *rig) act(w actuators.Work, s actuators.Sight) (actuators.Outcome, error) {
	ctx, cancel := span()
	defer cancel()
	w.Action.Version = s.Version
	return r.tool.Act(ctx, w, s)
}

// write brings failover n to its end without faults.
func (r *rig) write(n fsm.Number, to fsm.Address) {
	r.t.Helper()
	w := r.work(n, to)
	_, err := r.act(w, r.look(w))
	r.must(err)
	if s := r.look(w); s.Verdict != actuators.Applied {
		r.t.Fatalf("after the write: %s, %s", s.Verdict, s.Detail)
	}
}
