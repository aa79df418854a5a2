package shopify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Judge follows the table in doc.go.
func (a *fields) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	v, ok := r.Body.(*view)
	if !ok {
		return actuators.Sight{Verdict: actuators.Busy, Detail: "not read yet", After: notRead, Reading: r}
	}
	s := v.judge(w)
	s.Reading = r
	return s
}

// standing is how one metafield stands, the better one first.
type standing uint8

const (
	ours    standing = iota + 1 // by this failover, as wanted
	older                       // by an older failover of this master
	gone                        // there is none
	strange                     // not by a failover of this master
	edited                      // by this failover, another value
	newer                       // by a newer failover, or another cluster
)

// judge follows the table in doc.go.
func (v *view) judge(w actuators.Work) actuators.Sight {
	want, err := wantedOf(w.Action)
	if err == nil && (want.Namespace != v.namespace || !slices.Equal(want.keys(), v.keys)) {
		err = fmt.Errorf("action %s wants other metafields than were read: %w", w.Action.ID, ErrValue)
	}
	if err != nil {
		return actuators.Sight{Verdict: actuators.Foreign, Detail: err.Error()}
	}
	worst := standing(0)
	for _, key := range v.keys {
		worst = max(worst, v.standing(key, want.Values[key], w))
	}
	s := actuators.Sight{Verdict: v.verdict(worst, w), Detail: v.detail(), Version: v.version().String(), Warning: v.warning}
	switch {
	case worst == newer:
		s.Detail = "written by a newer failover or another cluster: " + s.Detail
	case s.Verdict != actuators.Foreign:
	case worst == edited:
		s.Detail = "edited since our write: " + s.Detail
	case worst == gone:
		s.Detail = "deleted since our write: " + s.Detail
	default:
		s.Detail = "not written by us: " + s.Detail
	}
	return s
}

func (v *view) standing(key, want string, w actuators.Work) standing {
	s, found := v.found[key]
	switch {
	case !found:
		return gone
	case !s.ours:
		return strange
	case s.words.Cluster != w.Cluster:
		return newer
	case s.by.Master != w.Action.For.Master:
		return strange
	case s.by.Number > w.Action.For.Number:
		return newer
	case s.by.Number < w.Action.For.Number:
		return older
	case s.words.Value != want:
		return edited
	}
	return ours
}

// verdict is that of the worst: all are written together, or none is.
func (v *view) verdict(worst standing, w actuators.Work) actuators.Verdict {
	params, err := paramsOf(w.Action.Step)
	adopts := err == nil && params.GetForeign() != pb.Foreign_FOREIGN_STUCK
	done := w.Action.Phase == fsm.Done
	switch {
	case worst == ours:
		return actuators.Applied
	case worst == newer:
		return actuators.Newer
	case worst == older, w.Action.Mend:
		return actuators.Absent
	case worst == gone && !done, worst == strange && adopts && !done:
		return actuators.Absent
	}
	return actuators.Foreign
}

// detail says for people what stands there.
func (v *view) detail() string {
	var parts []string
	for _, key := range v.keys {
		s, found := v.found[key]
		at := v.namespace + "." + key
		switch {
		case !found:
			parts = append(parts, at+" is not there")
		case s.ours:
			parts = append(parts, fmt.Sprintf("%s = %q by %s", at, wire.Cut(s.words.Value, wire.MaxMessage), wire.Cut(s.words.Failover, wire.MaxMessage)))
		default:
			parts = append(parts, fmt.Sprintf("%s = %q", at, wire.Cut(s.text, wire.MaxMessage)))
		}
	}
	text := strings.Join(parts, ", ")
	if v.warning != "" {
		text = v.warning + "; " + text
	}
	return wire.Cut(text, fsm.MaxReasonBytes/2)
}

// Compare tells values: what another program wrote counts by
// its text, or by what that says as JSON.
func (a *fields) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	v, ok := r.Body.(*view)
	want, err := wantedOf(action)
	if !ok || err != nil || want.Namespace != v.namespace || !slices.Equal(want.keys(), v.keys) {
		return 0
	}
	for _, key := range v.keys {
		s, found := v.found[key]
		if !found || s.plain() != want.Values[key] {
			return actuators.ShownOther
		}
	}
	return actuators.ShownValue
}

// plain is a metafield's value without what Pointsman or JSON puts around it.
func (s stored) plain() string {
	if s.ours {
		return s.words.Value
	}
	var text string
	if json.Unmarshal([]byte(s.text), &text) == nil {
		return text
	}
	return s.text
}
