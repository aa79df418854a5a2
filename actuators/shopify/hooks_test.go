package shopify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

// TestHookConformance runs the suite, with that of class readable, over both ways
// to log in and over what changes how an answer looks.
func TestHookConformance(t *testing.T) {
	for name, turn := range map[string]func(*cloud.Knobs){
		"default":                 func(*cloud.Knobs) {},
		"fields of the future":    func(k *cloud.Knobs) { k.StrangerFields = true },
		"throttled by 429":        func(k *cloud.Knobs) { k.Throttle = cloud.ThrottleStatus },
		"a second one is taken":   func(k *cloud.Knobs) { k.HookAgain = cloud.HookAgainAccepted },
		"pages of one":            func(k *cloud.Knobs) { k.HookPage = 1 },
		"the list lags":           func(k *cloud.Knobs) { k.HookLag = 2 * time.Second },
		"the list lags, accepted": func(k *cloud.Knobs) { k.HookLag, k.HookAgain = 2*time.Second, cloud.HookAgainAccepted },
		"a newer version serves":  func(k *cloud.Knobs) { k.Oldest = "2027-01" },
	} {
		t.Run(name, func(t *testing.T) {
			actuatortest.Run(t, func(t *testing.T) actuatortest.World {
				l := newHookLab(t, static, turn)
				l.sim.AddHook(cloud.Hook{Topic: "ORDERS_CREATE", URI: otherURI})
				l.sim.AddHook(cloud.Hook{Topic: "SHOP_UPDATE", URI: hookURI})
				return l.world()
			})
		})
	}
	t.Run("granted", func(t *testing.T) {
		actuatortest.Run(t, func(t *testing.T) actuatortest.World { return newHookLab(t, granted).world() })
	})
}

// TestHookVerdicts: how an action judges what stands.
func TestHookVerdicts(t *testing.T) {
	orders := cloud.Hook{Topic: "ORDERS_CREATE", URI: hookURI, Name: "orders", Filter: "total_price:>=10", Fields: []string{"admin_graphql_api_id", "id"}}
	products, gone := cloud.Hook{Topic: "PRODUCTS_UPDATE", URI: hookURI}, cloud.Hook{Topic: "APP_UNINSTALLED", URI: hookURI}
	with := func(h cloud.Hook, f func(*cloud.Hook)) cloud.Hook { f(&h); return h }
	for name, c := range map[string]struct {
		stands []cloud.Hook
		work   func(*fsm.Action)
		want   actuators.Verdict
		owed   bool
		says   string // in the detail
		warns  string // in the warning; empty: there is none
	}{
		"all":           {stands: []cloud.Hook{orders, products, gone}, want: actuators.Applied, says: "3 of 3 stand"},
		"none":          {want: actuators.Absent, owed: true, says: "missing: orders/create, products/update, app/uninstalled to " + hookURI + "; 0 of 3 stand"},
		"one missing":   {stands: []cloud.Hook{orders, gone}, want: actuators.Absent, owed: true, says: "missing: products/update to " + hookURI},
		"another place": {stands: []cloud.Hook{with(orders, func(h *cloud.Hook) { h.URI, h.Name = otherURI, "" }), products, gone}, want: actuators.Absent, owed: true, says: "missing: orders/create", warns: "orders/create goes to 1 other addresses too (" + otherURI + "), left alone"},
		"other place too": {stands: []cloud.Hook{orders, {Topic: "ORDERS_CREATE", URI: otherURI}, products, gone}, want: actuators.Applied, says: "3 of 3",
			warns: "orders/create goes to 1 other addresses too"},
		"of no topic of ours": {stands: []cloud.Hook{orders, {Topic: "SHOP_UPDATE", URI: otherURI}, products, gone}, want: actuators.Applied},
		"twice":               {stands: []cloud.Hook{orders, products, products, gone}, want: actuators.Applied, warns: "products/update to " + hookURI + " stands 2 times"},
		"another filter": {stands: []cloud.Hook{with(orders, func(h *cloud.Hook) { h.Filter = "id:1" }), products, gone}, want: actuators.Applied,
			warns: "stands with another filter: delete it to have it made anew"},
		"filter spaced":  {stands: []cloud.Hook{with(orders, func(h *cloud.Hook) { h.Filter = " total_price:>=10 " }), products, gone}, want: actuators.Applied},
		"another name":   {stands: []cloud.Hook{with(orders, func(h *cloud.Hook) { h.Name, h.Fields = "", nil }), products, gone}, want: actuators.Applied, warns: "another name and include_fields"},
		"another format": {stands: []cloud.Hook{orders, with(products, func(h *cloud.Hook) { h.Format = "XML" }), gone}, want: actuators.Foreign, says: "products/update to " + hookURI + " stands in XML, not JSON"},
		"name is another's": {stands: []cloud.Hook{{Topic: "SHOP_UPDATE", URI: otherURI, Name: "orders"}, products, gone}, want: actuators.Foreign,
			says: "its name orders is that of SHOP_UPDATE to " + otherURI},
		"gone since": {stands: []cloud.Hook{products, gone}, work: func(a *fsm.Action) { a.Phase = fsm.Done }, want: actuators.Foreign, says: "missing: orders/create"},
		"to be repaired": {stands: []cloud.Hook{products, gone}, work: func(a *fsm.Action) { a.Mend = true }, want: actuators.Absent, owed: true,
			says: "missing: orders/create"},
	} {
		t.Run(name, func(t *testing.T) {
			withHooks(t, func(r *hookRig) {
				for _, h := range c.stands {
					r.sim.AddHook(h)
				}
				w := r.work(1)
				if c.work != nil {
					c.work(&w.Action)
				}
				s := r.look(r.tool, w)
				if s.Verdict != c.want || s.Owed != c.owed || !strings.Contains(s.Detail, c.says) || (c.warns == "") != (s.Warning == "") || !strings.Contains(s.Warning, c.warns) {
					t.Errorf("%s, owed %t, %q, warning %q", s.Verdict, s.Owed, s.Detail, s.Warning)
				}
				if want := actuators.ShownIf(c.want == actuators.Applied); r.tool.(actuators.Comparer).Compare(s.Reading, w.Action) != want {
					t.Errorf("compared: not %d", want)
				}
			})
		})
	}
}

// TestHookIsMadeAsWanted: one request for all, with what the spec says of each.
func TestHookIsMadeAsWanted(t *testing.T) {
	withHooks(t, func(r *hookRig) {
		r.sim.AddHook(cloud.Hook{Topic: "PRODUCTS_UPDATE", URI: hookURI})
		r.must(r.act(r.tool, r.work(1)))
		var got []string
		for _, h := range r.sim.Hooks() {
			got = append(got, fmt.Sprintf("%s %s %s %q %v", h.Topic, h.Format, h.Name, h.Filter, h.Fields))
		}
		want := []string{`PRODUCTS_UPDATE JSON  "" []`, `ORDERS_CREATE JSON orders "total_price:>=10" [admin_graphql_api_id id]`, `APP_UNINSTALLED JSON  "" []`}
		if !slices.Equal(got, want) || r.Seen().Mutating != 1 {
			t.Errorf("%q by %d requests", got, r.Seen().Mutating)
		}
		r.look(r.tool, r.work(1))
		if n := r.series(); n != 4 {
			t.Errorf("%d series, want one for each word", n)
		}
		time.Sleep(16 * time.Minute)
		if n := r.series(); n != 0 {
			t.Errorf("%d series long after the last look", n)
		}
	})
}

// series counts those of the metric of webhooks.
func (r *hookRig) series() (n int) {
	r.t.Helper()
	all := prometheus.NewRegistry()
	r.must(all.Register(r.kind))
	families, err := all.Gather()
	r.must(err)
	for _, f := range families {
		if f.GetName() == "pointsman_shopify_webhooks" {
			n = len(f.GetMetric())
		}
	}
	return n
}

// TestHookOfADeadLeader: its request lands after the next leader has looked and
// made what was missing. Shopify is known to refuse the second; were it to take
// it, there would be two, which is told, and nothing is deleted.
func TestHookOfADeadLeader(t *testing.T) {
	for again, want := range map[cloud.HookAgain][]int{cloud.HookAgainRefused: {1, 1, 1}, cloud.HookAgainAccepted: {1, 2, 2}} { // a name is one subscription's
		t.Run(string(again), func(t *testing.T) {
			withHooks(t, func(r *hookRig) {
				r.HoldNext()
				if err := r.act(r.tool, r.work(1)); !actuators.Explain(err).Doubt {
					t.Fatalf("a held request: %v, want doubt", err)
				}
				next := r.another()
				r.must(r.act(next, r.work(1)))
				r.Deliver()
				if got := r.standing(); !slices.Equal(got, want) {
					t.Errorf("%v stand, want %v", got, want)
				}
				w := r.work(1)
				w.Action.Phase = fsm.Done
				s := r.look(next, w)
				if surplus := strings.Contains(s.Warning, "stands 2 times"); s.Verdict != actuators.Applied || surplus != (again == cloud.HookAgainAccepted) {
					t.Errorf("%s, %s, warning %q", s.Verdict, s.Detail, s.Warning)
				}
			}, func(k *cloud.Knobs) { k.HookAgain = again })
		})
	}
}

// TestHookListLags: what Shopify has clearly made is not made again while the list
// does not show it, by the process that knows. Another one knows nothing of it, and
// Shopify's refusal of a second is then what keeps it one.
func TestHookListLags(t *testing.T) {
	for _, again := range []cloud.HookAgain{cloud.HookAgainRefused, cloud.HookAgainAccepted} {
		t.Run(string(again), func(t *testing.T) {
			withHooks(t, func(r *hookRig) {
				r.must(r.act(r.tool, r.work(1)))
				if s := r.look(r.tool, r.work(1)); s.Verdict != actuators.Busy || s.After == 0 || !strings.Contains(s.Detail, "asked for, and not listed yet") {
					t.Fatalf("%s, %s", s.Verdict, s.Detail)
				}
				time.Sleep(11 * time.Second)
				if s := r.look(r.tool, r.work(1)); s.Verdict != actuators.Applied || r.Seen().Mutating != 1 {
					t.Fatalf("%s, %s, %d writes", s.Verdict, s.Detail, r.Seen().Mutating)
				}
				for _, h := range r.sim.Hooks() {
					for range 8 {
						r.sim.FailDelivery(h.ID)
					}
				}
				time.Sleep(31 * time.Second)
				r.must(r.act(r.tool, r.work(2)))
				err := r.act(r.another(), r.work(2))
				if again == cloud.HookAgainRefused {
					if x := actuators.Explain(err); err == nil || x.Doubt || x.Permanent || x.After == 0 || !strings.Contains(err.Error(), "already and does not list it") {
						t.Errorf("%v", err)
					}
				}
				if got := r.standing(); again == cloud.HookAgainRefused && !slices.Equal(got, []int{1, 1, 1}) {
					t.Errorf("%v stand", got)
				}
			}, func(k *cloud.Knobs) { k.HookLag, k.HookAgain = 10*time.Second, again })
		})
	}
}

// TestHookIsForgotten: one that is removed right after it was made is missed when
// the list has had its time.
func TestHookIsForgotten(t *testing.T) {
	withHooks(t, func(r *hookRig) {
		r.must(r.act(r.tool, r.work(1)))
		for _, h := range r.sim.Hooks() {
			for range 8 {
				r.sim.FailDelivery(h.ID)
			}
		}
		if s := r.look(r.tool, r.work(1)); s.Verdict != actuators.Busy {
			t.Errorf("at once: %s, %s", s.Verdict, s.Detail)
		}
		time.Sleep(31 * time.Second)
		if s := r.look(r.tool, r.work(1)); s.Verdict != actuators.Absent {
			t.Errorf("later: %s, %s", s.Verdict, s.Detail)
		}
	})
}

// TestHookRefusals: what is said against one is stuck by its words; the others are made.
func TestHookRefusals(t *testing.T) {
	withHooks(t, func(r *hookRig) {
		err := r.act(r.tool, r.work(1))
		if x := actuators.Explain(err); !x.Permanent || x.Doubt || len(x.Requests) == 0 || !strings.Contains(err.Error(), "orders/create: You cannot create") ||
			!strings.Contains(err.Error(), "takes the scope read_orders or read_marketplace_orders") || !strings.Contains(err.Error(), "made: products/update, app/uninstalled") {
			t.Errorf("%v", err)
		}
		if got := r.standing(); !slices.Equal(got, []int{0, 1, 1}) {
			t.Errorf("%v stand", got)
		}
	}, func(k *cloud.Knobs) { k.Granted = "read_products" })
}

// TestHookScopes: what a topic takes is told beforehand.
func TestHookScopes(t *testing.T) {
	for granted, want := range map[string][]string{
		"read_orders read_products":              nil,
		"write_orders write_products":            nil,
		"read_marketplace_orders write_products": nil,
		"read_products":                          {"the app lacks the scope read_orders or read_marketplace_orders, which orders/create takes"},
		"read_themes":                            {"the app lacks the scope read_orders or read_marketplace_orders, which orders/create takes", "the app lacks the scope read_products, which products/update takes"},
	} {
		withHooks(t, func(r *hookRig) {
			if got := r.check(); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", granted, got, want)
			}
			if n := r.Seen().Mutating; n > 0 {
				t.Errorf("%d requests that could change something", n)
			}
		}, func(k *cloud.Knobs) { k.Granted = granted })
	}
}

// TestHookListDoesNotEnd: a list beyond all bounds is a human's matter.
func TestHookListDoesNotEnd(t *testing.T) {
	withHooks(t, func(r *hookRig) {
		for i := range 30 {
			r.sim.AddHook(cloud.Hook{Topic: "SHOP_UPDATE", URI: fmt.Sprint(otherURI, i)})
		}
		ctx, cancel := span()
		defer cancel()
		_, err := r.tool.Read(ctx, actuators.Subject{Step: r.plan})
		if !actuators.Explain(err).Permanent || !strings.Contains(err.Error(), "more than 2000") || r.Seen().All != 20 {
			t.Errorf("%v by %d requests", err, r.Seen().All)
		}
	}, func(k *cloud.Knobs) { k.HookPage = 1 })
}

// TestHookVersions: a shop of before names are not asked for them.
func TestHookVersions(t *testing.T) {
	withHooks(t, func(r *hookRig) {
		r.msg.Subscriptions[0].Name = ""
		r.lab.spec.ApiVersion = "2026-01"
		r.target.Params = encoded(t, r.lab.spec)
		r.plan, r.tool = r.step("hooks"), r.another()
		r.must(r.act(r.tool, r.work(1)))
		if s := r.look(r.tool, r.work(1)); s.Verdict != actuators.Applied {
			t.Errorf("%s, %s", s.Verdict, s.Detail)
		}
	})
}

func TestHookPlan(t *testing.T) {
	one := func(f func(*pb.ShopifyWebhook)) []*pb.ShopifyWebhook {
		h := &pb.ShopifyWebhook{Topic: "orders/create", Uri: hookURI}
		f(h)
		return []*pb.ShopifyWebhook{h}
	}
	many := []*pb.ShopifyWebhook{}
	for i := range 26 {
		many = append(many, &pb.ShopifyWebhook{Topic: "orders/create", Uri: fmt.Sprint(hookURI, "/", i)})
	}
	for name, c := range map[string]struct {
		list    []*pb.ShopifyWebhook
		version string
		want    []string // path: part of the message
	}{
		"good":   {list: one(func(h *pb.ShopifyWebhook) { h.Name = "a-1" })},
		"pubsub": {list: one(func(h *pb.ShopifyWebhook) { h.Uri = "pubsub://project:topic" })},
		"eventbridge": {list: one(func(h *pb.ShopifyWebhook) {
			h.Uri = "arn:aws:events:eu-west-1::event-source/aws.partner/shopify.com/1/x"
		})},
		"dotted":       {list: one(func(h *pb.ShopifyWebhook) { h.Topic = "customer.tags_added" })},
		"none":         {want: []string{"subscriptions: 0 subscriptions"}},
		"too many":     {list: many, want: []string{"subscriptions: 26 subscriptions"}},
		"plain http":   {list: one(func(h *pb.ShopifyWebhook) { h.Uri = "http://hooks.example.com" }), want: []string{"subscriptions[0].uri: https"}},
		"password":     {list: one(func(h *pb.ShopifyWebhook) { h.Uri = "https://u:hunter2@hooks.example.com" }), want: []string{"subscriptions[0].uri: without user"}},
		"misspelt":     {list: one(func(h *pb.ShopifyWebhook) { h.Topic = "orders/crate" }), want: []string{"subscriptions[0].topic: did you mean orders/create?"}},
		"enum's":       {list: one(func(h *pb.ShopifyWebhook) { h.Topic = "ORDERS_CREATE" }), want: []string{"subscriptions[0].topic: as deliveries name it"}},
		"compliance":   {list: one(func(h *pb.ShopifyWebhook) { h.Topic = "shop/redact" }), want: []string{"subscriptions[0].topic: app's configuration"}},
		"of 2027":      {list: one(func(h *pb.ShopifyWebhook) { h.Topic = "moons/full" }), version: "2027-01"},
		"not of 2026":  {list: one(func(h *pb.ShopifyWebhook) { h.Topic = "moons/full" }), want: []string{"subscriptions[0].topic: no topic"}},
		"odd name":     {list: one(func(h *pb.ShopifyWebhook) { h.Name = "a b" }), want: []string{"subscriptions[0].name: letters"}},
		"name too new": {list: one(func(h *pb.ShopifyWebhook) { h.Name = "ab" }), version: "2026-01", want: []string{"subscriptions[0].name: from API version 2026-04"}},
		"odd format":   {list: one(func(h *pb.ShopifyWebhook) { h.Format = 9 }), want: []string{"subscriptions[0].format: unknown"}},
		"twice": {list: append(one(func(h *pb.ShopifyWebhook) { h.Name = "x" }), one(func(h *pb.ShopifyWebhook) { h.Name = "x" })...),
			want: []string{"subscriptions[1]: those of subscriptions[0]", "subscriptions[1].name: is that of subscriptions[0]"}},
	} {
		l := newHookLab(t, static)
		if c.version != "" {
			l.lab.spec.ApiVersion = c.version
		}
		in := actuators.StepInput{Step: "hooks", Target: "shop", Message: &pb.ShopifyWebhooksStep{Subscriptions: c.list}, TargetMsg: l.lab.spec}
		planned, problems := l.kind.Plan(in)
		fits := len(problems) == len(c.want)
		for i := range min(len(problems), len(c.want)) {
			path, text, _ := strings.Cut(c.want[i], ": ")
			fits = fits && problems[i].Path == path && strings.Contains(problems[i].Message, text)
		}
		if !fits || strings.Contains(fmt.Sprint(problems), "hunter2") {
			t.Errorf("%s: %v, want %q", name, problems, c.want)
		}
		if planned.Object != "shop/webhooks" || planned.Class != fsm.Readable {
			t.Errorf("%s: planned %+v", name, planned)
		}
	}
}

// TestHookRides: under lags, duplicates and lost answers each action ends done, and
// where Shopify refuses a second one there is one.
func TestHookRides(t *testing.T) {
	for _, again := range []cloud.HookAgain{cloud.HookAgainRefused, cloud.HookAgainAccepted} {
		for _, lag := range []time.Duration{0, time.Second, 10 * time.Second} {
			for name, f := range map[string]cloud.Fault{
				"lost after": {Do: cloud.DoDrop, When: cloud.After}, "lost before": {Do: cloud.DoDrop}, "late": {Do: cloud.DoDelay, Delay: 7 * time.Second},
				"500 after": {Status: 500, When: cloud.After}, "cut": {Do: cloud.DoCut, When: cloud.After}, "error": {Do: cloud.DoError, Code: "INTERNAL_SERVER_ERROR"},
				"throttled": {Do: cloud.DoError, Code: "THROTTLED"}, "none said": {Status: 200, Body: `{"data":{}}`}, "nothing of it": {Status: 200, Body: `{"data":{"h0":{"userErrors":[]},"h1":null}}`},
			} {
				t.Run(fmt.Sprint(name, "/", again, "/", lag), func(t *testing.T) {
					withHooks(t, func(r *hookRig) {
						f.Op = cloud.OpWrite
						r.add(f)
						w, e := r.ride(1, patience)
						if e != actuatortest.Done || r.Value() != addressB {
							t.Fatalf("%s: %s; %v stand", e, w.Reason, r.standing())
						}
						time.Sleep(time.Minute)
						if got := r.standing(); again == cloud.HookAgainRefused && !slices.Equal(got, []int{1, 1, 1}) {
							t.Errorf("%v stand", got)
						} else if slices.Max(got) > 3 {
							t.Errorf("%v stand: a hot loop", got)
						}
						if n := r.Seen().All; n > 100 {
							t.Errorf("%d requests", n)
						}
					}, func(k *cloud.Knobs) { k.HookAgain, k.HookLag = again, lag })
				})
			}
		}
	}
}
