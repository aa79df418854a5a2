package octavia_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	cloud "github.com/pointsman/pointsman/test/clouds/octavia"
)

// TestCheck: roles and the credential's end, as Keystone tells them.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		roles   []string
		ends    time.Duration
		missing []string // words of each
	}{
		"fine":           {nil, 0, nil},
		"member":         {[]string{"reader", "member"}, 0, nil},
		"not known here": {[]string{"lb_operator"}, 0, nil},
		"reads":          {[]string{"reader", "load-balancer_observer"}, 0, []string{"only read: reader, load-balancer_observer"}},
		"ends soon":      {nil, 24 * time.Hour, []string{"expires at 2000-01-02T00:00:00Z"}},
		"ends later on":  {nil, 90 * 24 * time.Hour, nil},
		"reads and ends": {[]string{"Reader"}, time.Hour, []string{"only read", "expires at"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				u := cloud.User{CredentialID: credentialID, Secret: secret, Roles: c.roles}
				if c.ends > 0 {
					u.Ends = time.Now().Add(c.ends)
				}
				r.sim.AddUser(u)
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
				r.noSecret(strings.Join(missing, ""))
			})
		})
	}
}

// TestCheckNotAsked: one who may not ask for the credential's end is told
// nothing, and that is no trouble; no answer at all is one.
func TestCheckNotAsked(t *testing.T) {
	const path = "/users/*"
	for name, c := range map[string]struct {
		fault cloud.Fault
		fails bool
	}{
		"may not ask": {cloud.Fault{Status: 403}, false},
		"no such":     {cloud.Fault{Status: 404}, false},
		"odd":         {cloud.Fault{Status: 200, Body: `{"application_credential":{"expires_at":7}}`}, false},
		"no date":     {cloud.Fault{Status: 200, Body: `{"application_credential":{"expires_at":"never"}}`}, false},
		"trouble":     {cloud.Fault{Status: 503}, true},
		"lost":        {cloud.Fault{Do: cloud.DoReset, Count: cloud.Unlimited}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				c.fault.Keystone, c.fault.Path = true, path
				r.add(c.fault)
				missing, err := r.tool.(actuators.Checker).Check(context.Background(), actuators.Subject{Step: r.work(1, addressB).Action.Step})
				if (err != nil) != c.fails || len(missing) > 0 {
					t.Errorf("%q, %v", missing, err)
				}
			})
		})
	}
}
