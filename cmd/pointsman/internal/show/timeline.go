package show

import (
	"sort"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// timeline is one failover on a time axis: spans after its acceptance, by the
// log clock. It is what the terminal and the SVG draw.
type timeline struct {
	failover *pointsmanv1.Failover
	end      time.Duration // when it was settled, or now
	open     bool          // not every action is final
	lanes    []lane
	events   []event
}

// lane is one action on the axis.
type lane struct {
	action *pointsmanv1.Action
	pieces []piece
	ended  time.Duration // when it became final or stuck; or now
}

// piece is a stretch in which a lane was of one sort.
type piece struct {
	sort     stretch
	from, to time.Duration
}

// stretch is what an action was at.
type stretch int

const (
	idle     stretch = iota // stood at its gates
	acting                  // a leader held a claim
	provider                // written; the provider was applying it
)

// event is one line of a failover's story.
type event struct {
	at       time.Duration // after acceptance
	step     string        // empty: the failover itself
	by       string        // node, and its term where that is another than at acceptance
	what     string
	requests []string
}

// newTimeline lays a failover out; now is the log clock, nil when unknown.
func newTimeline(f *pointsmanv1.Failover, now *durationpb.Duration) timeline {
	t := timeline{failover: f}
	settled, ok := between(f.GetAcceptedAt(), f.GetSettledAt())
	t.open = !ok
	if ok {
		t.end = settled
	}
	for _, a := range f.GetActions() {
		t.end = max(t.end, t.last(a))
	}
	if d, known := between(f.GetAcceptedAt(), now); t.open && known {
		t.end = max(t.end, d)
	}
	for _, a := range f.GetActions() {
		t.lanes = append(t.lanes, t.lane(a))
	}
	t.events = t.story()
	return t
}

// after is a log clock as a span after acceptance.
func (t *timeline) after(c *durationpb.Duration) time.Duration {
	d, _ := between(t.failover.GetAcceptedAt(), c)
	return max(d, 0)
}

// last is the latest moment that an action tells of.
func (t *timeline) last(a *pointsmanv1.Action) time.Duration {
	d := t.after(a.GetSettledAt())
	for _, h := range a.GetHistory() {
		d = max(d, t.after(h.GetSettledAt()))
	}
	return d
}

func (t *timeline) lane(a *pointsmanv1.Action) lane {
	l := lane{action: a}
	at, token := t.after(a.GetPlannedAt()), uint64(0)
	for _, h := range a.GetHistory() {
		settled := t.after(h.GetSettledAt())
		begun, sort := t.begun(h, settled), acting
		if h.GetToken() == token {
			begun, sort = at, provider // it waited under the same claim
		}
		l.add(idle, at, begun)
		l.add(sort, max(at, begun), settled)
		at, token = settled, h.GetToken()
	}
	l.ended = t.last(a)
	if Final(a.GetState()) || a.GetState() == pointsmanv1.ActionState_ACTION_STATE_STUCK {
		l.add(idle, at, l.ended)
		return l
	}
	l.add(stretchOf(a.GetState()), at, t.end)
	l.ended = t.end
	return l
}

// add appends a piece; one that lasted no time is kept when it was an attempt.
func (l *lane) add(s stretch, from, to time.Duration) {
	if to > from || s == acting {
		l.pieces = append(l.pieces, piece{s, from, max(from, to)})
	}
}

// begun is when an attempt was claimed, as far as the log tells: a claim that
// rode in the acceptance began with it. Of others only the end is known.
func (t *timeline) begun(h *pointsmanv1.Attempt, settled time.Duration) time.Duration {
	if h.GetIndex() == t.failover.GetAcceptedIndex() {
		return 0
	}
	return settled
}

func stretchOf(s pointsmanv1.ActionState) stretch {
	switch s {
	case pointsmanv1.ActionState_ACTION_STATE_CLAIMED:
		return acting
	case pointsmanv1.ActionState_ACTION_STATE_WAITING:
		return provider
	}
	return idle
}

// story orders what is known of a failover by time. Events of one instant keep
// the order of the plan.
func (t *timeline) story() []event {
	f := t.failover
	accepted := "accepted: " + or(f.GetTo()) + " is the master"
	if f.GetFrom() != "" {
		accepted += ", was " + f.GetFrom()
	}
	events := []event{{by: f.GetAcceptedNode(), what: accepted}}
	for _, a := range f.GetActions() {
		events = append(events, t.deeds(a)...)
	}
	if !t.open {
		events = append(events, event{at: t.after(f.GetSettledAt()), what: ending(f)})
	}
	sort.SliceStable(events, func(i, j int) bool { return events[i].at < events[j].at })
	return events
}

func ending(f *pointsmanv1.Failover) string {
	if f.GetState() == pointsmanv1.FailoverState_FAILOVER_STATE_DONE {
		return "every action is done"
	}
	return Word(f.GetState())
}
