package coordinator_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// ours are the calls by which a coordinator could have changed something.
func ours(sim *cloud.Sim) (calls []string) {
	for _, c := range sim.Journal(0).Calls {
		if c.Write() && c.Method != cloud.MethodSeed && !c.Foreign {
			calls = append(calls, c.Method+" "+c.Path)
		}
	}
	return calls
}

// scored waits until the log says this of an observed action.
func (tr *trio) scored(id string, what string, good func(*pointsmanv1.ActionScore) bool) *pointsmanv1.ActionScore {
	tr.t.Helper()
	var score *pointsmanv1.ActionScore
	eventually(tr.t, what, func(ctx context.Context) error {
		got, err := pointsmanv1.NewActionServiceClient(tr.dial(0)).GetAction(ctx, &pointsmanv1.GetActionRequest{Id: id})
		if err != nil {
			return err
		}
		if a := got.GetAction(); a.GetState() != pointsmanv1.ActionState_ACTION_STATE_OBSERVED {
			return fmt.Errorf("%s is %s", id, a.GetState())
		}
		if score = got.GetAction().GetScore(); !good(score) {
			return fmt.Errorf("score %v", score)
		}
		return nil
	})
	return score
}

// script does what an old script does at the provider: no look at markers, no
// marker of its own.
func script(t *testing.T, sim *cloud.Sim, farm int64) {
	t.Helper()
	if err := sim.ForeignPut(frontend, map[string]any{"defaultFarmId": farm}); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.ForeignRefresh(balancer, "gra"); err != nil {
		t.Fatal(err)
	}
}

// TestObserveOnly: beside an old script nothing is written, at no provider and
// in no setting, and what the script did is scored. Then the switch over: the
// next failover is carried out, though the object carries no marker of ours, and
// the observed one stays as it is. Going back is the same.
func TestObserveOnly(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	sim := balance(t, s, spec)
	spec.Masters[0].ObserveOnly = true
	tr.apply(spec)
	s.promote(1, 2)
	first := tr.scored("cache/1/lb", "the first look", func(a *pointsmanv1.ActionScore) bool { return a.GetLooks() > 0 })
	if first.GetFirst().GetVerdict() != "absent" || first.GetFirst().GetAddress() != s.nodes[0].Address() || !strings.HasPrefix(first.GetWould(), "would have written ") {
		t.Errorf("first look %v", first)
	}
	script(t, sim, 12)
	tr.scored("cache/1/lb", "the script's write", func(a *pointsmanv1.ActionScore) bool {
		return a.GetResult() == pointsmanv1.ScoreResult_SCORE_RESULT_CAME && a.GetChanges() == 1
	})
	script(t, sim, 11) // a late run of an older failover
	tr.scored("cache/1/lb", "the set back", func(a *pointsmanv1.ActionScore) bool {
		return a.GetResult() == pointsmanv1.ScoreResult_SCORE_RESULT_SET_BACK && a.GetSetBack() == 1
	})
	if calls := ours(sim); len(calls) != 0 {
		t.Fatalf("only observed, and sent %q", calls)
	}
	if _, err := pointsmanv1.NewSettingServiceClient(tr.dial(0)).GetSetting(t.Context(), &pointsmanv1.GetSettingRequest{Key: "cache/url"}); err == nil {
		t.Error("the plan's setting was written")
	}

	carried := proto.CloneOf(spec)
	carried.Masters[0].ObserveOnly = false
	tr.apply(carried)
	script(t, sim, 12) // wherever the script leaves it
	s.promote(0, 3)
	eventually(t, "the first failover of our own", func(context.Context) error {
		if farm, name := stands(sim); farm != 11 || !strings.HasSuffix(name, "cache/2]") {
			return fmt.Errorf("farm %d, %q", farm, name)
		}
		return nil
	})
	tr.master("settled", func(m *pointsmanv1.Master) bool { return m.GetNumber() == 2 && m.GetOpenActions() == 0 })
	tr.scored("cache/1/lb", "the observed one", func(a *pointsmanv1.ActionScore) bool { return a.GetSetBack() == 1 })

	before := len(ours(sim))
	tr.apply(spec)
	s.promote(1, 4)
	script(t, sim, 12) // leaves our marker of cache/2 where it is
	tr.scored("cache/3/lb", "the script again", func(a *pointsmanv1.ActionScore) bool {
		return a.GetResult() == pointsmanv1.ScoreResult_SCORE_RESULT_CAME
	})
	if calls := ours(sim); len(calls) != before {
		t.Errorf("gone back, and sent %q", calls[before:])
	}
	checkScores(t, tr)
}

// checkScores: both ways of asking sum up the two observed failovers.
func checkScores(t *testing.T, tr *trio) {
	t.Helper()
	resp, err := pointsmanv1.NewFailoverServiceClient(tr.dial(0)).ListScores(t.Context(), &pointsmanv1.ListScoresRequest{Filter: "master=cache"})
	if err != nil {
		t.Fatal(err)
	}
	m := resp.GetScores()[0]
	if m.GetFailovers() != 2 || m.GetNewest() != "cache/3" || !m.GetObserveOnly() || len(m.GetSteps()) != 2 {
		t.Fatalf("score %v", m)
	}
	for _, step := range m.GetSteps() {
		counted := uint32(0)
		for _, r := range step.GetResults() {
			counted += r.GetCount()
		}
		if step.GetFailovers() != 2 || counted != 2 {
			t.Errorf("step %v", step)
		}
	}
	answer, err := http.Get("http://" + tr.files[0].GetListen().GetHttp() + "/v1/scores?filter=master%3Dcache")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("over HTTP: %s", answer.Status)
	}
}
