package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// side is one of the two that are compared: a load balancer at the provider, and
// who keeps it. Its methods may be called concurrently.
type side struct {
	name     string
	sim      *ovh.Sim
	service  string
	zone     string
	frontend int64
	farms    map[string]int64 // by Redis address
}

// lookEvery is how exactly the moment is known at which traffic turns.
const lookEvery = 2 * time.Millisecond

// path is a pattern of the side's calls at the provider.
func (s *side) path(rest string) string { return "/ipLoadbalancing/" + s.service + rest }

// wrote says that a call is one by which this side may change something.
func (s *side) wrote(c ovh.Call) bool {
	return c.Write() && c.Method != ovh.MethodSeed && !c.Foreign && strings.HasPrefix(c.Path, s.path("/"))
}

// applied is the Redis address that traffic goes to now; empty: none of ours.
func (s *side) applied() string {
	f, err := s.sim.Applied(s.frontend, s.zone)
	if err != nil {
		return ""
	}
	for address, farm := range s.farms {
		if f.DefaultFarmID != nil && farm == *f.DefaultFarmID {
			return address
		}
	}
	return ""
}

// firstWrite is the first request after a mark that could change an object.
func (s *side) firstWrite(ctx context.Context, after int64) (ovh.Call, error) {
	c, err := s.sim.WaitFor(ctx, func(c ovh.Call) bool { return c.Seq > after && s.wrote(c) })
	if err != nil {
		return c, fmt.Errorf("wait for the first write of %s: %w", s.name, err)
	}
	return c, nil
}

// held is the first write of the value after a mark that the provider has not
// carried out yet, though it has it.
func (s *side) held(ctx context.Context, after int64) (ovh.Call, error) {
	c, err := s.sim.WaitFor(ctx, func(c ovh.Call) bool {
		return c.Seq > after && s.wrote(c) && c.Method == http.MethodPut && c.Phase == ovh.PhaseHeld
	})
	if err != nil {
		return c, fmt.Errorf("wait for a write of %s to be held: %w", s.name, err)
	}
	return c, nil
}

// put makes the load balancer send to an address, as somebody else's doing: the
// side is to begin its turn with what is right.
func (s *side) put(ctx context.Context, address string) error {
	if err := s.sim.ForeignPut(s.frontend, map[string]any{"defaultFarmId": s.farms[address]}); err != nil {
		return err
	}
	if _, err := s.sim.ForeignRefresh(s.service, ""); err != nil {
		return err
	}
	_, err := s.waitApplied(ctx, address)
	return err
}

// waitApplied returns the moment at which traffic goes to address.
func (s *side) waitApplied(ctx context.Context, address string) (time.Time, error) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for s.applied() != address {
		select {
		case <-t.C:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("wait for the load balancer of %s to send to %s, now %s: %w", s.name, address, s.applied(), context.Cause(ctx))
		}
	}
	return time.Now(), nil
}

// tally is what the provider counted of one side.
type tally struct {
	Values    int `json:"values"`    // accepted writes of the value
	Refreshes int `json:"refreshes"` // accepted orders to apply it
	Refused   int `json:"refused"`   // writes that were answered with an error
	Stale     int `json:"stale"`     // values of an older failover, carried out over the newer one's
}

func (t tally) plus(o tally) tally {
	return tally{t.Values + o.Values, t.Refreshes + o.Refreshes, t.Refused + o.Refused, t.Stale + o.Stale}
}

// count counts the calls after a mark, in the order in which the provider carried
// them out. Another value than newest's is stale once newest's was taken after
// since, its promotion; a zero since means that none can be.
func (s *side) count(after int64, newest string, since time.Time) (t tally) {
	calls := slices.DeleteFunc(s.sim.Journal(after).Calls, func(c ovh.Call) bool { return !s.wrote(c) })
	slices.SortStableFunc(calls, func(a, b ovh.Call) int { return cmp.Compare(a.Order, b.Order) })
	taken := false
	for _, c := range calls {
		switch {
		case !c.Accepted:
			if c.Status >= http.StatusBadRequest {
				t.Refused++
			}
		case c.Refresh != nil:
			t.Refreshes++
		case c.Frontend != nil:
			t.Values++
			if c.Frontend.FarmAfter == s.farms[newest] {
				taken = taken || !since.IsZero() && c.Effect.After(since)
			} else if taken {
				t.Stale++
			}
		}
	}
	return t
}
