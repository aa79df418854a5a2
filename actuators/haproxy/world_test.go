package haproxy_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/haproxy"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/pipe"
)

const (
	addressA = "10.0.1.20:6379"
	addressB = "10.0.2.20:6379"
)

// process is an HAProxy, as far as its runtime API goes: the words are those
// that 2.6 was seen to say, and TestReal holds them to it.
type process struct {
	net  *pipe.Net
	open sync.WaitGroup

	mu    sync.Mutex // guards what follows
	old   bool       // it has no variables
	level string     // of its socket
	ip    string
	port  string
	op    int // srv_op_state
	admin int // srv_admin_state
	vars  map[string]string
	says  string                                        // instead of any answer, until it is empty
	bad   func(write bool, answer func() string) string // what becomes of an answer; nil: nothing. flood and silence have a meaning
	other string                                        // admin state of the backend's other server
	lone  bool                                          // the backend has no other server
	seen  actuatortest.Requests
	fault actuatortest.Fault
	hold  bool
	held  func()
	lines []string
}

func newProcess(t testing.TB) *process {
	t.Helper()
	p := &process{net: pipe.New(), ip: "10.0.9.9", port: "6379", op: 2, vars: map[string]string{}, level: "admin", other: "1"}
	p.open.Go(func() {
		for {
			conn, err := p.net.Accept()
			if err != nil {
				return
			}
			p.open.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = p.net.Close()
		p.open.Wait()
	})
	return p
}

func (p *process) Value() fsm.Address {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fsm.Address(net.JoinHostPort(p.ip, p.port))
}

func (p *process) Seen() actuatortest.Requests {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

func (p *process) Break(f actuatortest.Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	p.net.SetDown(f == actuatortest.Unreachable)
}

func (p *process) Mend() { p.Break(0) }

func (p *process) HoldNext() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = true
}

func (p *process) Deliver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held()
}

func (p *process) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		return
	}
	answer, silent := p.arrive(strings.TrimSpace(line))
	switch answer {
	case flood:
		for chunk := strings.Repeat(" ", 32<<10); err == nil; {
			_, err = conn.Write([]byte(chunk))
		}
		return
	case silence:
		silent = true
	}
	if silent {
		_, _ = r.ReadByte() // until the sender leaves
		return
	}
	_, _ = conn.Write([]byte(answer))
}

func (p *process) arrive(line string) (answer string, silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen.All++
	p.lines = append(p.lines, line)
	if p.says != "" {
		return p.says, false
	}
	if p.bad != nil {
		write := strings.Contains(line, "set ")
		if write {
			p.seen.Mutating++
		}
		return p.bad(write, func() string { return p.run(line) }), false
	}
	if !strings.Contains(line, "set ") {
		if p.fault == actuatortest.FailRead {
			p.fault = 0
			return "", false
		}
		return p.run(line), false
	}
	p.seen.Mutating++
	f := p.fault
	p.fault = 0
	if p.hold {
		p.hold, p.held = false, func() { p.run(line) }
		return "", true
	}
	switch f {
	case actuatortest.FailBefore:
		return "Cannot allocate memory\n\n", false
	case actuatortest.FailAfter:
		p.run(line)
		return "Internal error\n\n", false
	case actuatortest.LoseBefore:
		return "", false
	case actuatortest.LoseAfter:
		p.run(line)
		return "", false
	case actuatortest.Hang:
		return "", true
	case actuatortest.HangAfter:
		p.run(line)
		return "", true
	case actuatortest.Garble:
		p.run(line)
		return "\x00\xff<html>", false
	case actuatortest.Refuse:
		return strings.Repeat("Permission denied\n\n", 4) + p.run("show info"), false
	}
	return p.run(line), false
}

// run carries out a line and gives HAProxy's words.
func (p *process) run(line string) string {
	var out strings.Builder
	for _, c := range strings.Split(line, "; ") {
		out.WriteString(p.command(strings.Fields(strings.ReplaceAll(c, `\ `, "\x01"))) + "\n")
	}
	return out.String()
}

// Answers of a bad day: more and more, and none for as long as somebody waits.
const (
	flood   = "flood"
	silence = "silence"
)

const (
	unknown = "Unknown command: '%s', but maybe one of the following ones is a better match:\n  quit : disconnect\n"
	denied  = "Permission denied\n"
)

func (p *process) command(w []string) string {
	verb := w[0] + " " + w[1]
	variable := verb == "get var" || verb == "set var" || w[0] == "experimental-mode"
	switch {
	case variable && p.old:
		return fmt.Sprintf(unknown, w[0])
	case variable && p.level == "user", (verb == "set server" || w[0] == "experimental-mode") && p.level != "admin":
		return denied
	case verb == "set var" && p.level != "admin":
		return "This command is restricted to experimental mode only.\n"
	}
	switch verb {
	case "show servers":
		if w[3] != "redis" {
			return "Can't find backend.\n"
		}
		return p.servers()
	case "show info":
		return "Name: HAProxy\nVersion: 2.6.12-1\nPid: 4711\nUptime: 0d 0h00m12s\nDescription: redis master here\n"
	case "show cli":
		return p.level + "\n"
	case "get var":
		if v, ok := p.vars[w[2]]; ok {
			return fmt.Sprintf("%s: type=str value=<%s>", w[2], v)
		}
		return "Variable not found.\n"
	case "set var":
		p.vars[w[2]] = strings.ReplaceAll(w[4], "\x01", " ")
	case "set server":
		if w[2] != "redis/master" {
			return "No such server.\n"
		}
		if w[3] == "addr" {
			return p.move(w[4], w[6])
		}
		p.op = 2
	}
	return ""
}

func (p *process) servers() string {
	out := "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status " +
		"srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port " +
		"srv_check_addr srv_agent_addr srv_agent_port\n"
	if !p.lone {
		out += "3 redis 1 other 10.0.0.1 2 " + p.other + " 1 1 2 8 2 0 6 0 0 0 - 1 - 0 0 - - 0\n"
	}
	return out + fmt.Sprintf("3 redis 2 master %s %d %d 1 1 2 8 2 0 6 0 0 0 - %s - 0 0 - - 0\n", p.ip, p.op, p.admin, p.port)
}

func (p *process) move(ip, port string) string {
	if ip == p.ip && port == p.port {
		return "no need to change the addr, no need to change the port by 'stats socket command'\n"
	}
	p.seen.Changes++
	was := p.ip
	p.ip, p.port = ip, port
	return fmt.Sprintf("IP changed from '%s' to '%s', no need to change the port by 'stats socket command'\n", was, ip)
}

func encode(t testing.TB, msg proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

type free struct{}

func (free) Wait(ctx context.Context) error { return ctx.Err() }

func world(p *process, t testing.TB) actuatortest.World {
	target := &pb.HaproxyTarget{Address: "10.0.0.5:9999"}
	return actuatortest.World{
		Kind: haproxy.New(haproxy.Config{Dial: p.net.Dial}), Name: haproxy.Name,
		Target:  fsm.TargetSpec{ID: "lb", Kind: haproxy.Name, Params: encode(t, target)},
		Message: &pb.HaproxyStep{Backend: "redis", Server: "master", ShutdownSessions: true}, TargetOf: target,
		A: addressA, B: addressB, Outside: p, Late: p, Lacks: []actuatortest.Fault{actuatortest.TooMany},
	}
}

// TestConformance runs the suite. HAProxy has no word for "too many".
func TestConformance(t *testing.T) {
	actuatortest.Run(t, func(t *testing.T) actuatortest.World { return world(newProcess(t), t) })
}
