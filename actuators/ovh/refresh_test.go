package ovh_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovh"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// follow asks until the task ends, and returns that and the times between.
func (r *rig) follow(w actuators.Work, most time.Duration) (p actuators.Progress, after []time.Duration) {
	r.t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < most; time.Sleep(p.After) {
		p, err = r.tool.Follow(context.Background(), w)
		r.must(err)
		if p.Done || p.Again {
			return p, after
		}
		if p.After <= 0 {
			r.t.Fatalf("no delay in %+v", p)
		}
		after = append(after, p.After)
	}
	return p, after
}

func (r *rig) posted() actuators.Work {
	r.t.Helper()
	w := r.refreshWork()
	out := r.act(w)
	if !out.Waiting || len(out.Checkpoint) == 0 || len(out.Requests) == 0 {
		r.t.Fatalf("outcome %+v", out)
	}
	w.Action.Checkpoint = out.Checkpoint
	return w
}

func TestPollsRise(t *testing.T) {
	inBubble(t, func(r *rig) {
		p, after := r.follow(r.posted(), time.Hour)
		if !p.Done || len(after) < 5 {
			t.Fatalf("%+v after %v", p, after)
		}
		for i := range after {
			if i > 0 && after[i] < after[i-1] || after[i] > 3*time.Second {
				t.Fatalf("delays %v", after)
			}
		}
		if after[0] != 100*time.Millisecond || after[len(after)-1] != 3*time.Second || len(after) > 30 {
			t.Errorf("delays %v: want 100ms to 3s, within 30 for a minute", after)
		}
	}, func(k *cloud.Knobs) { k.TaskDoing = time.Minute })
}

func TestTaskOutcomes(t *testing.T) {
	for outcome, want := range map[cloud.TaskStatus]actuators.Progress{
		cloud.TaskDone: {Done: true}, cloud.TaskError: {Again: true}, cloud.TaskCancelled: {Again: true},
	} {
		inBubble(t, func(r *rig) {
			p, _ := r.follow(r.posted(), time.Hour)
			if p.Done != want.Done || p.Again != want.Again || !strings.Contains(p.Reason, string(outcome)) {
				t.Errorf("a task that ends %s: %+v", outcome, p)
			}
		}, func(k *cloud.Knobs) { k.TaskOutcome = outcome })
	}
}

func TestBlockedTaskIsAskedOn(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.posted()
		p, after := r.follow(w, time.Hour)
		if p.Done || p.Again || !strings.Contains(p.Reason, "blocked") || len(after) > 400 {
			t.Errorf("an hour blocked: %+v after %d polls", p, len(after))
		}
		for _, c := range r.sim.Journal(0).Calls {
			if c.Refresh != nil {
				r.must(r.sim.FinishTask(c.Refresh.Task, cloud.TaskDone))
			}
		}
		if p, _ = r.follow(w, time.Minute); !p.Done {
			t.Errorf("after a human freed it: %+v", p)
		}
	}, func(k *cloud.Knobs) { k.TaskOutcome = cloud.TaskBlocked })
}

func TestVanishedTaskIsTakenAsEnded(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.refreshWork()
		w.Action.Checkpoint = []byte(`{"id":99}`)
		p, err := r.tool.Follow(context.Background(), w)
		if err != nil || p.Done || p.Again || !strings.Contains(p.Reason, "not shown") {
			t.Errorf("a task that was never seen: %+v, %v", p, err)
		}
		time.Sleep(ovh.MaxHidden)
		if p, err = r.tool.Follow(context.Background(), w); err != nil || !p.Done {
			t.Errorf("%+v, %v", p, err)
		}
		w = r.posted()
		if p, err = r.tool.Follow(context.Background(), w); err != nil || p.Done || p.Again {
			t.Errorf("running: %+v, %v", p, err)
		}
		k := r.sim.Knobs()
		k.TaskTTL = time.Nanosecond
		r.must(r.sim.SetKnobs(k))
		time.Sleep(time.Second)
		if p, err = r.tool.Follow(context.Background(), w); err != nil || p.Done || p.Again {
			t.Errorf("seen, and missing once: %+v, %v", p, err)
		}
		time.Sleep(ovh.MaxMissing)
		if p, err = r.tool.Follow(context.Background(), w); err != nil || !p.Done {
			t.Errorf("once seen and gone: %+v, %v", p, err)
		}
	})
}

// TestVanishedTaskThatDidNothing is found out by what is still staged, and asked
// for again: of all zones, or of the one that was left.
func TestVanishedTaskThatDidNothing(t *testing.T) {
	for name, left := range map[string]bool{"all zones": false, "the last one": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				lb := r.work(1, addressB)
				r.act(lb)
				w := r.refreshWork()
				outcome := func(status cloud.TaskStatus) {
					k := r.sim.Knobs()
					k.TaskOutcome = status
					r.must(r.sim.SetKnobs(k))
				}
				post := func(want actuators.Progress) {
					t.Helper()
					w.Action.Checkpoint = r.act(w).Checkpoint
					p, _ := r.follow(w, time.Hour)
					if p.Done != want.Done || p.Again != want.Again || p.Partial != want.Partial || !strings.Contains(p.Reason, want.Reason) {
						t.Fatalf("%+v, want %+v", p, want)
					}
					if len(p.Next) > 0 {
						w.Action.Checkpoint = p.Next
					}
				}
				if left {
					post(actuators.Progress{Again: true, Partial: true, Reason: "did not cover sbg"})
				}
				outcome(cloud.TaskCancelled)
				post(actuators.Progress{Again: true, Reason: "changes are not applied"})
				outcome(cloud.TaskDone)
				if left { // it begins anew, with the first zone
					post(actuators.Progress{Again: true, Partial: true, Reason: "did not cover sbg"})
				}
				post(actuators.Progress{Done: true})
				if r.Value() != addressB {
					t.Errorf("traffic goes to %q", r.Value())
				}
				outcome(cloud.TaskCancelled)
				r.act(r.work(2, addressA))
				w = r.refreshWork()
				for range ovh.MaxUnproven {
					post(actuators.Progress{Again: true})
				}
				w.Action.Checkpoint = r.act(w).Checkpoint
				_, err := r.tool.Follow(context.Background(), w)
				r.must(err)
				time.Sleep(ovh.MaxHidden)
				if p, err := r.tool.Follow(context.Background(), w); !errors.Is(err, ovh.ErrUnproven) || !actuators.Explain(err).Permanent || p.Done {
					t.Errorf("again and again: %+v, %v", p, err)
				}
			}, func(k *cloud.Knobs) {
				k.TaskTTL, k.PendingClears, k.TaskLag = time.Nanosecond, cloud.ClearsSnapshot, 3*time.Second
				if left {
					k.RefreshZones = cloud.RefreshFirst
				}
			})
		})
	}
}

// TestRefreshOfOneZone: what a refresh does not cover is refreshed by itself.
func TestRefreshOfOneZone(t *testing.T) {
	inBubble(t, func(r *rig) {
		lb := r.work(1, addressB)
		r.act(lb)
		r.want(lb, actuators.Staged, "")
		w := r.posted()
		p, _ := r.follow(w, time.Hour)
		if !p.Again || !strings.Contains(p.Reason, "did not cover sbg") || r.Value() == addressB {
			t.Fatalf("%+v, traffic goes to %q", p, r.Value())
		}
		w.Action.Checkpoint = p.Next
		w.Action.Checkpoint = r.act(w).Checkpoint
		if p, _ = r.follow(w, time.Hour); !p.Done || r.Value() != addressB {
			t.Errorf("%+v, traffic goes to %q", p, r.Value())
		}
	}, func(k *cloud.Knobs) { k.RefreshZones = cloud.RefreshFirst })
}

// TestZoneWhoseTaskFailedIsAskedAgain: and none is left out.
func TestZoneWhoseTaskFailedIsAskedAgain(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.act(r.work(1, addressB))
		w := r.refreshWork()
		fail := func(on bool) {
			k := r.sim.Knobs()
			if k.TaskOutcome = cloud.TaskDone; on {
				k.TaskOutcome = cloud.TaskError
			}
			r.must(r.sim.SetKnobs(k))
		}
		for n, failing := range []bool{true, false, true, false} { // all zones, again, the one that was left, again
			fail(failing)
			w.Action.Checkpoint = r.act(w).Checkpoint
			p, _ := r.follow(w, time.Hour)
			if p.Done != (n == 3) || p.Partial != (n == 1) {
				t.Fatalf("post %d: %+v", n+1, p)
			}
			if len(p.Next) > 0 {
				w.Action.Checkpoint = p.Next
			}
		}
		if r.Value() != addressB {
			t.Errorf("traffic goes to %q", r.Value())
		}
	}, func(k *cloud.Knobs) { k.RefreshZones = cloud.RefreshFirst })
}

// TestRefusedInOtherWords: a second refresh may be refused as if for good.
func TestRefusedInOtherWords(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.refreshWork()
		s := r.look(w)
		_, err := r.sim.ForeignRefresh(service, "")
		r.must(err)
		_, err = r.tool.Act(context.Background(), w, s)
		if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt || x.After != time.Second || len(x.Requests) != 3 {
			t.Errorf("refused beside another: %v, %+v", err, x)
		}
		time.Sleep(time.Minute)
		r.act(w)
	}, func(k *cloud.Knobs) { k.SecondRefresh, k.SecondStatus = cloud.SecondRefuse, http.StatusBadRequest })
}

// TestFieldsThatAWriteResets: should OVH take a PUT for the whole object, what
// it reset is said for as long as the write is remembered.
func TestFieldsThatAWriteResets(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		r.act(w)
		r.want(w, actuators.Staged, `changed beside our write: allowedSource ["192.0.2.0/24"] → null`)
	}, func(k *cloud.Knobs) { k.PutReplaces = true })
}

func TestUnreadableCheckpointActsAgain(t *testing.T) {
	inBubble(t, func(r *rig) {
		for _, c := range []string{"", "17", "{}", `{"id":-1}`, "{"} {
			w := r.refreshWork()
			w.Action.Checkpoint = []byte(c)
			if p, err := r.tool.Follow(context.Background(), w); err != nil || !p.Again {
				t.Errorf("checkpoint %q: %+v, %v", c, p, err)
			}
		}
	})
}

func TestOthersRefreshIsWaitedFor(t *testing.T) {
	inBubble(t, func(r *rig) {
		_, err := r.sim.ForeignRefresh(service, "")
		r.must(err)
		w := r.refreshWork()
		s := r.want(w, actuators.Busy, "somebody else")
		if s.After != time.Second {
			t.Errorf("look again after %s", s.After)
		}
		doubt := w
		doubt.Action.Doubt = true
		r.want(doubt, actuators.Absent, "") // it may be ours: a second one does no harm
		time.Sleep(ovh.MaxWait)
		r.want(w, actuators.Absent, "") // it hangs: not waited for any longer
		time.Sleep(time.Hour)
		r.want(w, actuators.Absent, "")
	}, func(k *cloud.Knobs) { k.TaskDoing = time.Hour })
}

func TestQuickRefreshOfOthers(t *testing.T) {
	inBubble(t, func(r *rig) {
		_, err := r.sim.ForeignRefresh(service, "")
		r.must(err)
		r.want(r.refreshWork(), actuators.Busy, "")
		time.Sleep(time.Second)
		r.want(r.refreshWork(), actuators.Absent, "")
	})
}

// TestMergedRefreshCoversNothing: the refresh that ours is merged into took its
// snapshot before our write was staged, so it proves nothing.
func TestMergedRefreshCoversNothing(t *testing.T) {
	inBubble(t, func(r *rig) {
		_, err := r.sim.ForeignRefresh(service, "")
		r.must(err)
		time.Sleep(time.Second) // it is doing
		lb := r.work(1, addressB)
		r.act(lb)
		w := r.refreshWork()
		w.Action.Doubt = true // or it would be waited for
		w.Action.Checkpoint = r.act(w).Checkpoint
		p, _ := r.follow(w, time.Hour)
		if p.Done || !p.Again {
			t.Fatalf("a merged refresh: %+v", p)
		}
		if r.Value() != addressA {
			t.Fatalf("the merged refresh has applied %s: this test shows nothing", r.Value())
		}
		w.Action.Attempts = 2
		w.Action.Checkpoint = r.act(w).Checkpoint
		if p, _ = r.follow(w, time.Hour); !p.Done || r.Value() != addressB {
			t.Errorf("the refresh after it: %+v, traffic goes to %s", p, r.Value())
		}
	}, func(k *cloud.Knobs) { k.SecondRefresh, k.TaskDoing = cloud.SecondMerge, time.Minute })
}

// TestMergedForEver: a provider that shows our own refresh as one it had before
// must not keep us posting.
func TestMergedForEver(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.posted()
		w.Action.Doubt, w.Action.Attempts = true, 100 // claims that posted nothing do not count
		first := w
		for range ovh.MaxMerged {
			w.Action.Checkpoint = r.act(w).Checkpoint // while the first still runs
			first.Action.Checkpoint = w.Action.Checkpoint
		}
		w.Action.Checkpoint = r.act(w).Checkpoint
		if p, _ := r.follow(first, time.Hour); p.Done {
			t.Errorf("merged, and believed: %+v", p)
		}
		if p, _ := r.follow(w, time.Hour); !p.Done {
			t.Errorf("merged once more than %d times: %+v", ovh.MaxMerged, p)
		}
	}, func(k *cloud.Knobs) { k.SecondRefresh = cloud.SecondMerge })
}

func TestRefusedRefreshIsForSoon(t *testing.T) {
	inBubble(t, func(r *rig) {
		_, err := r.sim.ForeignRefresh(service, "")
		r.must(err)
		w := r.refreshWork()
		w.Action.Doubt = true
		_, err = r.tool.Act(context.Background(), w, r.look(w))
		if x := actuators.Explain(err); err == nil || x.Doubt || x.Permanent || x.After != time.Second {
			t.Errorf("refused beside another: %v, %+v", err, x)
		}
	}, func(k *cloud.Knobs) { k.SecondRefresh = cloud.SecondRefuse })
}

// TestMinimalRights holds the actuator to the rights that the documentation
// asks users to give, and to no more.
func TestMinimalRights(t *testing.T) {
	inBubble(t, func(r *rig) {
		const base = "/ipLoadbalancing/" + service
		rules := []cloud.AccessRule{{Method: http.MethodPut, Path: base + "/tcp/frontend/4711"}, {Method: http.MethodPost, Path: base + "/refresh"}}
		for _, path := range []string{"/pendingChanges", "/task", "/task/*", "/tcp/farm/*", "/tcp/frontend/4711"} {
			rules = append(rules, cloud.AccessRule{Method: http.MethodGet, Path: base + path})
		}
		r.sim.AddCredential(cloud.Credential{ApplicationKey: applicationKey, ApplicationSecret: applicationSecret, ConsumerKey: consumerKey, Rules: rules})
		w := r.work(1, addressB)
		r.act(w)
		r.apply()
		w.Covered = true
		r.want(w, actuators.Applied, "")
	})
}

// TestRate: a quiet failover stays far below the 60 requests a minute that OVH
// calls fair use.
func TestRate(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		r.act(w)
		r.want(w, actuators.Staged, "")
		r.apply()
		w.Covered = true
		r.want(w, actuators.Applied, "")
		if n := r.Seen().All; n > 40 {
			t.Errorf("%d requests for one failover", n)
		}
		if r.wire.made > ovh.MaxReads+1 {
			t.Errorf("%d connections for one failover", r.wire.made)
		}
	})
}
