package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/deploy/samples"
	debian "github.com/pointsman/pointsman/test/clouds/haproxy"
)

// Balancer is the machine's own HAProxy with the sample's configuration. A relay
// stands before its runtime API: what the coordinators order is written down
// there, with the address before and after it, and can be made to go wrong.
//
//	coordinators ── relay.sock ─▶ relay ── admin.sock ─▶ haproxy ── redis.sock ◀─ clients
type Balancer struct {
	Runtime string // unix:/PATH at which the coordinators reach the runtime API
	Socket  string // path at which clients reach the Redis master

	process *debian.Process
	relay   net.Listener
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	open    sync.WaitGroup
	turn    sync.Mutex // one order at a time: what stands before and after it is its own

	mu     sync.Mutex // guards what follows
	deeds  []Deed
	faults []Hurt
	err    error // why an order may be missing in deeds
}

// Names of the sample's configuration, and of the step that moves it.
const (
	balancerServer = "redis/master"
	balancerStep   = "haproxy"
)

// maxOrder bounds a line of the runtime API, in bytes; HAProxy's own bound is
// its buffer, 16 KiB.
const maxOrder = 16 << 10

// startBalancer starts it in front of a Redis node. debian.ErrNone: the machine
// has no HAProxy.
func startBalancer(ctx context.Context, first string) (*Balancer, error) {
	sample, err := sampleSpec()
	if err != nil {
		return nil, err
	}
	conf, err := swap(samples.HAProxy(), "ipv4@10.0.0.5:9999", "unix@/run/haproxy/runtime.sock", "bind 10.0.0.5:6379", "bind unix@/run/haproxy/redis.sock",
		" "+sample.master.Candidates[0].Address+" ", " "+first+" ")
	if err != nil {
		return nil, err
	}
	p, err := debian.Start(ctx, func(dir string) string { return strings.ReplaceAll(conf, "/run/haproxy", dir) })
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(p.Socket()) // short, as a socket's path has to be
	b := &Balancer{Runtime: "unix:" + filepath.Join(dir, "relay.sock"), Socket: filepath.Join(dir, "redis.sock"), process: p}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if b.relay, err = net.Listen("unix", strings.TrimPrefix(b.Runtime, "unix:")); err != nil {
		return nil, errors.Join(err, b.close())
	}
	b.open.Go(b.accept)
	return b, nil
}

func (b *Balancer) close() error {
	b.cancel()
	var err error
	if b.relay != nil {
		err = b.relay.Close()
	}
	b.open.Wait()
	return errors.Join(err, b.process.Close())
}

func (b *Balancer) addition(rate int) addition {
	backend, server, _ := strings.Cut(balancerServer, "/")
	return addition{
		step:   fmt.Sprintf("{name: %s, target: haproxy, haproxy: {backend: %s, server: %s, shutdown_sessions: true}}", balancerStep, backend, server),
		target: fmt.Sprintf("haproxy: {rate: %d, haproxy: {address: %q}}", rate, b.Runtime),
	}
}

// Break says what goes wrong with the next orders, one each.
func (b *Balancer) Break(list ...Hurt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, list...)
}

func (b *Balancer) mend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = nil
}

// Deeds are the orders that HAProxy was given, in order. Its marker names the
// failover alone, and so do they: an order of a repair is told as one of the
// step's own action. The error says why one may be missing.
func (b *Balancer) Deeds() ([]Deed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.deeds), b.err
}

func (b *Balancer) accept() {
	for {
		conn, err := b.relay.Accept()
		if err != nil {
			return
		}
		b.open.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(b.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
			b.serve(conn)
		})
	}
}

// serve passes one line on, as HAProxy takes one with each connection.
func (b *Balancer) serve(conn net.Conn) {
	line, err := bufio.NewReader(io.LimitReader(conn, maxOrder)).ReadString('\n')
	if err != nil {
		return
	}
	line = strings.TrimSpace(line)
	if !strings.Contains(line, "set server ") {
		if text, err := b.process.Ask(b.ctx, line); err == nil {
			_, _ = io.WriteString(conn, text)
		}
		return
	}
	_, _ = io.WriteString(conn, b.order(line))
}

// order carries out what may change something, as well as the next fault lets
// it; empty: there is no answer.
func (b *Balancer) order(line string) string {
	hurt := b.hurt()
	switch hurt {
	case HurtBefore:
		return "Cannot allocate memory\n\n"
	case HurtCut:
		return ""
	case HurtDelay:
		select {
		case <-time.After(hurtDelay):
		case <-b.ctx.Done():
			return ""
		}
	}
	text := b.carry(line)
	switch hurt {
	case HurtAfter:
		return "Internal error\n\n"
	case HurtLost:
		return ""
	}
	return text
}

func (b *Balancer) hurt() Hurt {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) == 0 {
		return HurtNone
	}
	h := b.faults[0]
	b.faults = b.faults[1:]
	return h
}

func (b *Balancer) carry(line string) string {
	b.turn.Lock()
	defer b.turn.Unlock()
	before, err1 := b.holds(b.ctx)
	text, err2 := b.process.Ask(b.ctx, line)
	after, err3 := b.holds(b.ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() == nil {
		b.err = errors.Join(b.err, err1, err2, err3)
	}
	b.deeds = append(b.deeds, Deed{Action: actionOf(line), Before: before, After: after})
	return text
}

// actionOf is the step's action in the failover that the line's marker names;
// empty: it names none.
func actionOf(line string) string {
	m := regexp.MustCompile(`\[pm\\ [0-9a-f]+\\ ([^\]\s]+)\]`).FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return m[1] + "/" + balancerStep
}

// holds is the address that the server has now, asked of HAProxy itself.
func (b *Balancer) holds(ctx context.Context) (string, error) {
	backend, server, _ := strings.Cut(balancerServer, "/")
	text, err := b.process.Ask(ctx, "show servers state "+backend)
	if err != nil {
		return "", err
	}
	var columns []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(strings.TrimPrefix(line, "# "))
		if strings.HasPrefix(line, "# ") {
			columns = fields
		}
		cell := func(name string) string {
			if i := slices.Index(columns, name); i >= 0 && i < len(fields) {
				return fields[i]
			}
			return ""
		}
		if cell("srv_name") == server {
			return net.JoinHostPort(cell("srv_addr"), cell("srv_port")), nil
		}
	}
	return "", fmt.Errorf("haproxy does not list %s: %q: %w", balancerServer, text, os.ErrNotExist)
}
