package httpcall_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/httpcall"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// rig is a step and its actuator.
type rig struct {
	kind *httpcall.Kind
	tool actuators.Actuator
	step fsm.Step
}

func newRig(t *testing.T, c httpcall.Config, target *pb.HttpTarget, step *pb.HttpStep) rig {
	t.Helper()
	c.Getenv = func(name string) string { return map[string]string{"HOOK": secret}[name] }
	r := rig{kind: httpcall.New(c)}
	planned, problems := r.kind.Plan(actuators.StepInput{Master: "cache", Step: "hook", Target: "hook", Message: step, TargetMsg: target})
	if problems = append(problems, r.kind.CheckTarget(target)...); len(problems) > 0 {
		t.Fatal(problems)
	}
	r.step = fsm.Step{Name: "hook", Target: "hook", Kind: httpcall.Name, Object: planned.Object, Class: planned.Class, Params: encode(t, step)}
	var err error
	if r.tool, err = r.kind.Open(fsm.TargetSpec{ID: "hook", Params: encode(t, target)}, free{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.tool.(interface{ Close() error }).Close() })
	return r
}

func (r rig) work(t *testing.T) actuators.Work {
	t.Helper()
	id := fsm.FailoverID{Master: "cache", Number: 7}
	v, err := r.kind.Render(r.step, actuators.Facts{Failover: id, From: addressA, To: "[2001:db8::2]:6380", Epoch: 12, Zone: "par-b"})
	if err != nil {
		t.Fatal(err)
	}
	return actuators.Work{Cluster: "1f2e3d4c5b6a7988", Action: fsm.Action{
		ID: id.Action("hook"), For: id, Phase: fsm.Claimed, Step: r.step, Value: v.Value, Token: fsm.TokenOf(1, 42), Attempts: 1,
	}}
}

func (r rig) act(ctx context.Context, w actuators.Work) (actuators.Outcome, error) {
	return r.tool.Act(ctx, w, r.tool.Judge(actuators.Reading{At: time.Now()}, w))
}

func piped(t *testing.T) (*endpoint, httpcall.Config, *pb.HttpTarget) {
	t.Helper()
	e := newEndpoint(t)
	return e, httpcall.Config{Dial: e.net.Dial}, &pb.HttpTarget{Url: "http://hooks.example.net/redis", Secret: "env:HOOK", Allow: []string{"10.0.0.0/8"}}
}

// TestEvent pins the wire: what an endpoint was written for must stay.
func TestEvent(t *testing.T) {
	e, conf, target := piped(t)
	conf.Now = func() time.Time { return time.Unix(1795410028, 0) }
	r := newRig(t, conf, target, &pb.HttpStep{Value: "redis://{{.New}}/0"})
	w := r.work(t)
	if _, err := r.act(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	w.Action.Token, w.Action.Attempts = fsm.TokenOf(1, 43), 2
	if _, err := r.act(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	const body = `{"version":1,"type":"failover","cluster":"1f2e3d4c5b6a7988","action":"cache/7/hook","failover":"cache/7","master":"cache","number":7,` +
		`"epoch":12,"marker":"[pm 1f2e3d4c cache/7]","zone":"par-b","old":{"address":"10.0.1.20:6379","host":"10.0.1.20","port":"6379"},` +
		`"new":{"address":"[2001:db8::2]:6380","host":"2001:db8::2","port":"6380"},"value":"redis://[2001:db8::2]:6380/0"}`
	one, two := e.posts[0], e.posts[1]
	if string(one.body) != body || string(two.body) != body {
		t.Errorf("bodies\n%s\n%s, want\n%s", one.body, two.body, body)
	}
	if one.key != "1f2e3d4c5b6a7988/cache/7/hook" || two.key != one.key {
		t.Errorf("keys %q, %q", one.key, two.key)
	}
	if one.stamp != "1795410028" || one.token == two.token || one.signature == two.signature {
		t.Errorf("%q, %q", one, two)
	}
}

// TestAnswers is the table of doc.go.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status           int
		kind, body       string
		header           [2]string
		permanent, doubt bool
		after            time.Duration
		says             string
	}{
		"conflict":          {status: 409, after: time.Second, says: "409"},
		"conflict, told":    {status: 409, header: [2]string{"Retry-After", "9"}, after: 9 * time.Second, says: "409"},
		"locked":            {status: 423, after: time.Second},
		"gone":              {status: 410, kind: "application/json", body: `{"error":"cache/8 is known"}`, permanent: true, says: "cache/8 is known"},
		"gone, as a page":   {status: 410, kind: "text/html", body: "<html>", permanent: true, says: "410"},
		"unprocessable":     {status: 422, kind: "text/html", permanent: true},
		"not found":         {status: 404, kind: "text/plain", body: "no such hook", permanent: true, says: "no such hook"},
		"a proxy's page":    {status: 404, kind: "text/html", body: "<html>nginx</html>", doubt: true, says: "404"},
		"unauthorized":      {status: 401, kind: "application/json", body: `{"error":"clock off by 3600 s"}`, permanent: true, says: "clock off"},
		"timeout":           {status: 408, doubt: true},
		"error":             {status: 500, kind: "text/plain", body: "secret " + secret, doubt: true, says: "***"},
		"unavailable, told": {status: 503, header: [2]string{"Retry-After", "5"}, doubt: true, after: 5 * time.Second},
		"redirect":          {status: 307, header: [2]string{"Location", "http://169.254.169.254/"}, says: "307"},
		"moved":             {status: 301, header: [2]string{"Location", "https://elsewhere.example.net/"}, doubt: true, says: "301"},
		"see other":         {status: 303, header: [2]string{"Location", "/done"}, doubt: true, says: "303"},
		"endless":           {status: 500, kind: "text/plain", body: strings.Repeat("x", 3<<20), doubt: true, says: "xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			e, conf, target := piped(t)
			r := newRig(t, conf, target, &pb.HttpStep{})
			e.answer = func(w http.ResponseWriter) {
				if c.header[0] != "" {
					w.Header().Set(c.header[0], c.header[1])
				}
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}
			_, err := r.act(t.Context(), r.work(t))
			x := actuators.Explain(err)
			if err == nil || x.Permanent != c.permanent || x.Doubt != c.doubt || x.After != c.after || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: permanent %t, doubt %t, after %s", err, x.Permanent, x.Doubt, x.After)
			}
			if len(x.Requests) != 1 || x.Requests[0] != "req-1" || e.Seen().All != 1 {
				t.Errorf("requests %q of %d", x.Requests, e.Seen().All)
			}
			if len(err.Error()) > 500 || strings.Contains(err.Error(), secret) {
				t.Errorf("says %q", err)
			}
		})
	}
}

// TestChecks: what a check may answer, and how it is judged.
func TestChecks(t *testing.T) {
	for name, c := range map[string]struct {
		kind, body string
		verdict    actuators.Verdict // 0: an error of the read
	}{
		"text":                {"text/plain", " [2001:db8::2]:6380\n", actuators.Applied},
		"json":                {"application/json; charset=utf-8", `{"value":"[2001:db8::2]:6380"}`, actuators.Applied},
		"another":             {"application/json", `{"value":"10.0.1.20:6379"}`, actuators.Absent},
		"nothing yet":         {"text/plain", "", actuators.Absent},
		"older marker":        {"application/json", `{"value":"[2001:db8::2]:6380","marker":"[pm 1f2e3d4c cache/6]"}`, actuators.Absent},
		"edited":              {"application/json", `{"value":"x","marker":"[pm 1f2e3d4c cache/7]"}`, actuators.Foreign},
		"newer":               {"application/json", `{"value":"x","marker":"[pm 1f2e3d4c cache/8]"}`, actuators.Newer},
		"another cluster":     {"application/json", `{"value":"[2001:db8::2]:6380","marker":"[pm ffffffff cache/7]"}`, actuators.Newer},
		"a page":              {"text/html", "<html>sign in</html>", 0},
		"no value":            {"application/json", `{"error":"nothing"}`, 0},
		"a value of no text":  {"application/json", `{"value":7}`, 0},
		"half an answer":      {"application/json", `{"value":"10.`, 0},
		"a body of 100 MB":    {"text/plain", strings.Repeat("x", 2<<20), 0},
		"nothing of any kind": {"", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				fmt.Fprint(w, c.body)
			}))
			defer server.Close()
			r := newRig(t, httpcall.Config{}, &pb.HttpTarget{Url: server.URL, Secret: "env:HOOK", Allow: []string{"127.0.0.0/8"}},
				&pb.HttpStep{Check: "/current?of=cache", Repeat: pb.Repeat_REPEAT_READABLE})
			reading, err := r.tool.Read(t.Context(), actuators.Subject{Step: r.step})
			if c.verdict == 0 {
				if x := actuators.Explain(err); !errors.Is(err, wire.ErrAnswer) || x.Permanent || x.Doubt {
					t.Errorf("read: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := r.tool.Judge(reading, r.work(t)); s.Verdict != c.verdict {
				t.Errorf("%s, %s; want %s", s.Verdict, s.Detail, c.verdict)
			}
		})
	}
}

// TestGuard: a name that leads inside is refused for good, before a byte
// leaves, however it is written; and only what is allowed is let through.
func TestGuard(t *testing.T) {
	hit := make(chan struct{}, 16)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit <- struct{}{} }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HTTP_PROXY", server.URL)
	t.Setenv("http_proxy", server.URL)
	for host, allow := range map[string]string{
		"127.0.0.1": "10.0.0.0/8", "localhost": "10.0.0.0/8", "[::1]": "10.0.0.0/8", "[::ffff:127.0.0.1]": "10.0.0.0/8", "0.0.0.0": "10.0.0.0/8",
		"10.1.2.3": "127.0.0.0/8", "192.168.0.1": "127.0.0.0/8", "172.16.0.1": "127.0.0.0/8", "169.254.169.254": "10.0.0.0/8",
		"100.64.0.1": "10.0.0.0/8", "[fe80::1]": "10.0.0.0/8", "[fd00::1]": "10.0.0.0/8", "[::ffff:10.0.0.1]": "127.0.0.0/8",
		"224.0.0.1": "10.0.0.0/8", "255.255.255.255": "10.0.0.0/8", "[64:ff9b::7f00:1]": "10.0.0.0/8", "[2002:7f00:1::]": "10.0.0.0/8",
	} {
		r := newRig(t, httpcall.Config{}, &pb.HttpTarget{Url: "http://" + host + ":" + port, Secret: "env:HOOK", Allow: []string{allow}}, &pb.HttpStep{})
		_, err := r.act(t.Context(), r.work(t))
		if x := actuators.Explain(err); !errors.Is(err, httpcall.ErrAddress) || !x.Permanent || x.Doubt {
			t.Errorf("%s: %v", host, err)
		}
	}
	if len(hit) > 0 {
		t.Errorf("%d requests came through", len(hit))
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		r := newRig(t, httpcall.Config{}, &pb.HttpTarget{Url: "http://" + host + ":" + port, Secret: "env:HOOK", Allow: []string{"127.0.0.0/8", "::1/128"}}, &pb.HttpStep{})
		if err := r.tool.(actuators.Prober).Probe(t.Context()); err != nil {
			t.Errorf("probe of %s: %v", host, err)
		}
		if out, err := r.act(t.Context(), r.work(t)); err != nil || !out.Waiting || len(out.Requests) != 1 {
			t.Errorf("%s: %+v, %v", host, out, err)
		}
	}
	if len(hit) != 6 {
		t.Errorf("%d requests, want 6", len(hit))
	}
}

// TestCertificates: only those of the machine, or of ca.
func TestCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = nil
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte(pemOf(server)), 0o600); err != nil {
		t.Fatal(err)
	}
	for ca, fine := range map[string]bool{"": false, "file:" + file: true} {
		r := newRig(t, httpcall.Config{}, &pb.HttpTarget{Url: server.URL, Secret: "env:HOOK", Allow: []string{"127.0.0.0/8"}, Ca: ca}, &pb.HttpStep{})
		_, err := r.act(t.Context(), r.work(t))
		probe := r.tool.(actuators.Prober).Probe(t.Context())
		if (err == nil) != fine || (probe == nil) != fine || actuators.Explain(err).Doubt {
			t.Errorf("ca %q: %v, probe %v", ca, err, probe)
		}
	}
}

// TestSample runs the documentation's own receiver: it takes what we send, and
// refuses what was changed or is old.
func TestSample(t *testing.T) {
	doc, err := os.ReadFile("../../docs/targets/http.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```python\n")
	sample, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/targets/http.md has no sample in Python")
	}
	const driver = `
import json, sys
r = json.load(sys.stdin)
print(verified(r["secret"].encode(), r["headers"], r["body"].encode(), r["now"]))
`
	e, conf, target := piped(t)
	conf.Now = func() time.Time { return time.Unix(1795410028, 0) }
	r := newRig(t, conf, target, &pb.HttpStep{})
	if _, err := r.act(t.Context(), r.work(t)); err != nil {
		t.Fatal(err)
	}
	p := e.posts[0]
	for name, c := range map[string]struct {
		body, token, secret string
		later               int64
		want                string
	}{
		"as sent":        {string(p.body), p.token, secret, 3, "True"},
		"another body":   {strings.Replace(string(p.body), "cache", "other", 1), p.token, secret, 3, "False"},
		"another token":  {string(p.body), p.token + "0", secret, 3, "False"},
		"another secret": {string(p.body), p.token, secret + "x", 3, "False"},
		"an hour later":  {string(p.body), p.token, secret, 3600, "False"},
		"an hour before": {string(p.body), p.token, secret, -3600, "False"},
	} {
		in, err := json.Marshal(map[string]any{
			"secret": c.secret, "body": c.body, "now": 1795410028 + c.later,
			"headers": map[string]string{"Pointsman-Timestamp": p.stamp, "Pointsman-Token": c.token, "Pointsman-Signature": p.signature},
		})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "python3", "-c", sample+driver)
		cmd.Stdin = strings.NewReader(string(in))
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != c.want {
			t.Errorf("%s: %s, %v; want %s", name, out, err, c.want)
		}
	}
}
