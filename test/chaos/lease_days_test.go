//go:build !failpoints

package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// The pools of the bad days, one for each.
const dayPools = `pools:
  lock: {partitions: 1, ttl: 3s, drain: 2s, lock_delay: 500ms}
  paused: {partitions: 1, ttl: 3s, drain: 2s, lock_delay: 500ms}
  cut: {partitions: 2, ttl: 4s, drain: 2s, lock_delay: 500ms}
  near: {partitions: 1, ttl: 4s, drain: 2s, lock_delay: 500ms}
  quorum: {partitions: 4, ttl: 5s, drain: 2s, lock_delay: 500ms}
`

// Bounds of the bad days.
const (
	dayTTL     = 3 * time.Second // of lock and paused
	quorumTTL  = 5 * time.Second
	daysWithin = 4 * time.Minute
	patience   = 30 * time.Second
)

// days is three coordinators, and a folder for what commands write.
type days struct {
	nodes   *lab.Nodes
	program string
	dir     string
}

func newDays(ctx context.Context, t *testing.T, pools string) *days {
	t.Helper()
	d := &days{program: filepath.Join(build(t, "", lab.Program), lab.Program), dir: t.TempDir()}
	var err error
	if d.nodes, err = lab.StartNodes(ctx, lab.Options{Pointsman: d.program}, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.nodes.Close(); err != nil {
			t.Error(err)
		}
	})
	d.applyPools(ctx, t, pools)
	return d
}

// TestLeaseWorkers: what happens to workers of three real coordinators on bad
// days: their leader is killed, they are stopped and woken, they are cut from the
// leader alone, nobody has a quorum.
func TestLeaseWorkers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), daysWithin)
	defer cancel()
	d := newDays(ctx, t, dayPools)
	t.Run("leader killed", func(t *testing.T) { d.leaderKilled(ctx, t) })
	t.Run("stopped and woken", func(t *testing.T) { d.stoppedAndWoken(ctx, t) })
	t.Run("cut from the leader", func(t *testing.T) { d.cutFromLeader(ctx, t) })
	t.Run("quorum lost", func(t *testing.T) { d.quorumLost(ctx, t) })
}

func (d *days) until(ctx context.Context, t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	if err := lab.Until(ctx, patience, what, try); err != nil {
		t.Fatal(err)
	}
}

// kill kills the leader and returns once another leads.
func (d *days) kill(ctx context.Context, t *testing.T) *lab.Node {
	t.Helper()
	var was *lab.Node
	d.until(ctx, t, "a leader to kill", func(ctx context.Context) (err error) {
		was, err = d.nodes.Leader(ctx)
		return err
	})
	if err := was.Kill(); err != nil {
		t.Fatal(err)
	}
	d.until(ctx, t, "another leader", func(ctx context.Context) error {
		_, err := d.nodes.Leader(ctx)
		return err
	})
	return was
}

func (d *days) restart(ctx context.Context, t *testing.T, nodes ...*lab.Node) {
	t.Helper()
	for _, n := range nodes {
		if err := d.nodes.Restart(n); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.nodes.WaitLeader(ctx); err != nil {
		t.Fatal(err)
	}
}

// guard is one run of: pointsman leases run.
type guard struct {
	cmd  *exec.Cmd
	talk string // file of its stderr
	name string
	done chan struct{}
	d    *days
}

// run starts a command under a lease. The script finds $D/NAME for its own
// files. It ends with the test, and with this program.
func (d *days) run(t *testing.T, pool, name, script string, env ...string) *guard {
	t.Helper()
	runtime.LockOSThread() // its death signal comes when this thread ends: with the test
	g := &guard{name: name, talk: filepath.Join(d.dir, name+".talk"), done: make(chan struct{}), d: d}
	g.cmd = exec.Command(d.program, "leases", "run", pool, "--worker", name, "--grace", "20s", "--", "sh", "-c", script) //nolint:noctx // ended below
	g.cmd.Env = append(os.Environ(), append(env, client.EndpointsEnv+"="+d.nodes.Endpoints(), "ME="+filepath.Join(d.dir, name))...)
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	talk, err := os.Create(g.talk)
	if err != nil {
		t.Fatal(err)
	}
	defer talk.Close()
	g.cmd.Stderr = talk
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(g.done)
		_ = g.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = g.cmd.Process.Kill()
		<-g.done
	})
	return g
}

// word waits for a file that the script writes, and a word in it.
func (g *guard) word(ctx context.Context, t *testing.T, file, word string) string {
	t.Helper()
	var text []byte
	err := lab.Until(ctx, patience, g.name+" to write "+word+" to "+file, func(context.Context) (err error) {
		text, err = os.ReadFile(filepath.Join(g.d.dir, g.name+"."+file))
		if err == nil && (!strings.HasSuffix(string(text), "\n") || !strings.Contains(string(text), word)) {
			err = fmt.Errorf("it has %q", text)
		}
		return err
	})
	if err != nil {
		talk, _ := os.ReadFile(g.talk)
		t.Fatalf("%v\nit said:\n%s\n%s", err, talk, g.d.story(ctx))
	}
	return strings.TrimSpace(string(text))
}

// story is what is known of pools and leases, and what the coordinators said.
func (d *days) story(ctx context.Context) string {
	var out strings.Builder
	for _, what := range []string{"pools", "leases"} {
		cmd := exec.CommandContext(ctx, d.program, what, "list", "-o", "wide")
		cmd.Env = append(os.Environ(), client.EndpointsEnv+"="+d.nodes.Endpoints())
		text, _ := cmd.CombinedOutput()
		out.Write(text)
	}
	for _, n := range d.nodes.List() {
		out.WriteString(n.ID() + ": " + n.Log() + "\n")
	}
	return out.String()
}

// ended waits for its end, and answers its exit code and what it said.
func (g *guard) ended(ctx context.Context, t *testing.T) (int, string) {
	t.Helper()
	g.d.until(ctx, t, g.name+" to end", func(context.Context) error {
		select {
		case <-g.done:
			return nil
		default:
			return fmt.Errorf("it runs")
		}
	})
	text, err := os.ReadFile(g.talk)
	if err != nil {
		t.Fatal(err)
	}
	return g.cmd.ProcessState.ExitCode(), string(text)
}

// check asks with the command line whether a token is the holder's.
func (d *days) check(ctx context.Context, lease, token string) (int, string) {
	cmd := exec.CommandContext(ctx, d.program, "leases", "check", lease, token)
	cmd.Env = append(os.Environ(), client.EndpointsEnv+"="+d.nodes.Endpoints())
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// leaderKilled: the command of a worker whose leader dies goes on under the same
// lease, and its lease is free at once when it is told to stop.
func (d *days) leaderKilled(ctx context.Context, t *testing.T) {
	g := d.run(t, "lock", "solo", `echo $POINTSMAN_LEASE_TOKEN > $ME.token; exec sleep 1000`)
	token := g.word(ctx, t, "token", "")
	dead := d.kill(ctx, t)
	if err := rest(ctx, 2*dayTTL); err != nil {
		t.Fatal(err)
	}
	if code, out := d.check(ctx, "lock/0", token); code != 0 {
		t.Errorf("token %s after another leader: %d\n%s", token, code, out)
	}
	d.restart(ctx, t, dead)
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, out := g.ended(ctx, t); code != 128+int(syscall.SIGTERM) || strings.Contains(out, "command stopped: lease") {
		t.Errorf("ended with %d:\n%s", code, out)
	}
	var l *pointsmanv1.Lease
	d.until(ctx, t, "an answer", func(ctx context.Context) error {
		return d.nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
			resp, err := pointsmanv1.NewLeaseServiceClient(c).GetLease(ctx, &pointsmanv1.GetLeaseRequest{Id: "lock/0"})
			l = resp.GetLease()
			return err
		})
	})
	if l.GetState() != pointsmanv1.LeaseState_LEASE_STATE_FREE || fmt.Sprint(l.GetToken()) != token {
		t.Errorf("lock/0 was held under token %s, now it is %s", token, l)
	}
}

// writing is a command that writes to the sink all the time, and notes what came
// of each attempt.
const writing = `echo $POINTSMAN_LEASE_TOKEN > $ME.token; echo $$ > $ME.pid; n=0
while :; do
	n=$((n+1)); sh "$SINK" "${ME##*/}-$n" > /dev/null; echo $? >> $ME.log; sleep 0.03
done`

// stoppedAndWoken: a worker and its command are stopped for three ttl. Another
// has the lease meanwhile; the command that wakes first and writes on is refused
// at the sink, and the worker that wakes ends it.
func (d *days) stoppedAndWoken(ctx context.Context, t *testing.T) {
	sink := fencedRedis(ctx, t)
	env := []string{"REDIS=" + sink, "SINK=" + absolute(t, "../../deploy/samples/leases/sink.sh"), "FENCE=" + absolute(t, "../../client/leases/redissink/fence.lua")}
	a := d.run(t, "paused", "a", writing, env...)
	token, group := a.word(ctx, t, "token", ""), 0
	if _, err := fmt.Sscan(a.word(ctx, t, "pid", ""), &group); err != nil {
		t.Fatal(err)
	}
	a.word(ctx, t, "log", "0")
	asleep := time.Now()
	for _, pid := range []int{a.cmd.Process.Pid, -group} {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	b := d.run(t, "paused", "b", writing, env...)
	b.word(ctx, t, "log", "0")
	if err := rest(ctx, time.Until(asleep.Add(3*dayTTL))); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(-group, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	a.word(ctx, t, "log", "3") // fenced
	if code, out := d.check(ctx, "paused/0", token); code != 3 || !strings.Contains(out, "LEASE_FENCED") {
		t.Errorf("token %s: %d\n%s", token, code, out)
	}
	if err := a.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code, out := a.ended(ctx, t); code != 5 || !strings.Contains(out, "command stopped: lease paused/0 of token "+token) {
		t.Errorf("the worker that woke ended with %d:\n%s", code, out)
	}
	if strings.Contains(b.word(ctx, t, "log", "0"), "3") {
		t.Error("the sink refused the holder")
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
