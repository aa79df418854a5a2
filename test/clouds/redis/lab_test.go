package redis_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// childEnv makes the test binary a process that starts a Lab, prints it and waits.
const childEnv = "POINTSMAN_REDISLAB_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
	}
	goleak.VerifyTestMain(m)
}

func child(dir string) {
	l, err := redislab.Start(context.Background(), redislab.Options{Dir: dir, Replicas: 1, Sentinels: 1, Quorum: 1})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(append(l.Redis(), l.Sentinels()...)); err != nil {
		os.Exit(1)
	}
	select {}
}

// TestDieWithParent kills a process that holds a Lab; nothing of it may remain.
func TestDieWithParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var nodes []redislab.Node
	err = json.NewDecoder(out).Decode(&nodes)
	killErr := cmd.Process.Kill()
	_ = cmd.Wait() // says "killed"
	if err != nil || killErr != nil || len(nodes) != 3 {
		t.Fatalf("child: %v, %v, %+v", err, killErr, nodes)
	}
	deadline := time.Now().Add(5 * time.Second)
	for _, n := range nodes {
		for alive(n.PID) {
			if time.Now().After(deadline) {
				t.Fatalf("%+v outlives its parent", n)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// alive is false for a zombie as well: nobody may reap it in a container.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func start(ctx context.Context, t *testing.T, o redislab.Options) *redislab.Lab {
	t.Helper()
	began := time.Now()
	o.Progress = func(text string) { t.Logf("%5d ms %s", time.Since(began).Milliseconds(), text) }
	l, err := redislab.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%5d ms stable", time.Since(began).Milliseconds())
	return l
}

func TestFailover(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// An election may end without a winner; it is tried again after twice this.
	l := start(ctx, t, redislab.Options{FailoverTimeout: 3 * time.Second})
	old, err := l.Master(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := l.Record(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Stop()
	killed := time.Now()
	if err := l.Kill(old); err != nil {
		t.Fatal(err)
	}
	p, err := rec.WaitPromotion(ctx, old)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("promoted %s at epoch %d, %d ms after the kill", p.Address, p.Epoch, p.At.Sub(killed).Milliseconds())
	if p.Address == old || p.Epoch == 0 {
		t.Fatalf("promotion %+v of old master %s", p, old)
	}
	if err := l.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if now, err := l.Master(ctx); err != nil || now != p.Address {
		t.Fatalf("master is %s, %v; promoted was %s", now, err, p.Address)
	}
	if n := len(rec.Promotions()); n != 1 {
		t.Fatalf("%d promotions of one failover: %+v", n, rec.Promotions())
	}
	seen := map[string]bool{}
	for _, c := range rec.Changes() {
		seen[c.Kind+" "+c.Channel+c.Value] = true
	}
	for _, want := range []string{"getter " + p.Address, "role master"} {
		if !seen[want] {
			t.Errorf("no change %q", want)
		}
	}
	if err := l.Restart(old); err != nil {
		t.Fatal(err)
	}
}

// TestSignals covers everything that needs no failover, on the smallest Lab.
func TestSignals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	l := start(t.Context(), t, redislab.Options{
		Dir: dir, Replicas: 1, Sentinels: 1, Quorum: 1,
		Redis:     redislab.Login{User: "admin", Password: "apw"},
		Sentinel:  redislab.Login{Password: "spw"},
		RedisConf: "maxmemory {{.Port}}mb\nrepl-diskless-sync-delay 0\nport 6379\nbind 10.0.0.1\nreplicaof 10.0.0.2 6379\n",
	})
	text, err := os.ReadFile(filepath.Join(dir, "redis-1", "redis.conf.seed"))
	if err != nil || strings.Contains(string(text), "10.0.0") || !strings.Contains(string(text), "maxmemory") {
		t.Fatalf("sample was not adapted: %v\n%s", err, text)
	}
	signals(t, l)
	wipe(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("folder is left: %v", err)
	}
}

// signals pauses, resumes, kills and restarts the replica.
func signals(t *testing.T, l *redislab.Lab) {
	nodes := l.Redis()
	if nodes[0].Role != "master" || nodes[1].Role != "slave" {
		t.Fatalf("roles %+v", nodes)
	}
	replica := nodes[1].Address
	for _, step := range []struct {
		name string
		do   func(string) error
		role string
	}{
		{"pause", l.Pause, "paused"}, {"resume", l.Resume, "slave"}, {"kill", l.Kill, "dead"},
	} {
		if err := step.do(replica); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := l.Redis()[1].Role; got != step.role {
			t.Fatalf("after %s the replica is %s, want %s", step.name, got, step.role)
		}
	}
	if err := syscall.Kill(nodes[1].PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("killed replica still there: %v", err)
	}
	if err := l.Kill(replica); !errors.Is(err, redislab.ErrNotRunning) {
		t.Fatalf("second kill: %v", err)
	}
	if err := l.Kill("127.0.0.1:1"); !errors.Is(err, redislab.ErrUnknownNode) {
		t.Fatalf("kill of a stranger: %v", err)
	}
	if err := l.Restart(replica); err != nil {
		t.Fatal(err)
	}
}

// wipe gives the Sentinel a new id and waits until all is well again.
func wipe(t *testing.T, l *redislab.Lab) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s := l.Sentinels()[0].Address
	before, err := l.Do(ctx, s, "SENTINEL", "MYID")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.WipeSentinel(s); err != nil {
		t.Fatal(err)
	}
	if err := l.WaitStable(ctx); err != nil {
		t.Fatal(err)
	}
	if after, err := l.Do(ctx, s, "SENTINEL", "MYID"); err != nil || after == before {
		t.Fatalf("wiped sentinel kept its id %v, %v", after, err)
	}
}
