package ovhapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestProbe: what the provider itself says counts as reached unless it refuses
// this node; a page of something on the way does not. Nothing but GET is sent.
func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  int
		body    string
		id      bool // whether the API's own id stands in the answer
		reached bool
	}{
		{"served", 200, `[]`, true, true},
		{"too many requests", 429, `{"message":"slow down"}`, true, true},
		{"its own trouble", 500, `{"class":"Server::InternalServerError","message":"Internal server error"}`, true, true},
		{"a front proxy", 502, `<html>`, false, false},
		{"a proxy of this node's", 429, `<html>`, false, false},
		{"the key is not valid", 403, `{"class":"Client::Forbidden","errorCode":"INVALID_CREDENTIAL","message":"This credential is not valid"}`, true, false},
		{"no such service", 404, `{"class":"Client::NotFound","message":"no"}`, true, false},
		{"expired", 460, `{"message":"This Service is expired"}`, true, false},
		{"a redirect", 302, ``, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.id {
					w.Header().Set("X-Ovh-Queryid", "EU.ext-1.0.0.x")
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			client := srv.client(t, signedCreds)
			err := client.Probe(t.Context(), "/ipLoadbalancing/ip-203.0.113.7/pendingChanges")
			if (err == nil) != c.reached {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret in %q", err)
			}
			for _, r := range srv.got {
				if r.Method != http.MethodGet {
					t.Errorf("%s %s", r.Method, r.URL)
				}
			}
		})
	}
}

// TestProbeOfASilentProvider ends with its context.
func TestProbeOfASilentProvider(t *testing.T) {
	stop := make(chan struct{})
	srv := newAPI(t, func(http.ResponseWriter, *http.Request) { <-stop })
	defer close(stop)
	client := srv.client(t, signedCreds)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := client.Probe(ctx, "/ipLoadbalancing/x/pendingChanges"); err == nil {
		t.Error("reached")
	}
}
