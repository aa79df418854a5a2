package ovh_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// drawn is a provider put together at random.
type drawn struct {
	rows   []turned // of different knobs
	names  []string
	fault  *cloud.Fault
	beside bool // somebody else's refresh runs as we begin
}

func (d drawn) String() string { return fmt.Sprintf("%v, %+v, %t", d.names, d.fault, d.beside) }

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
		if knob == "PendingLag" && row.name == "1m0s" {
			continue // docs/targets/ovh.md, known unknowns: beyond lagLimit a late count hides what else went wrong
		}
		d.rows, d.names = append(d.rows, row), append(d.names, knob+" "+row.name)
	}
	d.beside = rapid.Bool().Draw(rt, "beside")
	if rapid.Bool().Draw(rt, "fault") {
		all := answers()
		for name, f := range second() {
			all[name] = f
		}
		f := all[rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(rt, "which")]
		f.Skip, f.Frontend = rapid.IntRange(0, 30).Draw(rt, "skip"), frontend
		f.Count = rapid.SampledFrom([]int{1, 1, 3, 10}).Draw(rt, "count")
		f.Method = rapid.SampledFrom([]string{"", http.MethodGet, http.MethodPut, http.MethodPost}).Draw(rt, "method")
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
	if d.beside {
		_, err := r.sim.ForeignRefresh(service, "")
		r.must(err)
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
		r.t.Errorf("the provider is as it should be, and it is %s: %s", e, w.reason)
	}
}
