package linode_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/linode"
	cloud "github.com/pointsman/pointsman/test/clouds/linode"
)

// TestCheck: what is said to be missing is what the write is refused for.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		set     func(*cloud.Knobs)
		missing string // a word; empty: nothing
	}{
		"fine":           {func(*cloud.Knobs) {}, ""},
		"read only":      {func(k *cloud.Knobs) { k.TokenTrouble = cloud.TokenReadOnly }, `not granted nodebalancers:read_write, only "nodebalancers:read_only"`},
		"something else": {func(k *cloud.Knobs) { k.TokenTrouble = cloud.TokenOther }, linode.Scope},
		"read only, 403": {func(k *cloud.Knobs) { k.TokenTrouble, k.ScopeStatus = cloud.TokenReadOnly, 403 }, linode.Scope},
		"restricted":     {func(k *cloud.Knobs) { k.TokenTrouble = cloud.TokenRestricted }, "its user the right to this NodeBalancer"},
		"unknown":        {func(k *cloud.Knobs) { k.TokenTrouble = cloud.TokenUnknown }, "401: Invalid Token"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, privateNetwork, func(r *rig) {
				w := r.work(1, addressB)
				missing, err := r.tool.(actuators.Checker).Check(context.Background(), actuators.Subject{Step: w.Action.Step})
				r.must(err)
				if (c.missing == "") != (len(missing) == 0) || !strings.Contains(strings.Join(missing, "; "), c.missing) {
					t.Errorf("%q, want %q", missing, c.missing)
				}
				if n := r.Seen().Mutating; n > 0 {
					t.Errorf("%d requests that could change something", n)
				}
				if _, e := r.ride(1, patience); (e == done) != (c.missing == "") {
					t.Errorf("%q is said to be missing, and a failover is %s", missing, e)
				}
			}, c.set)
		})
	}
}

// TestCheckNotAsked: a page, or no answer, is no word about rights.
func TestCheckNotAsked(t *testing.T) {
	for _, fault := range []cloud.Fault{{Status: http.StatusForbidden, HTML: true}, {Status: http.StatusServiceUnavailable}, {Do: cloud.DoReset}} {
		inBubble(t, privateNetwork, func(r *rig) {
			r.add(fault)
			missing, err := r.tool.(actuators.Checker).Check(context.Background(), actuators.Subject{Step: r.work(1, addressB).Action.Step})
			if err == nil || len(missing) > 0 || strings.Contains(err.Error(), token) {
				t.Errorf("%+v: %q, %v", fault, missing, err)
			}
		})
	}
}

// TestCheckOfWhatIsNotThere is for the read to tell.
func TestCheckOfWhatIsNotThere(t *testing.T) {
	inBubble(t, privateNetwork, func(r *rig) {
		r.step.Node = 12345
		missing, err := r.tool.(actuators.Checker).Check(context.Background(), actuators.Subject{Step: r.work(1, addressB).Action.Step})
		if err != nil || len(missing) > 0 {
			t.Errorf("%q, %v", missing, err)
		}
	})
}
