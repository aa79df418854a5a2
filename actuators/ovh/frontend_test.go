package ovh_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovh"
	"github.com/pointsman/pointsman/actuators/ovhapi"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

const cluster fsm.ClusterID = "1f2e3d4c5b6a7988"

// rig is a lab with an open actuator.
type rig struct {
	*lab
	t    *testing.T
	tool actuators.Actuator
	pace *pace // nil: none
}

func newRig(t *testing.T, turn ...func(*cloud.Knobs)) *rig {
	t.Helper()
	l := newLab(t, turn...)
	tool, err := l.kind.Open(l.target, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tool.(interface{ Close() error }).Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig{lab: l, t: t, tool: tool}
}

// inBubble runs a test against a new rig in a bubble of its own.
func inBubble(t *testing.T, f func(*rig), turn ...func(*cloud.Knobs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newRig(t, turn...)) })
}

// work is failover n to an address.
func (r *rig) work(n fsm.Number, to fsm.Address) actuators.Work {
	r.t.Helper()
	params, err := proto.Marshal(r.step)
	if err != nil {
		r.t.Fatal(err)
	}
	step := fsm.Step{Name: "lb", Target: r.target.ID, Kind: ovh.Name, Object: "lb-par/frontend/4711", Class: fsm.Readable, Params: params, Act: 5 * time.Second}
	id := fsm.FailoverID{Master: "cache", Number: n}
	v, err := r.kind.Render(step, actuators.Facts{Failover: id, To: to})
	if err != nil {
		r.t.Fatal(err)
	}
	return actuators.Work{Cluster: cluster, Action: fsm.Action{
		ID: id.Action("lb"), For: id, Phase: fsm.Claimed, Step: step, Target: r.target, Value: v.Value, Attempts: 1,
	}}
}

func (r *rig) refreshWork() actuators.Work {
	return actuators.Work{Cluster: cluster, Action: fsm.Action{
		ID: "lb-par/refresh/1", Phase: fsm.Claimed, Target: r.target, Attempts: 1,
		Step: fsm.Step{Name: "refresh", Target: r.target.ID, Kind: ovh.Name, Object: "lb-par/refresh", Class: fsm.Trigger},
	}}
}

func (r *rig) look(w actuators.Work) actuators.Sight {
	r.t.Helper()
	reading, err := r.read(w)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.tool.Judge(reading, w)
}

func (r *rig) read(w actuators.Work) (actuators.Reading, error) {
	return r.tool.Read(context.Background(), actuators.Subject{Step: w.Action.Step, Candidates: []fsm.Address{addressA, addressB}})
}

func (r *rig) want(w actuators.Work, v actuators.Verdict, detail string) actuators.Sight {
	r.t.Helper()
	s := r.look(w)
	if s.Verdict != v || !strings.Contains(s.Detail, detail) {
		r.t.Errorf("%s is %s, %q; want %s with %q", w.Action.ID, s.Verdict, s.Detail, v, detail)
	}
	return s
}

func (r *rig) act(w actuators.Work) actuators.Outcome {
	r.t.Helper()
	out, err := r.tool.Act(context.Background(), w, r.look(w))
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// apply posts a refresh and follows it to its end.
func (r *rig) apply() {
	r.t.Helper()
	w := r.refreshWork()
	w.Action.Checkpoint = r.act(w).Checkpoint
	for {
		p, err := r.tool.Follow(context.Background(), w)
		r.must(err)
		if p.Done {
			return
		}
		if p.Again || p.After <= 0 {
			r.t.Fatalf("progress %+v", p)
		}
		time.Sleep(p.After)
	}
}

func (r *rig) staged() cloud.Frontend {
	r.t.Helper()
	f, err := r.sim.Staged(frontend)
	r.must(err)
	return f
}

func TestTextAndOtherFieldsStay(t *testing.T) {
	inBubble(t, func(r *rig) {
		before := r.staged()
		r.act(r.work(1, addressB))
		after := r.staged()
		if *after.DisplayName != ownText+" [pm 1f2e3d4c cache/1]" || *after.DefaultFarmID != farmB {
			t.Errorf("named %q, at farm %d", *after.DisplayName, *after.DefaultFarmID)
		}
		after.DisplayName, after.DefaultFarmID = before.DisplayName, before.DefaultFarmID
		if len(after.AllowedSource) != 1 || after.AllowedSource[0] != before.AllowedSource[0] || after.Port != before.Port || after.Disabled != before.Disabled {
			t.Errorf("other fields changed: %+v, before %+v", after, before)
		}
		r.apply()
		r.act(r.work(2, addressA))
		if name := *r.staged().DisplayName; name != ownText+" [pm 1f2e3d4c cache/2]" {
			t.Errorf("named %q", name)
		}
	})
}

func TestAppliedNeedsARefresh(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		r.act(w)
		s := r.want(w, actuators.Staged, "farm 12")
		if s.Refresh == nil || *s.Refresh != (fsm.Refresh{Kind: ovh.Name, Object: "lb-par/refresh", Act: 5 * time.Second}) {
			t.Errorf("refresh %+v", s.Refresh)
		}
		w.Covered = true
		r.want(w, actuators.Staged, "") // covered, they say, but changes are pending
		_, err := r.sim.ForeignRefresh(service, "")
		r.must(err)
		time.Sleep(time.Minute)
		r.want(w, actuators.Applied, "")
		w.Covered = false
		r.want(w, actuators.Staged, "") // nothing pending, but whose refresh was it?
		w.Action.Phase = fsm.Done
		r.want(w, actuators.Applied, "")
		_, err = r.sim.Staged(frontend)
		r.must(err)
	})
}

func TestHumansEdit(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		r.act(w)
		r.must(r.sim.ForeignPut(frontend, map[string]any{"defaultFarmId": farmA}))
		r.want(w, actuators.Foreign, "edited since our write")
		_, err := r.tool.Act(context.Background(), w, r.look(w))
		if x := actuators.Explain(err); !x.Permanent || !errors.Is(err, ovh.ErrNotDue) {
			t.Errorf("acted on a human's edit: %v", err)
		}
		r.want(r.work(2, addressB), actuators.Absent, "") // a newer failover is newer than the edit's marker
	})
}

func TestOtherFieldsThatChangedAreTold(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		s := r.look(w)
		r.must(r.sim.ForeignPut(frontend, map[string]any{"port": "6380", "allowedSource": nil}))
		_, err := r.tool.Act(context.Background(), w, s)
		r.must(err)
		r.want(w, actuators.Staged, `port "6379" → "6380"`)
		r.want(w, actuators.Staged, `allowedSource ["192.0.2.0/24"] → null`)
	})
}

func TestForeign(t *testing.T) {
	inBubble(t, func(r *rig) {
		for policy, want := range map[pb.Foreign]actuators.Verdict{
			pb.Foreign_FOREIGN_UNSPECIFIED: actuators.Absent, pb.Foreign_FOREIGN_ADOPT: actuators.Absent, pb.Foreign_FOREIGN_STUCK: actuators.Foreign,
		} {
			r.step.Foreign = policy
			r.want(r.work(1, addressB), want, "")
		}
		r.step.Foreign = pb.Foreign_FOREIGN_STUCK
		if s := r.want(r.work(1, addressA), actuators.Applied, ""); !s.Found { // stands as wanted and nothing is staged
			t.Errorf("%+v: no write of ours made it", s)
		}
		r.must(r.sim.ForeignPut(frontend, map[string]any{"displayName": "somebody is at it"}))
		r.want(r.work(1, addressA), actuators.Foreign, "")
		r.must(r.sim.ForeignPut(frontend, map[string]any{"displayName": "[pm 1f2e3d4c sessions/9]"}))
		r.want(r.work(1, addressB), actuators.Foreign, "sessions/9") // of another master: policy
		r.step.Foreign = pb.Foreign_FOREIGN_ADOPT
		r.want(r.work(1, addressB), actuators.Absent, "")
		r.must(r.sim.ForeignPut(frontend, map[string]any{"displayName": "[pm 00000000 cache/1]"}))
		r.want(r.work(2, addressB), actuators.Newer, "another cluster")
		r.must(r.sim.ForeignPut(frontend, map[string]any{"displayName": nil, "defaultFarmId": nil}))
		r.want(r.work(2, addressB), actuators.Absent, "no farm")
	})
}

func TestFarmMustHoldItsCandidate(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(*rig) error
		detail string
	}{
		"two servers": {func(r *rig) error {
			_, err := r.sim.AddServer(farmB, cloud.Server{Address: "10.0.9.9"})
			return err
		}, "farm 12 holds 2 servers"},
		"another address": {func(r *rig) error { r.step.Farms = map[string]int64{addressA: farmB, addressB: farmA}; return nil }, "farm 11 holds 10.0.1.20:6379, want 10.0.2.20:6379"},
		"inactive": {func(r *rig) error {
			return r.put("/tcp/farm/12/server/22", `{"status":"inactive"}`)
		}, "farm 12: server 10.0.2.20:6379 is inactive"},
		"another port": {func(r *rig) error {
			return r.put("/tcp/farm/12", `{"port":6380}`)
		}, "farm 12 holds 10.0.2.20:6380"},
		"no port": {func(r *rig) error {
			return r.put("/tcp/farm/12", `{"port":null}`)
		}, "farm 12: neither"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				r.must(c.spoil(r))
				before := r.Seen().Mutating
				w := r.work(1, addressB)
				s := r.want(w, actuators.Foreign, c.detail)
				s.Verdict = actuators.Absent
				_, err := r.tool.Act(context.Background(), w, s)
				if x := actuators.Explain(err); !x.Permanent || !errors.Is(err, ovh.ErrFarm) || !strings.Contains(err.Error(), c.detail) {
					t.Errorf("act: %v", err)
				}
				if after := r.Seen().Mutating; after != before {
					t.Errorf("%d requests that could change something", after-before)
				}
			})
		})
	}
}

// put edits an object of the service as its owner would, with a token of the owner's.
func (r *rig) put(path, body string) error {
	r.sim.AddCredential(cloud.Credential{ApplicationKey: "owner", ConsumerKey: "owner", Token: "owner", Foreign: true})
	client := &http.Client{Transport: &http.Transport{DialContext: r.wire.dial, DisableKeepAlives: true}}
	req, err := http.NewRequest(http.MethodPut, endpoint+"/ipLoadbalancing/"+service+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer owner")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

func TestWhatIsNotThereIsPermanent(t *testing.T) {
	for name, spoil := range map[string]func(*pb.OvhIplbStep){
		"farm 99 does not exist": func(s *pb.OvhIplbStep) { s.Farms[addressB] = 99 },
		"frontend/99":            func(s *pb.OvhIplbStep) { s.Frontend = 99 },
	} {
		inBubble(t, func(r *rig) {
			spoil(r.step)
			_, err := r.read(r.work(1, addressB))
			if x := actuators.Explain(err); !x.Permanent || !strings.Contains(err.Error(), name) {
				t.Errorf("read: %v, want a permanent error naming %q", err, name)
			}
		})
	}
}

func TestReadsAreSideBySide(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		r.look(w) // warm: connections and the provider's time
		_, err := r.sim.AddFault(cloud.Fault{Do: cloud.DoDelay, Delay: time.Second, Count: cloud.Unlimited})
		r.must(err)
		began := time.Now()
		r.look(w)
		if took := time.Since(began); took > 3*time.Second { // list, server, its farm: the longest chain
			t.Errorf("a read of 7 requests of a second each took %s", took)
		}
	})
}

func TestSlowAnswerEndsInTime(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		s := r.look(w)
		_, err := r.sim.AddFault(cloud.Fault{Do: cloud.DoHang, Count: cloud.Unlimited})
		r.must(err)
		began := time.Now()
		if _, err = r.tool.Act(context.Background(), w, s); !actuators.Explain(err).Doubt {
			t.Errorf("act: %v, want doubt", err)
		}
		if took := time.Since(began); took != ovhapi.RequestTimeout {
			t.Errorf("act took %s, want %s", took, ovhapi.RequestTimeout)
		}
	})
}

func TestProvidersClockSteps(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		s := r.look(w)
		k := r.sim.Knobs()
		k.ClockSkew = time.Hour
		r.must(r.sim.SetKnobs(k))
		_, err := r.tool.Act(context.Background(), w, s)
		if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt {
			t.Errorf("act at a stepped clock: %v, want for later", err)
		}
		r.act(w)
		k.ClockSkew = -time.Hour
		r.must(r.sim.SetKnobs(k))
		r.want(w, actuators.Staged, "")
	})
}

func TestOpenNamesTheReference(t *testing.T) {
	params, err := proto.Marshal(&pb.OvhIplbTarget{Endpoint: "ovh-eu", Service: service, Credentials: "file:/nowhere/ovh.conf"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ovh.New(ovh.Config{}).Open(fsm.TargetSpec{ID: "lb-par", Params: params}, nil)
	if !errors.Is(err, ovhapi.ErrReference) || !strings.Contains(err.Error(), "target lb-par: file:/nowhere/ovh.conf") {
		t.Errorf("open: %v", err)
	}
}

// While a provider fails, a look costs one request, so that it may come often.
func TestFailingProviderIsAskedOneQuestion(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.work(1, addressB)
		r.look(w)
		rule, err := r.sim.AddFault(cloud.Fault{Status: http.StatusInternalServerError, Count: cloud.Unlimited})
		r.must(err)
		asked := func() int64 {
			synctest.Wait() // questions that a failed look gave up may still be arriving
			calls := r.sim.Journal(0).Calls
			return calls[len(calls)-1].Seq
		}
		var costs []int64
		for range 3 {
			before := asked()
			if _, err := r.read(w); err == nil {
				t.Error("read during the failure")
			}
			costs = append(costs, asked()-before)
		}
		if costs[1] != 1 || costs[2] != 1 {
			t.Errorf("requests of three failing looks: %d, want one for each after the first", costs)
		}
		r.must(r.sim.RemoveFault(rule))
		r.look(w)
		_, err = r.sim.AddFault(cloud.Fault{Do: cloud.DoDelay, Delay: time.Second, Count: cloud.Unlimited})
		r.must(err)
		began := time.Now()
		r.look(w)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("well again, and a read took %s: not side by side", took)
		}
	})
}
