package command_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/command"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

type free struct{}

func (free) Wait(ctx context.Context) error { return ctx.Err() }

// script writes a program with the given lines.
func script(t *testing.T, dir, name, lines string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines+"\n"), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return path
}

// rig is a step over real processes.
type rig struct {
	tool actuators.Actuator
	step fsm.Step
	kind *command.Kind
	dir  string
}

func newRig(t *testing.T, lines, check string, step *pb.CommandStep) rig {
	t.Helper()
	r := rig{kind: command.New(command.Config{Getenv: func(string) string { return secret }}), dir: t.TempDir()}
	target := &pb.CommandTarget{Program: script(t, r.dir, "act", lines), Secrets: map[string]string{"API_TOKEN": "env:TOKEN"}}
	if check != "" {
		target.Check = script(t, r.dir, "check", check)
	}
	planned, problems := r.kind.Plan(actuators.StepInput{Master: "cache", Step: "lb", Target: "script", Message: step, TargetMsg: target})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r.step = fsm.Step{Name: "lb", Target: "script", Kind: command.Name, Object: planned.Object, Class: planned.Class, Params: encode(t, step)}
	var err error
	if r.tool, err = r.kind.Open(fsm.TargetSpec{ID: "script", Kind: command.Name, Params: encode(t, target)}, free{}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r rig) work(t *testing.T) actuators.Work {
	t.Helper()
	id := fsm.FailoverID{Master: "cache", Number: 7}
	v, err := r.kind.Render(r.step, actuators.Facts{Failover: id, From: addressA, To: addressB, Epoch: 12, Zone: "par-b"})
	if err != nil {
		t.Fatal(err)
	}
	return actuators.Work{Cluster: "1f2e3d4c5b6a7988", Action: fsm.Action{
		ID: id.Action("lb"), For: id, Phase: fsm.Claimed, Step: r.step, Value: v.Value, Token: fsm.TokenOf(1, 42), Attempts: 3,
	}}
}

func (r rig) act(t *testing.T, within time.Duration) (actuators.Outcome, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	w := r.work(t)
	reading, err := r.tool.Read(ctx, actuators.Subject{Step: r.step, Candidates: []fsm.Address{addressB}})
	if err != nil {
		t.Fatal(err)
	}
	return r.tool.Act(ctx, w, r.tool.Judge(reading, w))
}

const patience = 20 * time.Second

// TestASentinelScriptIsTakenOverAsItIs: what stood as client-reconfig-script
// gets the same words, and besides what the failover is about.
func TestASentinelScriptIsTakenOverAsItIs(t *testing.T) {
	t.Setenv("LEAKED", "into the program")
	r := newRig(t, `printf '%s|' "$@" > "${0%/*}/args"; env | sort > "${0%/*}/env"; pwd > "${0%/*}/pwd"; cat > "${0%/*}/stdin"`, "",
		&pb.CommandStep{MasterName: "mymaster"})
	out, err := r.act(t, patience)
	if err != nil || len(out.Requests) != 1 || !strings.HasPrefix(out.Requests[0], "pid ") || out.Waiting {
		t.Fatalf("%+v, %v", out, err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if got, want := read("args"), "mymaster|leader|start|10.0.1.20|6379|10.0.2.20|6379|"; got != want {
		t.Errorf("arguments %s, want %s", got, want)
	}
	if read("pwd") != "/\n" || read("stdin") != "" {
		t.Errorf("folder %q, input %q", read("pwd"), read("stdin"))
	}
	env := read("env")
	for _, want := range []string{
		"API_TOKEN=" + secret, "POINTSMAN_ACTION=cache/7/lb", "POINTSMAN_ATTEMPT=3", "POINTSMAN_CLUSTER=1f2e3d4c5b6a7988", "POINTSMAN_EPOCH=12",
		"POINTSMAN_FAILOVER=cache/7", "POINTSMAN_KEY=1f2e3d4c5b6a7988/cache/7/lb", "POINTSMAN_MARKER=[pm 1f2e3d4c cache/7]", "POINTSMAN_MASTER=cache",
		"POINTSMAN_NEW=10.0.2.20:6379", "POINTSMAN_NEW_HOST=10.0.2.20", "POINTSMAN_NEW_PORT=6379", "POINTSMAN_NUMBER=7",
		"POINTSMAN_OLD=10.0.1.20:6379", "POINTSMAN_OLD_HOST=10.0.1.20", "POINTSMAN_OLD_PORT=6379", "POINTSMAN_PURPOSE=act",
		"POINTSMAN_STEP=lb", fmt.Sprintf("POINTSMAN_TOKEN=%d", fsm.TokenOf(1, 42)), "POINTSMAN_ZONE=par-b",
	} {
		if !strings.Contains(env, want+"\n") {
			t.Errorf("environment lacks %s", want)
		}
	}
	for line := range strings.Lines(env) {
		name, _, _ := strings.Cut(line, "=")
		if name != "PATH" && name != "PWD" && name != "SHLVL" && name != "_" && name != "OLDPWD" && name != "API_TOKEN" && !strings.HasPrefix(name, "POINTSMAN_") {
			t.Errorf("environment holds %s", line)
		}
	}
}

// TestExits is the table of doc.go over real processes.
func TestExits(t *testing.T) {
	for name, c := range map[string]struct {
		lines            string
		permanent, doubt bool
		after            time.Duration
		says             string
	}{
		"retry":                  {"echo busy; exit 1", false, false, 0, "exit 1: busy"},
		"retry after":            {"echo POINTSMAN_RETRY_AFTER=30; exit 1", false, false, 30 * time.Second, "exit 1"},
		"retry after a year":     {"echo POINTSMAN_RETRY_AFTER=999999; exit 1", false, false, command.MaxRetryAfter, "exit 1"},
		"stuck":                  {"echo no such farm >&2; exit 2", true, false, 0, "exit 2: no such farm"},
		"what curl -f says":      {"exit 22", false, true, 0, "exit 22"},
		"not found inside":       {"nonesuch-program", false, true, 0, "exit 127"},
		"killed":                 {"kill -9 $$", false, true, 0, "ended by signal: killed"},
		"terminated":             {"kill $$", false, true, 0, "ended by signal: terminated"},
		"a secret":               {`echo "token $API_TOKEN is bad"; exit 2`, true, false, 0, "token *** is bad"},
		"a secret at the cut":    {`i=0; while [ $i -lt 900 ]; do printf %s "$API_TOKEN"; i=$((i+1)); done; exit 2`, true, false, 0, "***"},
		"much output, both ways": {`i=0; while [ $i -lt 2000 ]; do echo "line $i of many"; echo err >&2; i=$((i+1)); done; echo the end; exit 2`, true, false, 0, "the end"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newRig(t, c.lines, "", &pb.CommandStep{}).act(t, patience)
			x := actuators.Explain(err)
			if err == nil || x.Permanent != c.permanent || x.Doubt != c.doubt || x.After != c.after || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: permanent %t, doubt %t, after %s", err, x.Permanent, x.Doubt, x.After)
			}
			if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "cr3t") || len(err.Error()) > 600) {
				t.Errorf("shows %q", err)
			}
			if len(x.Requests) != 1 {
				t.Errorf("requests %q", x.Requests)
			}
		})
	}
}

// TestTheWholeGroupIsKilled: when time has run out, and when the program ends
// and leaves something behind.
func TestTheWholeGroupIsKilled(t *testing.T) {
	const child = `sh -c 'echo $$ > "$1"; while :; do sleep 0.05; done' x "${0%/*}/child" & while [ ! -s "${0%/*}/child" ]; do sleep 0.01; done; `
	for name, c := range map[string]struct {
		lines string
		doubt bool
	}{
		"its time has run out":     {child + "wait", true},
		"it ignores being told":    {"trap '' TERM INT HUP; " + child + "while :; do sleep 1; done", true},
		"it leaves a child behind": {child + "exit 0", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.lines, "", &pb.CommandStep{})
			began := time.Now()
			_, err := r.act(t, 3*time.Second)
			if actuators.Explain(err).Doubt != c.doubt || (err != nil) != c.doubt {
				t.Fatalf("%v", err)
			}
			if c.doubt && !strings.Contains(err.Error(), "its time had run out") {
				t.Errorf("says %v", err)
			}
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("took %s", took)
			}
			raw, err := os.ReadFile(filepath.Join(r.dir, "child"))
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
			if err != nil {
				t.Fatal(err)
			}
			gone(t, pid)
		})
	}
}

// gone waits until a process is no more than a name in the table.
func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d goes on: %s", pid, stat)
		}
	}
}

// TestWhoMayBeRun: a refusal is for good, comes before anything is run, and is
// what a probe of the node says.
func TestWhoMayBeRun(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(path string) error
		says  string
	}{
		"fine":           {func(string) error { return nil }, ""},
		"missing":        {os.Remove, "no such file"},
		"no execute":     {func(p string) error { return os.Chmod(p, 0o644) }, "is not executable (mode 0644)"},
		"world-writable": {func(p string) error { return os.Chmod(p, 0o757) }, "can be written by everybody (mode 0757)"},
		"a folder":       {func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) }, "is no plain file"},
		"no interpreter": {func(p string) error { return os.WriteFile(p, []byte("#!/nonesuch/sh\n"), 0o755) }, "no such file"},
		"no program":     {func(p string) error { return os.WriteFile(p, []byte("\x00\x01\x02"), 0o755) }, "exec format error"},
		"a link to another": {func(p string) error {
			return errors.Join(os.Rename(p, p+"2"), os.Chmod(p+"2", 0o777), os.Symlink(p+"2", p))
		}, "can be written by everybody"},
		"somebody else's": {func(p string) error { return os.Chown(p, 12345, -1) }, "belongs to user 12345"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, `touch "${0%/*}/ran"`, "", &pb.CommandStep{})
			path := filepath.Join(r.dir, "act")
			if err := c.spoil(path); errors.Is(err, syscall.EPERM) && name == "somebody else's" {
				path, c.says = ownedByAnother(t), "belongs to user"
				r.tool = r.reopen(t, path)
			} else if err != nil {
				t.Fatal(err)
			}
			probe := r.tool.(actuators.Prober).Probe(t.Context())
			missing, checked := r.tool.(actuators.Checker).Check(t.Context(), actuators.Subject{Step: r.step})
			if checked != nil || (len(missing) > 0) != (probe != nil) {
				t.Errorf("beforehand %q, %v; the probe says %v", missing, checked, probe)
			}
			_, err := r.act(t, patience)
			_, ran := os.Stat(filepath.Join(r.dir, "ran"))
			if c.says == "" {
				if err != nil || probe != nil || ran != nil {
					t.Errorf("act %v, probe %v, %v", err, probe, ran)
				}
				return
			}
			if x := actuators.Explain(err); err == nil || !x.Permanent || x.Doubt || !strings.Contains(err.Error(), c.says) || !errors.Is(err, command.ErrProgram) {
				t.Errorf("act: %v", err)
			}
			if atStart := name == "no interpreter" || name == "no program"; (probe == nil) != atStart {
				t.Errorf("probe: %v", probe)
			}
			if ran == nil {
				t.Error("it was run")
			}
		})
	}
}

// ownedByAnother is a file of neither root nor this user, for a test that may
// not make one.
func ownedByAnother(t *testing.T) string {
	t.Helper()
	t.Fatal("this test makes a file of another user: run it as root")
	return ""
}

func (r rig) reopen(t *testing.T, path string) actuators.Actuator {
	t.Helper()
	tool, err := r.kind.Open(fsm.TargetSpec{ID: "script", Params: encode(t, &pb.CommandTarget{Program: path})}, free{})
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// TestCheck: the words of a check over real processes.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		check   string
		verdict actuators.Verdict
		says    string
	}{
		"as wanted":        {`[ "$1 $2 $3 $POINTSMAN_PURPOSE" = "cache 10.0.2.20 6379 check" ]; exit $?`, actuators.Applied, "as wanted"},
		"not":              {"echo is at 10.0.1.20; exit 1", actuators.Absent, "not as wanted: is at 10.0.1.20"},
		"older marker":     {"echo '[pm 1f2e3d4c cache/6]'", actuators.Absent, ""},
		"our marker":       {"echo '[pm 1f2e3d4c cache/7]'", actuators.Applied, ""},
		"our marker, else": {"echo '[pm 1f2e3d4c cache/7]'; exit 1", actuators.Foreign, ""},
		"newer marker":     {"echo '[pm 1f2e3d4c cache/8]'; exit 1", actuators.Newer, ""},
		"another cluster":  {"echo '[pm ffffffff cache/1]'", actuators.Newer, ""},
		"unknown":          {"echo timeout; exit 2", 0, "exit 2: timeout"},
		"broken":           {"exit 99", 0, "exit 99"},
		"killed":           {"kill -9 $$", 0, "ended by signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "exit 0", c.check, &pb.CommandStep{})
			reading, err := r.tool.Read(t.Context(), actuators.Subject{Step: r.step, Candidates: []fsm.Address{addressB}})
			if c.verdict == 0 {
				if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt || !strings.Contains(err.Error(), c.says) {
					t.Errorf("read: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := r.tool.Judge(reading, r.work(t)); s.Verdict != c.verdict || !strings.Contains(s.Detail, c.says) {
				t.Errorf("%s, %s; want %s", s.Verdict, s.Detail, c.verdict)
			}
		})
	}
}
