package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Slots is the number of parts that shops are spread over in the buffer. A
// partition of a pool with n partitions (1 to Slots) holds the slots whose
// remainder by n is its number.
const Slots = 256

// ID tells an event from all others: SHA-256 over app, shop and webhook id,
// with a zero byte between. Headers are not signed, so no raw one is ever part
// of a key.
type ID [sha256.Size]byte

// IDOf is the ID of a delivery. Retries of one delivery have one webhook id.
// https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
func IDOf(app, shop, webhookID string) ID {
	return digest(app, shop, webhookID)
}

// Again is the ID of an event that a replay puts in anew: another one for each
// replay, the same for a replay that is repeated.
func (id ID) Again(replay string) ID {
	if replay == "" {
		return id
	}
	return digest(string(id[:]), "replay", replay)
}

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads what String wrote.
func ParseID(text string) (ID, error) {
	var id ID
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("id %.80q of an event: must be %d hex digits", text, 2*len(id))
	}
	return ID(b), nil
}

func digest(words ...string) ID {
	h := sha256.New()
	for i, w := range words {
		if i > 0 {
			h.Write([]byte{0})
		}
		h.Write([]byte(w))
	}
	return ID(h.Sum(nil))
}

// Family is the kind of headers that a delivery came with.
type Family string

// Families of headers.
const (
	FamilyWebhook Family = ""       // X-Shopify-Topic and so on
	FamilyEvents  Family = "events" // the newer pipeline's: Shopify-Topic and so on
)

// Event is one delivery of a shop. All but Body, Sum and App come from unsigned
// headers.
type Event struct {
	ID          ID
	Sum         [sha256.Size]byte // of the body
	App         string            // whose secret signed it
	Shop        string
	Topic       string
	WebhookID   string
	EventID     string // shared by sibling deliveries; may be empty
	APIVersion  string
	Name        string // of the subscription; may be empty
	TriggeredAt string // may be empty
	ContentType string
	Family      Family
	Arrived     time.Time // receiver's wall clock: for display, lag and the order of streams
	Replay      string    // the replay, retry or release that put it in anew; empty: the shop delivered it
	Redacted    bool      // the body was taken out on request
	Body        []byte
}

// Key is what the event is deduped by. What a sink knows its effect by is its
// IdempotencyKey.
func (e Event) Key() ID { return e.ID.Again(e.Replay) }

// Slot is the part of the buffer that the event's shop belongs to, 0 to
// Slots-1. Events of one shop have one slot, so that their order can be kept.
func (e Event) Slot() int { return SlotOf(e.App, e.Shop) }

// SlotOf is the slot of a shop's events.
func SlotOf(app, shop string) int {
	d := digest(app, shop)
	return int(d[0])
}

// SlotSet is a set of slots.
type SlotSet [Slots / 8]byte

// Add puts a slot in.
func (s *SlotSet) Add(slot int) { s[slot/8] |= 1 << (slot % 8) }

// Has reports whether a slot is in.
func (s SlotSet) Has(slot int) bool { return s[slot/8]&(1<<(slot%8)) != 0 }

// Meets reports whether the sets have a slot in common.
func (s SlotSet) Meets(other SlotSet) bool {
	for i := range s {
		if s[i]&other[i] != 0 {
			return true
		}
	}
	return false
}

// SlotsOf are the slots of one partition out of n, 1 to Slots.
func SlotsOf(partition, n int) SlotSet {
	var s SlotSet
	for slot := partition; slot < Slots; slot += n {
		s.Add(slot)
	}
	return s
}
