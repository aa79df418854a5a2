package show

import (
	"sort"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// timeline is one failover on a time axis: spans after its promotion, by the
// log clock; after its acceptance where the promotion is not known. It is what
// the terminal and the SVG draw.
type timeline struct {
	failover *pointsmanv1.Failover
	accepted time.Duration // when it was accepted; 0: the promotion is not known
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
	at       time.Duration // on the axis
	step     string        // empty: the failover itself
	by       string        // node, and its term where that is another than at acceptance
	what     string
	requests []string
}

// newTimeline lays a failover out; now is the log clock, nil when unknown.
func newTimeline(f *pointsmanv1.Failover, now *durationpb.Duration) timeline {
	t := timeline{failover: f, accepted: max(0, f.GetPromotedBefore().AsDuration())}
	t.open = f.GetSettledAt() == nil
	t.end = t.after(f.GetSettledAt())
	for _, a := range f.GetActions() {
		t.end = max(t.end, t.last(a))
	}
	if t.open && now != nil {
		t.end = max(t.end, t.after(now))
	}
	for _, a := range f.GetActions() {
		t.lanes = append(t.lanes, t.lane(a))
	}
	t.events = t.story()
	return t
}

// after is the place of a log clock on the axis. Nothing of a failover was
// before its acceptance but the promotion.
func (t *timeline) after(c *durationpb.Duration) time.Duration {
	d, _ := between(t.failover.GetAcceptedAt(), c)
	return t.accepted + max(d, 0)
}

// request is the first request that could change anything, as an event; false
// when none left, or the log does not hold it.
func (t *timeline) request() (first event, ok bool) {
	for _, a := range t.failover.GetActions() {
		for _, h := range a.GetHistory() {
			if h.GetClaimedAt() == nil || h.GetFirstRequestAfter() == nil {
				continue
			}
			at := t.after(h.GetClaimedAt()) + h.GetFirstRequestAfter().AsDuration()
			if !ok || at < first.at {
				first, ok = event{at: at, step: a.GetStep(), by: t.by(h), what: "first request that changes something"}, true
			}
		}
	}
	return first, ok
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
	now := stretchOf(a.GetState())
	if claimed := t.after(a.GetClaimedAt()); now == acting && a.GetClaimedAt() != nil && claimed > at {
		l.add(idle, at, claimed)
		at = claimed
	}
	l.add(now, at, t.end)
	l.ended = t.end
	return l
}

// add appends a piece; one that lasted no time is kept when it was an attempt.
func (l *lane) add(s stretch, from, to time.Duration) {
	if to > from || s == acting {
		l.pieces = append(l.pieces, piece{s, from, max(from, to)})
	}
}

// begun is when an attempt was claimed. Where the log does not hold it, a claim
// that rode in the acceptance began with it, and of others only the end is known.
func (t *timeline) begun(h *pointsmanv1.Attempt, settled time.Duration) time.Duration {
	switch {
	case h.GetClaimedAt() != nil:
		return t.after(h.GetClaimedAt())
	case h.GetIndex() == t.failover.GetAcceptedIndex():
		return t.accepted
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
	var events []event
	if t.accepted > 0 {
		events = append(events, event{what: "promoted: a Sentinel names " + or(f.GetTo())})
	}
	events = append(events, event{at: t.accepted, by: f.GetAcceptedNode(), what: accepted})
	if e, ok := t.request(); ok {
		events = append(events, e)
	}
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
	switch f.GetState() {
	case pointsmanv1.FailoverState_FAILOVER_STATE_DONE:
		return "every action is done"
	case pointsmanv1.FailoverState_FAILOVER_STATE_OBSERVED:
		return "only observed: nothing is carried out"
	}
	return Word(f.GetState())
}
