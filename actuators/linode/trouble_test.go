package linode_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/linode"
)

// final are the statuses after which no further try can help.
func final() []int { return []int{400, 401, 403, 404, 405} }

// answers are wrong answers of every sort, once each.
func answers() map[string]cloud.Fault {
	out := map[string]cloud.Fault{
		"hang": {Do: cloud.DoHang}, "drop": {Do: cloud.DoDrop}, "reset": {Do: cloud.DoReset}, "empty 200": {Do: cloud.DoEmpty},
		"late by 4 s": {Do: cloud.DoDelay, Delay: 4 * time.Second}, "late by 8 s": {Do: cloud.DoDelay, Delay: 8 * time.Second},
		"half": {Do: cloud.DoTruncate, When: cloud.After}, "cut": {Do: cloud.DoCut, When: cloud.After},
		"20 MB":      {Status: 200, Size: 20 << 20},
		"page, 200":  {Status: 200, Body: "<html><body>Back soon</body></html>"},
		"object":     {Status: 200, Body: "{}"},
		"no nodes":   {Status: 200, Body: `{"data":null,"page":1,"pages":1,"results":0}`},
		"odd nodes":  {Status: 200, Body: `{"data":[{"id":"x"}]}`},
		"no ids":     {Status: 200, Body: `{"data":[{"label":"x"}]}`},
		"half ids":   {Status: 200, Body: `{"data":[{"id":501,"label":"redis-master","address":"` + backendA + `","mode":"accept"},{"label":"x"}]}`},
		"many pages": {Status: 200, Body: `{"data":[],"pages":1000000}`},
		"redirect":   {Status: 307, Headers: map[string]string{"Location": "http://elsewhere.example/v4/"}},
		"busy":       {Status: 400, Reason: "Linode busy."},
		"no busy":    {Status: 400, HTML: true},
		"down":       {Status: 503, Headers: map[string]string{"X-Maintenance-Mode": "down"}},
		"limited":    {Status: 429, Headers: map[string]string{"X-RateLimit-Reset": fmt.Sprint(time.Date(2000, 1, 1, 0, 1, 30, 0, time.UTC).Unix())}},
		"wait 90":    {Status: 429, Headers: map[string]string{"Retry-After": "90"}},
	}
	for _, status := range append(final(), 408, 409, 423, 429, 500, 502, 503, 504) {
		out[fmt.Sprint(status)] = cloud.Fault{Status: status}
		out[fmt.Sprint(status, " page")] = cloud.Fault{Status: status, HTML: true}
	}
	return out
}

// TestWrongAnswerOnce: one wrong answer to one call, before or after its effect.
// What is not final is got over, what is stuck says the status and whose answer.
func TestWrongAnswerOnce(t *testing.T) {
	for name, fault := range answers() {
		for _, when := range []cloud.When{cloud.Before, cloud.After} {
			if fault.When != "" && fault.When != when {
				continue
			}
			for _, method := range []string{http.MethodGet, http.MethodPut} {
				fault.When, fault.Method = when, method
				t.Run(fmt.Sprint(name, " ", when, " ", method), func(t *testing.T) {
					inBubble(t, privateNetwork, func(r *rig) { r.overcomes(fault) })
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
	if hits := r.sim.Hits(); hits != 1 {
		r.t.Fatalf("the fault struck %d times", hits)
	}
	if e == done {
		return
	}
	if e != stuck || !slices.Contains(final(), fault.Status) || !strings.Contains(w.Reason, fmt.Sprint(fault.Status)) || len(w.IDs) == 0 {
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
		if slices.Contains(final(), fault.Status) && !fault.HTML && fault.Reason == "" || fault.Size > 0 || fault.Delay == 4*time.Second {
			continue
		}
		t.Run(name, func(t *testing.T) {
			inBubble(t, privateNetwork, func(r *rig) {
				fault.Count = cloud.Unlimited
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

// TestTokenThatEndsOnTheWay: the action is stuck with Linode's word, and goes on
// from there under a new token.
func TestTokenThatEndsOnTheWay(t *testing.T) {
	for _, after := range []time.Duration{0, 1500 * time.Millisecond, 2500 * time.Millisecond} {
		inBubble(t, privateNetwork, func(r *rig) {
			own := cloud.Token{Value: token, Scopes: "*", Expires: time.Now().Add(after)}
			r.sim.AddToken(own)
			w, e := r.ride(1, patience)
			w.sound(e, 0)
			if e != stuck || !strings.Contains(w.Reason, "401: Token has expired") || len(w.IDs) == 0 {
				t.Fatalf("%s, %q, answers %q", e, w.Reason, w.IDs)
			}
			own.Expires = time.Time{}
			r.sim.AddToken(own)
			w, e = r.ride(1, patience)
			w.sound(e, 0)
			if e != done {
				t.Errorf("under a new token: %s, %s", e, w.Reason)
			}
		}, func(k *cloud.Knobs) { k.Latency = time.Second })
	}
}

// second are the things that others do to the same node, and what is said where
// our action cannot be done.
func second() map[string]struct {
	cloud.Fault
	says string // "": it must be done
} {
	edit := func(fields string) cloud.Fault { return cloud.Fault{Do: cloud.DoEdit, Edit: fields} }
	const back = `"address":"` + backendA + `"`
	return map[string]struct {
		cloud.Fault
		says string
	}{
		"address":      {edit(`{` + back + `}`), "edited since our write"},
		"label":        {edit(`{"label":"mine"}`), ""},
		"both":         {edit(`{` + back + `,"label":"mine"}`), ""},
		"same address": {edit(`{"address":"` + backendB + `"}`), ""},
		"weight":       {edit(`{"weight":7}`), ""},
		"drained":      {edit(`{"mode":"drain"}`), "takes no traffic"},
		"backup":       {edit(`{"mode":"backup"}`), "takes no traffic"},
		"deleted":      {cloud.Fault{Do: cloud.DoDelete}, "node 501 is not in configuration 401"},
		"rebuilt":      {cloud.Fault{Do: cloud.DoRebuild}, "node 501 is not in configuration 401"},
		"second":       {cloud.Fault{Do: cloud.DoSecond}, "would split writes"},
	}
}

// TestSecondWriterAtEveryInstant: somebody else writes before the n-th of our
// calls. Done is true at that moment, or it says what it found.
func TestSecondWriterAtEveryInstant(t *testing.T) {
	const calls = 3 // of a quiet failover
	for name, other := range second() {
		for n := range calls {
			t.Run(fmt.Sprint(name, " before call ", n), func(t *testing.T) {
				inBubble(t, privateNetwork, func(r *rig) {
					other.Node, other.Skip = nodeID, n
					r.add(other.Fault)
					w, e := r.ride(1, patience)
					w.sound(e, 1)
					gone := strings.Contains(other.says, "is not in") && strings.Contains(w.Reason, "404: Not found") // by the PUT itself
					switch {
					case r.sim.Hits() != 1:
						t.Fatalf("%d hits", r.sim.Hits())
					case e == done && (other.says == "" || other.says == "edited since our write"):
					case e != stuck || other.says == "" || !strings.Contains(w.Reason, other.says) && !gone:
						t.Errorf("%s, %s", e, w.Reason)
					}
				})
			})
		}
	}
}

// TestRebuiltNodeIsNamed: the text says what stands where the node was.
func TestRebuiltNodeIsNamed(t *testing.T) {
	inBubble(t, privateNetwork, func(r *rig) {
		r.add(cloud.Fault{Do: cloud.DoRebuild, Node: nodeID})
		w, e := r.ride(1, patience)
		if e != stuck || !strings.Contains(w.Reason, "(accept) → "+backendA) || !strings.Contains(w.Reason, "rebuild without ids") {
			t.Errorf("%s, %s", e, w.Reason)
		}
	})
}

// TestPageInPlaceOfTheNode: a list without the node and a proxy's 404 are not
// Linode's word that it is gone; nor is a list alone, which may be old.
func TestPageInPlaceOfTheNode(t *testing.T) {
	for _, faults := range [][]cloud.Fault{
		{{Path: pathOfNodes, Status: 200, Body: `{"data":[],"pages":1}`}, {Path: pathOfNode, Status: 404, HTML: true}},
		{{Path: pathOfNodes, Status: 200, Body: `{"data":[],"pages":1}`, Count: 5}},
	} {
		inBubble(t, privateNetwork, func(r *rig) {
			for _, f := range faults {
				r.add(f)
			}
			w, e := r.ride(1, patience)
			w.sound(e, 0)
			if e != done || r.sim.Hits() < 2 {
				t.Errorf("%s after %d hits: %s", e, r.sim.Hits(), w.Reason)
			}
		})
	}
}

// TestLimitWithoutRetryAfter: X-RateLimit-Reset says when to come again.
func TestLimitWithoutRetryAfter(t *testing.T) {
	inBubble(t, privateNetwork, func(r *rig) {
		work := r.work(1, addressB)
		seen := r.look(work)
		r.add(answers()["limited"]) // until 90 s after the bubble's beginning
		_, err := r.tool.Act(context.Background(), work, seen)
		if x := actuators.Explain(err); x.After != 90*time.Second || x.Doubt || x.Permanent {
			t.Errorf("%v: after %s", err, x.After)
		}
	})
}

// TestStuckPolicy: with foreign: stuck a node without our marker is not written.
func TestStuckPolicy(t *testing.T) {
	inBubble(t, privateNetwork, func(r *rig) {
		r.step.Foreign = pb.Foreign_FOREIGN_STUCK
		w, e := r.ride(1, patience)
		if n, err := r.sim.Stored(nodeID); e != stuck || err != nil || n.Label != ownLabel || n.Address != backendA {
			t.Errorf("%s, %s; %+v, %v", e, w.Reason, n, err)
		}
		r.must(r.sim.Put(nodeID, `{"address":"`+backendB+`"}`)) // by the human who decides
		s := r.look(r.work(1, addressB))
		if s.Verdict != actuators.Applied || !s.Found {
			t.Errorf("%s, found %t: %s", s.Verdict, s.Found, s.Detail)
		}
	})
}

// TestDrift: what an action that is done finds later.
func TestDrift(t *testing.T) {
	for edit, want := range map[string]actuators.Verdict{
		`{"weight":7}`:                                 actuators.Applied,
		`{"label":"mine"}`:                             actuators.Foreign,
		`{"address":"` + backendA + `"}`:               actuators.Foreign,
		`{"mode":"reject"}`:                            actuators.Foreign,
		`{"label":"pm.1f2e3d4c.cache.0"}`:              actuators.Absent,
		`{"label":"pm.1f2e3d4c.cache.2"}`:              actuators.Newer,
		`{"label":"pm.ffffffff.cache.1"}`:              actuators.Newer,
		`{"label":"pm.1f2e3d4c.other.9"}`:              actuators.Foreign,
		`{"label":"` + labelOfOne + `","weight":1}`:    actuators.Applied,
		`{"label":"pm.1f2e3d4c.cache.1.1","weight":1}`: actuators.Foreign,
	} {
		inBubble(t, privateNetwork, func(r *rig) {
			w, e := r.ride(1, patience)
			w.sound(e, 0)
			r.must(r.sim.Put(nodeID, edit))
			work := w.Work
			work.Action.Phase = fsm.Done
			if s := r.look(work); s.Verdict != want || s.Detail == "" {
				t.Errorf("%s: %s, %s; want %s", edit, s.Verdict, s.Detail, want)
			}
			work.Action.Phase, work.Action.Mend = fsm.Claimed, true
			if s := r.look(work); want == actuators.Foreign && s.Verdict != actuators.Absent && !strings.Contains(edit, "mode") {
				t.Errorf("%s: a repair finds %s, %s", edit, s.Verdict, s.Detail)
			}
			if s := r.look(work); edit == `{"weight":7}` && !strings.Contains(s.Detail, "weight 100 → 7") {
				t.Errorf("%s: %s", edit, s.Detail)
			}
		})
	}
}

// TestOneCallEach: a quiet failover is a look, a write and a look, and the write
// holds nothing but address, label and, in a VPC, the subnet.
func TestOneCallEach(t *testing.T) {
	for _, where := range []in{privateNetwork, vpc} {
		inBubble(t, where, func(r *rig) {
			w, e := r.ride(1, patience)
			w.sound(e, 0)
			var calls []string
			for _, c := range r.sim.Journal() {
				calls = append(calls, c.Method+" "+c.Path)
			}
			want := []string{"GET " + pathOfNodes, "PUT " + pathOfNode, "GET " + pathOfNodes}
			if e != done || !slices.Equal(calls, want) {
				t.Errorf("%s by %q, want %q", e, calls, want)
			}
			n, err := r.sim.Stored(nodeID)
			if err != nil || n.Weight != 100 || n.Mode != "accept" || n.Subnet != r.step.GetSubnet() {
				t.Errorf("%+v, %v", n, err)
			}
		})
	}
}
