package haproxy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/haproxy"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sim is the simulated process with a tool and the first failover's work.
func sim(t *testing.T) (*process, actuators.Actuator, actuators.Work) {
	p := newProcess(t)
	w := world(p, t)
	tool, err := w.Kind.Open(w.Target, free{})
	if err != nil {
		t.Fatal(err)
	}
	return p, tool, work(t, w.Message.(*pb.HaproxyStep), 1, addressB)
}

func read(t testing.TB, tool actuators.Actuator, w actuators.Work) error {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := tool.Read(ctx, actuators.Subject{Step: w.Action.Step})
	return err
}

func act(t testing.TB, tool actuators.Actuator, w actuators.Work, seen actuators.Sight) error {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := tool.Act(ctx, w, seen)
	return err
}

const head = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port\n"

// TestAnswers that are none of HAProxy's: a look is for later, a deed in doubt,
// and neither error is long or holds what a log cannot.
func TestAnswers(t *testing.T) {
	const info = "\nPid: 4711\n\n"
	for name, says := range map[string]string{
		"a web server":       "HTTP/1.0 400 Bad request\r\nContent-Type: text/html\r\n\r\n<html>\x1b[31m</html>",
		"only the pid":       info,
		"cut in the table":   "Variable not found.\n\n" + head + "3 redis 2 master 10.0.9.9",
		"cut after it":       "Variable not found.\n\n" + head + "3 redis 2 master 10.0.9.9 2 0 1 6379\n",
		"a column is empty":  "Variable not found.\n\n" + head + "3 redis 2 master 2 0 1 6379\n\nVariable not found.\n" + info,
		"a column too many":  "Variable not found.\n\n" + head + "3 redis 2 master 10.0.9.9 2 0 1 6379 7\n\nVariable not found.\n" + info,
		"a state is none":    "Variable not found.\n\n" + head + "3 redis 2 master 10.0.9.9 up ready 1 6379\n\nVariable not found.\n" + info,
		"no such columns":    "Variable not found.\n\n1\n# be_id be_name srv_id srv_name\n3 redis 2 master\n\nVariable not found.\n" + info,
		"one marker of two":  "Variable not found.\n\n" + head + "3 redis 2 master 10.0.9.9 2 0 1 6379\n" + info,
		"the master's shell": "Unknown command: 'show', but maybe one of the following ones is a better match:\n  reload\n\n",
		"too long":           "Variable not found.\n\n" + head + "3 redis 2 master 10.0.9.9 2 0 1 6379\n\nVariable not found.\n" + info + strings.Repeat("x", haproxy.MaxAnswer),
		"zeros":              strings.Repeat("\x00", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, tool, w := sim(t)
				seen := look(t, tool, w)
				p.set(func() { p.says = says })
				for what, err := range map[string]error{"read": read(t, tool, w), "act": act(t, tool, w, seen)} {
					x := actuators.Explain(err)
					if !errors.Is(err, haproxy.ErrAnswer) || x.Permanent || x.Doubt != (what == "act") {
						t.Errorf("%s: %v: permanent %t, doubt %t", what, err, x.Permanent, x.Doubt)
					}
					if err != nil && (len(err.Error()) > 2*haproxy.MaxMessage+200 || strings.ContainsAny(err.Error(), "\x00\x1b\n")) {
						t.Errorf("%s: an error of %d bytes: %.100q", what, len(err.Error()), err)
					}
				}
				p.set(func() { p.says = "" })
				wants(t, look(t, tool, w), actuators.Absent)
			})
		})
	}
}

// set changes the process as its administrator.
func (p *process) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// endless is a HAProxy that answers size bytes, a piece each pace, and takes
// each line. It tells how much the other side took.
func endless(t *testing.T, size int, pace time.Duration) (dial func(context.Context, string, string) (net.Conn, error), took func() int) {
	sent, over := 0, make(chan struct{}, 8)
	return func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer func() { _ = far.Close(); over <- struct{}{} }()
				buffer := make([]byte, 1024)
				if _, err := far.Read(buffer); err != nil {
					return
				}
				for left := size; left > 0; left -= len(buffer) {
					n, err := far.Write(buffer)
					sent += n
					if err != nil {
						return
					}
					time.Sleep(pace)
				}
			}()
			return near, nil
		}, func() int {
			select {
			case <-over:
			case <-time.After(time.Minute):
				t.Error("the connection was not closed")
			}
			return sent
		}
}

// TestHugeAndSlow: of 100 MB a bounded part is read, and an answer that drips
// ends with the request's time.
func TestHugeAndSlow(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		pace time.Duration
		most int
		span time.Duration
	}{
		"100 MB":   {100 << 20, 0, haproxy.MaxAnswer + 8192, time.Second},
		"dripping": {100 << 20, 100 * time.Millisecond, 64 << 10, haproxy.RequestTimeout + time.Second},
		"silent":   {0, 0, 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, took := endless(t, c.size, c.pace)
				tool := open(t, haproxy.New(haproxy.Config{Dial: dial}), &pb.HaproxyTarget{Address: "10.0.0.5:9999"})
				w := work(t, &pb.HaproxyStep{Backend: "redis", Server: "master"}, 1, addressB)
				began := time.Now()
				err := read(t, tool, w)
				if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt || time.Since(began) > c.span {
					t.Errorf("%v after %s", err, time.Since(began))
				}
				if n := took(); n > c.most {
					t.Errorf("%d bytes were taken", n)
				}
			})
		})
	}
}

// TestOld: a HAProxy before 2.5 has no variables. It is judged by the address
// alone, and says so.
func TestOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, tool, _ := sim(t)
		p.set(func() { p.old = true })
		for n, to := range []fsm.Address{addressB, addressA, addressB} {
			w := work(t, &pb.HaproxyStep{Backend: "redis", Server: "master"}, fsm.Number(n+1), to)
			seen := look(t, tool, w)
			wants(t, seen, actuators.Absent, "judged by its address alone")
			if err := act(t, tool, w, seen); err != nil {
				t.Fatal(err)
			}
			if seen = look(t, tool, w); seen.Verdict != actuators.Applied || seen.Found || p.Value() != to {
				t.Errorf("%s: %q, found %t, at %s", seen.Verdict, seen.Detail, seen.Found, p.Value())
			}
		}
		if n := p.Seen().Changes; n != 3 {
			t.Errorf("%d changes of 3 failovers", n)
		}
	})
}

// TestMarkers that are not this cluster's words.
func TestMarkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, tool, w := sim(t)
		const name = "proc.pm_redis__master"
		for value, want := range map[string]actuators.Verdict{
			"[pm 1f2e3d4c other/9]": actuators.Absent, "somebody's own": actuators.Absent, "": actuators.Absent,
			"[pm 1f2e3d4c cache/2]": actuators.Newer, "[pm ffffffff cache/1]": actuators.Newer, "[pm 1f2e3d4c cache/0]": actuators.Absent,
			"[pm 1f2e3d4c cache/1]": actuators.Foreign,
		} {
			p.set(func() { p.vars = map[string]string{name: value} })
			if s := look(t, tool, w); s.Verdict != want {
				t.Errorf("%q: %s, %q; want %s", value, s.Verdict, s.Detail, want)
			}
		}
		p.set(func() { p.vars = map[string]string{name: "[pm ffffffff cache/1]"} })
		wants(t, look(t, tool, w), actuators.Newer, "another cluster", "restart of HAProxy")
	})
}

// TestWrittenBeside: a write that lands within a look is waited out, not judged.
func TestWrittenBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, tool, w := sim(t)
		const info = "\nPid: 4711\n\n"
		p.set(func() {
			p.says = "proc.pm_redis__master: type=str value=<[pm 1f2e3d4c cache/0]>\n" + head +
				"3 redis 2 master 10.0.9.9 2 0 1 6379\n\nproc.pm_redis__master: type=str value=<[pm 1f2e3d4c cache/1]>\n" + info
		})
		seen := look(t, tool, w)
		wants(t, seen, actuators.Busy, "being written")
		if seen.After != haproxy.LookAgain {
			t.Errorf("looks again after %s", seen.After)
		}
		p.set(func() { p.says = "" })
		if err := act(t, tool, w, seen); !errors.Is(err, haproxy.ErrNotDue) || actuators.Explain(err).Permanent {
			t.Errorf("acted: %v", err)
		}
		wants(t, look(t, tool, w), actuators.Absent)
	})
}

// TestBeside: which other servers of the backend split writes.
func TestBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, tool, w := sim(t)
		for admin, want := range map[string]actuators.Verdict{
			"0": actuators.Foreign, "4": actuators.Foreign, // made ready, though the configuration says disabled
			"1": actuators.Absent, "2": actuators.Absent, "5": actuators.Absent, "8": actuators.Absent, "16": actuators.Absent, "32": actuators.Absent,
		} {
			p.set(func() { p.other = admin })
			if s := look(t, tool, w); s.Verdict != want {
				t.Errorf("other server in admin state %s: %s, %q", admin, s.Verdict, s.Detail)
			}
		}
		rows := ""
		for i := range 50 {
			rows += fmt.Sprintf("3 redis %d spare%d 10.0.0.1 2 0 1 6379\n", i, i)
		}
		p.set(func() {
			p.says = "Variable not found.\n\n" + head + rows + "3 redis 99 master - 2 0 1 0\n\nVariable not found.\n\nPid: 4711\n"
		})
		wants(t, look(t, tool, w), actuators.Foreign, "spare4 and 45 more")
	})
}

// TestSessions end where the server moves, and stay where it only gets a marker.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, tool, w := sim(t)
		for n, want := range []bool{true, false} { // the second failover is to the same address
			w = work(t, &pb.HaproxyStep{Backend: "redis", Server: "master", ShutdownSessions: true}, fsm.Number(n+1), addressB)
			if err := act(t, tool, w, look(t, tool, w)); err != nil {
				t.Fatal(err)
			}
			if line := p.last(); strings.Contains(line, "shutdown sessions server redis/master") != want {
				t.Errorf("failover %d: %q", n+1, line)
			}
		}
		wants(t, look(t, tool, w), actuators.Applied, "cache/2")
	})
}

// last is the last line with an order in it.
func (p *process) last() (order string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		if strings.Contains(line, "set server") {
			order = line
		}
	}
	return order
}

// TestDown: the address is right, and nobody gets through.
func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, tool, w := sim(t)
		if err := act(t, tool, w, look(t, tool, w)); err != nil {
			t.Fatal(err)
		}
		p.set(func() { p.op = 0 })
		wants(t, look(t, tool, w), actuators.Applied, "|down by its checks")
		p.set(func() { p.ip, p.vars = "-", map[string]string{} })
		wants(t, look(t, tool, w), actuators.Absent, "has no address")
	})
}
