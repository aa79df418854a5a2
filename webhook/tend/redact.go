package tend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/ledger"
)

// Topics by which a shop asks that bodies go.
// https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance
const (
	topicCustomer = "customers/redact"
	topicShop     = "shop/redact"
)

// settle is the age from which a redaction ends with a pass that finds nothing.
const settle = time.Hour

// ErrNotRedacted is returned by Note for a request that cannot be carried out:
// its body is not what Shopify sends, or names another shop than its header does.
var ErrNotRedacted = errors.New("redact request is not carried out")

// Asks reports whether an event asks that bodies go.
func Asks(e webhook.Event) bool { return e.Topic == topicCustomer || e.Topic == topicShop }

// Note puts a redaction on record, before the event that asks for it is
// finished. The shop is taken from the signed body and must be the one of the
// unsigned header: a body that was captured cannot be turned against another shop.
func Note(ctx context.Context, store buffer.Store, e webhook.Event) error {
	var body request
	if err := json.Unmarshal(e.Body, &body); err != nil {
		return fmt.Errorf("%s of %s: %w: %w", e.Topic, e.ID, ErrNotRedacted, err)
	}
	r := &webhookv1.Redaction{App: e.App, Shop: e.Shop, All: e.Topic == topicShop}
	if !body.fits(r.All) {
		return fmt.Errorf("%s of %s: the body is of another topic: %w", e.Topic, e.ID, ErrNotRedacted)
	}
	if !strings.EqualFold(body.Shop, e.Shop) {
		return fmt.Errorf("%s of %s: body and header name different shops: %w", e.Topic, e.ID, ErrNotRedacted)
	}
	if !r.All {
		for _, n := range *body.Orders {
			r.Orders = append(r.Orders, n.String())
		}
		if body.Customer.ID == "" {
			return fmt.Errorf("%s of %s: it names no customer: %w", e.Topic, e.ID, ErrNotRedacted)
		}
		r.Customers = []string{body.Customer.ID.String()}
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
	if err != nil {
		return err
	}
	_, err = store.Put(ctx, fmt.Sprintf("%s%s", redactPrefix(e.Slot()), e.Key()), b, buffer.Condition{})
	return err
}

// request is the body of a compliance webhook. Its topic is not signed: a body
// that was captured must not do more under another one than it asked for.
type request struct {
	Shop      string                    `json:"shop_domain"`
	Customer  *struct{ ID json.Number } `json:"customer"`
	Orders    *[]json.Number            `json:"orders_to_redact"`
	Requested json.RawMessage           `json:"orders_requested"`
	Data      json.RawMessage           `json:"data_request"`
}

// fits reports whether a body is one of shop/redact (all), or of
// customers/redact.
func (r request) fits(all bool) bool {
	if r.Requested != nil || r.Data != nil {
		return false
	}
	return all && r.Customer == nil && r.Orders == nil || !all && r.Customer != nil && r.Orders != nil
}

func redactPrefix(slot int) string { return fmt.Sprintf("%s%03d/", webhook.PrefixRedact, slot) }

// Redaction says whose bodies are looked after.
type Redaction struct {
	Store buffer.Store
	Slots webhook.SlotSet
	// Seen tells what is known of an event: bodies of unfinished ones stay until
	// they are finished.
	Seen func(webhook.Event) ledger.Verdict
}

// Redacted is what a Redact has done.
type Redacted struct {
	Bodies int // that were taken out, of segments and letters
	Open   int // redactions that stand on: a later pass looks again
	Unread int // letters and segments that cannot be decoded: nothing could be found in them
}

// Redact takes out the bodies that redactions on record ask for: of segments,
// dead letters and the quarantine. Digests stay, so that duplicates are still
// told. A redaction ends with a pass that finds nothing and comes an hour or
// longer after it.
func Redact(ctx context.Context, r Redaction) (Redacted, error) {
	p := pass{Redaction: r, touched: map[string]bool{}}
	if err := p.gather(ctx); err != nil || len(p.wanted) == 0 {
		return Redacted{}, err
	}
	now, err := clock(ctx, r.Store)
	if err == nil {
		err = p.letters(ctx)
	}
	if err == nil {
		err = p.segments(ctx)
	}
	if err != nil {
		return p.done, err
	}
	for _, w := range p.wanted {
		if p.touched[w.key] || now.Sub(w.modified) < settle {
			p.done.Open++
			continue
		}
		if err := r.Store.Delete(ctx, w.key, buffer.Condition{}); err != nil {
			return p.done, err
		}
	}
	return p.done, nil
}

// wish is a redaction on record.
type wish struct {
	*webhookv1.Redaction
	key      string
	modified time.Time
}

type pass struct {
	Redaction
	wanted  []wish
	touched map[string]bool // redactions that still found something
	done    Redacted
}

// gather reads what is on record.
func (p *pass) gather(ctx context.Context) error {
	for slot := range webhook.Slots {
		if !p.Slots.Has(slot) {
			continue
		}
		err := eachKey(ctx, p.Store, redactPrefix(slot), func(i buffer.Info) error {
			o, err := p.Store.Get(ctx, i.Key)
			if err != nil {
				return err
			}
			w := wish{Redaction: &webhookv1.Redaction{}, key: i.Key, modified: i.Modified}
			p.wanted = append(p.wanted, w)
			return proto.Unmarshal(o.Body, w.Redaction)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// meant reports whether a body has to go, and notes for whom.
func (p *pass) meant(e webhook.Event) bool {
	found := false
	for _, w := range p.wanted {
		if !e.Redacted && e.App == w.GetApp() && e.Shop == w.GetShop() && (w.GetAll() || about(e, w.Redaction)) {
			p.touched[w.key], found = true, true
		}
	}
	return found
}

// about reports whether a body names a customer or an order. What is no JSON
// cannot be told and counts as about all of them.
func about(e webhook.Event, r *webhookv1.Redaction) bool {
	if !json.Valid(e.Body) {
		return true
	}
	b := fields(e.Body)
	customers, orders := []json.RawMessage{b["customer_id"], fields(b["customer"])["id"]}, []json.RawMessage{b["order_id"], fields(b["order"])["id"]}
	switch kind, _, _ := strings.Cut(e.Topic, "/"); {
	case strings.HasPrefix(kind, "customer"):
		customers = append(customers, b["id"])
	case kind == "orders" || kind == "draft_orders":
		orders = append(orders, b["id"])
	}
	named := func(list []string) func(json.RawMessage) bool {
		return func(n json.RawMessage) bool { return n != nil && slices.Contains(list, strings.Trim(string(n), `"`)) }
	}
	return slices.ContainsFunc(customers, named(r.GetCustomers())) || slices.ContainsFunc(orders, named(r.GetOrders()))
}

// fields are those of a JSON object; none when it is something else.
func fields(b []byte) map[string]json.RawMessage {
	var out map[string]json.RawMessage
	_ = json.Unmarshal(b, &out) // then there are none
	return out
}

// letters takes bodies out of dead letters and the quarantine.
func (p *pass) letters(ctx context.Context) error {
	for slot := range webhook.Slots {
		if !p.Slots.Has(slot) {
			continue
		}
		for _, prefix := range []string{webhook.DeadPrefix(slot), webhook.QuarantinePrefix(slot)} {
			if err := eachKey(ctx, p.Store, prefix, func(i buffer.Info) error { return p.letter(ctx, i.Key) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pass) letter(ctx context.Context, key string) error {
	o, err := p.Store.Get(ctx, key)
	if errors.Is(err, buffer.ErrNotFound) { // dropped or retried meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	l, e, ok := decoded(o.Body)
	if !ok {
		p.done.Unread++
		return nil
	}
	if e.Body = l.GetBody(); !p.meant(e) {
		return nil
	}
	l.Body, l.Event.Redacted, l.Reason = nil, true, "redacted on request; it was: "+firstWord(l.GetReason())
	for _, a := range l.GetAttempts() { // a handler's words may quote the body
		a.Outcome = firstWord(a.GetOutcome())
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(l)
	if err != nil {
		return err
	}
	return p.replace(ctx, key, b, o.Tag, 1)
}

// decoded reads a letter; false when it cannot be.
func decoded(b []byte) (*webhookv1.Letter, webhook.Event, bool) {
	l := &webhookv1.Letter{}
	if proto.Unmarshal(b, l) != nil {
		return nil, webhook.Event{}, false
	}
	e, err := webhook.FromEnvelope(l.GetEvent())
	return l, e, err == nil
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return strings.TrimRight(word[:min(len(word), 32)], ":,;")
}

// replace writes an object anew without its bodies. Whoever came before has
// changed it: the next pass looks again.
func (p *pass) replace(ctx context.Context, key string, body []byte, was buffer.Tag, bodies int) error {
	_, err := p.Store.Put(ctx, key, body, buffer.Condition{Tag: was})
	if errors.Is(err, buffer.ErrCondition) {
		return nil
	}
	if err == nil {
		p.done.Bodies += bodies
	}
	return err
}

// segments takes bodies out of segments.
func (p *pass) segments(ctx context.Context) error {
	var slots webhook.SlotSet
	for _, w := range p.wanted {
		slots.Add(webhook.SlotOf(w.GetApp(), w.GetShop()))
	}
	return eachKey(ctx, p.Store, webhook.PrefixSegments, func(i buffer.Info) error {
		if s, ok := segmentOf(i.Key); !ok || !s.Slots.Meets(slots) {
			return nil
		}
		return p.segment(ctx, i.Key)
	})
}

func (p *pass) segment(ctx context.Context, key string) error {
	o, err := p.Store.Get(ctx, key)
	if errors.Is(err, buffer.ErrNotFound) { // its time was over
		return nil
	}
	if err != nil {
		return err
	}
	events, damaged := webhook.DecodeSegment(o.Body)
	if damaged != nil { // workers tell
		p.done.Unread++
	}
	taken := 0
	for i, e := range events {
		if p.meant(e) && p.Seen(e) != ledger.New {
			events[i].Body, events[i].Redacted = nil, true
			taken++
		}
	}
	if taken == 0 {
		return nil
	}
	b, err := webhook.EncodeSegment(events)
	if err != nil {
		return err
	}
	return p.replace(ctx, key, b, o.Tag, taken)
}
