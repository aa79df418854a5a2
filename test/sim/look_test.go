package sim

import (
	"net/http"
	"time"

	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// looks: before each accepted write of a frontend, the process that sent it had
// read the frontend, not long ago, and what stood there then was neither what it
// wrote nor of a newer failover (G4). So a value is written again only by who
// could not see it: after a lost leader, a lost answer, or a change under way.
func (r *run) looks(deeds []deed) {
	calls := r.sim.Journal(0).Calls
	for _, d := range deeds {
		if d.call.Frontend == nil || d.came.twin {
			continue
		}
		look, ok := r.lookOf(d, calls)
		switch {
		case !ok:
			r.fail("look before", "call %d was sent by %s, which had not read frontend %d", d.call.Seq, d.came.from.id, d.call.Frontend.ID)
			continue
		case d.came.sent.Sub(look.Answered) > r.oldest(d):
			r.fail("look before", "call %d was sent %s after the look, call %d", d.call.Seq, d.came.sent.Sub(look.Answered), look.Seq)
		}
		if r.plan.ReadLag > 0 {
			continue // the answer may have been an older one
		}
		stood, written := stoodAt(calls, d.call.Frontend.ID, look.Received)
		if !written {
			continue
		}
		m, marked := ovh.ParseMarker(stood.NameAfter)
		same := fsm.MasterID(m.Master) == d.grant.action.For.Master
		switch {
		case stood.NameAfter == d.call.Frontend.NameAfter && stood.FarmAfter == d.call.Frontend.FarmAfter:
			r.fail("look before", "call %d writes what its look, call %d, showed", d.call.Seq, look.Seq)
		case marked && same && fsm.Number(m.Number) > d.grant.action.For.Number:
			r.fail("look before", "call %d writes over %s, which its look, call %d, showed", d.call.Seq, stood.NameAfter, look.Seq)
		}
	}
}

// oldest is how old a look may be when the request leaves: a warm-up's age, and
// what pacing and the connection take of the claim's span.
func (r *run) oldest(d deed) time.Duration {
	return d.came.from.clock.real(executor.DefaultConfig().WarmFor + d.grant.act)
}

// lookOf is the newest read of the deed's frontend that its process had the answer of.
func (r *run) lookOf(d deed, calls []ovh.Call) (look ovh.Call, ok bool) {
	for _, c := range calls {
		id, is := frontendOf(c.Path)
		if !is || id != d.call.Frontend.ID || c.Method != http.MethodGet || c.Answered.IsZero() || c.Answered.After(d.came.sent) {
			continue
		}
		if a, known := r.edge.arrivalOf(c); known && a.from == d.came.from && c.Status == http.StatusOK && !c.Answered.Before(look.Answered) {
			look, ok = c, true
		}
	}
	return look, ok
}

// stoodAt is the last write to a frontend that was in effect before a moment.
func stoodAt(calls []ovh.Call, id int64, at time.Time) (stood ovh.FrontendWrite, ok bool) {
	order := int64(0)
	for _, c := range calls {
		if c.Accepted && c.Frontend != nil && c.Frontend.ID == id && c.Order >= order && c.Effect.Before(at) {
			order, stood, ok = c.Order, *c.Frontend, true
		}
	}
	return stood, ok
}
