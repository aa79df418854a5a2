package haproxy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/haproxy"
	"github.com/pointsman/pointsman/deploy/samples"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	debian "github.com/pointsman/pointsman/test/clouds/haproxy"
)

// site is Debian's HAProxy with the sample's configuration in front of two
// servers of the test, which say their name to whoever connects.
type site struct {
	*debian.Process
	t        *testing.T
	runtime  string // host:port of its stats socket
	front    string // host:port that clients know
	a, b     fsm.Address
	sessions bool // of the step: shutdown_sessions
}

// named is a server that tells its name, and its connections stay open.
func named(t *testing.T, name string) fsm.Address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var open []net.Conn
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open = append(open, c)
			_, _ = c.Write([]byte(name))
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-over
		for _, c := range open {
			_ = c.Close()
		}
	})
	return fsm.Address(l.Addr().String())
}

// unused is an address that nobody listened at a moment ago.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newSite starts it at the server a, with what extra gives besides. Another
// process may take a port between its choice and its use, so it is tried again.
func newSite(t *testing.T, extra string) *site {
	t.Helper()
	return startSite(t, named(t, "a"), extra)
}

func startSite(t *testing.T, a fsm.Address, extra string) *site {
	t.Helper()
	r := &site{t: t, a: a, b: named(t, "b"), sessions: true}
	var err error
	for range 3 {
		r.runtime, r.front = unused(t), unused(t)
		if r.Process, err = debian.Start(t.Context(), r.config(extra)); !errors.Is(err, debian.ErrNotReady) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *site) config(extra string) func(dir string) string {
	return func(dir string) string {
		return strings.NewReplacer(
			"10.0.0.5:9999", r.runtime, "10.0.0.5:6379", r.front, "/run/haproxy", dir, "10.0.1.20:6379", string(r.a),
		).Replace(samples.HAProxy()) + strings.ReplaceAll(extra, "DIR", dir)
	}
}

func (r *site) message() *pb.HaproxyStep {
	return &pb.HaproxyStep{Backend: "redis", Server: "master", ShutdownSessions: r.sessions}
}

// tool acts through an address of the runtime API.
func (r *site) tool(address string) actuators.Actuator {
	r.t.Helper()
	return open(r.t, haproxy.New(haproxy.Config{}), &pb.HaproxyTarget{Address: address})
}

// open opens a target of a kind.
func open(t testing.TB, k *haproxy.Kind, target *pb.HaproxyTarget) actuators.Actuator {
	t.Helper()
	tool, err := k.Open(fsm.TargetSpec{ID: "lb", Kind: haproxy.Name, Params: encode(t, target)}, free{})
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// work is failover n of the master, as its claim stands.
func work(t testing.TB, msg *pb.HaproxyStep, n fsm.Number, to fsm.Address) actuators.Work {
	t.Helper()
	id := fsm.FailoverID{Master: "cache", Number: n}
	step := fsm.Step{Name: "lb", Target: "lb", Kind: haproxy.Name, Object: "lb/redis/master", Class: fsm.Readable, Params: encode(t, msg)}
	v, err := haproxy.New(haproxy.Config{}).Render(step, actuators.Facts{Failover: id, To: to})
	if err != nil {
		t.Fatal(err)
	}
	return actuators.Work{Cluster: "1f2e3d4c5b6a7988", Action: fsm.Action{
		ID: id.Action("lb"), For: id, Phase: fsm.Claimed, Step: step, Value: v.Value, Wanted: v.Wanted, Attempts: 1,
	}}
}

// look reads and judges.
func look(t testing.TB, tool actuators.Actuator, w actuators.Work) actuators.Sight {
	t.Helper()
	r, err := tool.Read(t.Context(), actuators.Subject{Step: w.Action.Step, Value: w.Action.Value})
	if err != nil {
		t.Fatal(err)
	}
	return tool.Judge(r, w)
}

func wants(t testing.TB, s actuators.Sight, v actuators.Verdict, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(s.Detail+"|"+s.Warning, w) {
			t.Errorf("%q, %q: want %q in it", s.Detail, s.Warning, w)
		}
	}
	if s.Verdict != v {
		t.Fatalf("%s: %q; want %s", s.Verdict, s.Detail, v)
	}
}

// who connects as a client and tells who answered.
func (r *site) who() (string, net.Conn) {
	r.t.Helper()
	c, err := net.DialTimeout("tcp", r.front, 5*time.Second)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	name := make([]byte, 1)
	if _, err := c.Read(name); err != nil {
		return err.Error(), c
	}
	return string(name), c
}

// moves drives a failover and holds that clients get there.
func (r *site) moves(tool actuators.Actuator, n fsm.Number, to fsm.Address, name string) actuators.Work {
	r.t.Helper()
	w := work(r.t, r.message(), n, to)
	seen := look(r.t, tool, w)
	wants(r.t, seen, actuators.Absent)
	sent := 0
	out, err := tool.Act(actuators.WithSending(r.t.Context(), func() { sent++ }), w, seen)
	if err != nil || sent != 1 || len(out.Requests) != 1 || out.Requests[0] != fmt.Sprintf("pid %d", r.Pid()) {
		r.t.Fatalf("%+v, %v, sent %d", out, err, sent)
	}
	wants(r.t, look(r.t, tool, w), actuators.Applied, fmt.Sprintf("→ %s [pm 1f2e3d4c cache/%d]", to, n))
	if got, _ := r.who(); got != name {
		r.t.Errorf("clients get to %q, want %s", got, name)
	}
	return w
}

// TestReal: there and back over TCP and over the socket, with the sample's own
// configuration; the sessions of the old master end with the move.
func TestReal(t *testing.T) {
	r := newSite(t, "")
	over, local := r.tool(r.runtime), r.tool("unix:"+r.Socket())
	for name, tool := range map[string]actuators.Actuator{"tcp": over, "unix": local} {
		missing, err := tool.(actuators.Checker).Check(t.Context(), actuators.Subject{})
		if err != nil || len(missing) > 0 || tool.(actuators.Prober).Probe(t.Context()) != nil {
			t.Errorf("%s: %q, %v", name, missing, err)
		}
	}
	first := work(t, r.message(), 1, r.a)
	found := look(t, over, first)
	wants(t, found, actuators.Applied, "→ "+string(r.a)+", haproxy pid")
	if !found.Found {
		t.Error("what the configuration says is taken for a write of ours")
	}
	name, old := r.who()
	if name != "a" {
		t.Fatalf("clients get to %q", name)
	}
	one := r.moves(over, 1, r.b, "b")
	if _, err := old.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a session of the old master: %v, want its end", err)
	}
	r.moves(local, 2, r.a, "a")
	wants(t, look(t, over, one), actuators.Newer, "newer failover")
	r.sessions = false
	_, stays := r.who()
	r.moves(over, 3, r.b, "b")
	_ = stays.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := stays.Read(make([]byte, 1)); !isTimeout(err) {
		t.Errorf("a session that was to stay: %v", err)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// TestRealRestart: a restart forgets address and marker together. That shows as
// absent, not as somebody's edit, and is written again by a mend.
func TestRealRestart(t *testing.T) {
	r := newSite(t, "")
	tool := r.tool(r.runtime)
	w := r.moves(tool, 1, r.b, "b")
	before := fmt.Sprintf("pid %d", r.Pid())
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := tool.Read(t.Context(), actuators.Subject{Step: w.Action.Step}); err == nil || actuators.Explain(err).Permanent {
		t.Errorf("while it is away: %v", err)
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Action.Phase = fsm.Done
	seen := look(t, tool, w)
	wants(t, seen, actuators.Absent, "→ "+string(r.a))
	if len(seen.Reading.Requests) != 1 || seen.Reading.Requests[0] == before {
		t.Errorf("answers %q, before the restart %q", seen.Reading.Requests, before)
	}
	w.Action.Phase, w.Action.Mend, w.Action.ID = fsm.Claimed, true, w.Action.ID+"~1"
	if _, err := tool.Act(t.Context(), w, seen); err != nil {
		t.Fatal(err)
	}
	wants(t, look(t, tool, w), actuators.Applied)
	if got, _ := r.who(); got != "b" {
		t.Errorf("clients get to %q after the mend", got)
	}
}

// TestRealDown: the server is down by its checks, as it is when its master has
// died, and lets clients through as soon as it is moved.
func TestRealDown(t *testing.T) {
	r := startSite(t, fsm.Address(unused(t)), "")
	tool := r.tool(r.runtime)
	w := work(t, r.message(), 1, r.b)
	for end := time.Now().Add(20 * time.Second); !strings.Contains(look(t, tool, w).Detail, "down by its checks"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a server that nobody listens at is not down after 20 s")
		}
	}
	r.moves(tool, 1, r.b, "b")
}

// TestRealEdit: what a human sets beside our marker is told as an edit.
func TestRealEdit(t *testing.T) {
	r := newSite(t, "")
	tool := r.tool(r.runtime)
	w := r.moves(tool, 1, r.b, "b")
	host, port, _ := net.SplitHostPort(string(r.a))
	r.say("set server redis/master addr " + host + " port " + port)
	w.Action.Phase = fsm.Done
	seen := look(t, tool, w)
	wants(t, seen, actuators.Foreign, "edited since our write")
	if _, err := tool.Act(t.Context(), w, seen); !errors.Is(err, haproxy.ErrNotDue) {
		t.Errorf("acted on an edit: %v", err)
	}
	r.say("set server redis/master state maint")
	w.Action.Mend = true
	seen = look(t, tool, w)
	wants(t, seen, actuators.Absent, "in maintenance")
	if _, err := tool.Act(t.Context(), w, seen); err != nil {
		t.Fatal(err)
	}
	wants(t, look(t, tool, w), actuators.Applied, "|in maintenance")
	r.say("set server redis/master state ready")
	if s := look(t, tool, w); s.Verdict != actuators.Applied || s.Warning != "" {
		t.Errorf("made ready: %s, %q", s.Verdict, s.Warning)
	}
}

// say is the administrator's word.
func (r *site) say(line string) string {
	r.t.Helper()
	text, err := r.Ask(r.t.Context(), line)
	if err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
	return text
}
