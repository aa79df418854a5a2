package ovhip_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// final are the statuses after which no further try can help, in OVH's own words.
func final() []int { return []int{400, 401, 403, 404, 405, 460} }

// answers are wrong answers of every sort.
func answers() map[string]cloud.Fault {
	out := map[string]cloud.Fault{
		"hang": {Do: cloud.DoHang}, "reset": {Do: cloud.DoReset}, "drop": {Do: cloud.DoDrop}, "empty 200": {Do: cloud.DoEmpty},
		"late by 4 s": {Do: cloud.DoDelay, Delay: 4 * time.Second}, "late by 8 s": {Do: cloud.DoDelay, Delay: 8 * time.Second},
		"half": {Do: cloud.DoTruncate, When: cloud.After}, "cut": {Do: cloud.DoCut, When: cloud.After},
		"page, 200":   {Status: 200, Body: "<html><body>Back soon</body></html>"},
		"object, 200": {Status: 200, Body: "{}"}, "null, 200": {Status: 200, Body: "null"},
		"redirect":    {Status: 307, Location: "http://elsewhere.example/1.0/"},
		"retry after": {Status: 429, RetryAfter: "90"},
	}
	for _, status := range append(final(), 408, 409, 423, 429, 500, 502, 503, 504) {
		out[fmt.Sprint(status)] = cloud.Fault{Status: status, Code: new(7)}
		out[fmt.Sprint(status, " page")] = cloud.Fault{Status: status, HTML: true}
	}
	return out
}

// calls are those that a failover makes.
func calls() []string {
	const ip = "/ip/203.0.113.9%2F32"
	return []string{"GET /auth/time", "GET " + ip, "GET " + ip + "/move", "GET " + ip + "/task", "GET " + ip + "/task/*", "PUT " + ip, "POST " + ip + "/move"}
}

// TestWrongAnswerOnce: one wrong answer to one call, before or after its effect.
// What is not final is got over, with one change; what is stuck says why, and a
// human's retry ends it.
func TestWrongAnswerOnce(t *testing.T) {
	for name, fault := range answers() {
		for _, when := range []cloud.When{cloud.Before, cloud.After} {
			if fault.When != "" && fault.When != when {
				continue
			}
			for _, c := range calls() {
				f := fault
				f.When = when
				f.Method, f.Path, _ = strings.Cut(c, " ")
				t.Run(fmt.Sprint(name, " ", when, " ", c), func(t *testing.T) { inBubble(t, func(r *rig) { r.overcomes(f) }) })
			}
		}
	}
}

func (r *rig) overcomes(f cloud.Fault) {
	r.t.Helper()
	r.add(f)
	w := r.work(1, addressB)
	why := r.ride(w)
	if hits := r.sim.Faults()[0].Hits; hits != 1 {
		r.t.Fatalf("the fault struck %d times", hits)
	}
	if why != "" {
		if !slices.Contains(final(), f.Status) || !strings.Contains(why, fmt.Sprint(f.Status)) || strings.Contains(why, "canary") {
			r.t.Fatalf("stuck: %s", why)
		}
		if why = r.ride(w); why != "" {
			r.t.Fatalf("tried again: %s", why)
		}
	}
	time.Sleep(2 * time.Minute) // what was begun has ended
	now, n := r.now(), r.Seen()
	if now.Service != serviceB || now.Description != ownText+" [pm 1f2e3d4c cache/1]" || n.Changes != 1 {
		r.t.Errorf("done, and the IP is %+v after %d changes", now, n.Changes)
	}
	if n.All > 90 {
		r.t.Errorf("%d requests", n.All)
	}
}

// ride drives an action as the executor does, errors included. It returns why the
// action is stuck; empty: it is applied.
func (r *rig) ride(w actuators.Work) string {
	r.t.Helper()
	failed := func(err error) string {
		x := actuators.Explain(err)
		if x.Permanent {
			return err.Error()
		}
		time.Sleep(max(x.After, time.Second))
		return ""
	}
	for began := time.Now(); time.Since(began) < time.Hour; {
		ctx, cancel := within()
		reading, err := r.tool.Read(ctx, actuators.Subject{Step: w.Action.Step, Candidates: []fsm.Address{addressB}})
		cancel()
		if err != nil {
			if why := failed(err); why != "" {
				return why
			}
			continue
		}
		s := r.tool.Judge(reading, w)
		switch s.Verdict {
		case actuators.Applied:
			return ""
		case actuators.Busy:
			time.Sleep(s.After)
			continue
		case actuators.Foreign, actuators.Newer:
			return s.Detail
		}
		out, err := r.act(w, s)
		if err != nil {
			if why := failed(err); why != "" {
				return why
			}
		}
		for w.Action.Checkpoint = out.Checkpoint; out.Waiting; {
			ctx, cancel := within()
			p, err := r.tool.Follow(ctx, w)
			cancel()
			if err != nil {
				if why := failed(err); why != "" {
					return why
				}
				continue
			}
			if p.Done || p.Again {
				break
			}
			time.Sleep(max(p.After, 10*time.Millisecond))
		}
	}
	return "no end after an hour"
}

// TestOutage: a wrong answer to all calls is got over once it ends.
func TestOutage(t *testing.T) {
	for name, f := range answers() {
		if slices.Contains(final(), f.Status) && (!f.HTML || f.Status == 460) || f.Do == cloud.DoDelay {
			continue
		}
		inBubble(t, func(r *rig) {
			f.Count = cloud.Unlimited
			r.add(f)
			time.AfterFunc(5*time.Minute, r.Mend)
			if why := r.ride(r.work(1, addressB)); why != "" {
				t.Fatalf("%s: stuck: %s", name, why)
			}
			if r.now().Service != serviceB || r.Seen().Changes != 1 {
				t.Errorf("%s: %+v, %d changes", name, r.now(), r.Seen().Changes)
			}
		})
	}
}
