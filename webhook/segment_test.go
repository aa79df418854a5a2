package webhook_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pointsman/pointsman/webhook"
)

func drawEvent(t *rapid.T) webhook.Event {
	text := rapid.StringN(0, 40, 120)
	e := webhook.Event{
		App: text.Draw(t, "app"), Shop: text.Draw(t, "shop"), Topic: text.Draw(t, "topic"), WebhookID: text.Draw(t, "webhook id"),
		EventID: text.Draw(t, "event id"), APIVersion: "2026-10", Name: text.Draw(t, "name"), ContentType: "application/json",
		Arrived: time.Unix(0, rapid.Int64().Draw(t, "arrived")), Replay: text.Draw(t, "replay"), Redacted: rapid.Bool().Draw(t, "redacted"),
		Family: rapid.SampledFrom([]webhook.Family{webhook.FamilyWebhook, webhook.FamilyEvents}).Draw(t, "family"),
		Body:   rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "body"),
	}
	e.ID, e.Sum = webhook.IDOf(e.App, e.Shop, e.WebhookID), sha256.Sum256(e.Body)
	return e
}

func TestSegmentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 1, 9).Draw(t, "events")
		b, err := webhook.EncodeSegment(events)
		if err != nil {
			t.Fatal(err)
		}
		back, err := webhook.DecodeSegment(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(events, back, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }), cmp.Comparer(bytes.Equal)); d != "" {
			t.Fatal(d)
		}
		damaged := slices.Clone(b)
		if cut := rapid.IntRange(0, len(b)).Draw(t, "cut"); cut < len(b) && rapid.Bool().Draw(t, "cut it") {
			damaged = damaged[:cut]
		} else {
			at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			damaged[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		if _, err := webhook.DecodeSegment(damaged); !errors.Is(err, webhook.ErrDamaged) {
			t.Fatalf("damaged segment: %v", err)
		}
	})
}

func TestSegmentKey(t *testing.T) {
	s := webhook.Segment{Stream: "recv-a-0123456789ab-0123456789abcdef", Number: 4097}
	s.Slots.Add(0)
	s.Slots.Add(255)
	back, err := webhook.ParseSegment(s.Key())
	if err != nil || back != s {
		t.Fatalf("%v %v", back, err)
	}
	if from := webhook.SegmentFrom(s.Stream, s.Number); from >= s.Key() || from <= (webhook.Segment{Stream: s.Stream, Number: s.Number - 1}).Key() {
		t.Errorf("SegmentFrom(%d) = %s does not lie right before %s", s.Number, from, s.Key())
	}
	for _, bad := range []string{"", "in/", s.Key() + "0", s.Key()[1:], "in/../" + s.Key()[3:]} {
		if _, err := webhook.ParseSegment(bad); err == nil {
			t.Errorf("ParseSegment(%q) took it", bad)
		}
	}
}

func FuzzDecodeSegment(f *testing.F) {
	e := webhook.Event{App: "a", Shop: "s", Body: []byte("{}")}
	b, err := webhook.EncodeSegment([]webhook.Event{e, e})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := webhook.DecodeSegment(b); err != nil && !errors.Is(err, webhook.ErrDamaged) {
			t.Fatal(err)
		}
	})
}

func TestEverySlotHasOnePartition(t *testing.T) {
	for _, n := range []int{1, 7, 64, 256} {
		for slot := range webhook.Slots {
			holders := 0
			for p := range n {
				if webhook.SlotsOf(p, n).Has(slot) {
					holders++
				}
			}
			if holders != 1 {
				t.Fatalf("%d partitions: slot %d has %d holders", n, slot, holders)
			}
		}
	}
}
