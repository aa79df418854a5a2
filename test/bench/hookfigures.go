package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/pointsman/pointsman/test/clouds/hooks"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// onHooks plays the part webhooks on one object store.
func (b *bench) onHooks(ctx context.Context, o hookOptions) (out *hooked, err error) {
	out = &hooked{}
	if o.naive == "" {
		out.Left = append(out.Left, "test/bench/naivepeer was not built: that side is left out")
	}
	if o.python, err = flaskPython(ctx); err != nil {
		out.Left = append(out.Left, err.Error())
	}
	if o.program == "" {
		if o.program, err = lab.Find(); err != nil {
			return out, err
		}
	}
	s, err := newHookStage(ctx, o)
	if err != nil {
		return out, err
	}
	defer func() {
		if bad := s.Close(); err == nil {
			err = bad
		}
	}()
	if out.Sides, err = b.turns(ctx, s); err != nil {
		return out, err
	}
	for _, store := range [][2]string{{"folder", hooks.Folder(filepath.Join(s.dir, "folder"))}, {"versitygw", hooks.Bucket(s.store, "flow/")}} {
		f, err := b.flow(ctx, s, store[0], store[1])
		if err != nil {
			return out, err
		}
		out.Flows = append(out.Flows, f)
	}
	out.Slow, err = b.slow(ctx, s)
	return out, err
}

// claim says what must hold on any machine: the counts.
func (h *hooked) claim(claim func(holds bool, format string, args ...any)) {
	if h == nil {
		return
	}
	for _, s := range h.Sides {
		claim(s.Side != byPointsman || s.Others == 0, "webhooks: %d deliveries were not answered 2xx", s.Others)
	}
	for _, f := range h.Flows {
		claim(f.Calls >= int64(f.Events), "webhooks, %s: %d calls of the handler for %d events", f.Store, f.Calls, f.Events)
	}
}

// hookTable writes receivers side by side, and what else webhooks take.
func (f *figures) hookTable(w io.Writer) {
	h := f.Hooks
	if h == nil {
		return
	}
	for _, why := range h.Left {
		fmt.Fprintf(w, "\nLEFT OUT: %s\n", why)
	}
	h.sideTable(w)
	if len(h.Flows) > 0 {
		row(w, "")
		row(w, "webhooks from end to end: one receiver, one worker, a handler that does nothing", "events", "acknowledged after, s", "all done after, s", "events a minute", "calls", "receiver, worker, MiB")
		row(w, "---", "---", "---", "---", "---", "---", "---")
	}
	for _, f := range h.Flows {
		row(w, "store: "+f.Store, fmt.Sprint(f.Events), fmt.Sprint(f.Received), fmt.Sprint(f.Done), fmt.Sprintf("%.0f", f.PerMinute), fmt.Sprint(f.Calls), fmt.Sprintf("%.0f, %.0f", f.Receiver, f.Worker))
	}
	if s := h.Slow; s != nil {
		row(w, "")
		row(w, "clients that send a byte a second", "open at once, at most", "receiver's memory before, MiB", "at most, MiB", "p99 of others before, ms", "among them, ms", "answered a second", "not 2xx")
		row(w, "---", "---", "---", "---", "---", "---", "---", "---")
		row(w, fmt.Sprint(s.Clients), fmt.Sprint(s.Most), fmt.Sprint(s.Before), fmt.Sprint(s.During), fmt.Sprint(s.Alone), fmt.Sprint(s.Among), fmt.Sprint(s.Rate), fmt.Sprint(s.Others))
	}
}

func (h *hooked) sideTable(w io.Writer) {
	if len(h.Sides) == 0 {
		return
	}
	row(w, "")
	row(w, "receivers of webhooks on one versitygw", "acknowledged a second", "p50, ms", "p99, ms", "objects per 1,000 events", "not 2xx", "our rate is", "our p99 is")
	row(w, "---", "---", "---", "---", "---", "---", "---", "---")
	ours := h.Sides[0]
	for _, s := range h.Sides {
		rate, tail := "", ""
		if s.Side != ours.Side {
			rate, tail = fmt.Sprintf("%.1f ×", ratio(s.Rate.Median, ours.Rate.Median)), fmt.Sprintf("%.2f ×", ours.P99.Median/max(s.P99.Median, 0.01))
		}
		row(w, s.Side, fmt.Sprintf("%.0f (%.0f to %.0f)", s.Rate.Median, s.Rate.Min, s.Rate.Max), fmt.Sprint(s.P50.Median), fmt.Sprint(s.P99.Median), fmt.Sprint(s.Objects), fmt.Sprint(s.Others), rate, tail)
	}
}
