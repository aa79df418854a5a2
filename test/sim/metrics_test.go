package sim

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// convergeWithin bounds the span from the last fault's end to traffic where it
// belongs: an election, a window, a backoff of at most 30 s, a slow refresh or
// two, and the budget that they were paid from.
const convergeWithin = 3 * time.Minute

// sample is the hash of one node's state at an index, taken in mid-run.
type sample struct {
	index uint64
	hash  journal.Hash
}

func (r *run) sample(p *process) {
	s := p.node.State()
	if s.Index() == p.sampled { // nothing since
		return
	}
	p.sampled = s.Index()
	if h, err := journal.HashOf(s); err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.samples[sample{s.Index(), h}] = p.id
	}
}

// sampled: what any node held at any time is what the entries up to there make.
func (r *run) sampled(log []decided) {
	made := map[uint64]journal.Hash{}
	r.mu.Lock()
	samples := maps.Clone(r.samples)
	r.mu.Unlock()
	for s, id := range samples {
		i := slices.IndexFunc(log, func(d decided) bool { return d.Index == s.index })
		if i < 0 {
			r.fail("hashes", "%s held a state at %d, which is no command of the log", id, s.index)
			continue
		}
		if _, ok := made[s.index]; !ok {
			made[s.index], _ = journal.HashOf(log[i].after)
		}
		if made[s.index] != s.hash {
			r.fail("hashes", "%s differed at index %d", id, s.index)
		}
	}
}

// grant is a claim that the log has granted.
type grant struct {
	token  fsm.Token
	action fsm.Action
	act    time.Duration
	by     entry
	term   fsm.Term
	used   int // writes sent under it
}

func grants(log []decided) (list []*grant) {
	for _, d := range log {
		granted := d.answer.Claims
		if c, ok := d.Command.(fsm.Claim); ok && d.answer.Refusal == 0 {
			granted = []fsm.Granted{{Action: c.Action, Token: d.answer.Token}}
		}
		for _, g := range granted {
			a, _ := d.after.Action(g.Action)
			act := a.Step.Act
			if c, ok := d.Command.(fsm.Claim); ok {
				act = c.Act
			}
			list = append(list, &grant{token: g.Token, action: a, act: act, by: d.entry, term: d.Entry.Term})
		}
	}
	return list
}

// deed is an accepted write and the claim that it was sent under.
type deed struct {
	call  ovh.Call
	came  arrival
	grant *grant
}

// deeds finds each accepted write's claim: one of the very process that sent
// it, held by a majority before the first byte left, within its span, and used
// by no other write (G2).
func (r *run) deeds(log []decided) (list []deed) {
	claims := grants(log)
	for _, c := range r.sim.Journal(0).Calls {
		if c.Foreign || !c.Accepted {
			continue
		}
		came, ok := r.edge.arrivalOf(c)
		if !ok || came.from == nil {
			r.fail("harness", "nobody sent call %d", c.Seq)
			continue
		}
		d := deed{call: c, came: came}
		for _, g := range slices.Backward(claims) {
			if g.covers(c) && g.by.author == came.from && !g.by.sure.IsZero() && !g.by.sure.After(came.sent) && (g.used == 0 || came.twin) {
				d.grant = g
				break
			}
		}
		switch {
		case d.grant == nil:
			r.fail("intent before deed", "call %d (%s %s) was sent by %s at %s without a claim of its own", c.Seq, c.Method, c.Path, came.from.id, came.sent.Sub(r.story.began))
			continue
		case came.sent.Sub(d.grant.by.at) > came.from.clock.real(d.grant.act):
			r.fail("span", "call %d was sent %s after its claim %d, which spans %s", c.Seq, came.sent.Sub(d.grant.by.at), d.grant.token, d.grant.act)
		}
		if !came.twin {
			d.grant.used++
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b deed) int { return cmp.Compare(a.call.Order, b.call.Order) })
	return list
}

// covers: the call is what an action of that claim may send.
func (g *grant) covers(c ovh.Call) bool {
	if c.Refresh != nil {
		return g.action.IsRefresh()
	}
	frontend, _, ok := wants(g.action)
	if !ok || c.Frontend == nil || frontend != c.Frontend.ID {
		return false
	}
	m, marked := ovh.ParseMarker(c.Frontend.NameAfter)
	return marked && g.action.For == fsm.FailoverID{Master: fsm.MasterID(m.Master), Number: fsm.Number(m.Number)}
}

// twins counts the accepted refreshes that the provider was handed twice.
func (r *run) twins() (n int) {
	for _, c := range r.sim.Journal(0).Calls {
		if a, ok := r.edge.arrivalOf(c); ok && a.twin && c.Accepted && c.Refresh != nil {
			n++
		}
	}
	return n
}

// mutations: accepted writes of one action are at most one, one more for each
// change of leader, and one for each reply that was not clear. Those whose token
// is below one accepted before are counted.
func (r *run) mutations(log []decided, deeds []deed) {
	count, terms, newest := map[fsm.ActionID]int{}, map[fsm.ActionID]map[fsm.Term]bool{}, map[string]fsm.Token{}
	for _, d := range deeds {
		id := d.grant.action.ID
		count[id]++
		if d.came.twin {
			count[id]--
			r.figures.Twice++
		}
		if terms[id] == nil {
			terms[id] = map[fsm.Term]bool{}
		}
		object := string(d.grant.action.Step.Object)
		if d.grant.token < newest[object] {
			r.figures.OutOfOrder++
		}
		newest[object] = max(newest[object], d.grant.token)
	}
	for _, g := range grants(log) {
		if terms[g.action.ID] != nil {
			terms[g.action.ID][g.term] = true
		}
	}
	unclear := r.unclear(log)
	for id, n := range count {
		if most := len(terms[id]) + unclear[id]; n > most {
			r.fail("mutations per action", "%s: %d accepted writes under claims of %d terms with %d unclear replies", id, n, len(terms[id]), unclear[id])
		}
	}
}

// unclear counts, by action, the attempts that ended without a clear answer or
// with a read that did not show what was written.
func (r *run) unclear(log []decided) map[fsm.ActionID]int {
	n := map[fsm.ActionID]int{}
	for _, d := range log {
		c, ok := d.Command.(fsm.Settle)
		if !ok || d.answer.Refusal != 0 {
			continue
		}
		a, _ := d.before.Action(c.Action)
		if c.Doubt || c.To == fsm.Pending || a.IsRefresh() && c.To == fsm.Stuck {
			n[c.Action]++
		}
	}
	return n
}

// quorate: without two nodes that run, no write leaves once the claims made
// before have run out (G9).
func (r *run) quorate(deeds []deed) {
	for _, q := range r.quorums {
		for _, d := range deeds {
			sent := d.came.sent
			if late := q.from.Add(d.came.from.clock.real(d.grant.act)); sent.After(late) && (q.to.IsZero() || sent.Before(q.to)) {
				r.fail("no quorum, no deed", "call %d was sent %s after the quorum was lost", d.call.Seq, sent.Sub(q.from))
			}
		}
	}
}

// oneValue: a claim whose window somebody says has run out can have no request
// under way, by true time and at any rate of its holder's clock (G3).
func (r *run) oneValue(log []decided) {
	claims := map[fsm.Token]*grant{}
	for _, g := range grants(log) {
		claims[g.token] = g
	}
	for _, d := range log {
		var expired []fsm.Token
		switch c := d.Command.(type) {
		case fsm.Claim:
			expired = c.Expired
		case fsm.Observe:
			for _, ride := range c.Claims {
				expired = append(expired, ride.Expired...)
			}
		case fsm.Release:
			if c.Expired {
				expired = []fsm.Token{c.Token}
			}
		}
		for _, t := range expired {
			g, ok := claims[t]
			if !ok || d.answer.Refusal != 0 {
				continue
			}
			if least := g.by.author.clock.real(g.act) + r.plan.Hold; d.entry.at.Sub(g.by.at) < least {
				r.fail("one value at a time", "entry %d says that the window of claim %d has run out after %s; its requests may land for %s",
					d.Index, t, d.entry.at.Sub(g.by.at), least)
			}
		}
	}
}

// doubts measures how long actions stood in doubt; none does when nothing is open.
func (r *run) doubts(log []decided) {
	since := map[fsm.ActionID]time.Time{}
	cleared := func(id fsm.ActionID, at time.Time) {
		if from, ok := since[id]; ok {
			r.figures.LongestDoubt = max(r.figures.LongestDoubt, at.Sub(from))
			delete(since, id)
		}
	}
	for _, d := range log {
		switch c := d.Command.(type) {
		case fsm.Settle:
			a, _ := d.after.Action(c.Action)
			if d.answer.Refusal == 0 && !a.Doubt {
				cleared(c.Action, d.entry.at)
			} else if _, ok := since[c.Action]; d.answer.Refusal == 0 && !ok {
				since[c.Action] = d.entry.at
			}
		case fsm.Observe:
			for id := range since {
				if a, _ := d.after.Action(id); a.Phase.Final() {
					cleared(id, d.entry.at)
				}
			}
		}
	}
	for id := range since {
		if a, ok := log[len(log)-1].after.Action(id); ok && a.Doubt && a.Phase != fsm.Stuck {
			r.fail("in doubt", "%s is in doubt though nothing is open", id)
		}
	}
}

// accepted: with a majority that works, a switch that nothing else about its
// master was near to is in the log within three heartbeats for each outage, and
// what looking, telling and judging take.
func (r *run) accepted(log []decided) {
	beat := map[string]time.Duration{"fast": 300 * time.Millisecond, "default": 400 * time.Millisecond, "calm": time.Second}[r.plan.Profile]
	for _, m := range r.plan.Masters {
		for _, n := range r.redis.calm(m.ID) {
			if r.moved(m.ID, n) {
				continue
			}
			i := slices.IndexFunc(log, func(d decided) bool {
				c, ok := d.Command.(fsm.Observe)
				return ok && d.answer.Refusal == 0 && string(c.Master) == m.ID && uint64(c.Epoch) >= n.Epoch
			})
			if i < 0 {
				r.fail("availability", "%s at epoch %d was never accepted", m.ID, n.Epoch)
				continue
			}
			span, turns := r.healthy(n.At, log[i].entry.at, 3*beat)
			if most := n.Lag + time.Duration(turns+1)*4*beat + 3*time.Second; span > most {
				r.fail("availability", "%s at epoch %d was accepted after %s, %s of it with a working majority; at most %s", m.ID, n.Epoch, log[i].entry.at.Sub(n.At), span, most)
			}
			if turns == 0 {
				r.figures.SlowestCalm = max(r.figures.SlowestCalm, log[i].entry.at.Sub(n.At))
			}
		}
	}
}

// moved: another event about the master came near a switch.
func (r *run) moved(id string, n news) bool {
	at := n.At.Sub(r.story.began)
	near := 0
	for _, e := range r.plan.Events {
		if e.Master == id && e.Do != "foreign" && e.At > at-30*time.Second && e.At < at+8*time.Second {
			near++
		}
	}
	return near != 1
}

// stands: what an older write left over a newer one is mended within a drift period.
func (r *run) stands() {
	highest, farm, wrong := map[int64]int64{}, map[int64]int64{}, map[int64]time.Time{}
	mended := func(id int64, at time.Time) {
		if from, ok := wrong[id]; ok {
			r.figures.SlowestMend = max(r.figures.SlowestMend, at.Sub(from))
			delete(wrong, id)
		}
	}
	calls := slices.Clone(r.sim.Journal(0).Calls)
	slices.SortStableFunc(calls, func(a, b ovh.Call) int { return cmp.Compare(a.Order, b.Order) })
	for _, c := range calls {
		if !c.Accepted || c.Frontend == nil || c.Method != http.MethodPut || r.edited(c.Frontend.ID) {
			continue
		}
		m, _ := ovh.ParseMarker(c.Frontend.NameAfter)
		id := c.Frontend.ID
		if m.Number >= highest[id] {
			highest[id], farm[id] = m.Number, c.Frontend.FarmAfter
		}
		if c.Frontend.FarmAfter == farm[id] {
			mended(id, c.Effect)
		} else if _, ok := wrong[id]; !ok {
			wrong[id] = c.Effect
		}
	}
	if r.figures.SlowestMend > driftPeriod {
		r.fail("stale stands", "an older value stood over a newer one for %s", r.figures.SlowestMend)
	}
	for id, from := range wrong {
		r.fail("stale stands", "frontend %d was left at an older value at %s", id, from.Sub(r.story.began))
	}
}

// converged: traffic goes where the log says.
func (r *run) converged() bool {
	lead := r.leader()
	if lead == nil {
		return false
	}
	now, state := r.applied(), lead.node.State()
	for _, m := range r.plan.Masters {
		stands, _ := state.Master(fsm.MasterID(m.ID))
		for _, farm := range now[m.Frontend] {
			if farm != m.Farms[string(stands.Address)] && !r.excused(m) {
				return false
			}
		}
	}
	return true
}
