package shopify

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/near"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// namedFrom is the API version from which on a subscription has a name.
const namedFrom = "2026-04"

// hook is a webhook subscription as it is wanted.
type hook struct {
	Topic  string   `json:"topic"` // "orders/create"
	URI    string   `json:"uri"`
	Name   string   `json:"name,omitempty"`
	Format string   `json:"format"`           // "JSON" or "XML"
	Fields []string `json:"fields,omitempty"` // sorted
	Filter string   `json:"filter,omitempty"`
}

// place is what tells subscriptions apart, at Shopify and here.
type place struct{ topic, uri string } // topic: in the API's spelling

func (h hook) place() place { return place{topicWord(h.Topic), h.URI} }

// wantedHooks is an action's value. It is the same for every failover.
type wantedHooks struct {
	Subscriptions []hook `json:"subscriptions"`
}

func (v wantedHooks) String() string { return wire.Cut(listing(v.Subscriptions), fsm.MaxReasonBytes) }

// listing names subscriptions for people: the topics of each address together.
func listing(list []hook) string {
	var order []string
	topics := map[string][]string{}
	for _, h := range list {
		if topics[h.URI] == nil {
			order = append(order, h.URI)
		}
		topics[h.URI] = append(topics[h.URI], h.Topic)
	}
	var parts []string
	for _, uri := range order {
		parts = append(parts, strings.Join(topics[uri], ", ")+" to "+uri)
	}
	return strings.Join(parts, "; ")
}

// planHooks has one object for all subscriptions of the app in the shop: they are
// listed together, so one step names all that are to stand.
func planHooks(in actuators.StepInput, msg *pb.ShopifyWebhooksStep, p problems) (actuators.Planned, []actuators.Problem) {
	list := msg.GetSubscriptions()
	if n := len(list); n == 0 || n > MaxHooks {
		p.add("subscriptions", "%d subscriptions; a step has 1 to %d", n, MaxHooks)
	}
	version := ""
	if t, ok := in.TargetMsg.(*pb.ShopifyTarget); ok {
		version = t.GetApiVersion()
	}
	places, names := map[place]int{}, map[string]int{}
	for i, h := range list {
		at := fmt.Sprintf("subscriptions[%d]", i)
		checkHook(&p, at, h, version)
		here := place{topicWord(h.GetTopic()), h.GetUri()}
		if first, taken := places[here]; taken {
			p.add(at, "topic and uri are those of subscriptions[%d]", first)
		} else {
			places[here] = i
		}
		if first, taken := names[h.GetName()]; taken && h.GetName() != "" {
			p.add(at+".name", "is that of subscriptions[%d]; a name is one subscription's in the shop", first)
		} else {
			names[h.GetName()] = i
		}
	}
	if v, err := encode(hooksOf(msg)); err != nil || len(v) > fsm.MaxValueBytes {
		p.add("subscriptions", "%d bytes together; at most %d", len(v), fsm.MaxValueBytes)
	}
	return actuators.Planned{Object: fsm.ObjectID(in.Target) + "/webhooks", Class: fsm.Readable}, p
}

func checkHook(p *problems, at string, h *pb.ShopifyWebhook, version string) {
	topic := h.GetTopic()
	_, known := topicScopes(topic)
	switch {
	case strings.HasSuffix(topic, "/redact") || topic == "customers/data_request":
		p.add(at+".topic", "%s is a compliance topic: it stands in the app's configuration, not in the Admin API", wire.Cut(topic, wire.MaxMessage))
	case !regexp.MustCompile(`^[a-z0-9_]+([/.][a-z0-9_]+)+$`).MatchString(topic):
		p.add(at+".topic", "%q is not a topic as deliveries name it, such as orders/create", wire.Cut(topic, wire.MaxMessage))
	case !known && version <= topicsOf:
		meant := ""
		if word := near.Word(topic, knownTopics()); word != "" {
			meant = fmt.Sprintf("; did you mean %s?", word)
		}
		p.add(at+".topic", "no topic %q up to API version %s%s", wire.Cut(topic, wire.MaxMessage), topicsOf, meant)
	}
	if !regexp.MustCompile(`^(https://[A-Za-z0-9.-]+(:[0-9]+)?([/?][^@# ]*)?|pubsub://[^:@/ ]+:[^@/ ]+|arn:aws:events:[^ ]+)$`).MatchString(h.GetUri()) {
		p.add(at+".uri", "want https://HOST/PATH without user and fragment, pubsub://PROJECT:TOPIC or arn:aws:events:...") // not quoted: it may hold a password
	}
	if name := h.GetName(); name != "" {
		switch {
		case !regexp.MustCompile(`^[A-Za-z0-9_-]{1,50}$`).MatchString(name):
			p.add(at+".name", "want 1 to 50 letters, digits, '_' or '-'")
		case version < namedFrom:
			p.add(at+".name", "subscriptions have names from API version %s on; the target's is %s", namedFrom, version)
		}
	}
	if _, known := pb.WebhookFormat_name[int32(h.GetFormat())]; !known {
		p.add(at+".format", "unknown format %d", h.GetFormat())
	}
}

func hooksOf(msg *pb.ShopifyWebhooksStep) wantedHooks {
	var v wantedHooks
	for _, m := range msg.GetSubscriptions() {
		h := hook{Topic: m.GetTopic(), URI: m.GetUri(), Name: m.GetName(), Format: "JSON", Filter: m.GetFilter(), Fields: slices.Sorted(slices.Values(m.GetIncludeFields()))}
		if m.GetFormat() == pb.WebhookFormat_WEBHOOK_FORMAT_XML {
			h.Format = "XML"
		}
		v.Subscriptions = append(v.Subscriptions, h)
	}
	return v
}

func renderHooks(step fsm.Step) (fsm.Value, error) {
	v, err := hooksIn(step)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(err)
	}
	raw, err := encode(v)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: v.String()}, nil
}

// hooksIn are the subscriptions that a step names.
func hooksIn(step fsm.Step) (wantedHooks, error) {
	var msg pb.ShopifyWebhooksStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return wantedHooks{}, fmt.Errorf("read step %s: %w", step.Name, err)
	}
	return hooksOf(&msg), nil
}

// hooksWanted are those of an action's value.
func hooksWanted(a fsm.Action) ([]hook, error) {
	var v wantedHooks
	if err := json.Unmarshal(a.Value, &v); err != nil || len(v.Subscriptions) == 0 || len(v.Subscriptions) > MaxHooks {
		return nil, fmt.Errorf("action %s: %w", a.ID, ErrValue)
	}
	return v.Subscriptions, nil
}
