package sim

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// liner is a side whose API takes one line with each connection.
type liner interface {
	writes(line string) bool // it could change an object
	carry(line string) string
	excuse(do sideDeed) string // the answer where a fault stands in the way
}

// serveSide answers for a side's host.
func (r *run) serveSide(s *side) (io.Closer, error) {
	switch {
	case s.fences != nil:
		return s.fences.serve(s)
	case s.line == nil:
		server, err := r.serve(s.name, s.edge)
		if err != nil {
			return nil, err
		}
		return server, nil
	}
	l, err := r.hub.join(s.name).Listen(s.name + ":80")
	if err != nil {
		return nil, err
	}
	return r.desk(l, s.converse), nil
}

// desk has each connection of a listener served until it is closed.
func (r *run) desk(l net.Listener, converse func(net.Conn)) io.Closer {
	d := &desks{Listener: l, open: map[net.Conn]bool{}}
	r.graves.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if !d.add(conn) {
				return
			}
			r.graves.Go(func() {
				defer d.leave(conn)
				converse(conn)
			})
		}
	})
	return d
}

// desks are the connections at which somebody may still wait, some of them for
// a machine that is gone.
type desks struct {
	net.Listener

	mu   sync.Mutex // guards what follows
	open map[net.Conn]bool
	over bool
}

func (d *desks) add(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		_ = c.Close()
		return false
	}
	d.open[c] = true
	return true
}

func (d *desks) leave(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, c)
	_ = c.Close()
}

// Close ends the listener and what is open.
func (d *desks) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	for c := range d.open {
		_ = c.Close()
	}
	return d.Listener.Close()
}

// converse takes a line and answers it, as its fault says.
func (s *side) converse(conn net.Conn) {
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	line = strings.TrimSpace(line)
	text, do := pass(s.edge, s.line.writes(line), func() string { return s.line.carry(line) })
	switch do {
	case sideRefuses, sideBusy, sideFails:
		text = s.line.excuse(do)
	case sideLoses, sideCuts:
		return
	}
	_, _ = io.WriteString(conn, text)
}

// balancerHost is the host, the step and the target of the HAProxy.
const balancerHost = "haproxy"

// balancer is an HAProxy, as far as its runtime API goes: a backend for each
// master. A restart forgets what it was told at run time.
type balancer struct {
	mu       sync.Mutex
	first    map[string]string // as configured, by backend
	at       map[string]string // now
	vars     map[string]string
	restart  int // at the how many next line it restarts; 0: never
	pid      int
	list     []sideWrite
	restarts []time.Time
}

func backendOf(master string) string { return "redis-" + master }

func balancerSide(r *rand.Rand, p *plan) *side {
	b := &balancer{first: map[string]string{}, at: map[string]string{}, vars: map[string]string{}, pid: 4711, restart: pick(r, 0, 0, 1+r.IntN(12), 1+r.IntN(60))}
	for _, m := range p.Masters {
		b.first[backendOf(m.ID)], b.at[backendOf(m.ID)] = m.Candidates[0], m.Candidates[0]
	}
	end := pick(r, "true", "false")
	return &side{
		name: balancerHost, line: b, close: func() {}, calm: b.calm,
		forgot: func(string) []time.Time {
			b.mu.Lock()
			defer b.mu.Unlock()
			return append([]time.Time(nil), b.restarts...)
		},
		target: fmt.Sprintf("  %s: {hold: %s, rate: %d, haproxy: {address: \"haproxy:80\"}}\n", balancerHost, p.Hold, p.Rate),
		step: func(_ int, m masterPlan) string {
			return fmt.Sprintf("haproxy: {backend: %s, server: master, shutdown_sessions: %s}", backendOf(m.ID), end)
		},
		value: func(_ int, m masterPlan) fsm.Address {
			b.mu.Lock()
			defer b.mu.Unlock()
			return fsm.Address(b.at[backendOf(m.ID)])
		},
		writes: func() []sideWrite {
			b.mu.Lock()
			defer b.mu.Unlock()
			return append([]sideWrite(nil), b.list...)
		},
	}
}

func (b *balancer) calm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.restart = 0
}

func (b *balancer) excuse(do sideDeed) string {
	return map[sideDeed]string{sideRefuses: "Cannot allocate memory\n\n", sideBusy: "Too many connections\n\n", sideFails: "Internal error\n\n"}[do]
}

func (b *balancer) writes(line string) bool { return strings.Contains(line, "set server ") }

// carry runs all of a line in one instant, as HAProxy's one thread does.
func (b *balancer) carry(line string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.restart > 0 {
		if b.restart--; b.restart == 0 {
			b.forget()
		}
	}
	if b.writes(line) {
		b.note(line)
	}
	var out strings.Builder
	for _, c := range strings.Split(line, "; ") {
		out.WriteString(b.command(strings.Fields(strings.ReplaceAll(c, `\ `, "\x01"))) + "\n")
	}
	return out.String()
}

func (b *balancer) forget() {
	b.pid++
	b.vars = map[string]string{}
	for backend, address := range b.first {
		b.at[backend] = address
	}
	b.restarts = append(b.restarts, time.Now())
}

// note keeps a write for who judges.
func (b *balancer) note(line string) {
	_, text, _ := strings.Cut(strings.ReplaceAll(line, `\ `, " "), "[")
	text, _, _ = strings.Cut(text, "]")
	_, marker, _ := actuators.ParseMarked("[" + text + "]")
	w := sideWrite{of: fsm.FailoverID{Master: marker.Master, Number: marker.Number}, came: time.Now(), effect: time.Now()}
	words := strings.Fields(line) // set server B/S addr IP port P;
	backend, _, _ := strings.Cut(words[2], "/")
	w.before, w.after = b.at[backend], net.JoinHostPort(words[4], strings.TrimSuffix(words[6], ";"))
	b.list = append(b.list, w)
}

// command is one order or question, in the words of HAProxy 2.6.
func (b *balancer) command(w []string) string {
	switch w[0] + " " + w[1] {
	case "get var":
		if v, ok := b.vars[w[2]]; ok {
			return fmt.Sprintf("%s: type=str value=<%s>\n", w[2], v)
		}
		return "Variable not found.\n"
	case "set var":
		b.vars[w[2]] = strings.ReplaceAll(w[4], "\x01", " ")
	case "show info":
		return fmt.Sprintf("Name: HAProxy\nVersion: 2.6.12-1\nPid: %d\n", b.pid)
	case "show servers":
		host, port, _ := net.SplitHostPort(b.at[w[3]])
		return "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port\n" +
			fmt.Sprintf("3 %s 1 master %s 2 0 1 %s\n", w[3], host, port)
	case "set server":
		if w[3] == "addr" {
			backend, _, _ := strings.Cut(w[2], "/")
			was := b.at[backend]
			b.at[backend] = net.JoinHostPort(w[4], w[6])
			if was == b.at[backend] {
				return "no need to change the addr, no need to change the port by 'stats socket command'\n"
			}
			return fmt.Sprintf("IP changed from '%s' to '%s', no need to change the port by 'stats socket command'\n", was, w[4])
		}
	}
	return "\n"
}
