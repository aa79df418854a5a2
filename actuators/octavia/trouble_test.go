package octavia_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	cloud "github.com/pointsman/pointsman/test/clouds/octavia"
)

// final are the statuses after which no further try can help, in Octavia's own words.
func final() []int { return []int{400, 403, 404, 405} }

// answers are wrong answers of every sort, once each.
func answers() map[string]cloud.Fault {
	out := map[string]cloud.Fault{
		"hang": {Do: cloud.DoHang}, "reset": {Do: cloud.DoReset}, "empty 200": {Do: cloud.DoEmpty},
		"late by 4 s": {Do: cloud.DoDelay, Delay: 4 * time.Second}, "late by 8 s": {Do: cloud.DoDelay, Delay: 8 * time.Second},
		"half": {Do: cloud.DoTruncate, When: cloud.After}, "cut": {Do: cloud.DoCut, When: cloud.After},
		"100 MB":      {Status: 200, Size: 100 << 20},
		"page, 200":   {Status: 200, Body: "<html><body>Back soon</body></html>"},
		"object, 200": {Status: 200, Body: "{}"},
		"redirect":    {Status: 307, Location: "http://elsewhere.example/v2.0/"},
		"retry after": {Status: 429, RetryAfter: "90"},
	}
	for _, status := range append(final(), 401, 408, 409, 429, 498, 500, 502, 503, 504) {
		out[fmt.Sprint(status)] = cloud.Fault{Status: status}
		out[fmt.Sprint(status, " page")] = cloud.Fault{Status: status, HTML: true}
	}
	return out
}

// TestWrongAnswerOnce: one wrong answer to one call, before or after its
// effect. What is not final is got over, what is stuck says status and id.
func TestWrongAnswerOnce(t *testing.T) {
	for name, fault := range answers() {
		for _, when := range []cloud.When{cloud.Before, cloud.After} {
			if fault.When != "" && fault.When != when {
				continue
			}
			for i, c := range append(calls(), "POST /auth/tokens") {
				if fault.Size > 0 && i%2 != 0 {
					continue // some of each sort are enough
				}
				f := fault
				f.Method, f.Path, _ = strings.Cut(c, " ")
				f.When, f.Keystone = when, f.Method == http.MethodPost
				t.Run(fmt.Sprint(name, " ", when, " ", c), func(t *testing.T) {
					inBubble(t, func(r *rig) { r.overcomes(f) })
				})
			}
		}
	}
}

func (r *rig) overcomes(fault cloud.Fault) {
	r.t.Helper()
	r.add(fault)
	w, e := r.ride(1, patience)
	w.sound(e, 0)
	if r.sim.Hits() != 1 {
		r.t.Fatalf("the fault struck %d times", r.sim.Hits())
	}
	if e == done {
		return
	}
	own := slices.Contains(final(), fault.Status) || fault.Status == http.StatusUnauthorized
	if e != stuck || !own || !strings.Contains(w.Reason, fmt.Sprint(fault.Status)) || len(w.IDs) == 0 {
		r.t.Fatalf("%s, %q, answers %q", e, w.Reason, w.IDs)
	}
	w, e = r.ride(1, patience) // a human's retry
	w.sound(e, 0)
	if e != done {
		r.t.Errorf("tried again: %s, %s", e, w.Reason)
	}
}

// TestOutage: a wrong answer to all calls for five minutes is got over as soon
// as it ends, at a bounded number of requests.
func TestOutage(t *testing.T) {
	for name, fault := range answers() {
		own := !fault.HTML && (slices.Contains(final(), fault.Status) || fault.Status == http.StatusUnauthorized)
		if own || fault.Size > 0 || fault.Do == cloud.DoDelay && fault.Delay < 5*time.Second {
			continue
		}
		for _, keystone := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", keystone), func(t *testing.T) {
				inBubble(t, func(r *rig) {
					fault.Count, fault.Keystone = cloud.Unlimited, keystone
					r.add(fault)
					w, e := r.ride(1, 5*time.Minute)
					w.sound(e, 0)
					if e != open {
						t.Fatalf("%s, %s", e, w.Reason)
					}
					r.Mend()
					began := time.Now()
					w, e = r.ride(1, patience)
					w.sound(e, 0)
					if took := time.Since(began); e != done || took > 2*time.Minute {
						t.Errorf("%s after %s: %s", e, took, w.Reason)
					}
				})
			})
		}
	}
}

// TestTokensEndAtAnyCall: revoked before the n-th call, they are replaced, by
// one new one.
func TestTokensEndAtAnyCall(t *testing.T) {
	for n := range 16 {
		inBubble(t, func(r *rig) {
			r.add(cloud.Fault{Do: cloud.DoRevoke, Skip: n})
			w, e := r.ride(1, patience)
			w.sound(e, 0)
			made := w.busiest(func(c cloud.Call) bool { return c.Keystone })
			if e != done || made > 2 {
				t.Errorf("call %d: %s, %s, %d tokens", n, e, w.Reason, made)
			}
		})
	}
}

// second are the things that others do to the same load balancer.
func second() map[string]cloud.Fault {
	return map[string]cloud.Fault{
		"human, value":      {Do: cloud.DoEdit, Edit: `{"default_pool_id":"` + poolA + `"}`},
		"human, none":       {Do: cloud.DoEdit, Edit: `{"default_pool_id":null}`},
		"human, text":       {Do: cloud.DoEdit, Edit: `{"description":"mine"}`},
		"human, both":       {Do: cloud.DoEdit, Edit: `{"default_pool_id":"` + poolA + `","description":"mine"}`},
		"human, same value": {Do: cloud.DoEdit, Edit: `{"default_pool_id":"` + poolB + `"}`},
		"human, name":       {Do: cloud.DoEdit, Edit: `{"name":"redis"}`},
		"terraform":         {Do: cloud.DoEdit, Edit: `{"default_pool_id":"` + poolA + `","description":"` + ownText + `","name":"cache"}`},
		"their change":      {Do: cloud.DoLock, Delay: 40 * time.Second},
	}
}

// TestSecondWriterAtEveryInstant: somebody else writes before the n-th of our
// calls. Done is true at that moment, or it says what it found.
func TestSecondWriterAtEveryInstant(t *testing.T) {
	worlds := map[string]func(*cloud.Knobs){
		"plain":      func(*cloud.Knobs) {},
		"instant":    func(k *cloud.Knobs) { k.Provision = 0 },
		"shown late": func(k *cloud.Knobs) { k.Shows, k.PutAnswer = cloud.ShowsActive, cloud.PutEmpty },
	}
	const calls = 24 // of a quiet failover
	for name, fault := range second() {
		for world, turn := range worlds {
			t.Run(name+" "+world, func(t *testing.T) {
				for n := range calls {
					inBubble(t, func(r *rig) { r.meets(fault, n) }, turn)
				}
			})
		}
	}
}

func (r *rig) meets(fault cloud.Fault, n int) {
	r.t.Helper()
	fault.Listener, fault.Skip = listenerID, n
	r.add(fault)
	w, e := r.ride(1, patience)
	w.sound(e, 1)
	switch {
	case e == done:
	case e == stuck && strings.Contains(w.Reason, "foreign: edited since our write"):
	default:
		r.t.Errorf("call %d: %s, %s", n, e, w.Reason)
	}
}

// drawn is a provider put together at random.
type drawn struct {
	rows  []turned // of different knobs
	names []string
	fault *cloud.Fault
}

func (d drawn) String() string { return fmt.Sprintf("%v, %+v", d.names, d.fault) }

// draw takes a value of each third knob, and now and then one under which a
// failover cannot end.
func draw(rt *rapid.T) (d drawn) {
	rows := table()
	impossible := rapid.IntRange(0, 9).Draw(rt, "impossible") == 0
	for _, knob := range slices.Sorted(maps.Keys(rows)) {
		if rapid.IntRange(0, 2).Draw(rt, "turn "+knob) != 0 {
			continue
		}
		row := rapid.SampledFrom(rows[knob]).Draw(rt, knob)
		if row.ends != "" && row.ends != done && !impossible {
			continue
		}
		d.rows, d.names = append(d.rows, row), append(d.names, knob+" "+row.name)
	}
	if rapid.Bool().Draw(rt, "fault") {
		all := answers()
		maps.Copy(all, second())
		f := all[rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(rt, "which")]
		f.Skip, f.Listener = rapid.IntRange(0, 30).Draw(rt, "skip"), listenerID
		f.Count = rapid.SampledFrom([]int{1, 1, 3, 10}).Draw(rt, "count")
		f.Method = rapid.SampledFrom([]string{"", http.MethodGet, http.MethodPut}).Draw(rt, "method")
		if f.Size == 0 {
			d.fault = &f
		}
	}
	return d
}

// TestMixedProvider: whatever the provider is like, done is true when it is
// said, nothing is changed twice, nothing runs hot; and once the provider is as
// it should be, the failover ends right.
func TestMixedProvider(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := draw(rt)
		failed := false
		synctest.Test(t, func(t *testing.T) {
			t.Cleanup(func() {
				if failed = t.Failed(); failed {
					t.Log(d)
				}
			})
			newRig(t, func(k *cloud.Knobs) {
				for _, row := range d.rows {
					row.set(k)
				}
			}).plays(d)
		})
		if failed {
			rt.FailNow()
		}
	})
}

func (r *rig) plays(d drawn) {
	r.t.Helper()
	edits := 0
	if d.fault != nil {
		r.add(*d.fault)
		edits = d.fault.Count
	}
	w, e := r.ride(1, patience)
	w.sound(e, edits)
	if e == done {
		return
	}
	r.heal()
	w, e = r.ride(1, patience)
	w.sound(e, edits)
	if e != done && (e != stuck || d.fault == nil || d.fault.Edit == "") {
		r.t.Errorf("the provider is as it should be, and it is %s: %s", e, w.Reason)
	}
}
