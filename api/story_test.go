package api

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func address(i int) string { return fmt.Sprintf("10.0.%d.20:6379", i) }

// specMessage declares masters with three candidates and a two-stage plan.
func specMessage(masters ...string) *pointsmanv1.Spec {
	setting := func(name, key string) *pointsmanv1.Step {
		return &pointsmanv1.Step{Name: name, Kind: &pointsmanv1.Step_Setting{Setting: &pointsmanv1.SettingStep{Key: key, Value: "redis://{{.New}}"}}}
	}
	spec := &pointsmanv1.Spec{}
	for _, id := range masters {
		m := &pointsmanv1.MasterSpec{
			Id:       id,
			Sentinel: &pointsmanv1.SentinelSpec{Name: "mymaster", Addresses: []string{"10.0.1.10:26379"}},
			Plan: []*pointsmanv1.Stage{
				{Stage: "cutover", Steps: []*pointsmanv1.Step{setting("url", "redis/"+id+"/url")}},
				{Stage: "announce", Steps: []*pointsmanv1.Step{setting("a", "redis/"+id+"/a"), setting("b", "redis/"+id+"/b")}},
			},
		}
		for i := 1; i <= 3; i++ {
			m.Candidates = append(m.Candidates, &pointsmanv1.Candidate{Address: address(i), Zone: fmt.Sprintf("z%d", i)})
		}
		spec.Masters = append(spec.Masters, m)
	}
	return spec
}

// putSpec logs a spec as the API would.
func (w *tape) putSpec(masters ...string) {
	w.t.Helper()
	message := specMessage(masters...)
	spec, problems := compile(message)
	if len(problems) > 0 {
		w.t.Fatal(problems)
	}
	var err error
	if spec.Source, err = EncodeSpec(&pointsmanv1.SpecRevision{Spec: message}); err != nil {
		w.t.Fatal(err)
	}
	w.must(fsm.PutSpec{Spec: spec, IfRevision: w.now().Spec().Revision})
}

// seed gives masters their first view.
func (w *tape) seed(masters ...fsm.MasterID) {
	w.t.Helper()
	for _, id := range masters {
		w.must(fsm.Observe{Master: id, Revision: w.now().Spec().Revision, Address: fsm.Address(address(1)), Epoch: 1, As: fsm.Seed})
	}
}

// failover accepts the master's next failover.
func (w *tape) failover(id fsm.MasterID) fsm.FailoverID {
	w.t.Helper()
	state := w.now()
	m, _ := state.Master(id)
	f := fsm.FailoverID{Master: id, Number: m.Number + 1}
	observe := fsm.Observe{
		Master: id, Base: m.Number, Revision: state.Spec().Revision, Address: fsm.Address(address(int(m.Number)%3 + 1)),
		Epoch: m.Epoch + 1, As: fsm.Advance, Evidence: []string{"s1 names it"}, Term: w.term,
	}
	spec, _ := state.Spec().Master(id)
	for _, stage := range spec.Plan {
		for _, step := range stage.Steps {
			observe.Values = append(observe.Values, fsm.Value{Step: step.Name, Value: []byte(f.String()), Wanted: "redis at " + string(observe.Address)})
		}
	}
	w.must(observe)
	return f
}

// claim claims a step and returns its token.
func (w *tape) claim(f fsm.FailoverID, step string) fsm.Token {
	w.t.Helper()
	return w.must(fsm.Claim{Action: f.Action(step), Term: w.term, Act: 1}).Token
}

// finish claims a step and settles it done, writing its setting.
func (w *tape) finish(f fsm.FailoverID, step string) {
	w.t.Helper()
	key := "redis/" + string(f.Master) + "/" + step
	w.must(fsm.Settle{
		Action: f.Action(step), Token: w.claim(f, step), To: fsm.Done, Effect: fsm.Changed,
		Settings: []fsm.SettingWrite{{Key: key, Value: f.String()}},
	})
}

// stick claims a step and settles it stuck.
func (w *tape) stick(f fsm.FailoverID, step string) {
	w.t.Helper()
	w.must(fsm.Settle{Action: f.Action(step), Token: w.claim(f, step), To: fsm.Stuck, Reason: "403 from the provider"})
}

// wantError checks an error's code, reason and that it was explained.
func wantError(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if status.Code(err) != code || client.Reason(err) != reason {
		t.Fatalf("got %s %q (%v), want %s %q", status.Code(err), client.Reason(err), err, code, reason)
	}
}

func stale() *pointsmanv1.ReadOptions {
	return &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_STALE}
}

func leaderRead() *pointsmanv1.ReadOptions {
	return &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_LEADER}
}
