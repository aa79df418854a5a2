package ovh

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestCheck holds the rules of a key against the calls of a switch. Nothing but
// GET is sent, and no secret shows.
func TestCheck(t *testing.T) {
	const every = `{"method":"GET","path":"/*"},{"method":"PUT","path":"/*"},{"method":"POST","path":"/*"}`
	for _, c := range []struct {
		name    string
		status  int
		body    string
		missing []string // words of each
		fails   bool
	}{
		{"everything", 200, `{"rules":[` + every + `]}`, nil, false},
		{"only what it needs", 200, `{"rules":[{"method":"GET","path":"/ipLoadbalancing/ip-1/*"},{"method":"PUT","path":"/ipLoadbalancing/*/tcp/frontend/4711"},` +
			`{"method":"POST","path":"/ipLoadbalancing/ip-1/refresh"}]}`, nil, false},
		{"another frontend", 200, `{"rules":[{"method":"GET","path":"/*"},{"method":"PUT","path":"/ipLoadbalancing/*/tcp/frontend/47"},{"method":"POST","path":"/*"}]}`,
			[]string{"PUT /ipLoadbalancing/ip-1/tcp/frontend/4711"}, false},
		{"no refresh, no tasks", 200, `{"rules":[{"method":"PUT","path":"/*"},{"method":"GET","path":"/ipLoadbalancing/ip-1"}]}`,
			[]string{"POST /ipLoadbalancing/ip-1/refresh", "GET /ipLoadbalancing/ip-1/task", "GET /ipLoadbalancing/ip-1/task/1"}, false},
		{"ends soon", 200, `{"expiration":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `","rules":[` + every + `]}`, []string{"expires at"}, false},
		{"ends later", 200, `{"expiration":"` + time.Now().Add(2*ovhapi.ExpirySoon).UTC().Format(time.RFC3339) + `","rules":[` + every + `]}`, nil, false},
		{"may not ask", 403, `{"class":"Client::Forbidden","message":"This call has not been granted"}`, nil, false},
		{"in trouble", 503, `<html>`, nil, true},
		{"no JSON", 200, `<html>`, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Ovh-Queryid", "EU.ext-1.0.0.x")
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			params, err := proto.Marshal(&pb.OvhIplbStep{Frontend: 4711})
			if err != nil {
				t.Fatal(err)
			}
			a := &actuator{client: srv.client(t), path: "/ipLoadbalancing/ip-1"}
			missing, err := a.Check(t.Context(), actuators.Subject{Step: fsm.Step{Name: "lb", Params: params}})
			if (err != nil) != c.fails || len(missing) != len(c.missing) {
				t.Fatalf("%q, %v; want %q, an error: %t", missing, err, c.missing, c.fails)
			}
			for i, word := range c.missing {
				if !strings.Contains(missing[i], word) {
					t.Errorf("%q, want %q", missing[i], word)
				}
			}
			if text := fmt.Sprint(missing, err); strings.Contains(text, "canary") {
				t.Errorf("a secret in %q", text)
			}
			for _, r := range srv.got {
				if r.Method != http.MethodGet {
					t.Errorf("%s %s", r.Method, r.URL)
				}
			}
		})
	}
}
