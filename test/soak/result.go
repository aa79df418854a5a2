package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/pointsman/pointsman/test/clouds/hooks"
)

// result is what a soak came to.
type result struct {
	Sent, Acked, Twice      int
	Posts, Retries          int64
	Errors, Refused, Silent int64
	SendS, DoneS            float64 // seconds, until all was sent and until all was done
	AnswerP50, AnswerP99    time.Duration
	LagP50, LagP99, LagMost time.Duration // from the 2xx to the effect

	Sinks      sinkCounts
	Repeats    int // calls beyond the first of their event
	Unasked    int // worked without an acknowledgement that reached the shop
	Disordered int // effects of a shop before those of an event acknowledged earlier

	DisorderedOne int // the same, of events that one receiver has acknowledged

	NoCall, NoEffect, Doubled, Unknown []string // ids: acknowledged and not worked; effects more than once; never sent
	Dead, Quarantined                  []string // objects

	Skipped, FencedCommits, Uncommitted, Spilled, Received int // by the programs' own metrics
	Kills                                                  map[victim]int
	Failover                                               bool
}

// judge holds what was acknowledged, called and done against each other.
func (s *soak) judge(ctx context.Context, r *result) error {
	acked, sinks := s.shop.Acked(), s.ground.sinks
	effects, err := sinks.effects(ctx)
	if err != nil {
		return err
	}
	if r.Dead, err = hooks.Objects(s.ground.data, "dead"); err != nil {
		return err
	}
	if r.Quarantined, err = hooks.Objects(s.ground.data, "quarantine"); err != nil {
		return err
	}
	s.spans(r, acked)
	sinks.mu.Lock()
	defer sinks.mu.Unlock()
	r.worked(sinks.calls, effects, acked)
	for _, list := range sinks.order {
		r.Disordered += disordered(list)
		for at := range s.ground.at {
			r.DisorderedOne += disordered(slices.DeleteFunc(slices.Clone(list), func(id string) bool {
				a, ok := acked[id]
				return !ok || a.Receiver != at
			}))
		}
	}
	r.Sinks, r.Kills, r.Failover = sinks.count, s.kills, s.moved
	return nil
}

// worked compares the calls of the handler and the effects at the fenced sink
// with what was acknowledged.
func (r *result) worked(calls map[string]int, effects map[string]string, acked map[string]hooks.Ack) {
	sent := map[string]bool{}
	for n := range r.Sent {
		sent[idOf(n)] = true
	}
	for id := range acked {
		if calls[id] == 0 {
			r.NoCall = append(r.NoCall, id)
		}
		if effects[id] == "" {
			r.NoEffect = append(r.NoEffect, id)
		}
	}
	for id, n := range effects {
		if n != "1" {
			r.Doubled = append(r.Doubled, id+": "+n)
		}
	}
	for id, n := range calls {
		r.Repeats += n - 1
		if !sent[id] {
			r.Unknown = append(r.Unknown, id)
		}
		if _, ok := acked[id]; !ok {
			r.Unasked++
		}
	}
}

// disordered counts ids that come after a later one.
func disordered(list []string) (n int) {
	for i := 1; i < len(list); i++ {
		if list[i] < list[i-1] {
			n++
		}
	}
	return n
}

// spans counts what the shop has seen, and how long everything took.
func (s *soak) spans(r *result, acked map[string]hooks.Ack) {
	c := s.shop.Counts()
	r.Acked, r.Posts, r.Retries, r.Errors, r.Refused, r.Silent = len(acked), c.Posts.Load(), c.Retries.Load(), c.Errors.Load(), c.Refused.Load(), c.Silent.Load()
	took := s.shop.Took()
	r.AnswerP50, r.AnswerP99, _ = shares(took)
	var lag []time.Duration
	s.ground.sinks.mu.Lock()
	for id, at := range acked {
		if first, ok := s.ground.sinks.first[id]; ok {
			lag = append(lag, max(0, first.Sub(at.At)))
		}
	}
	s.ground.sinks.mu.Unlock()
	r.LagP50, r.LagP99, r.LagMost = shares(lag)
	r.Skipped, r.FencedCommits = s.seen.sum(`pointsman_webhook_work_skipped_total{reason="duplicate"}`), s.seen.sum("pointsman_webhook_work_fenced_total")
	r.Uncommitted, r.Spilled = s.seen.sum("pointsman_webhook_work_uncommitted_total"), s.seen.sum("pointsman_webhook_spill_written_total")
	r.Received = s.seen.sum(fmt.Sprintf(`pointsman_webhook_requests_total{app=%q,outcome="duplicate"}`, hooks.App))
}

// shares are median, 99th percentile and maximum.
func shares(all []time.Duration) (p50, p99, most time.Duration) {
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[min(len(all)*99/100, len(all)-1)], all[len(all)-1]
}

// held says what did not hold, as errHeld.
func (r result) held() error {
	var errs []error
	hold := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{errHeld}, args...)...))
		}
	}
	some := func(list []string) []string { return list[:min(len(list), 5)] }
	hold(r.Acked == r.Sent, "%d events sent, %d acknowledged in the end", r.Sent, r.Acked)
	hold(len(r.NoCall) == 0, "%d acknowledged events were never handed to the handler: %q", len(r.NoCall), some(r.NoCall))
	hold(len(r.NoEffect) == 0, "%d acknowledged events have no effect at the fenced sink: %q", len(r.NoEffect), some(r.NoEffect))
	hold(len(r.Doubled) == 0, "%d events have another number of effects at the fenced sink than 1: %q", len(r.Doubled), some(r.Doubled))
	hold(len(r.Unknown) == 0 && r.Sinks.Foreign == 0, "%d events were worked that were never sent, %d with a foreign body: %q", len(r.Unknown), r.Sinks.Foreign, some(r.Unknown))
	hold(len(r.Dead) == 0, "%d dead letters: %q", len(r.Dead), some(r.Dead))
	hold(len(r.Quarantined) == 0, "%d in quarantine: %q", len(r.Quarantined), some(r.Quarantined))
	hold(r.Failover, "Redis did not fail over")
	return errors.Join(errs...)
}

// table writes what was counted.
func (r result) table(w io.Writer) {
	ms := func(d time.Duration) string { return d.Round(time.Millisecond).String() }
	for _, row := range [][2]string{
		{"events sent / acknowledged", fmt.Sprintf("%d / %d", r.Sent, r.Acked)},
		{"POSTs / repeated since not 2xx", fmt.Sprintf("%d / %d", r.Posts, r.Retries)},
		{"answers 5xx / other than 2xx / none", fmt.Sprintf("%d / %d / %d", r.Errors, r.Refused, r.Silent)},
		{"2xx after, p50 / p99", fmt.Sprintf("%s / %s", ms(r.AnswerP50), ms(r.AnswerP99))},
		{"sent twice on purpose", fmt.Sprint(r.Twice)},
		{"duplicates known to receivers / skipped by workers *", fmt.Sprintf("%d / %d", r.Received, r.Skipped)},
		{"put into a spill *", fmt.Sprint(r.Spilled)},
		{"calls of the handler", fmt.Sprint(r.Sinks.Calls)},
		{"plain sink: events twice or more, in calls", fmt.Sprint(r.Repeats)},
		{"of which after a failure on purpose", fmt.Sprint(r.Sinks.Failed)},
		{"fenced sink: effects / had it already / refused a late token", fmt.Sprintf("%d / %d / %d", r.Sinks.Applied, r.Sinks.Already, r.Sinks.Fenced)},
		{"completions FENCED / given up with a lease *", fmt.Sprintf("%d / %d", r.FencedCommits, r.Uncommitted)},
		{"acknowledged, never worked", fmt.Sprint(len(r.NoCall) + len(r.NoEffect))},
		{"worked twice at the fenced sink", fmt.Sprint(len(r.Doubled))},
		{"worked, never sent", fmt.Sprint(len(r.Unknown))},
		{"worked, the 2xx was lost", fmt.Sprint(r.Unasked)},
		{"out of a shop's order, over both receivers / of one", fmt.Sprintf("%d / %d", r.Disordered, r.DisorderedOne)},
		{"dead letters / quarantine", fmt.Sprintf("%d / %d", len(r.Dead), len(r.Quarantined))},
		{"SIGKILL: coordinator / worker / receiver / store", fmt.Sprintf("%d / %d / %d / %d", r.Kills[leader], r.Kills[worker], r.Kills[receiver], r.Kills[store])},
		{"failovers of Redis", fmt.Sprint(map[bool]int{true: 1}[r.Failover])},
		{"all sent / all done after, s", fmt.Sprintf("%.1f / %.1f", r.SendS, r.DoneS)},
		{"events a second, to the last effect", fmt.Sprintf("%.0f", float64(r.Acked)/max(r.DoneS, 0.001))},
		{"2xx to effect, p50 / p99 / most", fmt.Sprintf("%s / %s / %s", ms(r.LagP50), ms(r.LagP99), ms(r.LagMost))},
	} {
		fmt.Fprintf(w, "| %-60s | %s |\n", row[0], row[1])
	}
	fmt.Fprintln(w, "* by the programs' own metrics; what a killed process counted last is missing")
}
