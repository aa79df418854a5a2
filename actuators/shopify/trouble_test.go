package shopify_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

// answers are the ways in which one request goes wrong, by name.
func answers() map[string]cloud.Fault {
	out := map[string]cloud.Fault{
		"drop": {Do: cloud.DoDrop}, "hang": {Do: cloud.DoHang}, "late": {Do: cloud.DoDelay, Delay: 7e9}, "truncated": {Do: cloud.DoTruncate, When: cloud.After},
		"cut": {Do: cloud.DoCut, When: cloud.After}, "empty": {Do: cloud.DoEmpty}, "100 MB": {Status: 200, Size: 100 << 20},
		"redirect": {Status: 301, Location: "https://elsewhere.example/"}, "other redirect": {Status: 307, Location: "http://169.254.169.254/"},
		"list": {Status: 200, Body: "[1,2]"}, "text": {Status: 200, Body: `"yes"`}, "no data": {Status: 200, Body: `{"data":null}`},
		"odd data": {Status: 200, Body: `{"data":{"metafieldsSet":7,"currentAppInstallation":"x"}}`}, "null payload": {Status: 200, Body: `{"data":{"metafieldsSet":null,"currentAppInstallation":null}}`},
		"odd errors": {Status: 200, Body: `{"errors":{"a":[1]}}`}, "errors as text": {Status: 200, Body: `{"errors":"no"}`}, "page": {Status: 200, HTML: true},
	}
	for _, status := range []int{400, 401, 402, 403, 404, 405, 406, 408, 409, 418, 422, 423, 429, 430, 500, 501, 502, 503, 504, 520} {
		out[fmt.Sprint(status)] = cloud.Fault{Status: status}
		out[fmt.Sprint(status, " page")] = cloud.Fault{Status: status, HTML: true}
	}
	for _, code := range []string{"THROTTLED", "ACCESS_DENIED", "SHOP_INACTIVE", "INTERNAL_SERVER_ERROR", "TIMEOUT", "undefinedField", "MAX_COST_EXCEEDED", "INVALID_VARIABLE", "FROM_THE_FUTURE", ""} {
		out["error "+code] = cloud.Fault{Do: cloud.DoError, Code: code}
	}
	for _, code := range []string{"STALE_OBJECT", "INTERNAL_ERROR", "APP_NOT_AUTHORIZED", "BLANK", "INVALID_VALUE", "FROM_THE_FUTURE"} {
		out["user error "+code] = cloud.Fault{Op: cloud.OpWrite, Do: cloud.DoUserError, Code: code}
	}
	return out
}

// forGood are those that no further try can mend: a human does. A 401 is not
// among them where another token can be had.
func forGood(name string, op cloud.Op) bool {
	if op == cloud.OpToken {
		return false // there a refusal is in other words
	}
	for _, n := range []string{
		"400", "403", "403 page", "404", "405", "406", "409", "418", "422", "430", "error ACCESS_DENIED", "error undefinedField", "error MAX_COST_EXCEEDED", "error INVALID_VARIABLE",
		"user error APP_NOT_AUTHORIZED", "user error BLANK", "user error INVALID_VALUE", "user error FROM_THE_FUTURE",
	} {
		if name == n {
			return true
		}
	}
	return false
}

// TestEveryAnswerOnce: each way in which one request goes wrong, before and
// after its effect, of each kind of request; then all is well.
func TestEveryAnswerOnce(t *testing.T) {
	for name, fault := range answers() {
		for _, op := range []cloud.Op{cloud.OpRead, cloud.OpWrite, cloud.OpToken} {
			for _, when := range []cloud.When{cloud.Before, cloud.After} {
				f := fault
				if f.Op != "" && f.Op != op || f.When != "" && f.When != when {
					continue
				}
				f.Op, f.When = op, when
				t.Run(fmt.Sprint(name, "/", op, "/", when), func(t *testing.T) {
					inBubble(t, granted, func(r *rig) {
						r.add(f)
						w, e := r.ride(1, patience)
						w.sound(e)
						want := done
						if forGood(name, op) {
							want = stuck
						}
						if e != want {
							t.Fatalf("%s (%s), want %s", e, w.reason, want)
						}
						r.heal()
						w, e = r.ride(1, patience)
						w.sound(e)
						if e != done {
							t.Errorf("%s in the end: %s", e, w.reason)
						}
					})
				})
			}
		}
	}
}

// TestEveryAnswerForever: no hot loop, no secret, nothing done twice, and all
// is well once the shop is.
func TestEveryAnswerForever(t *testing.T) {
	for name, fault := range answers() {
		if fault.Size > 0 {
			continue // half an hour of it is much to carry
		}
		t.Run(name, func(t *testing.T) {
			inBubble(t, static, func(r *rig) {
				fault.Count = cloud.Unlimited
				r.add(fault)
				w, e := r.ride(1, patience)
				w.sound(e)
				if n := len(r.sim.Journal(0).Calls); n > 600 { // three for each attempt, at most 30 s apart
					t.Errorf("%d requests in half an hour", n)
				}
				r.heal()
				w, e = r.ride(1, patience)
				w.sound(e)
				if e != done {
					t.Errorf("%s in the end: %s", e, w.reason)
				}
			})
		})
	}
}

// TestDrawnShops: shops put together at random, with faults on top.
func TestDrawnShops(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rows, all := table(), answers()
		var turns []func(*cloud.Knobs)
		for _, knob := range slices.Sorted(maps.Keys(rows)) {
			if rapid.IntRange(0, 2).Draw(rt, "turn "+knob) != 0 {
				continue
			}
			if row := rapid.SampledFrom(rows[knob]).Draw(rt, knob); row.ends == "" && row.granted == "" {
				turns = append(turns, row.set)
			}
		}
		var faults []cloud.Fault
		for range rapid.IntRange(0, 3).Draw(rt, "faults") {
			name := rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(rt, "which")
			f := all[name]
			f.Skip, f.Count = rapid.IntRange(0, 6).Draw(rt, "skip"), rapid.IntRange(1, 4).Draw(rt, "count")
			if f.Size == 0 {
				faults = append(faults, f)
			}
		}
		login := rapid.SampledFrom([]func(*lab, string){static, granted}).Draw(rt, "login")
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, newLab(t, login, turns...))
			for _, f := range faults {
				r.add(f)
			}
			w, e := r.ride(1, patience)
			w.sound(e)
			if e != done {
				r.heal()
				w, e = r.ride(1, patience)
				w.sound(e)
			}
			if e != done {
				rt.Fatalf("%s: %s", e, w.reason)
			}
		})
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}
