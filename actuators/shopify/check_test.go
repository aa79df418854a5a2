package shopify_test

import (
	"context"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/actuators"
	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

// TestCheck: the versions that the shop serves, against the one asked for, which
// is 2026-10.
func TestCheck(t *testing.T) {
	for oldest, missing := range map[string]string{
		"2026-01": "", "2026-07": "",
		"2026-10": "is the oldest that Shopify serves, and ends with the quarter; it serves 2027-07 too",
		"2027-01": "does not serve API version 2026-10; it serves 2027-01, 2027-04",
		"2025-10": "does not serve API version 2026-10", // it is not out yet
	} {
		t.Run(oldest, func(t *testing.T) {
			inBubble(t, static, func(r *rig) {
				got, err := r.tool.(actuators.Checker).Check(context.Background(), actuators.Subject{Step: r.plan})
				r.must(err)
				if (missing == "") != (len(got) == 0) || !strings.Contains(strings.Join(got, "; "), missing) {
					t.Errorf("%q, want %q", got, missing)
				}
				if n := r.Seen().Mutating; n > 0 {
					t.Errorf("%d requests that could change something", n)
				}
			}, func(k *cloud.Knobs) { k.Oldest = oldest })
		})
	}
}

// TestCheckNotAsked: an answer that tells nothing is none that something is missing.
func TestCheckNotAsked(t *testing.T) {
	for name, c := range map[string]struct {
		fault cloud.Fault
		fails bool
	}{
		"revoked": {cloud.Fault{Status: 401, Message: "no " + accessToken}, true},
		"page":    {cloud.Fault{Status: 200, HTML: true}, true},
		"empty":   {cloud.Fault{Status: 200, Body: `{"data":{"publicApiVersions":[]}}`}, false},
		"null":    {cloud.Fault{Status: 200, Body: `{"data":{"publicApiVersions":null}}`}, false},
		"trouble": {cloud.Fault{Status: 503}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, static, func(r *rig) {
				c.fault.Count = cloud.Unlimited
				r.add(c.fault)
				got, err := r.tool.(actuators.Checker).Check(context.Background(), actuators.Subject{Step: r.plan})
				if (err != nil) != c.fails || len(got) > 0 {
					t.Errorf("%q, %v", got, err)
				}
				if err != nil {
					r.noSecret(err.Error())
				}
			})
		})
	}
}
