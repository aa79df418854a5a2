package ovh

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Judge implements actuators.Actuator.
func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	var s actuators.Sight
	switch body := r.Body.(type) {
	case running:
		s = body.judge(w)
	case *view:
		s = body.judge(w)
	default:
		s = actuators.Sight{Verdict: actuators.Busy, Detail: "not read yet", After: firstPoll}
	}
	if s.Refresh != nil {
		s.Refresh.Object = refreshObject(a.target)
	}
	s.Reading = r
	return s
}

// judge follows the table in doc.go.
func (v *view) judge(w actuators.Work) actuators.Sight {
	want, err := wantedOf(w.Action)
	if err == nil && want.Frontend != v.id {
		err = fmt.Errorf("action %s wants frontend %d, frontend %d was read: %w", w.Action.ID, want.Frontend, v.id, ErrValue)
	}
	if err != nil {
		return actuators.Sight{Verdict: actuators.Foreign, Detail: err.Error()}
	}
	ours := actuators.MarkerOf(w.Cluster, w.Action.For)
	_, m, marked := actuators.ParseMarked(v.name)
	s := actuators.Sight{Detail: v.detail()}
	switch {
	case marked && m.Cluster != ours.Cluster && !planted.Bug(planted.MarkerIgnored):
		s.Verdict, s.Detail = actuators.Newer, "written by another cluster (take its marker off the display name to adopt the frontend): "+s.Detail
		return s
	case marked && m.Master == ours.Master && m.Number > ours.Number && !planted.Bug(planted.MarkerIgnored):
		s.Verdict, s.Detail = actuators.Newer, "written by a newer failover: "+s.Detail
		return s
	}
	wrong, read := v.farms[want.Farm]
	switch {
	case !read:
		s.Verdict, s.Detail, s.After = actuators.Busy, fmt.Sprintf("farm %d was not read", want.Farm), firstPoll
	case wrong != "":
		s.Verdict, s.Detail = actuators.Foreign, wrong
	case !marked || m.Master != ours.Master:
		s.Verdict = v.unmarked(want, w)
		s.Found = s.Verdict == actuators.Applied
	case m.Number < ours.Number, m.Number > ours.Number && planted.Bug(planted.MarkerIgnored):
		s.Verdict = actuators.Absent
	case v.farm != want.Farm && w.Action.Mend:
		s.Verdict = actuators.Absent
	case v.farm != want.Farm:
		s.Verdict, s.Detail = actuators.Foreign, "edited since our write: "+s.Detail
	default:
		s.Verdict = v.applied(w)
	}
	if s.Verdict == actuators.Staged {
		s.Refresh, s.Counted = &fsm.Refresh{Kind: Name, Act: w.Action.Step.Act}, v.counted()
	}
	return s
}

// unmarked judges a frontend that no failover of this master has written.
func (v *view) unmarked(want wanted, w actuators.Work) actuators.Verdict {
	params, err := paramsOf(w.Action.Step)
	switch {
	case w.Action.Phase == fsm.Done: // it carried our marker: a human took it off
		return actuators.Foreign
	case w.Action.Mend:
		return actuators.Absent
	case err == nil && params.GetForeign() != pb.Foreign_FOREIGN_STUCK:
		return actuators.Absent
	case v.farm == want.Farm && v.clean():
		return actuators.Applied // nothing to write, nothing of ours to apply
	}
	return actuators.Foreign
}

// applied tells applied from staged. Nothing at OVH shows what is applied. It
// is proven by a refresh that was claimed after the value was staged and is
// done, with nothing pending after it (a merged one may have come too early).
// The marker is this action's, so a write was made, and even with nothing
// pending a refresh is owed: the count may lag. Only an action that is done
// already, looked at for drift, owes none.
func (v *view) applied(w actuators.Work) actuators.Verdict {
	if v.clean() && (w.Covered || w.Action.Phase == fsm.Done || planted.Bug(planted.CountIsProof)) {
		return actuators.Applied
	}
	return actuators.Staged
}

func (v *view) detail() string {
	text := fmt.Sprintf("frontend %d → farm %d, named %q", v.id, v.farm, wire.Cut(v.name, wire.MaxMessage))
	if v.farm == 0 {
		text = fmt.Sprintf("frontend %d → no farm, named %q", v.id, wire.Cut(v.name, wire.MaxMessage))
	}
	if v.rest["disabled"] != nil && string(v.rest["disabled"]) == "true" {
		text += ", disabled"
	}
	if changed := v.rest.changedFrom(v.before.rest); len(changed) > 0 {
		text += "; changed beside our write: " + strings.Join(changed, ", ")
	}
	return text
}

// changedFrom lists fields that differ. Lists are compared as sets: OVH answers
// them in any order.
func (r rest) changedFrom(before rest) (changed []string) {
	if before == nil {
		return nil
	}
	for _, field := range restFields() {
		if !reflect.DeepEqual(sorted(before[field]), sorted(r[field])) {
			changed = append(changed, fmt.Sprintf("%s %s → %s", field, wire.Cut(string(before[field]), 64), wire.Cut(string(r[field]), 64)))
		}
	}
	return changed
}

func sorted(raw json.RawMessage) any {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		slices.Sort(list)
		if len(list) == 0 {
			return nil // null and an empty list say the same
		}
		return list
	}
	var v any
	_ = json.Unmarshal(raw, &v) // came out of JSON
	return v
}

// judge of a refresh. Another's is let finish first, as OVH's own provider
// does, since OVH may merge ours into it or refuse ours. It is not waited for
// when what runs may be ours (a claim that ended in doubt, or was taken over):
// a second refresh does no harm, and a load balancer that waits is an outage.
func (r running) judge(w actuators.Work) actuators.Sight {
	young := 0
	for _, known := range r {
		if known < MaxWait {
			young++
		}
	}
	if young == 0 || w.Action.Doubt {
		return actuators.Sight{Verdict: actuators.Absent, Detail: fmt.Sprintf("running refreshes: %v", r.ids())}
	}
	return actuators.Sight{
		Verdict: actuators.Busy, After: busyDelay,
		Detail: fmt.Sprintf("refresh of somebody else is running: %v", r.ids()),
	}
}

// pollDelay rises with the time that a task has been followed, so that a quick
// one is seen early and a slow one costs little of the rate.
func pollDelay(followed time.Duration) time.Duration {
	return min(max(firstPoll, followed/2), lastPoll)
}

// Compare implements actuators.Comparer.
func (a *actuator) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	v, ok := r.Body.(*view)
	want, err := wantedOf(action)
	switch {
	case !ok || err != nil || want.Frontend != v.id:
		return 0
	case v.farm == want.Farm && !v.clean():
		return actuators.ShownStored
	}
	return actuators.ShownIf(v.farm == want.Farm)
}
