package coordinator_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/coordinator"
	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/ovh"
	"github.com/pointsman/pointsman/test/clouds/shopify"
)

// announce adds a stage that tells a simulated shop.
func announce(t *testing.T, spec *pointsmanv1.Spec) *shopify.Sim {
	t.Helper()
	sim, err := shopify.New(shopify.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	sim.AddApp("app", "shpss_secret")
	url, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("shpss_secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec.Targets["shop"] = &pointsmanv1.Target{Rate: 6000, Kind: &pointsmanv1.Target_Shopify{Shopify: &pointsmanv1.ShopifyTarget{
		Shop: "example.myshopify.com", ApiVersion: "2025-10", Endpoint: url,
		ClientCredentials: &pointsmanv1.ShopifyClientCredentials{ClientId: "app", ClientSecret: "file:" + file},
	}}}
	spec.Masters[0].Plan = append(spec.Masters[0].Plan, &pointsmanv1.Stage{Stage: "announce", Steps: []*pointsmanv1.Step{{
		Name: "shopify", Target: "shop", Kind: &pointsmanv1.Step_ShopifyMetafields{ShopifyMetafields: &pointsmanv1.ShopifyMetafieldsStep{
			Namespace: "pointsman", Values: map[string]string{"redis_connection": "redis://{{.New}}/0", "failover": "{{.Failover}}"},
		}},
	}}})
	return sim
}

// TestTwoStages takes a plan of two stages, a load balancer and then a shop,
// through six failovers there and back, under faults of both and a lost leader.
// In the end each says what the newest failover wants, no action has changed
// anything at the shop twice, and every write had its claim.
func TestTwoStages(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	balancer := balance(t, s, spec)
	shop := announce(t, spec)
	tr.apply(spec)
	write := func(f shopify.Fault) {
		t.Helper()
		f.Op = shopify.OpWrite
		if _, err := shop.AddFault(f); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n <= 6; n++ {
		to := n % 2
		switch n {
		case 2:
			write(shopify.Fault{Do: shopify.DoDrop, When: shopify.After})
		case 3:
			write(shopify.Fault{Status: 429, RetryAfter: "0.3", Count: 2})
		case 4:
			if _, err := balancer.AddFault(ovh.Fault{Method: "PUT", Status: 503, HTML: true, Count: 2}); err != nil {
				t.Fatal(err)
			}
			write(shopify.Fault{Do: shopify.DoEdit, Namespace: "pointsman", Key: "failover", Text: `"an app's own word"`})
		case 5:
			write(shopify.Fault{Do: shopify.DoDelay, Delay: 400 * time.Millisecond})
		}
		s.promote(to, uint64(n+1))
		if n == 5 { // with the write on its way
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			_, err := shop.WaitFor(ctx, func(c shopify.Call) bool { return c.Write() && strings.Contains(c.Fault, string(shopify.DoDelay)) })
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			gone := tr.leader()
			tr.stop(gone)
			tr.start(gone)
		}
		eventually(t, fmt.Sprintf("failover %d", n), func(context.Context) error {
			farm, _ := stands(balancer)
			text, _ := shop.Value("pointsman", "redis_connection")
			w, _ := shopify.ParseWords(text)
			if farm != int64(11+to) || w.Failover != fmt.Sprintf("cache/%d", n) || w.Value != fmt.Sprintf("redis://%s/0", s.nodes[to].Address()) {
				return fmt.Errorf("farm %d, the shop says %s", farm, text)
			}
			return nil
		})
		tr.master("settled", func(m *pointsmanv1.Master) bool { return m.GetOpenActions() == 0 })
	}
	p := shop.Prove(tr.shopLog())
	if !p.Sound() || p.Changes != 6 || p.Repeats != 0 || p.Refused == 0 {
		t.Errorf("%+v", p)
	}
	t.Logf("%+v", p)
}

// shopLog is what the log says of the actions at the shop. The version that the
// spec asks for is no longer served, which each of them tells.
func (tr *trio) shopLog() (log []shopify.LoggedAction) {
	tr.t.Helper()
	eventually(tr.t, "the log", func(ctx context.Context) error {
		log = nil
		list, err := pointsmanv1.NewActionServiceClient(tr.dial(tr.leader())).ListActions(ctx, &pointsmanv1.ListActionsRequest{PageSize: 100})
		for _, a := range list.GetActions() {
			if a.GetKind() != "shopify_metafields" {
				continue
			}
			l := shopify.LoggedAction{ID: a.GetId(), Claims: int(a.GetAttempts())}
			if a.GetState() == pointsmanv1.ActionState_ACTION_STATE_DONE {
				l.State = "done"
			}
			if a.GetEffect() == pointsmanv1.ActionEffect_ACTION_EFFECT_CHANGED {
				l.Effect = "changed"
			}
			if !strings.Contains(a.GetReason(), "2026-01") {
				tr.t.Errorf("%s is %s with reason %q, want a warning of the version", a.GetId(), a.GetState(), a.GetReason())
			}
			log = append(log, l)
		}
		return err
	})
	if len(log) < 6 {
		tr.t.Errorf("%d actions at the shop", len(log))
	}
	return log
}

// TestShopifyPage: the sample of docs/targets/shopify.md is a spec that applies.
func TestShopifyPage(t *testing.T) {
	page, err := os.ReadFile("../docs/targets/shopify.md")
	if err != nil {
		t.Fatal(err)
	}
	sample := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	spec, _, err := config.ParseSpec("sample", sample[1])
	if err != nil {
		t.Fatal(err)
	}
	made, problems := coordinator.Compile(spec, kinds())
	if len(problems) > 0 || len(made.Masters) != 1 || made.Masters[0].Plan[0].Steps[0].Object != "shop/metafields/pointsman" {
		t.Errorf("%v, %+v", problems, made)
	}
	one := spec.Masters[0].Plan[0].Steps[0]
	one.Target = "lb"
	spec.Targets["lb"] = &pointsmanv1.Target{Kind: &pointsmanv1.Target_OvhIplb{OvhIplb: &pointsmanv1.OvhIplbTarget{
		Endpoint: "ovh-eu", Service: "ip", Credentials: "env:X",
	}}}
	if _, problems := coordinator.Compile(spec, kinds()); len(problems) != 1 || !strings.Contains(problems[0].Message, "of kind ovh_iplb, the step of kind shopify_metafields") {
		t.Errorf("a step on another kind's target: %v", problems)
	}
}
