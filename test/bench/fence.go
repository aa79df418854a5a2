package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// guard is what keeps an old master from taking writes, on a playground of its own.
type guard struct {
	name     string
	fence    bool // redis_fence before the cutover, and again behind it
	replicas int  // min-replicas-to-write, with min-replicas-max-lag 3; 0: off
}

func guards() []guard {
	return []guard{{name: "none"}, {name: "redis_fence", fence: true}, {name: "min-replicas-to-write 1", replicas: 1}}
}

// The ways to the master, all through one HAProxy: what each event does to them
// is done to all of them at once.
const (
	frontMoved   = "moved"   // the kind haproxy moves the server, its sessions stay
	frontEnded   = "ended"   // the same with shutdown_sessions
	frontChecked = "checked" // the recipe: three servers, of which HAProxy picks those that say role:master
)

func fronts() []string { return []string{frontMoved, frontEnded, frontChecked} }

// blow is what happens to an old master.
type blow struct {
	name   string
	strike func(ctx context.Context, f *fenceLab, old string) error
	after  time.Duration                                            // from the switch to its end
	heal   func(ctx context.Context, f *fenceLab, old string) error // nil: nothing to heal
}

func blows() []blow {
	return []blow{
		{
			"kill -9, restarted 3 s after the switch",
			func(_ context.Context, f *fenceLab, old string) error { return f.redis.Kill(old) }, 3 * time.Second,
			func(_ context.Context, f *fenceLab, old string) error { return f.redis.Restart(old) },
		},
		{
			"SIGSTOP, SIGCONT 3 s after the switch",
			func(_ context.Context, f *fenceLab, old string) error { return f.redis.Pause(old) }, 3 * time.Second,
			func(_ context.Context, f *fenceLab, old string) error { return f.redis.Resume(old) },
		},
		{
			"cut off from all but its clients until 10 s after the switch",
			func(ctx context.Context, f *fenceLab, old string) error { return f.cut(ctx, old) }, 10 * time.Second,
			func(ctx context.Context, f *fenceLab, old string) error { return f.join(ctx, old) },
		},
		{"SENTINEL FAILOVER", func(ctx context.Context, f *fenceLab, _ string) error { return f.order(ctx) }, 0, nil},
	}
}

// spent is what one event cost, by front.
type spent struct {
	Acked map[string]int `json:"acknowledged"`
	Lost  map[string]int `json:"lost"`
}

// losses are the events of one kind under one guard.
type losses struct {
	Event string  `json:"event"`
	Guard string  `json:"guard"`
	All   []spent `json:"all"`
	// Dirty counts those left out: the Sentinels made more failovers than one.
	Dirty int `json:"dirty"`
}

// Bounds of an event.
const (
	fenceBefore = time.Second      // of writing before the event
	fenceSwitch = 90 * time.Second // until another master is named
	fenceAgain  = 10 * time.Second // Sentinel's failover-timeout: it begins no other within twice that
	fenceSettle = 2 * time.Minute  // until all nodes follow it
)

// fences plays every event n times under every guard; the guards' playgrounds
// stand side by side, each with its own Redis, Sentinels, coordinators and HAProxy.
func (b *bench) fences(ctx context.Context, o lab.Options, n int) ([]losses, error) {
	all := make([][]losses, len(guards()))
	errs := make([]error, len(guards()))
	var wg sync.WaitGroup
	for i, g := range guards() {
		wg.Go(func() { all[i], errs[i] = b.fenced(ctx, o, g, n) })
	}
	wg.Wait()
	var out []losses
	for k := range blows() {
		for i := range all {
			if k < len(all[i]) {
				out = append(out, all[i][k])
			}
		}
	}
	return out, errors.Join(errs...)
}

// fenced plays all events under one guard.
func (b *bench) fenced(ctx context.Context, o lab.Options, g guard, n int) (out []losses, err error) {
	f, err := newFenceLab(ctx, o, g)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g.name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, e := range blows() {
		out = append(out, losses{Event: e.name, Guard: g.name})
	}
	for i := range n {
		for k, e := range blows() {
			b.say("%s, %d of %d: %s", g.name, i+1, n, e.name)
			one, clean, err := f.play(ctx, e)
			switch {
			case err != nil:
				return out, fmt.Errorf("%s, %s: %w", g.name, e.name, f.explain(err))
			case clean:
				out[k].All = append(out[k].All, one)
			default:
				out[k].Dirty++
			}
		}
	}
	return out, nil
}

// play writes through one event and counts what is gone when it is over; clean
// unless the Sentinels made more than one failover of it.
func (f *fenceLab) play(ctx context.Context, e blow) (one spent, clean bool, err error) {
	if err := f.ready(ctx); err != nil {
		return one, false, err
	}
	m, err := f.accepted(ctx)
	if err != nil {
		return one, false, err
	}
	f.events++
	w := startFenceWriters(f.fronts, fmt.Sprintf("event-%d", f.events))
	err = f.suffer(ctx, e, m.GetAddress())
	w.stop()
	if err != nil {
		return one, false, err
	}
	now, err := f.accepted(ctx)
	if err != nil {
		return one, false, err
	}
	one, err = w.count(ctx, now.GetAddress())
	return one, now.GetNumber() == m.GetNumber()+1, err
}

// suffer is the event, until every node follows the new master.
func (f *fenceLab) suffer(ctx context.Context, e blow, old string) error {
	if err := rest(ctx, fenceBefore); err != nil {
		return err
	}
	if err := e.strike(ctx, f, old); err != nil {
		return err
	}
	err := lab.Until(ctx, fenceSwitch, "another master", func(ctx context.Context) error {
		if now, err := f.redis.Master(ctx); err != nil || now == old {
			return errors.Join(err, fmt.Errorf("still %s", now))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := rest(ctx, e.after); err != nil {
		return err
	}
	if e.heal != nil {
		if err := e.heal(ctx, f, old); err != nil {
			return err
		}
	}
	return f.ready(ctx)
}

// fenceTable writes what was lost, each run of a cell by itself.
func (f *figures) fenceTable(w io.Writer) {
	if len(f.Fences) == 0 {
		return
	}
	row(w, "")
	row(w, "the old master", "guard", "n (left out)", "moved by Pointsman", "moved, sessions ended", "HAProxy's own role check", "acknowledged through each, about")
	row(w, "---", "---", "---", "---", "---", "---", "---")
	for _, l := range f.Fences {
		cells := []string{l.Event, l.Guard, fmt.Sprintf("%d (%d)", len(l.All), l.Dirty)}
		acked := []float64{}
		for _, front := range fronts() {
			var each []string
			for _, one := range l.All {
				each = append(each, fmt.Sprint(one.Lost[front]))
				acked = append(acked, float64(one.Acked[front]))
			}
			cells = append(cells, strings.Join(each, " / "))
		}
		row(w, append(cells, fmt.Sprintf("%.0f", spreadOf(acked).Median))...)
	}
}
