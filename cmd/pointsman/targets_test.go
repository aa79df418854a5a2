package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/coordinator"
	"github.com/pointsman/pointsman/coordinator/config"
)

// TestTargetPages: a kind's page in docs/targets has a whole spec (blocks of YAML
// that begin with masters:), and all of those are as apply takes them.
func TestTargetPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/targets/*.md")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := map[string]string{"leases": "leases.md"} // kinds whose page stands outside docs/targets
	titles := ""
	shown := map[string]bool{}
	for _, name := range pages {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		title, rest, _ := strings.Cut(string(text), "\n")
		titles += title + "\n"
		for _, block := range regexp.MustCompile("(?ms)^```yaml\n(masters:.*?)^```").FindAllStringSubmatch(rest, -1) {
			spec, file, err := config.ParseSpec(name, []byte(block[1]))
			if err != nil {
				t.Error(err)
				continue
			}
			compiled, problems := coordinator.Compile(spec, kinds())
			for _, p := range problems {
				t.Error(file.Locate(p))
			}
			for _, target := range compiled.Targets {
				shown[target.Kind] = true
			}
			for _, m := range compiled.Masters {
				for _, stage := range m.Plan {
					for _, step := range stage.Steps {
						shown[step.Kind] = true
					}
				}
			}
		}
	}
	for kind := range kinds() {
		if page, ok := elsewhere[kind]; ok {
			if _, err := os.Stat("../../docs/" + page); err != nil {
				t.Error(err)
			}
			continue
		}
		if !strings.Contains(titles, "`"+kind+"`") {
			t.Errorf("no page in docs/targets has `%s` in its title", kind)
		}
		if !shown[kind] {
			t.Errorf("no whole sample of %s in docs/targets", kind)
		}
	}
}
