package sim

import (
	"fmt"
	"net/http"
	"time"

	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// looks: before each accepted write of a frontend, the process that sent it had
// read the frontend, not long ago, and what stood there then was neither what it
// wrote nor of a newer failover (G4). Of several such reads one is enough: which
// of them it judged by is not to be seen from outside. So a value is written again only by who
// could not see it: after a lost leader, a lost answer, or a change under way.
func (r *run) looks(deeds []deed) {
	calls := r.sim.Journal(0).Calls
	for _, d := range deeds {
		if d.call.Frontend == nil || d.came.twin {
			continue
		}
		looks := r.looksOf(d, calls)
		if len(looks) == 0 {
			r.fail("look before", "call %d was sent by %s, which had not read frontend %d in the last %s", d.call.Seq, d.came.from.id, d.call.Frontend.ID, r.oldest(d))
			continue
		}
		why := ""
		for _, look := range looks {
			if why = r.needless(d, look, calls); why == "" {
				break
			}
		}
		if why != "" {
			r.fail("look before", "%s", why)
		}
	}
}

// needless says why a look asked for no write; empty: it may have.
func (r *run) needless(d deed, look ovh.Call, calls []ovh.Call) string {
	stood, written := stoodAt(calls, d.call.Frontend.ID, look.Received)
	if !written || r.plan.ReadLag > 0 { // or the answer may have been an older one
		return ""
	}
	m, marked := ovh.ParseMarker(stood.NameAfter)
	same := fsm.MasterID(m.Master) == d.grant.action.For.Master
	switch {
	case stood.NameAfter == d.call.Frontend.NameAfter && stood.FarmAfter == d.call.Frontend.FarmAfter:
		return fmt.Sprintf("call %d writes what its look, call %d, showed", d.call.Seq, look.Seq)
	case marked && same && fsm.Number(m.Number) > d.grant.action.For.Number:
		return fmt.Sprintf("call %d writes over %s, which its look, call %d, showed", d.call.Seq, stood.NameAfter, look.Seq)
	}
	return ""
}

// oldest is how old a look may be when the request leaves: a warm-up's age, and
// what pacing and the connection take of the claim's span.
func (r *run) oldest(d deed) time.Duration {
	return d.came.from.clock.real(executor.DefaultConfig().WarmFor + d.grant.act)
}

// looksOf are the young reads of the deed's frontend that its process had the answers of.
func (r *run) looksOf(d deed, calls []ovh.Call) (looks []ovh.Call) {
	for _, c := range calls {
		id, is := frontendOf(c.Path)
		if !is || id != d.call.Frontend.ID || c.Method != http.MethodGet || c.Answered.IsZero() || c.Answered.After(d.came.sent) || d.came.sent.Sub(c.Answered) > r.oldest(d) {
			continue
		}
		if a, known := r.edge.arrivalOf(c); known && a.from == d.came.from && c.Status == http.StatusOK {
			looks = append(looks, c)
		}
	}
	return looks
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
