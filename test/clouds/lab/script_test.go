package lab

import (
	"os/exec"
	"slices"
	"testing"
)

// TestScript: its journal holds what was carried out, whatever was said of it,
// and the check tells what stands.
func TestScript(t *testing.T) {
	s, err := newScript(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run := func(program, action, address string) error {
		c := exec.Command(program)
		c.Env = []string{"PATH=/usr/bin:/bin", "POINTSMAN_ACTION=" + action, "POINTSMAN_NEW=" + address, "POINTSMAN_MARKER=[pm 1f2e3d4c cache/1]"}
		return c.Run()
	}
	if run(s.Check, "", "a:1") == nil {
		t.Error("before any run the check is content")
	}
	if err := s.Break(HurtBefore, HurtCut, HurtAfter, HurtLost); err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"before", "cut", "after", "lost"} {
		if run(s.Program, action, "a:1") == nil {
			t.Errorf("%s: no word of it", action)
		}
	}
	if err := run(s.Program, "sound", "b:1"); err != nil {
		t.Error(err)
	}
	if err := run(s.Check, "", "b:1"); err != nil {
		t.Errorf("the check: %v", err)
	}
	if run(s.Check, "", "a:1") == nil {
		t.Error("the check is content with another address")
	}
	want := []Deed{{"after", "none", "a:1"}, {"lost", "a:1", "a:1"}, {"sound", "a:1", "b:1"}}
	if got, err := s.Deeds(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
	if at, err := s.holds(); err != nil || at != "b:1" {
		t.Errorf("at %q, %v", at, err)
	}
}
