package adopt

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

const (
	runWithin  = 5 * time.Minute
	waitWithin = 60 * time.Second
	// allowScripts lets a script be set at run time, which Sentinel refuses by default.
	allowScripts = "sentinel deny-scripts-reconfig no"
)

// adoption is the story's stage: the lab, and what the page's reader types.
type adoption struct {
	*testing.T
	*lab.Lab
	ctx   context.Context
	page  string
	env   []string
	typed []string // commands of the program, as the page shows them
}

// TestAdopt: an old script moves the load balancer while Pointsman observes,
// writes nothing and keeps the score; then Pointsman takes over a load balancer
// that carries no marker of its own; then the script is gone.
func TestAdopt(t *testing.T) {
	text, err := os.ReadFile("../../docs/adopt.md")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "pointsman")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "github.com/pointsman/pointsman/cmd/pointsman").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), runWithin)
	defer cancel()
	l, err := lab.Start(ctx, lab.Options{Pointsman: program, Quiet: true, Rejoin: true, SentinelExtra: []string{allowScripts}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a := &adoption{T: t, Lab: l, ctx: ctx, page: string(text)}
	places, _ := l.Addresses(ctx)
	a.env = append(os.Environ(), "POINTSMAN_ENDPOINTS="+places.Coordinators[0].GRPC+","+places.Coordinators[1].GRPC+","+places.Coordinators[2].GRPC)
	t.Chdir(t.TempDir()) // spec.yaml is the reader's own file
	a.script(true)

	a.spec(true)
	a.types("apply", "-f", "spec.yaml", "--dry-run")
	a.types("apply", "-f", "spec.yaml")
	a.types("masters", "list")
	a.observe()
	a.takeOver()
	a.goBack()
	a.pageShowsWhatWasTyped()
}

// observe is a failover that the script carries out.
func (a *adoption) observe() {
	a.Helper()
	a.strike()
	a.wait("the script's work in the score", func() error {
		if text := a.types("score", "cache"); !strings.Contains(text, "came 1") {
			return fmt.Errorf("score:\n%s", text)
		}
		return nil
	})
	text := a.types("failovers", "show", "cache")
	for _, want := range []string{"only observed", "would have written", "the wanted value"} {
		if !strings.Contains(text, want) {
			a.Errorf("failovers show does not say %q:\n%s", want, text)
		}
	}
	if theirs, own := a.writes(); len(theirs) == 0 || len(own) != 0 {
		a.Fatalf("the script wrote %q, and Pointsman, which only observes, %q", theirs, own)
	}
}

// takeOver is the switch over, and a failover that Pointsman carries out alone.
func (a *adoption) takeOver() {
	a.Helper()
	a.spec(false)
	a.types("apply", "-f", "spec.yaml", "--reason", "take over from the script")
	a.script(false)
	theirs, _ := a.writes()
	a.strike()
	a.wait("the failover to be carried out", func() error {
		if text := a.types("failovers", "list", "cache"); !regexp.MustCompile(`(?m)^cache/2 +done `).MatchString(text) {
			return fmt.Errorf("failovers:\n%s", text)
		}
		return nil
	})
	after, own := a.writes()
	if len(after) != len(theirs) || len(own) == 0 {
		a.Errorf("without its script %q was written, by Pointsman %q", after[len(theirs):], own)
	}
	m, err := a.Redis.Master(a.ctx)
	if err != nil {
		a.Fatal(err)
	}
	if at := a.Cloud.Applied(); at != m {
		a.Errorf("the load balancer sends to %s, the master is %s", at, m)
	}
}

// goBack is the way back: the script first, then the spec.
func (a *adoption) goBack() {
	a.Helper()
	a.script(true)
	a.types("spec", "rollback", "--to", "2", "--reason", "back to the script")
	_, before := a.writes()
	a.strike()
	a.wait("the script's second work in the score", func() error {
		if text := a.types("score", "cache"); !strings.Contains(text, "came 2") {
			return fmt.Errorf("score:\n%s", text)
		}
		return nil
	})
	if _, own := a.writes(); len(own) != len(before) {
		a.Errorf("gone back, and Pointsman wrote %q", own[len(before):])
	}
}

// strike kills the master, and brings it back once another one is promoted.
func (a *adoption) strike() {
	a.Helper()
	if err := a.WaitReady(a.ctx); err != nil {
		a.Fatal(err)
	}
	old, err := a.Redis.Master(a.ctx)
	if err != nil {
		a.Fatal(err)
	}
	if err := a.Redis.Kill(old); err != nil {
		a.Fatal(err)
	}
	if _, err := a.Recorder.WaitPromotion(a.ctx, old); err != nil {
		a.Fatal(err)
	}
	if err := a.Redis.Restart(old); err != nil {
		a.Fatal(err)
	}
}

// spec writes the reader's file: the lab's, observed or not.
func (a *adoption) spec(observe bool) {
	a.Helper()
	text, err := os.ReadFile(a.Spec)
	if err != nil {
		a.Fatal(err)
	}
	const at = "\n    drift: report"
	if !strings.Contains(string(text), at) {
		a.Fatalf("the lab's spec has no %q", at)
	}
	changed := strings.Replace(string(text), at, fmt.Sprintf("\n    observe_only: %t%s", observe, at), 1)
	if err := os.WriteFile("spec.yaml", []byte(changed), 0o600); err != nil {
		a.Fatal(err)
	}
}

// types runs a command of the program as the page shows it, and gives its output.
func (a *adoption) types(words ...string) string {
	a.Helper()
	if line := "pointsman " + strings.Join(quoted(words), " "); !slices.Contains(a.typed, line) {
		a.typed = append(a.typed, line)
	}
	cmd := exec.CommandContext(a.ctx, a.Program(), words...)
	cmd.Env = a.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		a.Fatalf("%v: %v\n%s", words, err, out)
	}
	return string(out)
}

func quoted(words []string) []string {
	out := slices.Clone(words)
	for i, w := range out {
		if strings.Contains(w, " ") {
			out[i] = "'" + w + "'"
		}
	}
	return out
}

func (a *adoption) wait(what string, try func() error) {
	a.Helper()
	deadline := time.Now().Add(waitWithin)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			a.Fatalf("waited %s for %s: %v", waitWithin, what, err)
		}
		time.Sleep(200 * time.Millisecond) // between two looks
	}
}

// writes are the calls that could change something, the script's and Pointsman's.
func (a *adoption) writes() (script, pointsman []string) {
	for _, c := range a.Cloud.Sim.Journal(0).Calls {
		switch {
		case !c.Write() || c.Method == ovh.MethodSeed:
		case c.Foreign:
			script = append(script, c.Method+" "+c.Path)
		default:
			pointsman = append(pointsman, c.Method+" "+c.Path)
		}
	}
	return script, pointsman
}

// pageShowsWhatWasTyped: every command of the page was run, and none was run
// that the page does not show.
func (a *adoption) pageShowsWhatWasTyped() {
	a.Helper()
	var shown []string
	for _, m := range regexp.MustCompile(`(?m)^(pointsman [^#\n]*[^#\s])`).FindAllString(a.page, -1) {
		shown = append(shown, strings.TrimSpace(m))
	}
	slices.Sort(shown)
	shown = slices.Compact(shown)
	if typed := slices.Sorted(slices.Values(a.typed)); !slices.Equal(shown, typed) {
		a.Errorf("docs/adopt.md shows\n%s\nand what ran was\n%s", strings.Join(shown, "\n"), strings.Join(typed, "\n"))
	}
}

// script makes the old script every Sentinel's client-reconfig-script, or none.
func (a *adoption) script(on bool) {
	a.Helper()
	path := ""
	if on {
		path = a.install()
	}
	for _, s := range a.Redis.Sentinels() {
		if _, err := a.Redis.Do(a.ctx, s.Address, "SENTINEL", "SET", a.Redis.Name(), "client-reconfig-script", path); err != nil {
			a.Fatal(err)
		}
	}
}

// install writes the old script. It is this test's binary by another name, since
// a machine need not have what such scripts are usually written in.
func (a *adoption) install() string {
	a.Helper()
	self, err := os.Executable()
	if err != nil {
		a.Fatal(err)
	}
	state := a.Cloud.Sim.State()
	old := oldScript{Endpoint: a.Cloud.URL, Farms: map[string]int64{}, Key: "old-script", Secret: "its-secret", Consumer: "its-consumer"}
	for name, service := range state.Services {
		old.Service, old.Frontend = name, service.Staged.Frontends[0].FrontendID
		for _, s := range service.Staged.Servers {
			old.Farms[fmt.Sprintf("%s:%d", s.Address, *s.Port)] = s.BackendID
		}
	}
	a.Cloud.Sim.AddCredential(ovh.Credential{ApplicationKey: old.Key, ApplicationSecret: old.Secret, ConsumerKey: old.Consumer, Foreign: true})
	settings, err := json.Marshal(old)
	if err != nil {
		a.Fatal(err)
	}
	path := filepath.Join(a.TempDir(), "reconfigure.sh")
	text := fmt.Sprintf("#!/bin/sh\n%s='%s' exec '%s' \"$@\"\n", asScript, settings, self)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		a.Fatal(err)
	}
	return path
}
