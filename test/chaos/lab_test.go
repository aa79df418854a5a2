//go:build !failpoints

package chaos

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// Bounds of what the programs may take.
const (
	upWithin   = 60 * time.Second
	demoWithin = 90 * time.Second
	goneWithin = 10 * time.Second
)

// stage is a run of pointsman-lab with folders of its own.
type stage struct {
	root, work, temp string
	cmd              *exec.Cmd
	out, talk        bytes.Buffer
}

func newStage(t *testing.T, programs string, args ...string) *stage {
	s := &stage{root: t.TempDir()}
	s.work, s.temp = filepath.Join(s.root, "work"), filepath.Join(s.root, "temp")
	for _, dir := range []string{s.work, s.temp} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.cmd = exec.Command(filepath.Join(programs, "pointsman-lab"), args...)
	s.cmd.Dir, s.cmd.Env = s.work, append(os.Environ(), "TMPDIR="+s.temp)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.talk
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return s
}

// wait returns the exit code; a run that does not end is killed.
func (s *stage) wait(t *testing.T, within time.Duration) int {
	t.Helper()
	kill := time.AfterFunc(within, func() { _ = s.cmd.Process.Kill() })
	_ = s.cmd.Wait()
	if !kill.Stop() {
		t.Fatalf("not within %s:\n%s", within, s.talk.String())
	}
	return s.cmd.ProcessState.ExitCode()
}

// The playground as a user runs it.
func TestLab(t *testing.T) {
	programs := build(t, "", lab.Program, "pointsman-lab")
	t.Run("demo", func(t *testing.T) { demo(t, programs) })
	t.Run("interrupt", func(t *testing.T) { interrupted(t, programs) })
	t.Run("kill", func(t *testing.T) { killed(t, programs) })
}

// One failover through the programs as a user runs them: every claim holds, the
// report has its stable fields, and nothing else is left.
func demo(t *testing.T, programs string) {
	s := newStage(t, programs, "demo", "--failovers", "1", "--json")
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(t, demoWithin); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, s.talk.String(), s.out.String())
	}
	clean(t, s.root, goneWithin)
	if got := files(t, s.work); !slices.Equal(got, []string{"report.json"}) {
		t.Errorf("left in the folder: %q", got)
	}
	if got := files(t, s.temp); len(got) > 0 {
		t.Errorf("left in the temporary folder: %q", got)
	}
	file, err := os.ReadFile(filepath.Join(s.work, "report.json"))
	if err != nil || !bytes.Equal(file, s.out.Bytes()) {
		t.Errorf("stdout is not the report (%v)", err)
	}
	report(t, file)
}

// report checks the fields by their names: others rely on them.
func report(t *testing.T, text []byte) {
	t.Helper()
	var r map[string]any
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	failover := r["failovers"].([]any)[0].(map[string]any)
	for _, c := range []struct {
		of   any
		want string
	}{
		{r, "client failovers leader_kills leases log ok provider"},
		{failover, "actions from id phases_ms sentinel_epoch to"},
		{failover["phases_ms"], "accepted applied first_request killed promoted settled"},
		{failover["actions"].([]any)[0], "attempts effect id state term"},
		{r["provider"], "duplicates frontend_changes lost orphans refreshes repeats stale"},
		{r["client"], "longest_gap_ms writes_ok"},
		{r["log"], "entries verified"},
		{r["leases"], "fallen grants late partitions shared stale unmoved workers"},
	} {
		var names []string
		for name := range c.of.(map[string]any) {
			names = append(names, name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("fields %q, want %q", got, c.want)
		}
	}
	if r["ok"] != true {
		t.Errorf("not ok: %s", text)
	}
}

// up starts the playground and returns its addresses once it is ready.
func up(t *testing.T, programs string, also ...string) (*stage, lab.Addresses) {
	t.Helper()
	s := newStage(t, programs, append([]string{"up", "--json"}, also...)...)
	s.cmd.Stdout = nil
	pipe, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(upWithin, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	lines := bufio.NewReader(pipe)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		_ = s.cmd.Wait()
		t.Fatalf("no line of addresses: %v\n%s", err, s.talk.String())
	}
	var a lab.Addresses
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	export, err := lines.ReadString('\n')
	if err != nil || !strings.HasPrefix(export, "export POINTSMAN_ENDPOINTS="+a.Coordinators[0].GRPC+",") {
		t.Errorf("line for the shell %q, %v", export, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return s, a
}

// An interrupt ends the playground and everything in it, all providers too.
func interrupted(t *testing.T, programs string) {
	s, a := up(t, programs, "--all")
	spec, _, err := config.LoadSpec(a.Spec)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, step := range spec.GetMasters()[0].GetPlan()[1].GetSteps() {
		told = append(told, step.GetName())
	}
	if want := []string{"shopify", "hook", "script", "haproxy"}; len(told) < len(want) || !slices.Equal(told[:len(want)], want) {
		t.Errorf("steps %q, want %q and others\n%s", told, want, s.talk.String())
	}
	if len(a.Coordinators) != 3 || len(a.Redis) != 3 || len(a.Sentinels) != 3 {
		t.Fatalf("addresses %+v", a)
	}
	for _, address := range []string{a.Coordinators[0].GRPC, a.Coordinators[1].HTTP, a.Coordinators[2].Raft, a.Redis[0].Address, a.LoadBalancer} {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			t.Errorf("nobody at %s: %v", address, err)
			continue
		}
		c.Close()
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(t, goneWithin); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.talk.String())
	}
	clean(t, s.root, goneWithin)
	if got := append(files(t, s.work), files(t, s.temp)...); len(got) > 0 {
		t.Errorf("left behind: %q", got)
	}
}

// Even a lab that is killed takes its processes along.
func killed(t *testing.T, programs string) {
	s, _ := up(t, programs)
	if n := len(left(t, s.root)); n == 0 {
		t.Fatal("no process of the lab is found: this test would see nothing")
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.wait(t, goneWithin)
	clean(t, s.root, goneWithin)
}
