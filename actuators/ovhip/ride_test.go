package ovhip_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/ovhip"
	"github.com/pointsman/pointsman/fsm"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// rig is a lab with an opened actuator: one process.
type rig struct {
	*lab
	t    *testing.T
	tool actuators.Actuator
}

func inBubble(t *testing.T, f func(*rig), turn ...func(*cloud.IPKnobs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{lab: newLab(t, turn...), t: t}
		r.restart()
		f(r)
	})
}

// restart is another process, which remembers nothing.
func (r *rig) restart() {
	r.t.Helper()
	tool, err := r.kind.Open(r.target, nil)
	r.must(err)
	r.tool = tool
	r.t.Cleanup(func() { r.must(tool.(interface{ Close() error }).Close()) })
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) knobs(turn func(*cloud.IPKnobs)) {
	r.t.Helper()
	k := cloud.DefaultIPKnobs()
	turn(&k)
	r.must(r.sim.SetIPKnobs(k))
}

// work is the action of failover n to an address, claimed.
func (r *rig) work(n fsm.Number, to fsm.Address) actuators.Work {
	r.t.Helper()
	params, err := proto.Marshal(r.step)
	r.must(err)
	step := fsm.Step{Name: "ip", Target: "ovh", Kind: ovhip.Name, Object: "ovh/ip/" + block, Class: fsm.Readable, Params: params, Act: 5 * time.Second}
	id := fsm.FailoverID{Master: "cache", Number: n}
	v, err := r.kind.Render(step, actuators.Facts{Failover: id, From: addressA, To: to})
	r.must(err)
	return actuators.Work{Cluster: actuatortest.Cluster, Action: fsm.Action{
		ID: id.Action("ip"), For: id, Phase: fsm.Claimed, Step: step, Target: r.target, Value: v.Value, Wanted: v.Wanted, Token: fsm.TokenOf(0, uint64(n)), Term: 1,
	}}
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Second)
}

func (r *rig) look(w actuators.Work) actuators.Sight {
	r.t.Helper()
	ctx, cancel := within()
	defer cancel()
	to := fsm.Address(addressB)
	if strings.Contains(string(w.Action.Value), serviceA) {
		to = addressA
	}
	reading, err := r.tool.Read(ctx, actuators.Subject{Step: w.Action.Step, Candidates: []fsm.Address{to}})
	r.must(err)
	return r.tool.Judge(reading, w)
}

func (r *rig) act(w actuators.Work, s actuators.Sight) (actuators.Outcome, error) {
	ctx, cancel := within()
	defer cancel()
	return r.tool.Act(ctx, w, s)
}

// sees wants a verdict, and words in its detail.
func (r *rig) sees(w actuators.Work, want actuators.Verdict, words ...string) actuators.Sight {
	r.t.Helper()
	s := r.look(w)
	if s.Verdict != want {
		r.t.Fatalf("%s, %s; want %s", s.Verdict, s.Detail, want)
	}
	for _, word := range words {
		if !strings.Contains(s.Detail, word) {
			r.t.Errorf("%s: %q, want %q in it", s.Verdict, s.Detail, word)
		}
	}
	return s
}

// follows asks until the task has ended, and says how.
func (r *rig) follows(w actuators.Work, checkpoint []byte) actuators.Progress {
	r.t.Helper()
	w.Action.Checkpoint = checkpoint
	for began := time.Now(); time.Since(began) < time.Hour; {
		ctx, cancel := within()
		p, err := r.tool.Follow(ctx, w)
		cancel()
		r.must(err)
		if p.Done || p.Again {
			return p
		}
		time.Sleep(max(p.After, time.Millisecond))
	}
	r.t.Fatal("the task does not end")
	return actuators.Progress{}
}

// drive brings an action to its end as the executor does, and says at what verdict.
func (r *rig) drive(w actuators.Work) actuators.Sight {
	r.t.Helper()
	for range 100 {
		s := r.look(w)
		switch s.Verdict {
		case actuators.Busy:
			time.Sleep(s.After)
		case actuators.Absent:
			out, err := r.act(w, s)
			if x := actuators.Explain(err); err != nil && x.Permanent {
				r.t.Fatal(err)
			} else if err != nil {
				time.Sleep(max(x.After, time.Second))
			}
			if out.Waiting {
				r.follows(w, out.Checkpoint)
			}
		default:
			return s
		}
	}
	r.t.Fatal("no end")
	return actuators.Sight{}
}

// done drives an action and wants it applied, in truth.
func (r *rig) done(w actuators.Work, to string) {
	r.t.Helper()
	if s := r.drive(w); s.Verdict != actuators.Applied {
		r.t.Fatalf("%s, %s", s.Verdict, s.Detail)
	}
	if now := r.now(); now.Service != to {
		r.t.Errorf("applied, and the IP is at %s, want %s", now.Service, to)
	}
}

func ended(w actuators.Work) actuators.Work {
	w.Action.Phase = fsm.Done
	return w
}
