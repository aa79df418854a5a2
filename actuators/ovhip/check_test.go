package ovhip_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// TestCheck holds the rules of a key against the calls of a move, as OVH tells
// them, and then against what OVH does when the call is made.
func TestCheck(t *testing.T) {
	const segment = "/ip/203.0.113.9%2F32"
	all := []cloud.AccessRule{{Method: http.MethodGet, Path: "/*"}, {Method: http.MethodPut, Path: "/ip/*"}, {Method: http.MethodPost, Path: "/ip/*"}}
	for name, c := range map[string]struct {
		rules   []cloud.AccessRule
		ends    time.Duration
		missing []string // words of each
	}{
		"everything":    {rules: all},
		"no move":       {rules: all[:2], missing: []string{"POST " + segment + "/move"}},
		"only to read":  {rules: all[:1], missing: []string{"PUT " + segment, "POST " + segment + "/move"}},
		"ends soon":     {rules: all, ends: time.Hour, missing: []string{"expires at"}},
		"ends later on": {rules: all, ends: 90 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				key := cloud.Credential{ApplicationKey: applicationKey, ApplicationSecret: applicationSecret, ConsumerKey: consumerKey, Rules: c.rules}
				if c.ends > 0 {
					key.Expires = time.Now().Add(c.ends)
				}
				r.sim.AddCredential(key)
				missing, err := r.tool.(actuators.Checker).Check(context.Background(), actuators.Subject{Step: r.work(1, addressB).Action.Step})
				r.must(err)
				if len(missing) != len(c.missing) {
					t.Fatalf("%q, want %q", missing, c.missing)
				}
				for i, word := range c.missing {
					if !strings.Contains(missing[i], word) {
						t.Errorf("%q, want %q", missing[i], word)
					}
				}
				if n := r.Seen().Mutating; n > 0 {
					t.Errorf("%d requests that could change something", n)
				}
			})
		})
	}
}

// TestCheckIsTrue: a key of which nothing is said to be missing moves the IP, one
// of which the move is, does not.
func TestCheckIsTrue(t *testing.T) {
	for _, post := range []bool{true, false} {
		inBubble(t, func(r *rig) {
			rules := []cloud.AccessRule{{Method: http.MethodGet, Path: "/*"}, {Method: http.MethodPut, Path: "/ip/*"}}
			if post {
				rules = append(rules, cloud.AccessRule{Method: http.MethodPost, Path: "/ip/*"})
			}
			r.sim.AddCredential(cloud.Credential{ApplicationKey: applicationKey, ApplicationSecret: applicationSecret, ConsumerKey: consumerKey, Rules: rules})
			w := r.work(1, addressB)
			missing, err := r.tool.(actuators.Checker).Check(context.Background(), actuators.Subject{Step: w.Action.Step})
			r.must(err)
			_, acted := r.act(w, r.look(w))
			if (len(missing) == 0) != post || (acted == nil) != post {
				t.Errorf("granted %t: missing %q, and the move says %v", post, missing, acted)
			}
		})
	}
}
