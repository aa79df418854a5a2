package api

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// scoreMessage shows the score of an observed action; nil for any other.
func scoreMessage(state fsm.State, a fsm.Action) *pointsmanv1.ActionScore {
	word, ok := state.ScoreOf(a)
	if !ok {
		return nil
	}
	f, _ := state.Failover(a.For)
	promoted, _ := f.Promoted()
	after := func(c fsm.Clock) *durationpb.Duration { return durationpb.New(time.Duration(c - promoted)) }
	v, known := state.Score(a.ID)
	m := &pointsmanv1.ActionScore{
		Result: scoreResult(word), WouldWait: v.Held, Changes: uint32(v.Changes), Wrong: uint32(v.Wrong), SetBack: uint32(v.SetBack), //nolint:gosec // counts of looks
		Looks: uint32(v.Looks), LeaderChanges: uint32(v.Gaps), //nolint:gosec // the same
	}
	if d, ok := wouldBegin(f, a, v); ok {
		m.WouldBegin = durationpb.New(d)
	} else if a.Stage > 0 {
		m.WouldWait = joined(m.GetWouldWait(), "the stages before "+a.Stages)
	}
	if !known {
		return m
	}
	m.Would, m.WouldBeStuck = would(a, v.First)
	if v.Came > 0 {
		m.CameBy = after(v.Came)
	}
	if v.CameAfter > 0 {
		m.CameAfter = after(v.CameAfter)
	}
	if v.Applied > 0 {
		m.AppliedBy = after(v.Applied)
	}
	if v.Unseen > 0 {
		m.Unseen = durationpb.New(v.Unseen)
	}
	look := func(l fsm.Look) *pointsmanv1.ScoreLook {
		return &pointsmanv1.ScoreLook{
			At: after(l.Clock), Time: stamp(l.Wall), Shows: l.Shows.String(), Address: string(l.At), Found: l.Found, Verdict: l.Meets.String(),
		}
	}
	m.First, m.LastLook = look(v.First), after(v.Last)
	for _, l := range v.Kept {
		m.Seen = append(m.Seen, look(l))
	}
	return m
}

// wouldBegin is when an action would have been claimed, after the promotion: with
// the acceptance, if it is of the first stage and nothing kept it.
func wouldBegin(f fsm.Failover, a fsm.Action, v fsm.Score) (time.Duration, bool) {
	return f.Seen, a.Stage == 0 && v.Held == ""
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// would says what the action would have come to by its first look, and whether
// it would have been stuck there.
func would(a fsm.Action, first fsm.Look) (string, bool) {
	switch first.Meets {
	case fsm.MeetsAbsent:
		return "would have written " + a.Wanted, false
	case fsm.MeetsApplied:
		return "would have found it done", false
	case fsm.MeetsStaged:
		return "would have had it applied", false
	case fsm.MeetsBusy:
		return "would have waited: " + first.Found, false
	case fsm.MeetsSilence:
		return "would have tried again: " + first.Found, false
	}
	return fmt.Sprintf("would have been stuck: %s: %s", first.Meets, first.Found), true
}

func scoreResult(w fsm.ScoreWord) pointsmanv1.ScoreResult {
	switch w {
	case fsm.ScoreCame:
		return pointsmanv1.ScoreResult_SCORE_RESULT_CAME
	case fsm.ScoreDetour:
		return pointsmanv1.ScoreResult_SCORE_RESULT_DETOUR
	case fsm.ScoreStored:
		return pointsmanv1.ScoreResult_SCORE_RESULT_STORED
	case fsm.ScorePending:
		return pointsmanv1.ScoreResult_SCORE_RESULT_PENDING
	case fsm.ScoreNever:
		return pointsmanv1.ScoreResult_SCORE_RESULT_NEVER
	case fsm.ScoreWrong:
		return pointsmanv1.ScoreResult_SCORE_RESULT_WRONG
	case fsm.ScoreSetBack:
		return pointsmanv1.ScoreResult_SCORE_RESULT_SET_BACK
	case fsm.ScoreUnknown:
		return pointsmanv1.ScoreResult_SCORE_RESULT_UNKNOWN
	case fsm.ScoreUnseen:
		return pointsmanv1.ScoreResult_SCORE_RESULT_NOT_SEEN
	case fsm.ScoreNone:
		return pointsmanv1.ScoreResult_SCORE_RESULT_NO_OBJECT
	}
	return pointsmanv1.ScoreResult_SCORE_RESULT_UNSPECIFIED
}

// masterScore sums up the observed failovers of a master; false when none is
// kept and it is not observed now.
func masterScore(state fsm.State, id fsm.MasterID) (*pointsmanv1.MasterScore, bool) {
	spec, _ := state.Spec().Master(id)
	m := &pointsmanv1.MasterScore{Master: string(id), ObserveOnly: spec.Observe}
	steps := map[string]*stepTally{}
	failovers := state.Failovers(id)
	slices.Reverse(failovers) // the newest first: its plan's order counts
	for _, f := range failovers {
		actions := state.Actions(f.ID)
		if len(actions) == 0 {
			continue
		}
		if _, ok := state.ScoreOf(actions[0]); !ok {
			continue
		}
		m.Failovers++
		if m.GetNewest() == "" {
			m.Newest = f.ID.String()
		}
		for _, a := range actions {
			t, ok := steps[a.Step.Name]
			if !ok {
				t = &stepTally{counts: map[fsm.ScoreWord]uint32{}, message: &pointsmanv1.StepScore{Step: a.Step.Name, Kind: a.Step.Kind, Object: string(a.Step.Object)}}
				steps[a.Step.Name] = t
				m.Steps = append(m.Steps, t.message)
			}
			t.add(state, f, a)
		}
	}
	for _, t := range steps {
		t.finish()
	}
	return m, spec.Observe || m.GetFailovers() > 0
}

// stepTally counts one step over failovers.
type stepTally struct {
	message     *pointsmanv1.StepScore
	counts      map[fsm.ScoreWord]uint32
	begin, came []time.Duration
}

func (t *stepTally) add(state fsm.State, f fsm.Failover, a fsm.Action) {
	word, ok := state.ScoreOf(a)
	if !ok {
		return
	}
	t.message.Failovers++
	t.counts[word]++
	v, known := state.Score(a.ID)
	if _, stuck := would(a, v.First); known && stuck {
		t.message.WouldBeStuck++
	}
	promoted, told := f.Promoted()
	if d, ok := wouldBegin(f, a, v); ok && told {
		t.begin = append(t.begin, d)
	}
	if v.Came > 0 {
		t.came = append(t.came, time.Duration(v.Came-promoted))
	}
}

func (t *stepTally) finish() {
	for word := fsm.ScoreCame; word <= fsm.ScoreNone; word++ {
		if n := t.counts[word]; n > 0 {
			t.message.Results = append(t.message.Results, &pointsmanv1.ResultCount{Result: scoreResult(word), Count: n})
		}
	}
	median := func(all []time.Duration) *durationpb.Duration {
		if len(all) == 0 {
			return nil
		}
		slices.SortFunc(all, cmp.Compare[time.Duration])
		return durationpb.New(all[len(all)/2])
	}
	t.message.WouldBegin, t.message.CameBy = median(t.begin), median(t.came)
	if n := len(t.came); n > 0 {
		t.message.CameByMost = durationpb.New(t.came[n-1])
	}
}
