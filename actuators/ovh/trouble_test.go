package ovh_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// final are the statuses after which no further try can help.
func final() []int { return []int{400, 401, 403, 404, 405, 460} }

// answers are wrong answers of every sort, once each.
func answers() map[string]cloud.Fault {
	out := map[string]cloud.Fault{
		"hang": {Do: cloud.DoHang}, "drop": {Do: cloud.DoDrop}, "reset": {Do: cloud.DoReset}, "empty 200": {Do: cloud.DoEmpty},
		"late by 4 s": {Do: cloud.DoDelay, Delay: 4 * time.Second}, "late by 8 s": {Do: cloud.DoDelay, Delay: 8 * time.Second},
		"half": {Do: cloud.DoTruncate, When: cloud.After}, "cut": {Do: cloud.DoCut, When: cloud.After},
		"100 MB":      {Do: cloud.DoAnswer, Status: 200, Size: 100 << 20},
		"page, 200":   {Do: cloud.DoAnswer, Status: 200, Body: "<html><body>Back soon</body></html>"},
		"redirect":    {Do: cloud.DoAnswer, Status: 307, Location: "http://elsewhere.example/1.0/"},
		"moved":       {Do: cloud.DoAnswer, Status: 301, Location: endpoint + "/auth/time", HTML: true},
		"retry after": {Do: cloud.DoAnswer, Status: 429, RetryAfter: "90"},
	}
	for _, status := range append(final(), 408, 409, 423, 429, 500, 502, 503, 504) {
		out[fmt.Sprint(status)] = cloud.Fault{Status: status}
		out[fmt.Sprint(status, " old form")] = cloud.Fault{Status: status, OldForm: true}
		out[fmt.Sprint(status, " page")] = cloud.Fault{Status: status, HTML: true}
		out[fmt.Sprint(status, " with code 200")] = cloud.Fault{Status: status, Code: new(200)}
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
			for i, c := range calls() {
				if fault.Size > 0 && i%4 != 0 || (fault.OldForm || fault.Code != nil) && i < 6 {
					continue // one of each sort of call is enough
				}
				method, path, _ := strings.Cut(c, " ")
				fault.When, fault.Method, fault.Path = when, method, path
				t.Run(fmt.Sprint(name, " ", when, " ", c), func(t *testing.T) {
					inBubble(t, func(r *rig) { r.overcomes(fault) })
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
	if hits := r.sim.Faults()[0].Hits; hits != 1 {
		r.t.Fatalf("the fault struck %d times", hits)
	}
	if e == done {
		return
	}
	if e != stuck || !slices.Contains(final(), fault.Status) || !strings.Contains(w.reason, fmt.Sprint(fault.Status)) || len(w.ids) == 0 {
		r.t.Fatalf("%s, %q, answers %q", e, w.reason, w.ids)
	}
	w, e = r.ride(1, patience) // a human's retry
	w.sound(e, 0)
	if e != done {
		r.t.Errorf("tried again: %s, %s", e, w.reason)
	}
}

// TestPageInPlaceOfATask: a proxy's 404 is not OVH's word that a task is gone.
func TestPageInPlaceOfATask(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(cloud.Fault{Path: "*/task/*", Skip: 1, Count: 3, Status: 404, HTML: true})
		w, e := r.ride(1, patience)
		w.sound(e, 0)
		if e != done || r.sim.Faults()[0].Hits != 3 {
			t.Errorf("%s, %s", e, w.reason)
		}
	}, func(k *cloud.Knobs) { k.PendingClears, k.TaskDoing = cloud.ClearsSnapshot, time.Minute })
}

// TestZonesThatALateCountHides: what a refresh leaves out is known without it.
func TestZonesThatALateCountHides(t *testing.T) {
	inBubble(t, func(r *rig) {
		w, e := r.ride(1, patience)
		w.sound(e, 0)
		if e != done {
			t.Errorf("%s, %s", e, w.reason)
		}
	}, func(k *cloud.Knobs) { k.RefreshZones, k.PendingLag = cloud.RefreshFirst, time.Minute })
}

// TestOutage: a wrong answer to all calls for five minutes is got over as soon
// as it ends, at a bounded number of requests.
func TestOutage(t *testing.T) {
	for name, fault := range answers() {
		if slices.Contains(final(), fault.Status) || fault.Size > 0 || fault.Do == cloud.DoDelay && fault.Delay < 5*time.Second {
			continue
		}
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				fault.Count = cloud.Unlimited
				r.add(fault)
				w, e := r.ride(1, 5*time.Minute)
				w.sound(e, 0)
				if e != open {
					t.Fatalf("%s, %s", e, w.reason)
				}
				r.Mend()
				began := time.Now()
				w, e = r.ride(1, patience)
				w.sound(e, 0)
				if took := time.Since(began); e != done || took > 2*time.Minute {
					t.Errorf("%s after %s: %s", e, took, w.reason)
				}
			})
		})
	}
}

// TestKeyThatEndsOnTheWay: whatever has been done by then, the action is stuck
// with the provider's word, and goes on from there under a new key.
func TestKeyThatEndsOnTheWay(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 10 * time.Second, 20 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			inBubble(t, func(r *rig) {
				key := cloud.Credential{ApplicationKey: applicationKey, ApplicationSecret: applicationSecret, ConsumerKey: consumerKey}
				key.Expires = time.Now().Add(after)
				r.sim.AddCredential(key)
				w, e := r.ride(1, patience)
				w.sound(e, 0)
				if e != stuck || !strings.Contains(w.reason, "INVALID_CREDENTIAL") || len(w.ids) == 0 {
					t.Fatalf("%s, %q, answers %q", e, w.reason, w.ids)
				}
				key.Expires = time.Time{}
				r.sim.AddCredential(key)
				w, e = r.ride(1, patience)
				w.sound(e, 0)
				if e != done {
					t.Errorf("under a new key: %s, %s", e, w.reason)
				}
			}, func(k *cloud.Knobs) { k.TaskDoing = 30 * time.Second })
		})
	}
}

// TestKeyOfAnotherAddress: keys bound to the coordinators' addresses, and a
// request from elsewhere.
func TestKeyOfAnotherAddress(t *testing.T) {
	inBubble(t, func(r *rig) {
		key := cloud.Credential{ApplicationKey: applicationKey, ApplicationSecret: applicationSecret, ConsumerKey: consumerKey}
		key.AllowedIPs = []string{"192.0.2.0/24"}
		r.sim.AddCredential(key)
		w, e := r.ride(1, patience)
		if e != stuck || !strings.Contains(w.reason, "FORBIDDEN") || len(w.ids) == 0 {
			t.Errorf("%s, %q", e, w.reason)
		}
	})
}

// second are the things that others do to the same load balancer.
func second() map[string]cloud.Fault {
	const old = `"displayName":"Redis cache, call the team before editing","allowedSource":["192.0.2.0/24"],"disabled":false`
	return map[string]cloud.Fault{
		"human, value":      {Do: cloud.DoEdit, Edit: `{"defaultFarmId":11}`},
		"human, name":       {Do: cloud.DoEdit, Edit: `{"displayName":"mine"}`},
		"human, both":       {Do: cloud.DoEdit, Edit: `{"defaultFarmId":11,"displayName":"mine"}`},
		"human, same value": {Do: cloud.DoEdit, Edit: `{"defaultFarmId":12}`},
		"human, sources":    {Do: cloud.DoEdit, Edit: `{"allowedSource":["198.51.100.0/24"]}`},
		"terraform":         {Do: cloud.DoTerraform, Edit: `{"defaultFarmId":11,` + old + `}`},
		"terraform, ours":   {Do: cloud.DoTerraform, Edit: `{` + old + `}`},
		"refresh":           {Do: cloud.DoRefresh},
	}
}

// TestSecondWriterAtEveryInstant: somebody else writes before the n-th of our
// calls, under every policy that the provider may have about refreshes
// that meet. Done is true at that moment, or it says what it found.
func TestSecondWriterAtEveryInstant(t *testing.T) {
	policies := map[string]func(*cloud.Knobs){
		"queue":       func(*cloud.Knobs) {},
		"merge":       func(k *cloud.Knobs) { k.SecondRefresh = cloud.SecondMerge },
		"merge early": func(k *cloud.Knobs) { k.SecondRefresh, k.PendingClears = cloud.SecondMerge, cloud.ClearsSnapshot },
		"at post, early": func(k *cloud.Knobs) {
			k.RefreshSnapshot, k.PendingClears = cloud.SnapshotPost, cloud.ClearsSnapshot
		},
		"refuse 400": func(k *cloud.Knobs) { k.SecondRefresh, k.SecondStatus = cloud.SecondRefuse, http.StatusBadRequest },
		"refuse, list lags": func(k *cloud.Knobs) {
			k.SecondRefresh, k.TaskListLag, k.TaskDoing = cloud.SecondRefuse, 2*time.Second, 5*time.Second
		},
	}
	const calls = 26 // of a quiet failover, the provider's time included
	for name, fault := range second() {
		for policy, turn := range policies {
			t.Run(name+" "+policy, func(t *testing.T) {
				for n := range calls {
					inBubble(t, func(r *rig) { r.meets(fault, n) }, turn)
				}
			})
		}
	}
}

func (r *rig) meets(fault cloud.Fault, n int) {
	r.t.Helper()
	fault.Frontend, fault.Skip = frontend, n
	r.add(fault)
	w, e := r.ride(1, patience)
	w.sound(e, 1)
	switch {
	case e == done:
	case e == stuck && strings.Contains(w.reason, "foreign: edited since our write"):
	default:
		r.t.Errorf("call %d: %s, %s", n, e, w.reason)
	}
}
