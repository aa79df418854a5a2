package haproxy_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/haproxy"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// levels are sockets of lesser levels, and backends that are not as wanted.
const levels = `
listen stats-of-nobody
    bind unix@DIR/none.sock

global
    stats socket DIR/operator.sock mode 600 level operator
    stats socket DIR/user.sock mode 600 level user

backend two
    server master 127.0.0.1:1
    server spare 127.0.0.1:2 backup
backend idle
    server master 127.0.0.1:1 disabled
    server spare 127.0.0.1:2 disabled
backend empty
`

// TestRealLevels: with less than admin nothing is written, and Check tells it
// beforehand.
func TestRealLevels(t *testing.T) {
	r := newSite(t, levels)
	w := work(t, r.message(), 1, r.b)
	good := look(t, r.tool(r.runtime), w)
	for _, level := range []string{"operator", "user"} {
		tool := r.tool("unix:" + strings.Replace(r.Socket(), "admin", level, 1))
		missing, err := tool.(actuators.Checker).Check(t.Context(), actuators.Subject{Step: w.Action.Step})
		if err != nil || len(missing) != 1 || !strings.Contains(missing[0], "level admin (") || !strings.Contains(missing[0], " is "+level) {
			t.Errorf("%s: check tells %q, %v", level, missing, err)
		}
		_, err = tool.Act(t.Context(), w, good)
		if x := actuators.Explain(err); !x.Permanent || x.Doubt || !errors.Is(err, haproxy.ErrRefused) || !strings.Contains(err.Error(), "Permission denied") {
			t.Errorf("%s: act: %v", level, err)
		}
		_, err = tool.Read(t.Context(), actuators.Subject{Step: w.Action.Step})
		if x := actuators.Explain(err); level == "user" && (!x.Permanent || !strings.Contains(err.Error(), "level admin?")) || level != "user" && err != nil {
			t.Errorf("%s: read: %v", level, err)
		}
		if err := tool.(actuators.Prober).Probe(t.Context()); err != nil {
			t.Errorf("%s: probe: %v", level, err)
		}
	}
	wants(t, look(t, r.tool(r.runtime), w), actuators.Absent, "→ "+string(r.a)+", haproxy")
}

// TestRealNames: what is not there, or would split writes, is named, and
// nothing is written.
func TestRealNames(t *testing.T) {
	r := newSite(t, levels)
	tool := r.tool(r.runtime)
	for name, c := range map[string]struct {
		backend, server string
		words           string
	}{
		"no such backend": {"rediss", "master", "Can't find backend"},
		"no such server":  {"redis", "mister", "backend redis has no server mister"},
		"no servers":      {"empty", "master", "backend empty has no server master"},
		"a frontend":      {"stats-of-nobody", "master", "backend stats-of-nobody has no server master"},
	} {
		w := work(t, &pb.HaproxyStep{Backend: c.backend, Server: c.server}, 1, r.b)
		_, err := tool.Read(t.Context(), actuators.Subject{Step: w.Action.Step})
		if x := actuators.Explain(err); !x.Permanent || !errors.Is(err, haproxy.ErrRefused) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	two := work(t, &pb.HaproxyStep{Backend: "two", Server: "master"}, 1, r.b)
	seen := look(t, tool, two)
	wants(t, seen, actuators.Foreign, "split writes: spare")
	if _, err := tool.Act(t.Context(), two, seen); !errors.Is(err, haproxy.ErrNotDue) || !actuators.Explain(err).Permanent {
		t.Errorf("acted: %v", err)
	}
	idle := work(t, &pb.HaproxyStep{Backend: "idle", Server: "master"}, 1, r.b)
	wants(t, look(t, tool, idle), actuators.Absent, "in maintenance")
	r.say("set server idle/master state ready") // srv_admin_state keeps the bit of the configuration
	if s := look(t, tool, idle); strings.Contains(s.Detail, "maintenance") {
		t.Errorf("made ready, and %q", s.Detail)
	}
}

// TestRealServerGone between look and deed: Act is refused, and says so.
func TestRealServerGone(t *testing.T) {
	r := newSite(t, "")
	tool := r.tool(r.runtime)
	w := work(t, r.message(), 1, r.b)
	seen := look(t, tool, w)
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	_, err := tool.Act(t.Context(), w, seen)
	if x := actuators.Explain(err); err == nil || x.Doubt || x.Permanent {
		t.Errorf("with nobody there: %v", err)
	}
	if err := r.Configure(func(dir string) string {
		return strings.Replace(r.config("")(dir), "server master", "server minister", 1)
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = tool.Act(t.Context(), w, seen)
	if x := actuators.Explain(err); !x.Permanent || x.Doubt || !strings.Contains(err.Error(), "No such server") || len(x.Requests) != 1 {
		t.Errorf("after the server was renamed: %v, %q", err, x.Requests)
	}
}

// TestRealStateFile: a state file brings the port back and leaves the address,
// which is neither what the configuration says nor what was wanted.
func TestRealStateFile(t *testing.T) {
	state := t.TempDir() + "/state"
	r := newSite(t, "\nglobal\n    server-state-file "+state+"\nbackend kept\n    load-server-state-from-file global\n    server master 127.0.0.1:7\n")
	msg := &pb.HaproxyStep{Backend: "kept", Server: "master"}
	tool, w := r.tool(r.runtime), work(t, msg, 1, "127.0.0.9:9")
	if err := act(t, tool, w, look(t, tool, w)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, []byte(r.say("show servers state")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Action.Phase = fsm.Done
	seen := look(t, tool, w)
	wants(t, seen, actuators.Absent, "→ 127.0.0.1:9,")
	w.Action.Phase, w.Action.Mend = fsm.Claimed, true
	if err := act(t, tool, w, seen); err != nil {
		t.Fatal(err)
	}
	wants(t, look(t, tool, w), actuators.Applied, "→ 127.0.0.9:9 [pm")
}

// TestRealSocketMissing: no socket and no rights to one are for later.
func TestRealSocketMissing(t *testing.T) {
	for _, address := range []string{"unix:" + t.TempDir() + "/none.sock", unused(t)} {
		tool := open(t, haproxy.New(haproxy.Config{}), &pb.HaproxyTarget{Address: address})
		w := work(t, &pb.HaproxyStep{Backend: "redis", Server: "master"}, 1, fsm.Address(net.JoinHostPort("127.0.0.1", "1")))
		_, err := tool.Read(t.Context(), actuators.Subject{Step: w.Action.Step})
		if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt || !strings.Contains(err.Error(), "not sent") {
			t.Errorf("%s: %v", address, err)
		}
		if tool.(actuators.Prober).Probe(t.Context()) == nil {
			t.Errorf("%s: reached", address)
		}
		if _, err := tool.(actuators.Checker).Check(t.Context(), actuators.Subject{}); err == nil {
			t.Errorf("%s: checked", address)
		}
	}
}
