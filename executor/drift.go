package executor

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

const (
	driftScan = time.Second
	// driftJitter spreads the looks at many objects: up to so much is added.
	driftJitter = 0.2
	// driftShare is the part of a target's rate that looks may use, one in so
	// many. With more objects than that covers, their looks lie further apart.
	driftShare = 5
)

// driftDelays are the spans between the looks at an object after its action is
// done; the last one repeats. A write that was on the wire lands soon after, a
// human comes any time.
func driftDelays() []time.Duration {
	return []time.Duration{time.Second, 10 * time.Second, time.Minute, 5 * time.Minute}
}

// watched is an object that is looked at again.
type watched struct {
	action *fsm.Action
	since  time.Time // of the action's watch; an older look tells nothing about it
	looks  int
	next   time.Time

	// Where no action of the log is behind it; zero otherwise.
	of      fsm.Revision
	address fsm.Address // of the master
}

func (w watched) after() watched {
	delays := driftDelays()
	d := delays[min(w.looks, len(delays)-1)]
	w.looks++
	w.next = time.Now().Add(d + rand.N(time.Duration(float64(d)*driftJitter)))
	return w
}

// young tells the looks for what may still land from those that come for ever.
func (w watched) young() bool { return w.looks < len(driftDelays()) }

// drift is the watch over what is done, of one term; its loop owns it.
type drift struct {
	*Executor
	term    fsm.Term
	index   uint64                   // of the state that the others are of
	objects map[fsm.ObjectID]watched // those of the newest failover of each master, and the unwritten ones
	shares  map[fsm.TargetID]*budget // the looks' part of each target's rate
	ages    map[fsm.TargetID]time.Duration
}

// watchDrift looks again at what is done, for as long as the term lasts. A new
// leader begins anew with the short spans: it does not know what the old one
// left on the wire.
func (e *Executor) watchDrift(ctx context.Context, term fsm.Term) {
	d := &drift{Executor: e, term: term, objects: map[fsm.ObjectID]watched{}, shares: map[fsm.TargetID]*budget{}}
	tick := time.NewTicker(driftScan)
	defer tick.Stop()
	defer e.meters.lookAge.Reset()
	defer e.keepFindings(nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		state, _ := e.Journal.Watch()
		if state.Index() != d.index {
			d.stand(state)
		}
		d.look(ctx)
		d.tell()
	}
}

// stand takes over what stands now, with the looks that it has had.
func (d *drift) stand(state fsm.State) {
	stand := map[fsm.ObjectID]watched{}
	shares := map[fsm.TargetID]*budget{}
	for _, m := range state.Masters() {
		for _, a := range state.Standing(m.ID) {
			if _, changed := d.changed(state, a); changed {
				continue // looked at as one that is not written yet
			}
			w, ok := d.objects[a.Step.Object]
			if !ok || w.action.ID != a.ID {
				w = watched{action: &a, since: time.Now()}.after()
			}
			stand[a.Step.Object] = w
		}
		d.standUnwritten(state, m, stand)
	}
	for _, w := range stand {
		perMinute := d.tools.rate(w.action.Target)
		share, ok := d.shares[w.action.Target.ID]
		if !ok || share.rate != newShare(perMinute).rate {
			share = newShare(perMinute)
		}
		d.shares[w.action.Target.ID], shares[w.action.Target.ID] = share, share
	}
	d.keepFindings(stand)
	d.index, d.objects, d.shares = state.Index(), stand, shares
}

// look begins the looks that are due, of each target as many as its share
// allows: what was just done first, then whoever has waited longest, so that
// nobody's turn is taken by those who come often.
func (d *drift) look(ctx context.Context) {
	var due []watched
	for _, w := range d.objects {
		if !time.Now().Before(w.next) {
			due = append(due, w)
		}
	}
	slices.SortFunc(due, func(a, b watched) int {
		if a.young() != b.young() {
			if a.young() {
				return -1
			}
			return 1
		}
		return cmp.Or(a.next.Compare(b.next), cmp.Compare(a.action.ID, b.action.ID))
	})
	spent := map[fsm.TargetID]bool{}
	for _, w := range due {
		target := w.action.Target.ID
		if spent[target] {
			continue
		}
		began, left := d.begin(ctx, w)
		if began {
			d.objects[w.action.Step.Object] = w.after()
		}
		spent[target] = left > 0
	}
}

// begin begins one look, unless the budget is wanted by others (then it says
// for how long) or the node is about to hand over. It has a lane of its own: a
// look waits for nobody who acts, and nobody who acts for a look.
func (d *drift) begin(ctx context.Context, w watched) (began bool, left time.Duration) {
	a := *w.action
	id := "drift/" + a.ID
	d.mu.Lock()
	busy := d.draining || d.running[id]
	d.mu.Unlock()
	if busy || planted.Bug(planted.DriftUnwatched) {
		return false, 0
	}
	share := d.shares[a.Target.ID]
	taken, left := share.take(costLook, atOnce)
	if taken == 0 {
		return false, left
	}
	g, left := d.tools.admit(a.Target, costLook, patiently)
	if left > 0 {
		share.give(taken)
		return false, left
	}
	t := try{Executor: d.Executor, term: d.term, id: a.ID}
	look := t.drifted
	if w.unwritten() {
		look = func(ctx context.Context) { t.firstLook(ctx, w) }
	}
	d.start(ctx, id, job{do: func(ctx context.Context) { look(patient(ctx)) }, target: "drift/" + a.Target.ID, grant: g})
	return true, 0
}

// tell shows, for each target, how long ago the object that waits longest was
// seen: the real period of the looks.
func (d *drift) tell() {
	ages := map[fsm.TargetID]time.Duration{}
	d.mu.Lock()
	for o := range d.seen {
		if _, stands := d.objects[o]; !stands {
			delete(d.seen, o)
		}
	}
	for o, w := range d.objects {
		last := w.since
		if at := d.seen[o]; at.After(last) {
			last = at
		}
		ages[w.action.Target.ID] = max(ages[w.action.Target.ID], time.Since(last))
	}
	d.mu.Unlock()
	d.meters.looked(d.ages, ages)
	d.ages = ages
}

// drifted looks at the object of a done action and logs what differs. It only
// reads: a repair is an action of its own.
func (t try) drifted(ctx context.Context) {
	state, _ := t.Journal.Watch()
	a, ok := state.Action(t.id)
	if !ok || !slices.ContainsFunc(state.Standing(a.For.Master), func(b fsm.Action) bool { return b.ID == a.ID }) {
		return
	}
	if _, changed := t.changed(state, a); changed {
		return
	}
	seen, _, err := t.look(ctx, state, a, false)
	if err != nil {
		t.Logger.Debug("look for drift", "action", string(a.ID), "error", err)
		return
	}
	t.mu.Lock()
	t.seen[a.Step.Object] = time.Now()
	t.mu.Unlock()
	c := fsm.NoteDrift{Action: a.ID, Found: seen.Verdict.String() + ": " + seen.Detail}
	was, known := state.Drift(a.Step.Object)
	spec, _ := state.Spec().Master(a.For.Master)
	switch seen.Verdict {
	case actuators.Absent: // what an older write of ours left
		c.Repair = true
	case actuators.Foreign:
		c.Repair, c.Mend = spec.Mend, spec.Mend
	case actuators.Newer:
	default:
		c.Found = ""
	}
	if c.Found == was.Found && known == (c.Found != "") && !c.Repair {
		return
	}
	t.note(ctx, a, c)
}

func (t try) note(ctx context.Context, a fsm.Action, c fsm.NoteDrift) {
	_, err := t.propose(ctx, t.term, c)
	if err != nil && isRefusal(err) && c.Repair { // repaired too often: somebody else keeps writing
		c.Repair, c.Mend = false, false
		_, err = t.propose(ctx, t.term, c)
	}
	if err == nil && c.Found != "" {
		t.Logger.Warn("drifted", "action", string(a.ID), "object", string(a.Step.Object), "found", c.Found, "repair", c.Repair)
	}
}
