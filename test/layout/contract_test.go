package layout_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// tests lists the test functions of this module, by the folder that they are in.
func tests(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := fs.WalkDir(os.DirFS("../.."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "bin" || name != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		source, err := os.ReadFile("../../" + name)
		if err != nil {
			return err
		}
		for _, m := range declared.FindAllSubmatch(source, -1) {
			found[path.Dir(name)] = append(found[path.Dir(name)], string(m[1]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestContract: each guarantee has a test that carries its name.
func TestContract(t *testing.T) {
	found := fmt.Sprint(tests(t))
	for g := 1; g <= 10; g++ {
		if !strings.Contains(found, fmt.Sprintf("TestG%d_", g)) {
			t.Errorf("no test is named after G%d", g)
		}
	}
}

// TestNamedTestsExist: a page that names a test names one that is there.
// ARCHITECTURE.md names them with their package; a name in a command may be a
// prefix, as -run takes it.
func TestNamedTestsExist(t *testing.T) {
	found := tests(t)
	exists := func(room, name string) bool {
		for dir, names := range found {
			if room != "" && path.Base(dir) != room {
				continue
			}
			for _, n := range names {
				if n == name || room == "" && strings.HasPrefix(n, name) {
					return true
				}
			}
		}
		return false
	}
	named := regexp.MustCompile(`(?:\b(\w+)\.)?\b(Test[A-Z]\w*)`)
	for _, page := range []string{"ARCHITECTURE.md", "docs/track-record.md", "docs/guarantees.md", "Makefile"} {
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		all := named.FindAllStringSubmatch(string(text), -1)
		if len(all) == 0 && strings.HasPrefix(page, "ARCH") {
			t.Errorf("%s names no test", page)
		}
		for _, m := range all {
			if !exists(m[1], m[2]) {
				t.Errorf("%s names %s, which is not there", page, strings.TrimPrefix(m[1]+"."+m[2], "."))
			}
		}
	}
}
