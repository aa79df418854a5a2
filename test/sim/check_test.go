package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// check judges the run by name. It is called when nothing is open.
func (r *run) check() {
	index := r.hashes()
	state, log, err := r.ledger.replay(index)
	if err != nil {
		r.fail("replay", "%v", err)
		return
	}
	r.replayed(state, index)
	r.tokens(log)
	r.finals(log)
	r.holders(log)
	r.falseSuccess(log)
	r.switches(state)
	r.sampled(log)
	r.oneValue(log)
	r.doubts(log)
	r.accepted(log)
	deeds := r.deeds(log)
	r.mutations(log, deeds)
	r.changes(log, deeds)
	r.looks(deeds)
	r.quorate(deeds)
	r.provider(state, log, deeds)
	r.stands()
	r.values(state)
	r.shopped(state)
	r.sided(state, log)
	r.askings(state, log)
	r.states(state, log)
	r.leased(log)
	if r.right > convergeWithin && !r.anyEdited() && !r.refused() {
		r.fail("convergence", "traffic went where it belongs %s after the last fault, at most %s", r.right, convergeWithin)
	}
}

// hashes: equal states at an equal index on all nodes.
func (r *run) hashes() (index uint64) {
	first := journal.Hash{}
	for i, p := range r.all() {
		v, err := p.node.Verify(context.Background())
		switch {
		case err != nil:
			r.fail("verify", "%s: %v", p.id, err)
		case i == 0:
			index, first = v.StateIndex, v.StateHash
		case v.StateIndex != index:
			r.fail("hashes", "%s stands at %d, another at %d", p.id, v.StateIndex, index)
		case v.StateHash != first:
			r.fail("hashes", "%s differs at index %d", p.id, index)
		}
	}
	return index
}

// replayed: the log alone makes the state that the nodes hold.
func (r *run) replayed(state fsm.State, index uint64) {
	mine, err := journal.HashOf(state)
	if err != nil {
		r.fail("replay", "%v", err)
		return
	}
	for _, p := range r.all()[:1] {
		theirs, err := journal.HashOf(p.node.State())
		if err != nil || theirs != mine {
			r.fail("replay", "state at %d is not what its entries make (%v)", index, err)
		}
	}
}

// tokens: a claim's token is above all before it.
func (r *run) tokens(log []decided) {
	last := fsm.Token(0)
	for _, d := range log {
		granted := d.answer.Claims
		if _, opened := d.Command.(fsm.OpenSession); d.answer.Token != 0 && !opened { // a repeat of that gets its first answer
			granted = append(granted, fsm.Granted{Token: d.answer.Token})
		}
		for _, g := range granted {
			if g.Token < last {
				r.fail("tokens rise", "entry %d granted %d after %d", d.Index, g.Token, last)
			}
			last = g.Token
		}
	}
}

// finals: an action that reached its end never changes again.
func (r *run) finals(log []decided) {
	ended := map[fsm.ActionID]fsm.Phase{}
	for _, d := range log {
		for id, phase := range ended {
			if a, ok := d.after.Action(id); ok && a.Phase != phase {
				r.fail("settled once", "entry %d made %s, which was %s, %s", d.Index, id, phase, a.Phase)
			}
		}
		if c, ok := d.Command.(fsm.Settle); ok && d.answer.Refusal == 0 {
			if a, _ := d.after.Action(c.Action); a.Phase.Final() {
				ended[c.Action] = a.Phase
			}
		}
	}
}

// holders: a claim is settled by the node that made it, or by a leader of a later term.
func (r *run) holders(log []decided) {
	for _, d := range log {
		c, ok := d.Command.(fsm.Settle)
		if !ok || d.answer.Refusal != 0 {
			continue
		}
		a, _ := d.before.Action(c.Action)
		if a.Phase == fsm.Claimed && d.Node != a.Node && d.Entry.Term <= a.Term {
			r.fail("settled by its holder", "entry %d of %s settled %s, which %s had claimed in this term %d", d.Index, d.Node, a.ID, a.Node, a.Term)
		}
	}
}

// falseSuccess: when done was logged, traffic went where the action wanted it.
func (r *run) falseSuccess(log []decided) {
	for _, d := range log {
		c, ok := d.Command.(fsm.Settle)
		if !ok || c.To != fsm.Done || d.answer.Refusal != 0 {
			continue
		}
		a, _ := d.after.Action(c.Action)
		frontend, farm, ok := wants(a)
		if !ok || r.edited(frontend) {
			continue
		}
		for zone, now := range d.applied[frontend] {
			if now != farm {
				r.fail("false success", "entry %d settled %s done at %s while frontend %d in %s was at farm %d, not %d",
					d.Index, a.ID, d.entry.at.Sub(r.story.began), frontend, zone, now, farm)
			}
		}
	}
}

// wants reads the value of a load balancer's action.
func wants(a fsm.Action) (frontend, farm int64, ok bool) {
	var v struct{ Frontend, Farm int64 }
	if a.IsRefresh() || json.Unmarshal(a.Value, &v) != nil || v.Farm == 0 {
		return 0, 0, false
	}
	return v.Frontend, v.Farm, true
}

// edited: somebody else wrote to the frontend in this run.
func (r *run) edited(frontend int64) bool {
	return slices.ContainsFunc(r.sim.Journal(0).Calls, func(c ovh.Call) bool {
		return c.Foreign && c.Method != ovh.MethodSeed && c.Frontend != nil && c.Frontend.ID == frontend
	})
}

// switches: every accepted failover is a promotion of its own, in order.
func (r *run) switches(state fsm.State) {
	for _, m := range r.plan.Masters {
		_, promoted := r.redis.told(m.ID)
		at := 0
		for _, f := range state.Failovers(fsm.MasterID(m.ID)) {
			for at < len(promoted) && promoted[at] != (promotion{string(f.To), uint64(f.Epoch)}) {
				at++
			}
			if at >= len(promoted) {
				r.fail("one failover per switch", "%s (%s at epoch %d) is no promotion of its own; there were %v", f.ID, f.To, f.Epoch, promoted)
				return
			}
			at++
		}
	}
}

// outlasted: the run has a write that took effect later than its window allows
// for, or that was delivered again after its answer had freed the object.
func (r *run) outlasted(deeds []deed) bool {
	return slices.ContainsFunc(deeds, func(d deed) bool { return d.call.Frontend != nil && r.late(d) })
}

func (r *run) late(d deed) bool {
	window := d.came.from.clock.real(d.grant.act) + r.plan.Hold
	return d.call.Effect.Sub(d.grant.by.at) > window || d.came.twin && d.call.Effect.After(d.came.answered)
}

// changes: no write of an older failover lands on a newer one's (stale), and no
// action changes the value twice (duplicates), unless that very write was late,
// or a late one or somebody else's edit had spoiled what was there.
func (r *run) changes(log []decided, deeds []deed) {
	type under struct {
		frontend int64
		of       fsm.FailoverID
	}
	actions, changed, counted := map[under]int{}, map[under]int{}, map[fsm.ActionID]bool{}
	for _, g := range grants(log) {
		if frontend, _, ok := wants(g.action); ok && !counted[g.action.ID] {
			counted[g.action.ID] = true
			actions[under{frontend, g.action.For}]++
		}
	}
	highest, spoiled := map[int64]fsm.Number{}, map[int64]bool{}
	for _, d := range deeds {
		w := d.call.Frontend
		if w == nil {
			continue
		}
		key := under{w.ID, d.grant.action.For}
		spoiled[w.ID] = spoiled[w.ID] || r.late(d) || r.edited(w.ID)
		if n := key.of.Number; n < highest[w.ID] && d.call.Changed && !r.late(d) {
			r.fail("stale", "call %d set %s on frontend %d after number %d", d.call.Seq, key.of, w.ID, highest[w.ID])
		}
		highest[w.ID] = max(highest[w.ID], key.of.Number)
		if w.FarmBefore == w.FarmAfter {
			continue
		}
		if changed[key]++; changed[key] > actions[key] && !spoiled[w.ID] {
			r.fail("duplicates", "call %d is change %d of frontend %d under %s", d.call.Seq, changed[key], w.ID, key.of)
		}
	}
}

// provider: what the provider counted against what the log says.
func (r *run) provider(state fsm.State, log []decided, deeds []deed) {
	p := r.sim.Prove(r.logged(state))
	r.count(state, log, deeds, p)
	bad := []struct {
		check string
		n     int
	}{
		{"lost", p.Lost}, {"orphans", p.Orphans - r.twins()}, {"journal whole", int(p.Dropped)},
	}
	for _, b := range bad {
		if b.n > 0 {
			r.fail(b.check, "%d: %s", b.n, strings.Join(p.Details, "; "))
		}
	}
}

func (r *run) anyEdited() bool {
	return slices.ContainsFunc(r.plan.Masters, func(m masterPlan) bool { return r.edited(m.Frontend) })
}

func (r *run) logged(state fsm.State) (list []ovh.LoggedAction) {
	for _, a := range state.AllActions() {
		l := ovh.LoggedAction{ID: string(a.ID), Kind: a.Step.Kind, State: a.Phase.String(), Object: string(a.Step.Object), Claims: a.Attempts}
		if a.Effect != 0 {
			l.Effect = a.Effect.String()
		}
		if _, farm, ok := wants(a); ok {
			l.Farm, l.Marker = farm, fmt.Sprintf("[pm %.8s %s]", state.Cluster(), a.For)
		}
		list = append(list, l)
	}
	return list
}

// values: each frontend and each setting is what the newest failover wants, or
// the difference is told.
func (r *run) values(state fsm.State) {
	for _, f := range r.wrong(state) {
		r.fail(f.Check, "%s", f.Detail)
	}
	for _, m := range r.plan.Masters {
		stands, _ := state.Master(fsm.MasterID(m.ID))
		if s, _ := state.Setting("redis/" + m.ID + "/url"); stands.Number > 0 && s.Value != "redis://"+string(stands.Address) {
			r.fail("final value", "setting of %s is %q, it stands at %s", m.ID, s.Value, stands.Address)
		}
		if r.stuck(state, m) && !r.excused(m) {
			r.fail("left open", "%s is stuck without a foreign edit: %v", m.ID, reasons(state))
		}
	}
}

func (r *run) stuck(state fsm.State, m masterPlan) bool {
	return slices.ContainsFunc(state.Open(), func(a fsm.Action) bool {
		return a.For.Master == fsm.MasterID(m.ID) && a.Phase == fsm.Stuck
	})
}

// excused: by policy a human decides.
func (r *run) excused(m masterPlan) bool { return r.edited(m.Frontend) || m.Stuck }

// wrong lists the frontends that are not where they belong.
func (r *run) wrong(state fsm.State) (list []failure) {
	now := r.applied()
	for _, m := range r.plan.Masters {
		stands, _ := state.Master(fsm.MasterID(m.ID))
		want := m.Farms[string(stands.Address)]
		for zone, farm := range now[m.Frontend] {
			if farm != want && !r.excused(m) {
				list = append(list, failure{"final value", fmt.Sprintf("frontend %d in %s is at farm %d, %s stands at %s, farm %d", m.Frontend, zone, farm, m.ID, stands.Address, want)})
			}
		}
		_, drifted := state.Drift(fsm.ObjectID(fmt.Sprintf("lb-par/frontend/%d", m.Frontend)))
		staged, err := r.sim.Staged(m.Frontend)
		if err == nil && stands.Number > 0 && !r.stuck(state, m) && !drifted && (staged.DefaultFarmID == nil || *staged.DefaultFarmID != want) {
			list = append(list, failure{"drift told", fmt.Sprintf("frontend %d is not at farm %d, and nothing says so", m.Frontend, want)})
		}
	}
	return list
}

func reasons(state fsm.State) (list []string) {
	for _, a := range state.Open() {
		list = append(list, fmt.Sprintf("%s: %s", a.ID, a.Reason))
	}
	return list
}
