package shopify

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// hook is a webhook subscription.
type hook struct {
	Hook
	created, removed time.Time // removed: zero while it stands
	failed           int       // deliveries in a row
}

// Hook is a webhook subscription as its owner sees it.
type Hook struct {
	ID, Topic, URI, Format string // Topic: "ORDERS_CREATE"
	Name, Filter           string
	Fields                 []string
}

// Hooks lists what stands, the oldest first.
func (s *Sim) Hooks() (out []Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hooksAt(time.Now()) {
		out = append(out, h.Hook)
	}
	return out
}

// AddHook has somebody else with the app's rights make a subscription; nothing is
// refused. An empty format is JSON. It returns the id.
func (s *Sim) AddHook(h Hook) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.record(OpWrite)
	c.Foreign, c.Accepted, c.Phase = true, true, PhaseAnswered
	s.effect(c)
	if h.Format == "" {
		h.Format = "JSON"
	}
	id := s.putHook(h).ID
	c.Hooks = []HookDeed{{ID: id, Topic: h.Topic, URI: h.URI}}
	s.tell(c)
	return id
}

// FailDelivery is a delivery that the address of a subscription did not take,
// retries and all; true: the shop has removed it.
func (s *Sim) FailDelivery(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hooksAt(time.Now()) {
		if h.ID != id {
			continue
		}
		if h.failed++; h.failed >= s.knobs.HookDrop {
			h.removed = time.Now()
			return true
		}
	}
	return false
}

// Deliver is a delivery that was taken.
func (s *Sim) Deliver(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hooksAt(time.Now()) {
		if h.ID == id {
			h.failed = 0
		}
	}
}

// hooksAt is what stood at a moment. The caller holds mu.
func (s *Sim) hooksAt(moment time.Time) (out []*hook) {
	for _, h := range s.hooks {
		if !h.created.After(moment) && (h.removed.IsZero() || h.removed.After(moment)) {
			out = append(out, h)
		}
	}
	return out
}

// putHook makes a subscription. What was removed long ago is forgotten. The caller holds mu.
func (s *Sim) putHook(h Hook) *hook {
	s.lastHook++
	h.ID = fmt.Sprintf("gid://shopify/WebhookSubscription/%d", s.lastHook)
	made := &hook{Hook: h, created: time.Now()}
	s.hooks = append(s.hooks, made)
	if over := len(s.hooks) - MaxHistory; over > 0 {
		s.hooks = s.hooks[over:]
	}
	return made
}

// hookList answers one page.
func (x *execution) hookList(args map[string]any) any {
	all := x.sim.hooksAt(time.Now().Add(-x.knobs.HookLag))
	from, size := 0, x.knobs.HookPage
	if first, err := strconv.Atoi(fmt.Sprint(args["first"])); err == nil {
		size = min(size, first)
	}
	if after, ok := args["after"].(string); ok {
		for from < len(all) && all[from].ID != cursorID(after) {
			from++
		}
		from = min(from+1, len(all))
	}
	to := min(from+size, len(all))
	nodes := []node{}
	for _, h := range all[from:to] {
		nodes = append(nodes, x.hook(h))
	}
	page := node{
		"__typename": is("PageInfo"), "hasNextPage": is(to < len(all)), "hasPreviousPage": is(from > 0), "endCursor": is(nil), "startCursor": is(nil),
	}
	if to > from {
		page["startCursor"], page["endCursor"] = is(cursorOf(all[from].ID)), is(cursorOf(all[to-1].ID))
	}
	return node{"__typename": is("WebhookSubscriptionConnection"), "nodes": is(nodes), "pageInfo": is(page)}
}

func cursorOf(id string) string { return "at:" + id }

func cursorID(cursor string) string { return strings.TrimPrefix(cursor, "at:") }

func (x *execution) hook(h *hook) node {
	at := is(h.created.UTC().Format(time.RFC3339))
	or := func(text string) func(map[string]any) any {
		if text == "" {
			return is(nil)
		}
		return is(text)
	}
	return node{
		"__typename": is("WebhookSubscription"), "id": is(h.ID), "topic": is(h.Topic), "uri": is(h.URI), "format": is(h.Format),
		"includeFields": is(append([]string{}, h.Fields...)), "name": or(h.Name), "filter": or(h.Filter), "createdAt": at, "updatedAt": at,
	}
}

// hookCreate makes one subscription, or says what is wrong.
func (x *execution) hookCreate(args map[string]any) any {
	in, _ := args["webhookSubscription"].(map[string]any)
	h := Hook{Format: "JSON"}
	h.Topic, _ = args["topic"].(string)
	h.URI, _ = in["uri"].(string)
	h.Name, _ = in["name"].(string)
	h.Filter, _ = in["filter"].(string)
	if format, ok := in["format"].(string); ok {
		h.Format = format
	}
	fields, _ := in["includeFields"].([]any)
	for _, f := range fields {
		h.Fields = append(h.Fields, fmt.Sprint(f))
	}
	deed := HookDeed{Topic: h.Topic, URI: h.URI, Refused: x.sim.checkHook(x.knobs, h)}
	payload := node{"__typename": is("WebhookSubscriptionCreatePayload"), "userErrors": is([]node{}), "webhookSubscription": is(nil)}
	if deed.Refused != "" {
		payload["userErrors"] = is([]node{hookError([]string{"webhookSubscription"}, deed.Refused)})
	} else {
		made := x.sim.putHook(h)
		deed.ID = made.ID
		payload["webhookSubscription"] = is(x.hook(made))
	}
	x.did(deed)
	return payload
}

func (x *execution) hookDelete(args map[string]any) any {
	id := fmt.Sprint(args["id"])
	payload := node{"__typename": is("WebhookSubscriptionDeletePayload"), "userErrors": is([]node{}), "deletedWebhookSubscriptionId": is(nil)}
	for _, h := range x.sim.hooksAt(time.Now()) {
		if h.ID == id {
			h.removed = time.Now()
			payload["deletedWebhookSubscriptionId"] = is(id)
			x.did(HookDeed{ID: id, Topic: h.Topic, URI: h.URI, Deleted: true})
			return payload
		}
	}
	const unknown = "Webhook subscription does not exist"
	payload["userErrors"] = is([]node{hookError([]string{"id"}, unknown)})
	x.did(HookDeed{Deleted: true, Refused: unknown})
	return payload
}

// did notes in the journal what became of one field of a mutation.
func (x *execution) did(d HookDeed) {
	x.call.Hooks = append(x.call.Hooks, d)
	switch {
	case d.Refused == "" && !x.call.Accepted:
		x.sim.effect(x.call)
		x.call.Accepted = true
	case d.Refused != "" && x.call.Refused == "":
		x.call.Refused = d.Refused
	}
}

func hookError(field []string, message string) node {
	return node{"__typename": is("UserError"), "field": is(field), "message": is(message)}
}

// checkHook is what the shop says against a subscription; empty: nothing. The caller holds mu.
func (s *Sim) checkHook(k Knobs, h Hook) string {
	takes := ""
	for _, of := range []string{"ORDERS", "PRODUCTS", "CUSTOMERS"} {
		if strings.HasPrefix(h.Topic, of+"_") {
			takes = "read_" + strings.ToLower(of)
		}
	}
	switch {
	case takes != "" && !strings.Contains(" "+k.Granted+" ", " "+takes+" "):
		return "You cannot create a webhook subscription with the specified topic"
	case !regexp.MustCompile(`^(https://|pubsub://|arn:aws:events:)`).MatchString(h.URI):
		return "Address is invalid"
	case h.Name != "" && !regexp.MustCompile(`^[A-Za-z0-9_-]{1,50}$`).MatchString(h.Name):
		return "Name is invalid"
	}
	for _, other := range s.hooksAt(time.Now()) {
		switch {
		case h.Name != "" && other.Name == h.Name:
			return "Name has already been taken"
		case k.HookAgain == HookAgainRefused && other.Topic == h.Topic && other.URI == h.URI:
			return "Address for this topic has already been taken"
		}
	}
	return ""
}
