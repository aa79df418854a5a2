package ovhip_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhip"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// TestTaskFails: it is told with its id and OVH's words, and asked for again
// only if the IP has not been moved nonetheless.
func TestTaskFails(t *testing.T) {
	for _, outcome := range []string{"cancelled", "customerError", "ovhError"} {
		for _, moved := range []bool{false, true} {
			inBubble(t, func(r *rig) {
				w := r.work(1, addressB)
				out, err := r.act(w, r.sees(w, actuators.Absent))
				r.must(err)
				p := r.follows(w, out.Checkpoint)
				if !p.Again || !strings.Contains(p.Reason, outcome) || !strings.Contains(p.Reason, "did not answer") || len(p.Requests) == 0 {
					t.Errorf("%s: %+v", outcome, p)
				}
				r.knobs(func(*cloud.IPKnobs) {})
				r.done(w, serviceB)
				if want := map[bool]int{false: 2, true: 1}[moved]; r.posts() != want {
					t.Errorf("%s, moved %t: %d moves asked for, want %d", outcome, moved, r.posts(), want)
				}
			}, func(k *cloud.IPKnobs) { k.Outcome, k.Moved = outcome, moved })
		}
	}
}

// TestOldAnswers: an IP that shows its old service after the move is waited for.
func TestOldAnswers(t *testing.T) {
	for _, lag := range []time.Duration{time.Second, 8 * time.Second, 25 * time.Second} {
		inBubble(t, func(r *rig) {
			r.done(r.work(1, addressB), serviceB)
			if r.posts() != 1 {
				t.Errorf("lag %s: %d moves asked for", lag, r.posts())
			}
		}, func(k *cloud.IPKnobs) { k.ReadLag = lag })
	}
}

// TestTaskIsNotFound: neither a task that shows late nor one answer of 404 is its end.
func TestTaskIsNotFound(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		out, err := r.act(w, r.sees(w, actuators.Absent))
		r.must(err)
		r.add(cloud.Fault{Method: http.MethodGet, Path: "*/task/*", Skip: 2, Status: 404})
		began := time.Now()
		if p := r.follows(w, out.Checkpoint); !p.Done || time.Since(began) < 29*time.Second {
			t.Errorf("%+v after %s", p, time.Since(began))
		}
		r.done(w, serviceB)
	}, func(k *cloud.IPKnobs) { k.TaskLag = 8 * time.Second })
	inBubble(t, func(r *rig) { // it never shows: the list of tasks and the IP decide
		r.done(r.work(1, addressB), serviceB)
		if r.posts() != 1 {
			t.Errorf("%d moves asked for", r.posts())
		}
	}, func(k *cloud.IPKnobs) { k.TaskLag = time.Hour })
}

// TestMoveOfSomebodyElse is waited for, named, and in the end left to a human.
func TestMoveOfSomebodyElse(t *testing.T) {
	inBubble(t, func(r *rig) {
		_, err := r.sim.ForeignMove(block, elsewhere)
		r.must(err)
		w := r.work(1, addressB)
		r.sees(w, actuators.Busy, "1001")
		r.done(w, serviceB)
		if n := r.Seen().Changes; n != 1 || r.posts() != 1 {
			t.Errorf("%d changes, %d moves asked for", n, r.posts())
		}
	})
	inBubble(t, func(r *rig) {
		_, err := r.sim.AddIPTask(block, true)
		r.must(err)
		w := r.work(1, addressB)
		began := time.Now()
		s := r.drive(w)
		if s.Verdict != actuators.Foreign || !strings.Contains(s.Detail, "1001") || time.Since(began) < ovhip.MaxWait || r.Seen().Mutating != 0 {
			t.Errorf("%s, %s after %s, %d writes", s.Verdict, s.Detail, time.Since(began), r.Seen().Mutating)
		}
	})
	inBubble(t, func(r *rig) { // another function than a move
		_, err := r.sim.AddIPTask(block, false)
		r.must(err)
		r.done(r.work(1, addressB), serviceB)
	})
}

// TestOlderMoveIsWaitedFor: the next failover comes while a move is under way.
func TestOlderMoveIsWaitedFor(t *testing.T) {
	inBubble(t, func(r *rig) {
		one := r.work(1, addressB)
		_, err := r.act(one, r.sees(one, actuators.Absent))
		r.must(err)
		r.restart()
		two := r.work(2, addressA)
		r.sees(two, actuators.Busy)
		r.done(two, serviceA)
		r.sees(one, actuators.Newer)
		if n := r.Seen().Changes; n != 2 {
			t.Errorf("%d changes by two actions", n)
		}
	})
}

// TestCannotBeMoved is found before anything is written.
func TestCannotBeMoved(t *testing.T) {
	for _, c := range []struct {
		ip   cloud.IP
		says string
	}{
		{cloud.IP{Block: block, Service: serviceA, Destinations: []string{serviceA, elsewhere}}, "only to " + serviceA + ", " + elsewhere},
		{cloud.IP{Block: block, Service: serviceA, Fixed: true}, "a service's own address"},
	} {
		inBubble(t, func(r *rig) {
			r.must(r.sim.AddIP(c.ip))
			w := r.work(1, addressB)
			s := r.sees(w, actuators.Foreign, c.says)
			s.Verdict = actuators.Absent
			if _, err := r.act(w, s); !actuators.Explain(err).Permanent {
				t.Errorf("acted: %v", err)
			}
			if n := r.Seen().Mutating; n != 0 {
				t.Errorf("%d writes", n)
			}
		})
	}
	inBubble(t, func(r *rig) { // where OVH does not tell, the move is refused
		r.must(r.sim.AddIP(cloud.IP{Block: block, Service: serviceA, Destinations: []string{serviceA}}))
		r.knobs(func(k *cloud.IPKnobs) { k.Destinations = cloud.IPOff })
		w := r.work(1, addressB)
		if why := r.ride(w); !strings.Contains(why, "cannot be moved") {
			t.Errorf("%s", why)
		}
		if n := len(r.sim.Journal(0).Calls); n > 80 {
			t.Errorf("%d calls until it is stuck", n)
		}
	})
}

// TestRefusedForWhatIsNotShownYet: the IP has moved already, which OVH knows
// when it refuses to move it there, and does not show when it is read.
func TestRefusedForWhatIsNotShownYet(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		s := r.sees(w, actuators.Absent)
		r.must(r.sim.EditIP(block, new(serviceB), nil))
		if _, err := r.act(w, s); err == nil || actuators.Explain(err).Permanent {
			t.Fatalf("moved to where it is: %v", err)
		}
		if why := r.ride(w); why != "" {
			t.Error(why)
		}
	}, func(k *cloud.IPKnobs) {
		k.Same, k.ReadLag, k.ListLag = cloud.IPSameRefuse, 3*time.Second, 3*time.Second
	})
}

// TestLateMove of an older failover leaves the newer marker and an older place:
// it is repaired, and a human's move is not.
func TestLateMove(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(cloud.Fault{Method: http.MethodPost, Do: cloud.DoHold})
		one := r.work(1, addressB)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := r.tool.Act(ctx, one, r.sees(one, actuators.Absent))
		cancel()
		if !actuators.Explain(err).Doubt {
			t.Fatalf("%v, want doubt", err)
		}
		r.restart()
		two := r.work(2, addressA)
		r.done(two, serviceA)
		r.Deliver()
		time.Sleep(time.Minute)
		if r.now().Service != serviceB {
			t.Fatalf("the late move has not landed: %+v", r.now())
		}
		r.sees(ended(two), actuators.Absent)
		two.Action.ID += "~1"
		r.done(two, serviceA)
	})
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		r.done(w, serviceB)
		r.must(r.sim.EditIP(block, new(elsewhere), nil))
		r.sees(ended(w), actuators.Foreign, "moved since our write", elsewhere)
		mend := ended(w)
		mend.Action.Mend = true
		r.sees(mend, actuators.Absent)
		r.must(r.sim.EditIP(block, new(serviceB), new("mine")))
		r.sees(ended(w), actuators.Foreign, "mine")
	})
}

// TestDeathBetweenMarkerAndMove: the next leader finds its marker, and moves.
func TestDeathBetweenMarkerAndMove(t *testing.T) {
	for _, at := range []string{serviceA, elsewhere} {
		inBubble(t, func(r *rig) {
			r.must(r.sim.EditIP(block, new(at), nil))
			r.add(cloud.Fault{Method: http.MethodPost, Do: cloud.DoReset})
			w := r.work(1, addressB)
			if _, err := r.act(w, r.sees(w, actuators.Absent)); !actuators.Explain(err).Doubt {
				t.Fatalf("%v, want doubt", err)
			}
			r.restart()
			r.done(w, serviceB)
			if n := r.Seen().Marks; n != 1 {
				t.Errorf("%d markers written", n)
			}
			if d := r.now().Description; d != ownText+" [pm 1f2e3d4c cache/1]" {
				t.Errorf("described %q", d)
			}
		})
	}
}

// TestDoubtIsNotAskedForAgain while the list of tasks may lag.
func TestDoubtIsNotAskedForAgain(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(cloud.Fault{Method: http.MethodPost, Do: cloud.DoDrop, When: cloud.After})
		w := r.work(1, addressB)
		if _, err := r.act(w, r.sees(w, actuators.Absent)); !actuators.Explain(err).Doubt {
			t.Fatalf("%v, want doubt", err)
		}
		r.sees(w, actuators.Busy, "may not be shown yet")
		r.done(w, serviceB)
		if r.posts() != 1 {
			t.Errorf("%d moves asked for", r.posts())
		}
	}, func(k *cloud.IPKnobs) { k.ListLag = 6 * time.Second })
}

// TestMarkerComesFirst: the move never leaves without a clear answer to it.
func TestMarkerComesFirst(t *testing.T) {
	for name, f := range map[string]cloud.Fault{
		"refused":      {Status: 403, Message: "key " + consumerKey + " may not do that"},
		"lost":         {Do: cloud.DoReset},
		"lost answer":  {Do: cloud.DoDrop, When: cloud.After},
		"server error": {Status: 500},
		"too many":     {Status: 429},
	} {
		inBubble(t, func(r *rig) {
			f.Method = http.MethodPut
			r.add(f)
			w := r.work(1, addressB)
			_, err := r.act(w, r.sees(w, actuators.Absent))
			x := actuators.Explain(err)
			if err == nil || x.Permanent != (f.Status == 403) || x.Doubt != (f.Status == 0 || f.Status == 500) || r.posts() != 0 {
				t.Errorf("%s: %v, permanent %t, doubt %t, %d moves asked for", name, err, x.Permanent, x.Doubt, r.posts())
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret shows in %q", err)
			}
			r.done(w, serviceB)
		})
	}
}
