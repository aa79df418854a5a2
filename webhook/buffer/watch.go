package buffer

import (
	"context"
	"math/rand/v2"
	"time"
)

// Bounds of Watch.
const (
	// WatchEvery is the usual time between two probes.
	WatchEvery = 10 * time.Minute
	// watchWithin bounds one probe.
	watchWithin = time.Minute
)

// Watch probes a store every so often, up to a tenth earlier or later, until ctx
// ends. It reports abilities that are not as known, and each probe that could
// not be made; what to do about it is for the caller. report is called by one
// goroutine, Watch's own.
func Watch(ctx context.Context, store Store, every time.Duration, known Abilities, report func(Abilities, error)) {
	for {
		timer := time.NewTimer(every - every/10 + rand.N(every/5+1)) //nolint:gosec // jitter
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		now, err := probeWithin(ctx, store)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			report(known, err)
		case !now.same(known):
			known = now
			report(now, nil)
		}
	}
}

func probeWithin(ctx context.Context, store Store) (Abilities, error) {
	ctx, cancel := context.WithTimeout(ctx, watchWithin)
	defer cancel()
	return Probe(ctx, store)
}

// same reports whether a caller has nothing to do about the difference.
func (a Abilities) same(b Abilities) bool {
	a.Why, b.Why = "", ""
	return a == b
}
