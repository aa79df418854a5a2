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
	"github.com/pointsman/pointsman/test/clouds/shopify"
)

// hurtEach breaks the next deed at every provider of the lab.
func hurtEach(l *lab.Lab, h lab.Hurt) error {
	if h == lab.HurtNone {
		return nil
	}
	put, set := ovh.Fault{Method: http.MethodPut}, shopify.Fault{Op: shopify.OpWrite}
	switch h {
	case lab.HurtBefore:
		put.Status, set.Status = http.StatusServiceUnavailable, http.StatusServiceUnavailable
	case lab.HurtAfter:
		put.When, put.Status = ovh.After, http.StatusInternalServerError
		set.When, set.Status = shopify.After, http.StatusInternalServerError
	case lab.HurtLost:
		put.When, put.Do = ovh.After, ovh.DoDrop
		set.When, set.Do = shopify.After, shopify.DoDrop
	}
	_, err := l.Cloud.Sim.AddFault(put)
	_, err2 := l.Shop.Sim.AddFault(set)
	l.Others.Hook.Break(h)
	return errors.Join(err, err2, l.Others.Script.Break(h))
}

// TestEveryProvider: one spec with a provider of each kind that the lab can
// play, ten failovers. In each, the deed at every provider fails before it, after
// it, or loses its answer; in some the leader is killed or stopped besides. Each
// provider counts what it carried out against the log.
func TestEveryProvider(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	l, err := lab.Start(ctx, lab.Options{
		Pointsman: filepath.Join(build(t, "", lab.Program), lab.Program), All: true, Quiet: true, Hold: 500 * time.Millisecond, Rejoin: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	hurts := []lab.Hurt{lab.HurtNone, lab.HurtBefore, lab.HurtAfter, lab.HurtLost}
	const failovers = 10
	for i := range failovers {
		if err := hurtEach(l, hurts[i%len(hurts)]); err != nil {
			t.Fatal(err)
		}
		if err := l.Failover(ctx, lab.Shot{Switch: true, KillLeader: i%4 == 1, PauseLeader: i%4 == 3}); err != nil {
			t.Fatalf("failover %d, %q: %v", i+1, hurts[i%len(hurts)], err)
		}
	}
	var list []lab.Tally
	err = lab.Until(ctx, carriedWithin, "the log to be read", func(ctx context.Context) (err error) {
		list, err = l.Tallies(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
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
