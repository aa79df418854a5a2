package shopify_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/shopify"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

const firstRefresh = "shprt_canaryfirst"

// shelf is a vault for several nodes in one process.
type shelf struct {
	mu       sync.Mutex
	data     []byte
	revision uint64
	leads    string
	lost     bool // the next Store writes, and its answer is lost
	refuse   bool // the next Store writes nothing: its term is over
}

func (s *shelf) lead(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leads = node
}

func (s *shelf) at(node string) actuators.Vault { return desk{s, node} }

type desk struct {
	*shelf
	node string
}

func (p desk) Load(fsm.TargetID) ([]byte, uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.data, p.revision, nil
}

func (p desk) Store(_ context.Context, _ fsm.TargetID, revision uint64, data []byte) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	refuse, lost := p.refuse, p.lost
	p.refuse, p.lost = false, false
	switch {
	case p.leads != p.node || refuse:
		return 0, actuators.ErrNotKeeper
	case p.revision != revision:
		return 0, actuators.ErrReplaced
	}
	p.data, p.revision = data, p.revision+1
	if lost {
		return 0, errors.New("outcome unknown")
	}
	return p.revision, nil
}

// refreshed is a lab whose app has tokens that live an hour.
func refreshed(l *lab, dir string) {
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			panic(err)
		}
		return "file:" + path
	}
	l.spec.Refresh = &pb.ShopifyRefresh{
		ClientId: clientID, ClientSecret: write("secret", clientSecret), RefreshToken: write("refresh", firstRefresh),
	}
	l.sim.AddApp(clientID, clientSecret)
	l.sim.AddRefresh(firstRefresh)
	l.shelf = &shelf{leads: "n1"}
	l.kind = l.kind.Keep(l.shelf.at("n1")).(*shopify.Kind)
}

// other opens the target as another node does.
func (r *rig) other(node string) *rig {
	r.t.Helper()
	kind := r.kind.Keep(r.shelf.at(node)).(*shopify.Kind)
	tool, err := kind.Open(r.target, nil)
	r.must(err)
	r.t.Cleanup(func() { r.must(tool.(interface{ Close() error }).Close()) })
	return &rig{t: r.t, lab: r.lab, tool: tool, plan: r.plan}
}

// TestRotatedTokenIsReplacedByTheLeader: a read within its last quarter of an hour
// replaces it, a write uses what is there, a follower uses what the leader got.
func TestRotatedTokenIsReplacedByTheLeader(t *testing.T) {
	inBubble(t, refreshed, func(r *rig) {
		w, n2 := r.work(1, addressB), r.other("n2")
		if _, err := n2.see(w); err == nil || actuators.Explain(err).Permanent || !strings.Contains(err.Error(), "only the leader") {
			t.Errorf("a follower before there is a token: %v", err)
		}
		r.look(w)
		n2.look(w)
		if n := r.grants(); n != 1 {
			t.Errorf("%d requests for a token, want 1", n)
		}
		for range 5 { // five hours
			time.Sleep(46 * time.Minute)
			r.look(w)
			n2.look(w)
			time.Sleep(14 * time.Minute)
			_, err := n2.act(w, n2.look(w))
			n2.must(err)
			w = r.work(w.Action.For.Number+1, addressA)
		}
		if n := r.grants(); n != 6 {
			t.Errorf("%d requests for a token, want 6", n)
		}
		n3 := r.other("n3") // started anew: the reference still holds the first one
		n3.look(w)
		r.shelf.lead("n3")
		time.Sleep(50 * time.Minute)
		n3.look(w)
		r.look(w)
		if n := r.grants(); n != 7 {
			t.Errorf("%d requests for a token, want 7", n)
		}
	})
}

// TestRotatedTokenSurvivesWhatIsLost: whatever is lost around one replacement, the
// next one succeeds, for every way in which Shopify may treat the former token that
// it has published; another node takes over in the middle.
func TestRotatedTokenSurvivesWhatIsLost(t *testing.T) {
	losses := map[string]func(r *rig){
		"the request":           func(r *rig) { r.add(cloud.Fault{Op: cloud.OpToken, Do: cloud.DoDrop}) },
		"the answer":            func(r *rig) { r.add(cloud.Fault{Op: cloud.OpToken, Do: cloud.DoDrop, When: cloud.After}) },
		"half the answer":       func(r *rig) { r.add(cloud.Fault{Op: cloud.OpToken, Do: cloud.DoTruncate, When: cloud.After}) },
		"the record before":     func(r *rig) { r.shelf.refuse = true },
		"the word of it":        func(r *rig) { r.shelf.lost = true },
		"the leader before":     func(r *rig) { r.shelf.lead("n2") },
		"two answers in series": func(r *rig) { r.add(cloud.Fault{Op: cloud.OpToken, Do: cloud.DoDrop, When: cloud.After, Count: 2}) },
	}
	for name, lose := range losses {
		for _, former := range []cloud.FormerRefresh{cloud.FormerUntilUsed, cloud.FormerForAnHour} {
			for _, again := range []cloud.RefreshAgain{cloud.RefreshAgainNew, cloud.RefreshAgainSame} {
				t.Run(name+", former "+string(former)+", again "+string(again), func(t *testing.T) {
					inBubble(t, refreshed, func(r *rig) {
						w, n2 := r.work(1, addressB), r.other("n2")
						r.look(w)
						time.Sleep(time.Hour)
						lose(r)
						_, _ = r.see(w)
						r.shelf.lead("n2")
						n2.soon(w)
						r.soon(w) // by what n2 got
						for range 3 {
							time.Sleep(time.Hour)
							n2.soon(w)
						}
					}, func(k *cloud.Knobs) { k.FormerRefresh, k.RefreshAgain = former, again })
				})
			}
		}
	}
}

// soon looks until it is served, a few times.
func (r *rig) soon(w actuators.Work) {
	r.t.Helper()
	var err error
	for range 5 {
		if _, err = r.see(w); err == nil {
			return
		}
		if actuators.Explain(err).Permanent {
			break
		}
		time.Sleep(5 * time.Second)
	}
	r.t.Errorf("not served: %v", err)
}

// TestRotatedTokenOfTwoLeaders: both replace the same one at a time, and the pair
// that is kept may be the one that Shopify has made void since.
func TestRotatedTokenOfTwoLeaders(t *testing.T) {
	inBubble(t, refreshed, func(r *rig) {
		w, n2 := r.work(1, addressB), r.other("n2")
		r.look(w)
		time.Sleep(time.Hour)
		r.add(cloud.Fault{Op: cloud.OpToken, Do: cloud.DoDelay, Delay: 2 * time.Second, When: cloud.Before})
		over := make(chan error)
		go func() {
			_, err := r.see(w)
			over <- err
		}()
		time.Sleep(time.Second)
		r.shelf.lead("n2") // n1 is deposed with its request on the wire
		n2.soon(w)
		if err := <-over; err == nil {
			t.Error("a deposed leader used what it never kept")
		}
		for range 4 { // what n2 keeps was made void by the late request
			time.Sleep(time.Hour)
			n2.soon(w)
		}
		r.soon(w)
	})
}

// TestSpentRefreshTokenIsStuckUntilTheAppIsInstalledAnew: a clear refusal says what
// to do and is not repeated by each look in a row; another token where the reference
// points begins a new chain.
func TestSpentRefreshTokenIsStuckUntilTheAppIsInstalledAnew(t *testing.T) {
	inBubble(t, refreshed, func(r *rig) {
		w := r.work(1, addressB)
		r.look(w)
		time.Sleep(time.Hour)
		r.add(cloud.Fault{Op: cloud.OpToken, Do: cloud.DoDrop, When: cloud.After})
		_, _ = r.see(w)
		_, err := r.see(w)
		if x := actuators.Explain(err); !x.Permanent || x.Doubt || !strings.Contains(err.Error(), "install the app anew") || strings.Contains(err.Error(), "shprt_") {
			t.Errorf("%v: %+v", err, x)
		}
		path := strings.TrimPrefix(r.spec.GetRefresh().GetRefreshToken(), "file:")
		r.must(os.WriteFile(path, []byte("shprt_canarysecond"), 0o600))
		r.sim.AddRefresh("shprt_canarysecond")
		r.look(w)
	}, func(k *cloud.Knobs) { k.FormerRefresh = cloud.FormerVoid })
}

// TestRotatedTokenThatIsRevokedIsReplaced costs a read no attempt, on the leader.
func TestRotatedTokenThatIsRevokedIsReplaced(t *testing.T) {
	inBubble(t, refreshed, func(r *rig) {
		w := r.work(1, addressB)
		r.look(w)
		r.sim.Revoke()
		r.look(w)
		if n := r.grants(); n != 2 {
			t.Errorf("%d requests for a token, want 2", n)
		}
	})
}

// TestNoVaultNoToken: a kind that was given none says so.
func TestNoVaultNoToken(t *testing.T) {
	inBubble(t, refreshed, func(r *rig) {
		tool, err := shopify.New(shopify.Config{Dial: r.dial}).Open(r.target, nil)
		r.must(err)
		bare := &rig{t: t, lab: r.lab, tool: tool, plan: r.plan}
		if _, err := bare.see(r.work(1, addressB)); err == nil || !strings.Contains(err.Error(), "no vault") {
			t.Errorf("%v", err)
		}
	})
}
