package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/bucket"
)

// naiveProgram is where `make bench` builds the receiver of one PUT per request.
const naiveProgram = "../../bin/naivepeer"

// The part of webhooks with small numbers: every side answers, all events come
// through, and slow clients are cut off. Beside those who are there.
func TestHookFigures(t *testing.T) {
	if _, err := bucket.Binary(); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), playWithin)
	defer cancel()
	o := hookOptions{program: program(t), span: 200 * time.Millisecond, rounds: 1, connections: 8, events: 300, slow: 50}
	if _, err := os.Stat(naiveProgram); err == nil {
		o.naive = naiveProgram
	}
	b := &bench{talk: io.Discard, began: time.Now()}
	h, err := b.onHooks(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Sides)+len(h.Left) != 3 {
		t.Errorf("%d sides, left out: %q", len(h.Sides), h.Left)
	}
	for _, s := range h.Sides {
		if s.Rate.Median <= 0 || s.P99.Median < s.P50.Median || s.Objects <= 0 || s.Others != 0 {
			t.Errorf("%+v", s)
		}
	}
	if ours := h.Sides[0]; ours.Side != byPointsman || ours.Objects >= 1000 {
		t.Errorf("an object holds one event: %+v", ours)
	}
	for _, f := range h.Flows {
		if f.Calls < 300 || f.PerMinute <= 0 || f.Done < f.Received || f.Receiver <= 0 || f.Worker <= 0 {
			t.Errorf("%+v", f)
		}
	}
	if s := h.Slow; len(h.Flows) != 2 || s.Most == 0 || s.During <= 0 || s.Acks == 0 || s.Others != 0 {
		t.Errorf("%d flows, slow %+v", len(h.Flows), s)
	}
	var out strings.Builder
	f := &figures{Hooks: h}
	f.markdown(&out)
	if !strings.Contains(out.String(), "| store: versitygw | 300 |") || f.claims() != nil {
		t.Errorf("the table:\n%s%v", out.String(), f.claims())
	}
}

func TestHookClaims(t *testing.T) {
	for name, h := range map[string]*hooked{
		"refused":    {Sides: []hookSide{{Side: byPointsman, Others: 1}}},
		"not worked": {Flows: []hookFlow{{Events: 2, Calls: 1}}},
	} {
		if err := (&figures{Hooks: h}).claims(); !errors.Is(err, errClaims) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
