package main

import (
	"context"
	"fmt"
	"time"
)

// shift is one failover as both sides are measured by it.
type shift struct {
	RequestMS float64 `json:"promotion_to_request_ms"` // promotion visible to the first mutating request at the provider
	TrafficMS float64 `json:"promotion_to_traffic_ms"` // to the load balancer sending to the new master
	Writes    tally   `json:"writes"`
}

// switches are the failovers of one side.
type switches struct {
	Side    string  `json:"side"`
	N       int     `json:"n"`
	Request spread  `json:"promotion_to_request_ms"`
	Traffic spread  `json:"promotion_to_traffic_ms"`
	Writes  tally   `json:"writes"`
	Dirty   int     `json:"dirty"` // failovers left out: the Sentinels made a second one of their own in it
	All     []shift `json:"all"`
}

// duel plays n failovers for each side, in turns.
func (b *bench) duel(ctx context.Context, g *stage, n int) ([]switches, error) {
	out := make([]switches, len(g.sides()))
	for i := range n {
		for k, s := range g.sides() {
			out[k].Side = s.name
			b.say("switch %d of %d by %s", i+1, n, s.name)
			one, clean, err := g.shift(ctx, s)
			if err != nil {
				return nil, fmt.Errorf("switch %d by %s: %w", i+1, s.name, err)
			}
			if !clean {
				out[k].Dirty++
				continue
			}
			out[k].All = append(out[k].All, one)
		}
	}
	for k := range out {
		out[k].sum()
	}
	return out, nil
}

func (w *switches) sum() {
	var request, traffic []float64
	for _, one := range w.All {
		request, traffic = append(request, one.RequestMS), append(traffic, one.TrafficMS)
		w.Writes = w.Writes.plus(one.Writes)
	}
	w.N, w.Request, w.Traffic = len(w.All), spreadOf(request), spreadOf(traffic)
}

// shift plays one failover for a side, from the kill to the last thing that
// comes of it. It is not clean when the Sentinels promoted twice.
func (g *stage) shift(ctx context.Context, s *side) (one shift, clean bool, err error) {
	if err := g.enter(ctx, s); err != nil {
		return one, false, err
	}
	mark, before := g.Cloud.Mark(), len(g.Recorder.Promotions())
	old, err := g.fall(ctx)
	if err != nil {
		return one, false, err
	}
	p, err := g.promoted(ctx, old)
	if err != nil {
		return one, false, err
	}
	within, cancel := context.WithTimeoutCause(ctx, waitTraffic, fmt.Errorf("not within %s", waitTraffic))
	defer cancel()
	traffic, err := s.waitApplied(within, p.Address)
	if err != nil {
		if s == g.recipe {
			err = fmt.Errorf("%w; the scripts said:\n%s", err, g.scripts.log())
		}
		return one, false, err
	}
	first, err := s.firstWrite(within, mark)
	if err != nil {
		return one, false, err
	}
	if err := g.revive(ctx); err != nil {
		return one, false, err
	}
	if err := g.still(ctx, s); err != nil {
		return one, false, err
	}
	one = shift{RequestMS: millis(first.Received.Sub(p.At)), TrafficMS: millis(traffic.Sub(p.At)), Writes: s.count(mark, p.Address, time.Time{})}
	return one, len(g.Recorder.Promotions()) == before+1, nil
}
