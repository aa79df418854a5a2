package shopify_test

import (
	"context"
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
	hookURI  = "https://hooks.example.com/shopify/app"
	otherURI = "https://hooks.example.com/elsewhere"
)

// hookLab is a shop in which webhook subscriptions are to stand.
type hookLab struct {
	*lab
	msg *pb.ShopifyWebhooksStep
}

func newHookLab(t *testing.T, login func(*lab, string), turn ...func(*cloud.Knobs)) *hookLab {
	t.Helper()
	return &hookLab{newLab(t, login, turn...), &pb.ShopifyWebhooksStep{Subscriptions: []*pb.ShopifyWebhook{
		{Topic: "orders/create", Uri: hookURI, Name: "orders", IncludeFields: []string{"id", "admin_graphql_api_id"}, Filter: "total_price:>=10"},
		{Topic: "products/update", Uri: hookURI}, {Topic: "app/uninstalled", Uri: hookURI, Format: pb.WebhookFormat_WEBHOOK_FORMAT_JSON},
	}}}
}

func (l *hookLab) world() actuatortest.World {
	return actuatortest.World{
		Kind: l.kind, Name: shopify.HooksName, Target: l.target, Message: l.msg, TargetOf: l.spec, A: addressA, B: addressB, Standing: true,
		Secrets: []string{accessToken, clientSecret, "shpat_granted", "shprt_"}, Outside: l,
	}
}

// standing counts what stands at each place that is wanted.
func (l *hookLab) standing() (out []int) {
	words := map[string]string{"orders/create": "ORDERS_CREATE", "products/update": "PRODUCTS_UPDATE", "app/uninstalled": "APP_UNINSTALLED"}
	for _, want := range l.msg.GetSubscriptions() {
		n := 0
		for _, h := range l.sim.Hooks() {
			if h.Topic == words[want.GetTopic()] && h.URI == want.GetUri() {
				n++
			}
		}
		out = append(out, n)
	}
	return out
}

// Value implements actuatortest.Outside: B where all stand.
func (l *hookLab) Value() fsm.Address {
	for _, n := range l.standing() {
		if n == 0 {
			return ""
		}
	}
	return addressB
}

// Seen implements actuatortest.Outside. Each subscription is a value of its own,
// and the one that was made most often counts.
func (l *hookLab) Seen() (n actuatortest.Requests) {
	made := map[string]int{}
	for _, c := range l.sim.Journal(0).Calls {
		if c.Foreign {
			continue
		}
		if n.All++; c.Write() {
			n.Mutating++
		}
		for _, d := range c.Hooks {
			if d.Refused == "" {
				made[d.Topic+d.URI]++
				n.Changes = max(n.Changes, made[d.Topic+d.URI])
			}
		}
	}
	return n
}

// hookRig is an open actuator in a bubble.
type hookRig struct {
	*hookLab
	t    *testing.T
	tool actuators.Actuator
	plan fsm.Step
}

func withHooks(t *testing.T, f func(*hookRig), turn ...func(*cloud.Knobs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newHookRig(t, newHookLab(t, static, turn...))) })
}

func newHookRig(t *testing.T, l *hookLab) *hookRig {
	t.Helper()
	r := &hookRig{hookLab: l, t: t}
	r.plan = r.step("hooks")
	r.tool = r.another()
	return r
}

func (r *hookRig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *hookRig) step(name string) fsm.Step {
	r.t.Helper()
	in := actuators.StepInput{Master: "cache", Step: name, Target: "shop", Message: r.msg, TargetMsg: r.lab.spec}
	planned, problems := r.kind.Plan(in)
	if len(problems) > 0 {
		r.t.Fatal(problems)
	}
	params, err := proto.Marshal(r.msg)
	r.must(err)
	return fsm.Step{Name: name, Target: "shop", Kind: shopify.HooksName, Object: planned.Object, Class: planned.Class, Params: params, Act: actSpan}
}

// another is the actuator of another process.
func (r *hookRig) another() actuators.Actuator {
	r.t.Helper()
	tool, err := r.kind.Open(r.target, nil)
	r.must(err)
	r.t.Cleanup(func() { r.must(tool.(interface{ Close() error }).Close()) })
	return tool
}

func (r *hookRig) work(n fsm.Number) actuators.Work {
	r.t.Helper()
	id := fsm.FailoverID{Master: "cache", Number: n}
	v, err := r.kind.Render(r.plan, actuators.Facts{Failover: id, From: addressA, To: addressB})
	r.must(err)
	return actuators.Work{Cluster: cluster, Action: fsm.Action{
		ID: id.Action("hooks"), For: id, Phase: fsm.Claimed, Step: r.plan, Target: r.target, Value: v.Value, Wanted: v.Wanted, Attempts: 1,
	}}
}

func (r *hookRig) look(tool actuators.Actuator, w actuators.Work) actuators.Sight {
	r.t.Helper()
	ctx, cancel := span()
	defer cancel()
	reading, err := tool.Read(ctx, actuators.Subject{Step: w.Action.Step})
	r.must(err)
	return tool.Judge(reading, w)
}

func (r *hookRig) act(tool actuators.Actuator, w actuators.Work) error {
	r.t.Helper()
	s := r.look(tool, w)
	ctx, cancel := span()
	defer cancel()
	_, err := tool.Act(ctx, w, s)
	return err
}

// ride drives failover n with an actuator of its own, as the executor does.
func (r *hookRig) ride(n fsm.Number, most time.Duration) (*actuatortest.Ride, actuatortest.End) {
	r.t.Helper()
	w := &actuatortest.Ride{T: r.t, Tool: r.another(), Work: r.work(n), Secrets: r.world().Secrets}
	return w, w.Run(most)
}

func (r *hookRig) check() []string {
	r.t.Helper()
	got, err := r.tool.(actuators.Checker).Check(context.Background(), actuators.Subject{Step: r.plan})
	r.must(err)
	return got
}
