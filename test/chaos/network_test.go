package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// network is a namespace for each coordinator, joined by a bridge:
//
//	this namespace                        namespace of a coordinator
//	Redis, Sentinels, provider ◀─ relay ─ 127.0.0.1:same ports
//	the test ── bridge .1 ──────── veth ── .11, .12, .13
//
// What one coordinator sends to another is dropped by a neighbour entry that
// names a hardware address nobody has: frames leave and never arrive, and the
// other direction stays as it is. What it sends to the outside is held or reset
// by its relays.
type network struct {
	name   string // of the bridge; carries this process's id
	spaces []*space
}

// space is one coordinator's namespace.
type space struct {
	name, host string
	redis      []*relay // of Redis and Sentinels
	provider   *relay
}

const (
	networkPrefix = "pmch"              // of everything that a network creates
	nobody        = "02:00:00:00:00:01" // a hardware address that no interface has
	ipWithin      = 10 * time.Second
	hostBits      = 11 // the first coordinator's address ends with it
)

// newNetwork needs root, the ip program, and bridge and veth in the kernel.
func newNetwork(n int) (*network, error) {
	sweep()
	w := &network{name: networkPrefix + strconv.Itoa(os.Getpid())}
	if err := w.build(n); err != nil {
		_ = w.close() // of what there is
		return nil, err
	}
	return w, nil
}

func (w *network) build(n int) error {
	// 198.18.0.0/15 is for benchmarks of networks (RFC 2544): no host routes it.
	subnet := fmt.Sprintf("198.%d.%d", 18+os.Getpid()>>8&1, os.Getpid()&255)
	err := ip("link add "+w.name+" type bridge", "addr add "+subnet+".1/24 dev "+w.name, "link set "+w.name+" up")
	for i := 0; i < n && err == nil; i++ {
		s := &space{name: fmt.Sprintf("%s-%d", w.name, i), host: fmt.Sprintf("%s.%d", subnet, hostBits+i)}
		if err = ip("netns add " + s.name); err != nil {
			break
		}
		w.spaces = append(w.spaces, s)
		cable := w.cable(i)
		err = ip("link add "+cable+" type veth peer name eth0 netns "+s.name, "link set "+cable+" master "+w.name+" up",
			"-n "+s.name+" addr add "+s.host+"/24 dev eth0", "-n "+s.name+" link set eth0 up", "-n "+s.name+" link set lo up")
	}
	return err
}

// cable is the bridge's end of a coordinator's connection.
func (w *network) cable(i int) string { return fmt.Sprintf("%sv%d", w.name, i) }

// close removes everything; the processes in it are dead. The cables go first: a
// namespace lives on with its half while a connection in it is being closed, for
// a minute.
func (w *network) close() (err error) {
	for i, s := range w.spaces {
		s.unlink()
		err = errors.Join(err, ip("link del "+w.cable(i)), ip("netns del "+s.name))
	}
	return errors.Join(err, ip("link del "+w.name))
}

// sweep removes what a test process has left that was killed.
func sweep() {
	list, _ := os.ReadDir("/run/netns")
	names := []string{}
	for _, e := range list {
		names = append(names, e.Name())
	}
	links, _ := os.ReadDir("/sys/class/net")
	for _, e := range links {
		names = append(names, e.Name())
	}
	for _, name := range names {
		id, space, _ := strings.Cut(strings.TrimPrefix(name, networkPrefix), "-")
		pid, err := strconv.Atoi(id)
		if err != nil || !strings.HasPrefix(name, networkPrefix) || unix.Kill(pid, 0) == nil {
			continue
		}
		if space != "" {
			_ = ip("netns del " + name)
		} else {
			_ = ip("link del " + name)
		}
	}
}

// ip runs the program of that name, one command after another.
func ip(commands ...string) error {
	for _, c := range commands {
		ctx, cancel := context.WithTimeout(context.Background(), ipWithin)
		out, err := exec.CommandContext(ctx, "ip", strings.Fields(c)...).CombinedOutput()
		cancel()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// sites is where the lab puts its coordinators.
func (w *network) sites() (list []lab.Site) {
	for _, s := range w.spaces {
		list = append(list, lab.Site{Host: s.host, Exec: []string{"ip", "netns", "exec", s.name}})
	}
	return list
}

// link makes everything outside reachable from within, at the same addresses.
func (w *network) link(redis, sentinels []string, provider string) error {
	_, rest, _ := strings.Cut(provider, "//")
	at, _, _ := strings.Cut(rest, "/")
	for _, s := range w.spaces {
		for _, address := range slices.Concat(redis, sentinels) {
			r, err := s.relay(address)
			if err != nil {
				return err
			}
			s.redis = append(s.redis, r)
		}
		r, err := s.relay(at)
		if err != nil {
			return err
		}
		s.provider = r
	}
	return nil
}

// unlink ends the relays.
func (s *space) unlink() {
	for _, r := range s.redis {
		r.close()
	}
	if s.provider != nil {
		s.provider.close()
	}
	s.redis, s.provider = nil, nil
}

// relay listens in the namespace. A thread enters it for that: a socket stays
// where it was made.
func (s *space) relay(address string) (r *relay, err error) {
	made := make(chan struct{})
	go func() {
		defer close(made)
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		var f *os.File
		if f, err = os.Open("/run/netns/" + s.name); err != nil {
			return
		}
		defer f.Close()
		if err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("enter namespace %s: %w", s.name, err)
			return
		}
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", address); err == nil {
			r = startRelay(l, address)
		}
	}()
	<-made
	return r, err
}

// drop loses everything that one coordinator sends to another, in silence.
func (w *network) drop(from, to int) error {
	a, b := w.spaces[from], w.spaces[to]
	return ip("-n " + a.name + " neigh replace " + b.host + " lladdr " + nobody + " dev eth0 nud permanent")
}

// apart drops everything between two coordinators.
func (w *network) apart(a, b int) error { return errors.Join(w.drop(a, b), w.drop(b, a)) }

// heal takes every cut away.
func (w *network) heal() error {
	var errs []error
	for _, s := range w.spaces {
		for _, r := range append(s.redis, s.provider) {
			r.set(passing)
		}
		errs = append(errs, ip("-n "+s.name+" neigh flush nud permanent dev eth0"))
	}
	return errors.Join(errs...)
}
