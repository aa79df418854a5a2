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

// TestCheckPoints: an app whose points others of it use up is told before a
// failover needs them.
func TestCheckPoints(t *testing.T) {
	for name, c := range map[string]struct {
		cost string // throttleStatus of the answer
		want string
	}{
		"plenty":   {`{"maximumAvailable":2000,"currentlyAvailable":1999,"restoreRate":100}`, ""},
		"enough":   {`{"maximumAvailable":2000,"currentlyAvailable":200,"restoreRate":100}`, ""},
		"low":      {`{"maximumAvailable":2000,"currentlyAvailable":199,"restoreRate":100}`, "199 of the app's 2000 points"},
		"none":     {`{"maximumAvailable":2000,"currentlyAvailable":0,"restoreRate":100}`, "0 of the app's 2000 points"},
		"not told": {`null`, ""},
		"nonsense": {`{"maximumAvailable":-1,"currentlyAvailable":-5}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, static, func(r *rig) {
				r.add(cloud.Fault{Body: `{"data":{"publicApiVersions":[]},"extensions":{"cost":{"requestedQueryCost":1,"throttleStatus":` + c.cost + `}}}`, Status: 200})
				got, err := r.tool.(actuators.Checker).Check(context.Background(), actuators.Subject{Step: r.plan})
				r.must(err)
				if (c.want == "") != (len(got) == 0) || !strings.Contains(strings.Join(got, "; "), c.want) {
					t.Errorf("%q, want %q", got, c.want)
				}
			})
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
