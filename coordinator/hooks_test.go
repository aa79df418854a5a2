package coordinator_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/shopify"
)

const hookURI = "https://hooks.example.com/shopify/app"

// subscribe adds a step that has webhook subscriptions stand in a simulated shop,
// beside one that writes metafields there.
func subscribe(t *testing.T, spec *pointsmanv1.Spec) *shopify.Sim {
	t.Helper()
	spec.Targets = map[string]*pointsmanv1.Target{}
	shop := announce(t, spec)
	m := spec.Masters[0]
	m.Drift = pointsmanv1.Drift_DRIFT_REPAIR
	last := m.Plan[len(m.Plan)-1]
	last.Steps = append(last.Steps, &pointsmanv1.Step{Name: "hooks", Target: "shop", Kind: &pointsmanv1.Step_ShopifyWebhooks{
		ShopifyWebhooks: &pointsmanv1.ShopifyWebhooksStep{Subscriptions: []*pointsmanv1.ShopifyWebhook{
			{Topic: "orders/create", Uri: hookURI}, {Topic: "app/uninstalled", Uri: hookURI},
		}},
	}})
	return shop
}

// hooked waits until these topics stand, each once.
func hooked(t *testing.T, shop *shopify.Sim, want ...string) (ids []string) {
	t.Helper()
	eventually(t, "the subscriptions", func(context.Context) error {
		var topics []string
		ids = nil
		for _, h := range shop.Hooks() {
			topics, ids = append(topics, h.Topic), append(ids, h.ID)
		}
		if slices.Sort(topics); !slices.Equal(topics, want) {
			return fmt.Errorf("%q stand, want %q", topics, want)
		}
		return nil
	})
	return ids
}

// alerted waits until the master has an alert of a code with these words, or none
// of it where there are no words.
func (tr *trio) alerted(code string, words ...string) {
	tr.t.Helper()
	tr.master(fmt.Sprint("alert ", code, words), func(m *pointsmanv1.Master) bool {
		for _, a := range m.GetAlerts() {
			if a.GetCode() == code && a.GetSubject() == "shop/webhooks" {
				return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(a.GetMessage(), w) })
			}
		}
		return len(words) == 0
	})
}

// done waits for the end of an action that changed something.
func (tr *trio) done(id string) {
	tr.t.Helper()
	eventually(tr.t, id, func(ctx context.Context) error {
		got, err := pointsmanv1.NewActionServiceClient(tr.dial(0)).GetAction(ctx, &pointsmanv1.GetActionRequest{Id: id})
		a := got.GetAction()
		if err == nil && (a.GetState() != pointsmanv1.ActionState_ACTION_STATE_DONE || a.GetEffect() != pointsmanv1.ActionEffect_ACTION_EFFECT_CHANGED) {
			err = fmt.Errorf("%s, %s: %s", a.GetState(), a.GetEffect(), a.GetReason())
		}
		return err
	})
}

// TestHooksAreWatched: before any failover what is missing is told, and nothing is
// made; a failover makes it; and what the shop removes after eight failed
// deliveries is told, and made again by an action of its own.
func TestHooksAreWatched(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	shop := subscribe(t, spec)
	tr.apply(spec)
	tr.alerted("OBJECT_MISSING", "missing: orders/create, app/uninstalled to "+hookURI, "step hooks of cache")
	if len(shop.Hooks()) != 0 {
		t.Fatalf("made at the first view: %v", shop.Hooks())
	}

	s.promote(1, 2)
	ids := hooked(t, shop, "APP_UNINSTALLED", "ORDERS_CREATE")
	tr.done("cache/1/hooks")
	tr.alerted("OBJECT_MISSING")

	if _, err := shop.AddFault(shopify.Fault{Op: shopify.OpWrite, Status: 503, Count: 2}); err != nil { // time to see the alert
		t.Fatal(err)
	}
	for n := range 8 {
		if removed := shop.FailDelivery(ids[0]); removed != (n == 7) {
			t.Fatalf("failure %d: removed %t", n+1, removed)
		}
	}
	tr.alerted("OBJECT_DRIFTED", "missing: orders/create to "+hookURI, "repaired by cache/1/hooks~1")
	hooked(t, shop, "APP_UNINSTALLED", "ORDERS_CREATE")
	tr.done("cache/1/hooks~1")
	tr.alerted("OBJECT_DRIFTED")
}

// TestHooksOfADeadLeader: it dies between the request and its answer. The next one
// reads, makes what is missing, and the late request comes to nothing.
func TestHooksOfADeadLeader(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	shop := subscribe(t, spec)
	plan := spec.Masters[0].Plan
	last := plan[len(plan)-1]
	last.Steps = last.Steps[1:] // the hooks alone
	tr.apply(spec)
	tr.alerted("OBJECT_MISSING", "orders/create")
	if _, err := shop.AddFault(shopify.Fault{Op: shopify.OpWrite, Do: shopify.DoHold}); err != nil {
		t.Fatal(err)
	}
	s.promote(1, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	held, err := shop.WaitFor(ctx, func(c shopify.Call) bool { return c.Write() && c.Phase == shopify.PhaseHeld })
	if err != nil {
		t.Fatal(err)
	}
	gone := tr.leader()
	tr.stop(gone)
	tr.start(gone)
	hooked(t, shop, "APP_UNINSTALLED", "ORDERS_CREATE")
	tr.done("cache/1/hooks")
	shop.ReleaseHeld(held.Seq)
	late, err := shop.WaitFor(ctx, func(c shopify.Call) bool { return c.Seq == held.Seq && c.Refused != "" })
	if err != nil || late.Accepted {
		t.Errorf("the late request: %+v, %v", late, err)
	}
	hooked(t, shop, "APP_UNINSTALLED", "ORDERS_CREATE")
}
