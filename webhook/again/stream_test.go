package again_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/again"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

func event(n int, body []byte) webhook.Event {
	id := fmt.Sprint(n)
	return webhook.Event{ID: webhook.IDOf("orders", "a.example", id), App: "orders", Shop: "a.example", WebhookID: id,
		Topic: "orders/create", Sum: sha256.Sum256(body), Body: body}
}

// stored reads a stream back as workers do: number by number.
func stored(t *testing.T, m *buffertest.Memory, stream string) (numbers []string, end uint64) {
	t.Helper()
	for i, key := range m.Keys(webhook.SegmentPrefix(stream)) {
		seg, err := webhook.ParseSegment(key)
		if err != nil || seg.Number != uint64(i) {
			t.Fatalf("segment %d is %s: %v", i, key, err)
		}
		o, _ := m.Get(t.Context(), key)
		events, err := webhook.DecodeSegment(o.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if !seg.Slots.Has(e.Slot()) {
				t.Errorf("%s hides an event", key)
			}
			numbers = append(numbers, e.WebhookID)
		}
	}
	o, err := m.Get(t.Context(), webhook.ReceiverKey(stream))
	if err != nil {
		t.Fatal(err)
	}
	var r webhookv1.Receiver
	if err := proto.Unmarshal(o.Body, &r); err != nil {
		t.Fatal(err)
	}
	return numbers, r.GetEnd()
}

// What is taken is stored in its order, in as many segments as it needs, and the
// stream is ended behind them; whatever single request fails or loses its answer.
func TestStream(t *testing.T) {
	for _, fault := range []buffertest.Fault{buffertest.None, buffertest.Fail, buffertest.Lost, buffertest.Hang, buffertest.LostHang, buffertest.Late} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &buffertest.Memory{}
				f := buffertest.NewFaulty(m, 1)
				s := again.New(f, "retry")
				big := bytes.Repeat([]byte("x"), 9<<20)
				var want []string
				for n := range 1500 {
					var body []byte
					if n < 3 {
						body = big
					}
					f.Next(buffertest.Put, fault)
					if err := s.Add(t.Context(), event(n, body)); err != nil {
						t.Fatal(err)
					}
					f.Mend()
					want = append(want, fmt.Sprint(n))
				}
				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				f.Wait()
				if !webhook.ValidStream(s.Name()) {
					t.Errorf("its name is %q", s.Name())
				}
				got, end := stored(t, m, s.Name())
				if strings.Join(got, " ") != strings.Join(want, " ") || end != 4 || len(m.Keys(webhook.PrefixSegments)) != 4 {
					t.Errorf("%d events in %d segments, ended at %d", len(got), len(m.Keys(webhook.PrefixSegments)), end)
				}
			})
		})
	}
}

func TestNothingIsWrittenForNothing(t *testing.T) {
	m := &buffertest.Memory{}
	if err := again.New(m, "retry").Close(t.Context()); err != nil || len(m.Keys("")) > 0 {
		t.Errorf("%v, %v", m.Keys(""), err)
	}
}

// A store that is down ends it, in bounded time; what was stored before stays
// readable and the stream is ended behind the number that nobody knows of.
func TestStreamGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &buffertest.Memory{}
		f := buffertest.NewFaulty(m, 1)
		s := again.New(f, "retry")
		flush := func() error {
			_ = s.Add(t.Context(), event(1, nil))
			return s.Flush(t.Context())
		}
		if err := flush(); err != nil {
			t.Fatal(err)
		}
		f.Break(buffertest.Hang, buffertest.Put)
		began := time.Now()
		if err := flush(); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Minute {
			t.Fatalf("after %s: %v", time.Since(began), err)
		}
		f.Mend()
		if err := s.Close(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("closed as if all were well: %v", err)
		}
		if got, end := stored(t, m, s.Name()); len(got) != 1 || end != 2 {
			t.Errorf("%v, ended at %d", got, end)
		}
	})
}

// A long one says that it lives, and holds no event for long.
func TestStreamBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &buffertest.Memory{}
		s := again.New(m, "replay")
		for n := range 4 {
			if err := errors.Join(s.Add(t.Context(), event(1, nil)), s.Tick(t.Context())); err != nil || len(m.Keys(webhook.PrefixSegments)) != n {
				t.Fatal(n, err)
			}
			time.Sleep(11 * time.Second)
			if err := s.Tick(t.Context()); err != nil || len(m.Keys(webhook.PrefixSegments)) != n+1 {
				t.Fatal(n, err)
			}
		}
		o, _ := m.Get(t.Context(), webhook.ReceiverKey(s.Name()))
		var r webhookv1.Receiver
		if err := proto.Unmarshal(o.Body, &r); err != nil || r.GetBeat() != 3 || r.GetEnd() != 0 {
			t.Errorf("%v, %v", &r, err)
		}
	})
}

// Reads are made again; what the store says for certain is not asked twice.
func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &buffertest.Memory{}
		f := buffertest.NewFaulty(m, 1)
		p := again.Patient{Store: f}
		if _, err := m.Put(t.Context(), "a", []byte("x"), buffer.Condition{}); err != nil {
			t.Fatal(err)
		}
		for _, op := range buffertest.Ops() {
			f.Next(op, buffertest.Fail, buffertest.Hang, buffertest.Lost)
		}
		if o, err := p.Get(t.Context(), "a"); err != nil || string(o.Body) != "x" {
			t.Errorf("%q, %v", o.Body, err)
		}
		if page, _, err := p.List(t.Context(), "", "", 10); err != nil || len(page) != 1 {
			t.Errorf("%v, %v", page, err)
		}
		if err := p.Delete(t.Context(), "a", buffer.Condition{}); err != nil || len(m.Keys("")) > 0 {
			t.Error(err)
		}
		before := f.Calls(buffertest.Get)
		if _, err := p.Get(t.Context(), "a"); !errors.Is(err, buffer.ErrNotFound) || f.Calls(buffertest.Get) != before+1 {
			t.Error(err)
		}
	})
}
