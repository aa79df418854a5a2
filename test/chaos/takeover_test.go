//go:build !failpoints

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// How the takeover is measured.
const (
	planSpan    = 600 * time.Millisecond // from the first write to the last entry of a plan in this lab
	lateCalls   = 100 * time.Millisecond // what arrives sooner was sent by the dead one: no election is that quick
	deedWithin  = 30 * time.Second
	killWithin  = 3 * time.Minute // one kill with its healing
	perWindow   = 10              // of so many kills one has a window that must be waited out
	authTime    = "/auth/time"    // asked before a node's first signed request: no deed
	tookOffice  = "msg=leading"   // in a node's log
	stampLayout = time.RFC3339Nano
)

// takeovers are what was measured.
type takeovers struct {
	deed     []time.Duration // kill -9 → next request at the provider, or next settled action
	office   []time.Duration // of that, kill -9 → another leads, its barrier passed
	windowed []time.Duration // kill -9 → the write of another value, where the dead one's claim is open
	idle     int             // kills that came after the plan's last entry: not counted
}

// TestTakeover kills the leader at a drawn moment between its first claim and
// the plan's last entry, and measures how soon the next one goes on.
func TestTakeover(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*flags.kills+1)*killWithin)
	defer cancel()
	seed := *flags.seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	l, err := lab.Start(ctx, lab.Options{Pointsman: filepath.Join(build(t, "", lab.Program), lab.Program), Hold: hold})
	if err != nil {
		t.Fatal(err)
	}
	s := startSight(l.Cloud)
	t.Cleanup(func() {
		s.stop()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	var k takeovers
	rng := rand.New(rand.NewPCG(seed, 2))
	for len(k.deed)+len(k.windowed) < *flags.kills {
		r := &run{seed: seed, rng: rng, l: l, sight: s, begin: time.Now()}
		if err := k.once(ctx, r); err != nil {
			t.Fatalf("%v\n%s", err, r.told())
		}
	}
	text := k.text()
	fmt.Print(text)
	if *flags.matrix != "" {
		if err := publish(*flags.matrix+".takeover", text); err != nil {
			t.Error(err)
		}
	}
}

func (k *takeovers) text() string {
	return fmt.Sprintf("Leader killed in mid-plan → next deed: %s.\nOf that, killed → another leads and has passed its barrier: %s.\n"+
		"Another value, behind the dead leader's window of %.1f s: killed → its write: %s.\n(%d kills came after the plan's last entry and are not counted.)\n",
		figures(k.deed), figures(k.office), window.Seconds(), figures(k.windowed), k.idle)
}

// once makes one failover with one kill, and checks that nothing is lost by it.
func (k *takeovers) once(ctx context.Context, r *run) error {
	ctx, cancel := context.WithTimeout(ctx, killWithin)
	defer cancel()
	defer r.wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := errors.Join(r.l.WaitReady(ctx), r.note(ctx)); err != nil {
		return err
	}
	do := k.midPlan
	if (len(k.deed)+len(k.windowed))%perWindow == perWindow-1 {
		do = k.window
	}
	if err := errors.Join(do(ctx, r), r.heal(ctx)); err != nil {
		return err
	}
	t, err := r.count(ctx)
	return errors.Join(err, t.error())
}

// midPlan kills at a drawn moment after the first write.
func (k *takeovers) midPlan(ctx context.Context, r *run) error {
	s, err := r.fire(ctx, byOrder)
	if err != nil {
		return err
	}
	if err := errors.Join(r.reached(ctx, s, atWrite), rest(ctx, r.between(0, planSpan))); err != nil {
		return err
	}
	leader, _, err := r.leader(ctx)
	if err != nil {
		return err
	}
	killed := time.Now()
	if err := r.kill(leader); err != nil {
		return err
	}
	held, cancel := context.WithTimeout(ctx, deedWithin)
	defer cancel()
	call, err := r.l.Cloud.Sim.WaitFor(held, func(c ovh.Call) bool {
		return c.Seq > s.mark && !c.Foreign && c.Path != authTime && c.Received.After(killed.Add(lateCalls))
	})
	if err != nil {
		return fmt.Errorf("wait for the next deed: %w", err)
	}
	if err := errors.Join(r.promoted(ctx, s), r.carried(ctx, s)); err != nil {
		return err
	}
	settled, err := r.settledAfter(ctx, killed)
	if err != nil {
		return err
	}
	if settled.IsZero() {
		k.idle++
		return nil
	}
	next, office := call.Received.Sub(killed), r.office(killed).Sub(killed)
	if s := settled.Sub(killed); s > 0 {
		next = min(next, s)
	}
	k.deed, k.office = append(k.deed, next), append(k.office, office)
	fmt.Printf("%s  killed: another leads after %4d ms, next deed after %4d ms (%s %s)\n", time.Now().Format(time.TimeOnly),
		office.Milliseconds(), next.Milliseconds(), call.Method, call.Path[strings.LastIndexByte(call.Path, '/'):])
	return nil
}

// window kills while its write is held: another value has to wait.
func (k *takeovers) window(ctx context.Context, r *run) error {
	if _, err := r.l.Cloud.Sim.AddFault(ovh.Fault{Method: http.MethodPut, Path: "*/frontend/*", Do: ovh.DoHold}); err != nil {
		return err
	}
	s, err := r.fire(ctx, byOrder)
	if err != nil {
		return err
	}
	held, cancel := context.WithTimeout(ctx, promotedWithin)
	defer cancel()
	if _, err := r.l.Cloud.Sim.WaitFor(held, func(c ovh.Call) bool { return c.Seq > s.mark && c.Phase == ovh.PhaseHeld }); err != nil {
		return err
	}
	leader, _, err := r.leader(ctx)
	if err != nil {
		return err
	}
	killed := time.Now()
	err = r.kill(leader)
	r.l.Cloud.Sim.DropHeld() // it never lands: what is measured is the wait for it
	if err := errors.Join(err, r.promoted(ctx, s)); err != nil {
		return err
	}
	newer, err := r.fire(ctx, byOrder)
	if err != nil {
		return err
	}
	if err := errors.Join(r.promoted(ctx, newer), r.carried(ctx, newer)); err != nil {
		return err
	}
	for _, c := range r.l.Cloud.Sim.Journal(s.mark).Calls {
		if c.Frontend != nil && c.Method == http.MethodPut && !c.Foreign && c.Frontend.FarmAfter == r.l.Cloud.Farm(newer.promotion.Address) {
			k.windowed = append(k.windowed, c.Received.Sub(killed))
			fmt.Printf("%s  killed: another value written after %d ms\n", time.Now().Format(time.TimeOnly), c.Received.Sub(killed).Milliseconds())
			return nil
		}
	}
	return errors.New("the newer value was never written")
}

// settledAfter is the first entry after a moment that made an action done.
func (r *run) settledAfter(ctx context.Context, after time.Time) (first time.Time, err error) {
	list, err := r.failovers(ctx)
	for _, f := range list {
		for _, a := range f.Actions {
			at := a.SettledTime.AsTime()
			if a.State == pointsmanv1.ActionState_ACTION_STATE_DONE && at.After(after) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first, err
}

// office is the first moment after another at which a node said that it leads.
func (r *run) office(after time.Time) (first time.Time) {
	for _, n := range r.l.Nodes.List() {
		text, err := os.ReadFile(n.DataDir() + ".log")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			stamp, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
			at, err := time.Parse(stampLayout, stamp)
			if err == nil && strings.Contains(line, tookOffice) && at.After(after) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first
}
