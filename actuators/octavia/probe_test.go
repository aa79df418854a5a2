package octavia_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	cloud "github.com/pointsman/pointsman/test/clouds/octavia"
)

// TestProbe: what the provider itself says counts as reached unless it refuses
// this node; a page of something on the way does not. Nothing is changed.
func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name    string
		turn    func(*cloud.Knobs)
		fault   *cloud.Fault
		reached bool
	}{
		{"served", nil, nil, true},
		{"too many requests", func(k *cloud.Knobs) { k.RatePerMinute = 1 }, &cloud.Fault{Status: 429}, true},
		{"too many, in other words", nil, &cloud.Fault{Status: 498}, true},
		{"its own trouble", nil, &cloud.Fault{Status: 500}, true},
		{"keystone's own trouble", nil, &cloud.Fault{Status: 500, Keystone: true}, true},
		{"no token", func(k *cloud.Knobs) { k.Trouble = cloud.TroubleLogin }, nil, false},
		{"token refused", func(k *cloud.Knobs) { k.Trouble = cloud.TroubleTokens }, nil, false},
		{"no right", func(k *cloud.Knobs) { k.Trouble = cloud.TroubleRole }, nil, false},
		{"a front proxy", func(k *cloud.Knobs) { k.NoRequestID = true }, &cloud.Fault{Status: 502, HTML: true}, false},
		{"a page", nil, &cloud.Fault{Status: 200, Body: "<html>"}, false},
		{"silence", nil, &cloud.Fault{Do: cloud.DoHang}, false},
		{"a redirect", nil, &cloud.Fault{Status: 302, Location: "http://elsewhere.example"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				if c.fault != nil {
					r.add(*c.fault)
				}
				ctx, cancel := context.WithTimeout(context.Background(), actSpan)
				defer cancel()
				err := r.tool.(actuators.Prober).Probe(ctx)
				if (err == nil) != c.reached {
					t.Errorf("%v", err)
				}
				if err != nil {
					r.noSecret(err.Error())
				}
				if n := r.Seen(); n.Mutating != 0 || n.All > 2 {
					t.Errorf("%+v", n)
				}
			}, func(k *cloud.Knobs) {
				if c.turn != nil {
					c.turn(k)
				}
			})
		})
	}
}

// TestPasswordAndRegion: the other way to log in, with all that a target can say.
func TestPasswordAndRegion(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.spec.Credentials, r.spec.Cloud, r.spec.Region = "file:"+write(t, `clouds: {x: {auth: {
			auth_url: "http://keystone.example", username: pointsman, password: `+password+`, user_domain_name: Default, project_id: p1}}}`), "", "eu-west-par"
		var err error
		r.target.Params, err = proto.Marshal(r.spec)
		r.must(err)
		r.must(r.tool.(interface{ Close() error }).Close())
		r.tool, err = r.kind.Open(r.target, r.pace)
		r.must(err)
		w, e := r.ride(1, time.Minute)
		w.sound(e, 0)
		if e != done {
			t.Errorf("%s, %s", e, w.Reason)
		}
		for _, c := range r.sim.Journal() {
			if c.Keystone && c.Method != http.MethodPost || strings.Contains(c.Path, "lbaas/lbaas") {
				t.Errorf("%s %s", c.Method, c.Path)
			}
		}
	})
}

// TestOneTokenForAll: many looks at once share one token, and it is renewed
// before it ends.
func TestOneTokenForAll(t *testing.T) {
	inBubble(t, func(r *rig) {
		tool, err := r.kind.Open(r.target, nil)
		r.must(err)
		defer func() { r.must(tool.(interface{ Close() error }).Close()) }()
		work := r.work(1, addressB)
		for range 10 {
			done := make(chan error)
			for range 8 {
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), actSpan)
					defer cancel()
					_, err := tool.Read(ctx, actuators.Subject{Step: work.Action.Step})
					done <- err
				}()
			}
			for range 8 {
				r.must(<-done)
			}
			time.Sleep(time.Minute)
		}
		tokens := 0
		for _, c := range r.sim.Journal() {
			if c.Keystone {
				tokens++
			}
			if c.Status == http.StatusUnauthorized {
				t.Error("a token was used past its end")
			}
		}
		if tokens != 4 { // of 4 minutes each, renewed a minute early: in ten minutes
			t.Errorf("%d tokens", tokens)
		}
	}, func(k *cloud.Knobs) { k.TokenTTL = 4 * time.Minute })
}
