package command_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/command"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// bench is a folder with a program and its check, which are real ones and keep
// the address in a file beside them.
type bench struct {
	t   *testing.T
	dir string

	mu    sync.Mutex // guards what follows
	hangs string     // the program that never ends, played: virtual time stands still while a real one runs
	asked []time.Time
}

const (
	goodAct = `cd "${0%/*}"
[ "$(cut -d ' ' -f 1 value)" = "$POINTSMAN_NEW" ] || echo . >> changes
echo "$POINTSMAN_NEW $POINTSMAN_MARKER" > value`
	goodCheck = `cd "${0%/*}"
cut -s -d ' ' -f 2- value
[ "$(cut -d ' ' -f 1 value)" = "$POINTSMAN_NEW" ]`
)

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(name, text string, mode os.FileMode) {
	b.t.Helper()
	_ = os.Remove(b.path(name)) // what is written must not be a program that runs
	if err := errors.Join(os.WriteFile(b.path(name), []byte(text), mode), os.Chmod(b.path(name), mode)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(b.path(name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func (b *bench) run(ctx context.Context, r command.Run) (command.Ended, error) {
	b.mu.Lock()
	b.asked = append(b.asked, time.Now())
	hangs := b.path(b.hangs) == r.Program
	b.mu.Unlock()
	if !hangs {
		return command.Process(ctx, r)
	}
	if r.Started != nil {
		r.Started()
	}
	<-ctx.Done()
	return command.Ended{PID: 1, Signal: "killed when its time had run out", Output: "token " + secret}, nil
}

func (b *bench) hang(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hangs = name
}

func (b *bench) Value() fsm.Address {
	value, _, _ := strings.Cut(strings.TrimSpace(b.read("value")), " ")
	return fsm.Address(value)
}

func (b *bench) Seen() actuatortest.Requests {
	return actuatortest.Requests{Changes: strings.Count(b.read("changes"), "\n")}
}

func (b *bench) Break(actuatortest.Fault) { panic("a bad day is written, not broken") }

func (b *bench) Mend() {
	b.hang("")
	b.write("act", "#!/bin/sh\nset -eu\n"+goodAct+"\n", 0o755)
	b.write("check", "#!/bin/sh\nset -eu\n"+goodCheck+"\n", 0o755)
}

// TestBadDays: what a run stands at when its program, or its check, does what it
// should not; once with a check, once without, where nothing is ever repeated.
func TestBadDays(t *testing.T) {
	none := map[actuatortest.Day]actuatortest.Case{}
	for _, d := range []actuatortest.Day{
		actuatortest.UnknownAuthority, actuatortest.WrongName, actuatortest.CertificateEnded, actuatortest.NoSuchHost, actuatortest.ConnRefused,
	} {
		none[d] = actuatortest.Case{None: "A program is no network."}
	}
	for name, of := range map[string]struct {
		check bool
		more  []actuatortest.More
	}{
		"command, with a check":    {true, slices.Concat(badRuns(), badFiles(), badChecks())},
		"command, without a check": {false, badBlind()},
	} {
		t.Run(name, func(t *testing.T) {
			actuatortest.RunBadDays(t, actuatortest.Bad{
				Kind: name, Cases: none, More: of.more,
				Heal:  func(w actuatortest.World) { w.Outside.Mend() },
				Asked: func(w actuatortest.World) []time.Time { return w.Outside.(*bench).times() },
				Open: func(t *testing.T, _ string, through func(actuatortest.Dial) actuatortest.Dial) actuatortest.World {
					t.Helper()
					_ = through(nil) // nothing connects
					return benchWorld(t, of.check)
				},
			})
		})
	}
}

func (b *bench) times() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

func benchWorld(t *testing.T, check bool) actuatortest.World {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	b.write("value", "10.0.9.9:6379\n", 0o600)
	b.write("changes", "", 0o600)
	b.Mend()
	target := &pb.CommandTarget{Program: b.path("act"), Secrets: map[string]string{"API_TOKEN": "env:TOKEN"}}
	if check {
		target.Check = b.path("check")
	}
	return actuatortest.World{
		Kind: command.New(command.Config{Run: b.run, Getenv: func(string) string { return secret }}),
		Name: command.Name, Target: fsm.TargetSpec{ID: "script", Kind: command.Name, Params: encode(t, target)},
		Message: &pb.CommandStep{}, TargetOf: target, A: addressA, B: addressB, Secrets: []string{secret}, Outside: b,
	}
}

// say is a day on which a file of the bench has another text; what fails names
// its secret, which must show nowhere.
func say(name actuatortest.Day, file, lines string, want actuatortest.Want) actuatortest.More {
	return turn(name, func(b *bench) { b.write(file, "#!/bin/sh\n"+lines+"\n", 0o755) }, want)
}

func turn(name actuatortest.Day, f func(b *bench), want actuatortest.Want) actuatortest.More {
	return actuatortest.More{Day: name, Case: actuatortest.Case{Do: func(w actuatortest.World) { f(w.Outside.(*bench)) }, Want: want}}
}

func so(end actuatortest.End, doubt bool, says, do string) actuatortest.Want {
	return actuatortest.Want{End: end, Doubt: doubt, Says: says, Do: do}
}

const (
	fails = `echo "token $API_TOKEN"; `
	retry = "; then `pointsman actions retry`."
	saw   = "Nothing: the check after it was content."
)

func badRuns() []actuatortest.More {
	open, stuck, done := actuatortest.Open, actuatortest.Stuck, actuatortest.Done
	return []actuatortest.More{
		say("program: exit 1", "act", fails+"exit 1", so(open, false, "exit 1", "Nothing: that is the program's word for \"later\"; the reason ends with what it wrote.")),
		say("program: exit 2", "act", fails+"exit 2", so(stuck, false, "exit 2", "Do what the program asks for: that is its word for \"a human\""+retry)),
		say("program: exit 22, nothing carried out", "act", fails+"exit 22", so(open, true, "exit 22", "Nothing, if it was a passing fault: the check tells, and it is run again. Else read what it wrote.")),
		say("program: ended by a signal, nothing carried out", "act", fails+"kill -9 $$", so(open, true, "ended by signal: killed", "Look who killed it (memory?).")),
		turn("program: never ends, nothing carried out", func(b *bench) { b.hang("act") },
			so(open, true, "its time had run out", "Give the step a longer `timeout`, or mend the program. It is killed with all of its process group.")),
		say("program: carried out, then exit 22", "act", goodAct+"\n"+fails+"exit 22", so(done, false, "", saw)),
		say("program: carried out, then ended by a signal", "act", goodAct+"\n"+fails+"kill -9 $$", so(done, false, "", saw)),
		say("program: carried out, then 100 MB of output", "act", goodAct+"\nhead -c 104857600 /dev/zero", so(done, false, "", "Nothing: only the end of what it writes is kept.")),
	}
}

func badFiles() []actuatortest.More {
	stuck := func(says, do string) actuatortest.Want { return so(actuatortest.Stuck, false, says, do+retry) }
	mode := func(m os.FileMode) func(*bench) {
		return func(b *bench) { b.write("act", "#!/bin/sh\n"+goodAct+"\n", m) }
	}
	return []actuatortest.More{
		turn("program: there is none", func(b *bench) { _ = os.Remove(b.path("act")) }, stuck("no such file", "Install it on each node, or name another")),
		turn("program: not executable", mode(0o644), stuck("is not executable", "`chmod +x` on each node")),
		turn("program: everybody may write it", mode(0o757), stuck("can be written by everybody", "`chmod o-w` on each node: whoever writes it acts as the coordinator")),
		turn("program: a folder", func(b *bench) {
			_ = os.Remove(b.path("act"))
			if err := os.Mkdir(b.path("act"), 0o755); err != nil { //nolint:gosec // a folder in the place of a program
				b.t.Fatal(err)
			}
		}, stuck("is no plain file", "Name the program, not its folder")),
		turn("program: its interpreter is missing", func(b *bench) { b.write("act", "#!/no/such/interpreter\n", 0o755) }, stuck("no such file", "Install the interpreter that its first line names, on each node")),
		turn("program: no program's text", func(b *bench) { b.write("act", goodAct, 0o755) }, stuck("exec format error", "Begin a script with `#!/bin/sh`, or build it for this machine")),
	}
}

func badChecks() []actuatortest.More {
	open, stuck, done := actuatortest.Open, actuatortest.Stuck, actuatortest.Done
	return []actuatortest.More{
		say("check: exit 2", "check", fails+"exit 2", so(open, false, "exit 2", "Mend the check: 0 says as wanted, 1 says not, all else that it cannot tell. Nothing is run before it can.")),
		turn("check: never ends", func(b *bench) { b.hang("check") }, so(open, false, "its time had run out", "Mend the check: it has 5 s.")),
		turn("check: there is none", func(b *bench) { _ = os.Remove(b.path("check")) }, so(stuck, false, "no such file", "Install it on each node, or name another"+retry)),
		say("check: garbage beside its word", "check", `printf '\000\377[pm x]\n'`+"\n"+goodCheck, so(done, false, "", "Nothing: its exit code is its word.")),
		say("check: 100 MB beside its word", "check", "head -c 104857600 /dev/zero\n"+goodCheck, so(done, false, "", "Nothing: only the end of what it writes is kept.")),
	}
}

// badBlind: nothing tells what a run did, so none is repeated without a human.
func badBlind() []actuatortest.More {
	const look = "Look whether it was carried out; then `pointsman actions retry`, or `abandon` with the reason."
	stuck := func(says string) actuatortest.Want { return so(actuatortest.Stuck, true, says, look) }
	return []actuatortest.More{
		say("program: exit 1", "act", fails+"exit 1", so(actuatortest.Open, false, "exit 1", "Nothing: that is the program's word for \"not done, later\".")),
		say("program: exit 22, nothing carried out", "act", fails+"exit 22", stuck("exit 22")),
		say("program: carried out, then exit 22", "act", goodAct+"\n"+fails+"exit 22", stuck("exit 22")),
		say("program: ended by a signal", "act", fails+"kill -9 $$", stuck("ended by signal: killed")),
		turn("program: never ends", func(b *bench) { b.hang("act") }, stuck("its time had run out")),
		turn("program: there is none", func(b *bench) { _ = os.Remove(b.path("act")) }, so(actuatortest.Stuck, false, "no such file", "Install it on each node, or name another"+retry)),
	}
}
