package shopify

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

const (
	createHook = `mutation M($t: WebhookSubscriptionTopic!, $s: WebhookSubscriptionInput!) { webhookSubscriptionCreate(topic: $t, webhookSubscription: $s) { webhookSubscription { id } userErrors { field message } } }`
	listHooks  = `query L($n: Int, $a: String) { webhookSubscriptions(first: $n, after: $a, sortKey: ID) { nodes { id topic uri format name } pageInfo { hasNextPage endCursor } } }`
	ordersURI  = "https://hooks.example.com/shopify"
)

// hook creates one and gives its id, or what was said against it.
func (s *shop) hook(topic string, in f) (id, wrong string) {
	s.t.Helper()
	out, _ := s.ask("2026-10", createHook, f{"t": topic, "s": in})
	made, ok := out["data"].(f)["webhookSubscriptionCreate"].(f)
	if !ok {
		s.t.Fatal(out)
	}
	if h, ok := made["webhookSubscription"].(f); ok {
		return fmt.Sprint(h["id"]), ""
	}
	return "", fmt.Sprint(made["userErrors"].([]any)[0].(f)["message"])
}

// list reads all pages of so many, and gives their sizes and the topics.
func (s *shop) list(n int) (sizes []int, topics []string) {
	s.t.Helper()
	after := any(nil)
	for {
		out, _ := s.ask("2026-10", listHooks, f{"n": n, "a": after})
		page := out["data"].(f)["webhookSubscriptions"].(f)
		nodes := page["nodes"].([]any)
		sizes = append(sizes, len(nodes))
		for _, n := range nodes {
			topics = append(topics, fmt.Sprint(n.(f)["topic"]))
		}
		info := page["pageInfo"].(f)
		if info["hasNextPage"] != true {
			return sizes, topics
		}
		after = info["endCursor"]
	}
}

func TestHooksArePaged(t *testing.T) {
	s := newShop(t)
	for _, topic := range []string{"ORDERS_CREATE", "ORDERS_PAID", "SHOP_UPDATE", "APP_UNINSTALLED", "PRODUCTS_CREATE"} {
		if _, wrong := s.hook(topic, f{"uri": ordersURI}); wrong != "" {
			t.Fatal(topic, wrong)
		}
	}
	if sizes, topics := s.list(2); !slices.Equal(sizes, []int{2, 2, 1}) || topics[4] != "PRODUCTS_CREATE" {
		t.Errorf("%v %v", sizes, topics)
	}
	k := s.Knobs()
	k.HookPage = 1
	if err := s.SetKnobs(k); err != nil {
		t.Fatal(err)
	}
	if sizes, _ := s.list(100); len(sizes) != 5 {
		t.Errorf("pages of one: %v", sizes)
	}
}

// TestHookRefusals: what the shop says against a subscription, in its words.
func TestHookRefusals(t *testing.T) {
	s := newShop(t)
	if _, wrong := s.hook("ORDERS_CREATE", f{"uri": ordersURI, "name": "orders"}); wrong != "" {
		t.Fatal(wrong)
	}
	for want, c := range map[string]struct {
		topic string
		in    f
	}{
		"Address for this topic has already been taken":                     {"ORDERS_CREATE", f{"uri": ordersURI}},
		"Name has already been taken":                                       {"ORDERS_PAID", f{"uri": ordersURI, "name": "orders"}},
		"Address is invalid":                                                {"ORDERS_PAID", f{"uri": "http://hooks.example.com"}},
		"You cannot create a webhook subscription with the specified topic": {"CUSTOMERS_CREATE", f{"uri": ordersURI}},
		"": {"ORDERS_CREATE", f{"uri": ordersURI + "/other", "format": "XML"}},
	} {
		if _, wrong := s.hook(c.topic, c.in); wrong != want {
			t.Errorf("%s %v: %q, want %q", c.topic, c.in, wrong, want)
		}
	}
	k := s.Knobs()
	k.HookAgain = HookAgainAccepted
	if err := s.SetKnobs(k); err != nil {
		t.Fatal(err)
	}
	if _, wrong := s.hook("ORDERS_CREATE", f{"uri": ordersURI}); wrong != "" || len(s.Hooks()) != 3 {
		t.Errorf("a second one: %q, %v", wrong, s.Hooks())
	}
}

// TestHookIsRemoved: by failed deliveries in a row, and by its owner.
func TestHookIsRemoved(t *testing.T) {
	s := newShop(t)
	id, _ := s.hook("ORDERS_CREATE", f{"uri": ordersURI})
	for range 7 {
		if s.FailDelivery(id) {
			t.Fatal("removed too early")
		}
	}
	s.Deliver(id)
	for n := range 8 {
		if gone := s.FailDelivery(id); gone != (n == 7) {
			t.Fatalf("failure %d: removed %t", n+1, gone)
		}
	}
	if len(s.Hooks()) != 0 || s.FailDelivery(id) {
		t.Errorf("%v", s.Hooks())
	}
	id, _ = s.hook("ORDERS_CREATE", f{"uri": ordersURI})
	const drop = `mutation D($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { message } } }`
	for _, want := range []any{id, nil} {
		out, _ := s.ask("2026-10", drop, f{"id": id})
		if got := out["data"].(f)["webhookSubscriptionDelete"].(f)["deletedWebhookSubscriptionId"]; got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	var deeds int
	for _, c := range s.Journal(0).Calls {
		deeds += len(c.Hooks)
	}
	if deeds != 4 {
		t.Errorf("%d deeds in the journal", deeds)
	}
}

// TestHookListLags: what was made is not on the list before its time, and stands.
func TestHookListLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, func(k *Knobs) { k.HookLag = time.Second })
		if _, wrong := s.hook("ORDERS_CREATE", f{"uri": ordersURI}); wrong != "" {
			t.Fatal(wrong)
		}
		if _, topics := s.list(10); len(topics) != 0 {
			t.Errorf("%v", topics)
		}
		if _, wrong := s.hook("ORDERS_CREATE", f{"uri": ordersURI}); wrong == "" {
			t.Error("the second one was taken")
		}
		time.Sleep(time.Second)
		if _, topics := s.list(10); len(topics) != 1 {
			t.Errorf("%v", topics)
		}
	})
}
