package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// hurtEach breaks the next deed at every provider of the lab.
func hurtEach(l *lab.Lab, h lab.Hurt) (err error) {
	for _, k := range lab.Kinds() {
		err = errors.Join(err, l.Hurt(k, h))
	}
	put := ovh.Fault{Method: http.MethodPut}
	switch h {
	case lab.HurtNone:
		return err
	case lab.HurtBefore:
		put.Status = http.StatusServiceUnavailable
	case lab.HurtCut:
		put.Do = ovh.DoDrop
	case lab.HurtDelay:
		put.Do, put.Delay = ovh.DoDelay, time.Second
	case lab.HurtAfter:
		put.When, put.Status = ovh.After, http.StatusInternalServerError
	case lab.HurtLost:
		put.When, put.Do = ovh.After, ovh.DoDrop
	}
	_, bad := l.Cloud.Sim.AddFault(put)
	return errors.Join(err, bad)
}

// TestEveryProvider: one spec with a provider of each kind that the lab can
// play, ten failovers. In each, the deed at every provider is refused, cut off,
// late, denied afterwards, or loses its answer; in some the leader is killed or
// stopped besides. Each provider counts what it carried out against the log.
func TestEveryProvider(t *testing.T) {
	program := filepath.Join(build(t, "", lab.Program), lab.Program)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	l, err := lab.Start(ctx, lab.Options{
		Pointsman: program, Besides: lab.Kinds(), Quiet: true, Hold: 500 * time.Millisecond, Rejoin: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	hurts := lab.Hurts()
	const failovers = 10
	for i := range failovers {
		began := time.Now()
		if err := hurtEach(l, hurts[i%len(hurts)]); err != nil {
			t.Fatal(err)
		}
		if err := l.Failover(ctx, lab.Shot{Switch: true, KillLeader: i%4 == 1, PauseLeader: i%4 == 3}); err != nil {
			t.Fatalf("failover %d, %q: %v", i+1, hurts[i%len(hurts)], err)
		}
		t.Logf("failover %d, %q: %.1f s", i+1, hurts[i%len(hurts)], time.Since(began).Seconds())
	}
	var list []lab.Tally
	err = lab.Until(ctx, carriedWithin, "the log to be read", func(ctx context.Context) (err error) {
		list, err = l.Tallies(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1+len(lab.Kinds()) {
		t.Errorf("%d providers were counted", len(list))
	}
	told := ""
	for _, one := range list {
		told += fmt.Sprintf("\n%-8s %d done, %d changes, %d duplicates, %d stale, %d lost, %d orphans", one.Provider, one.Done, one.Changes, one.Duplicates, one.Stale, one.Lost, one.Orphans)
		if !one.Sound() || one.Done != failovers || one.Changes != failovers {
			t.Errorf("%+v, want %d done and as many changes", one, failovers)
		}
	}
	t.Log(told)
}
