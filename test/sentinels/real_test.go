package sentinels

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/pointsman/pointsman/sentinel"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// play is a running lab with a recorder, a Watcher and a log that has been seeded.
type play struct {
	lab *redislab.Lab
	rec *redislab.Recorder
	w   *sentinel.Watcher
	log *log
	old string // the master at the start

	declared []string // Sentinels
}

func start(t *testing.T, o redislab.Options, change func(*sentinel.Master)) *play {
	t.Helper()
	// An election may end without a winner; it is tried again after twice this.
	o.FailoverTimeout = 3 * time.Second
	lab, err := redislab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	rec, err := lab.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rec.Stop)
	m := declare(lab)
	if change != nil {
		change(&m)
	}
	w := watch(t, m)
	p := &play{lab: lab, rec: rec, w: w, log: newLog(w, m), old: lab.Redis()[0].Address, declared: m.Sentinels}
	if v, _ := p.log.kind(t, 3*time.Second, sentinel.Seed); v.Address != p.old {
		t.Fatalf("seeded %+v, master is %s", v, p.old)
	}
	return p
}

// fail kills the master and returns the promotion and the accepted advance.
func (p *play) fail(t *testing.T) (redislab.Promotion, sentinel.Verdict) {
	t.Helper()
	if err := p.lab.Kill(p.log.accepted.Address); err != nil {
		t.Fatal(err)
	}
	return p.advanced(t, p.log.accepted.Address)
}

// advanced waits until a failover away from an address is seen and accepted.
func (p *play) advanced(t *testing.T, dead string) (redislab.Promotion, sentinel.Verdict) {
	t.Helper()
	v, accepted := p.log.kind(t, 20*time.Second, sentinel.Advance)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	promotion, err := p.rec.WaitPromotion(ctx, dead)
	if err != nil {
		t.Fatal(err)
	}
	if v.Address != promotion.Address || v.Epoch != promotion.Epoch {
		t.Fatalf("accepted %+v, promoted %+v", v, promotion)
	}
	late := accepted.Sub(promotion.At)
	t.Logf("accepted %s at epoch %d %.2f ms after the recorder's promotion (both poll; negative: before it)", v.Address, v.Epoch, float64(late.Microseconds())/1000)
	// A Sentinel that is not declared to us may have been the first to say it.
	if slices.Contains(p.declared, promotion.Sentinel) && late > 50*time.Millisecond {
		t.Errorf("accepted %v after the promotion", late)
	}
	return promotion, v
}

func TestFailover(t *testing.T) {
	p := start(t, redislab.Options{}, nil)
	seen := make(chan time.Time, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // the first view that asks for a warm-up
		for {
			v, changed := p.w.View("cache")
			if v.Switching {
				seen <- time.Now()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	promotion, _ := p.fail(t)
	select {
	case warmed := <-seen:
		t.Logf("warm-up began %d ms before the promotion", promotion.At.Sub(warmed).Milliseconds())
	default:
		t.Error("no warm-up before the switch")
	}
	if more := p.log.watchFor(t, 3*time.Second); len(more) != 0 {
		t.Fatalf("one failover, and then %+v", more)
	}
	if err := p.lab.Restart(p.old); err != nil {
		t.Fatal(err)
	}
	// The old master says role:master for 10 s now.
	v, _ := until(t, p.w, "cache", 3*time.Second, "two masters", func(v sentinel.View) bool { return v.Roles[0].Role == sentinel.RoleMaster })
	if v.Switching && len(v.Notes) > 0 {
		t.Errorf("notes of a clean failover: %+v", v.Notes)
	}
	if more := p.log.watchFor(t, 5*time.Second); len(more) != 0 {
		t.Fatalf("the old master's return made %+v", more)
	}
}

// TestManualFailover: nothing fails, and for some 10 s there are two masters.
func TestManualFailover(t *testing.T) {
	p := start(t, redislab.Options{}, nil)
	if _, err := p.lab.Do(t.Context(), p.declared[2], "SENTINEL", "FAILOVER", p.lab.Name()); err != nil {
		t.Fatal(err)
	}
	p.advanced(t, p.old)
	v, _ := p.w.View("cache")
	if v.Roles[0].Role != sentinel.RoleMaster {
		t.Fatalf("the old master answers %s", v.Roles[0].Role)
	}
	if more := p.log.watchFor(t, 5*time.Second); len(more) != 0 {
		t.Fatalf("one failover, and then %+v", more)
	}
}

func TestOneSentinelDead(t *testing.T) {
	p := start(t, redislab.Options{}, nil)
	if err := p.lab.Kill(p.lab.Sentinels()[0].Address); err != nil {
		t.Fatal(err)
	}
	until(t, p.w, "cache", 2*time.Second, "dead sentinel", func(v sentinel.View) bool { return !v.Reports[0].Seen })
	p.fail(t)
}

func TestOneSentinelStopped(t *testing.T) {
	p := start(t, redislab.Options{}, nil)
	stopped := p.lab.Sentinels()[1].Address
	if err := p.lab.Pause(stopped); err != nil {
		t.Fatal(err)
	}
	until(t, p.w, "cache", 2500*time.Millisecond, "hanging sentinel", func(v sentinel.View) bool { return !v.Reports[1].Seen })
	p.fail(t)
	if err := p.lab.Resume(stopped); err != nil {
		t.Fatal(err)
	}
	// It believes in the old master until it hears a hello, and tells of tilt.
	until(t, p.w, "cache", 10*time.Second, "resumed sentinel", func(v sentinel.View) bool {
		return v.Reports[1].Seen && v.Reports[1].Epoch == p.log.accepted.Epoch
	})
	if more := p.log.watchFor(t, time.Second); len(more) != 0 {
		t.Fatalf("the resumed sentinel made %+v", more)
	}
}

// TestLiar declares two real Sentinels and one that lies.
func TestLiar(t *testing.T) {
	liar := fakes(t, 1, "sentinel")[0]
	p := start(t, redislab.Options{}, func(m *sentinel.Master) { m.Sentinels[2] = liar.Address() })
	replica := p.lab.Redis()[2].Address
	say := func(address string, epoch uint64) {
		liar.Say(p.lab.Name(), redislab.Claim{Address: address, Epoch: epoch, OtherSentinels: 2})
		p.w.Nudge("cache")
	}
	say(replica, 7) // ROLE there says slave
	if got := p.log.watchFor(t, 2*time.Second); len(got) != 0 || p.log.alerts[sentinel.AlertVeto] == 0 {
		t.Fatalf("accepted %+v, alerts %v", got, p.log.alerts)
	}
	say(p.old, 99) // ROLE there says master
	if got := p.log.watchFor(t, 6*time.Second); len(got) != 0 || p.log.alerts[sentinel.AlertAlone] == 0 {
		t.Fatalf("accepted %+v, alerts %v", got, p.log.alerts)
	}
	p.fail(t)
	if err := p.lab.Restart(p.old); err != nil {
		t.Fatal(err)
	}
	until(t, p.w, "cache", 3*time.Second, "two masters", func(v sentinel.View) bool { return v.Roles[0].Role == sentinel.RoleMaster })
	if more := p.log.watchFor(t, 6*time.Second); len(more) != 0 {
		t.Fatalf("the lie and the old master's return made %+v", more)
	}
}

// TestRestartedAndWiped: all Sentinels restart with their files, then without.
func TestRestartedAndWiped(t *testing.T) {
	p := start(t, redislab.Options{}, nil)
	_, accepted := p.fail(t)
	settled := func(v sentinel.View) bool {
		for _, r := range v.Reports {
			if !r.Seen || r.Epoch != accepted.Epoch || r.Address != accepted.Address {
				return false
			}
		}
		return true
	}
	before, _ := until(t, p.w, "cache", 5*time.Second, "all follow", settled)
	for _, s := range p.lab.Sentinels() {
		if err := p.lab.Restart(s.Address); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.log.watchFor(t, 2*time.Second); len(got) != 0 {
		t.Fatalf("the restart made %+v", got)
	}
	after, _ := until(t, p.w, "cache", 5*time.Second, "all are back", settled)
	if after.Reports[0].RunID == "" || after.Reports[0].RunID != before.Reports[0].RunID {
		t.Fatalf("run ids %q, %q", before.Reports[0].RunID, after.Reports[0].RunID)
	}
	for _, s := range p.lab.Sentinels() {
		if err := p.lab.WipeSentinel(s.Address); err != nil {
			t.Fatal(err)
		}
	}
	v, _ := p.log.until(t, 20*time.Second, "rebase", func(v sentinel.Verdict) bool { return v.Kind != sentinel.None })
	if v.Kind != sentinel.Rebase || v.Address != accepted.Address || v.Epoch != 0 {
		t.Fatalf("wiped sentinels made %+v", v)
	}
	if got := p.log.watchFor(t, 2*time.Second); len(got) != 0 || p.log.alerts[sentinel.AlertDifference] == 0 {
		t.Fatalf("after the rebase %+v, alerts %v", got, p.log.alerts)
	}
}
