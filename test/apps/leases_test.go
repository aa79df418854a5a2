package apps

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

const (
	leaseSamples = "../../deploy/samples/leases"
	fence        = "../../client/leases/redissink/fence.lua"
)

// sink is a sample that does one piece of work under a token.
type sink struct {
	name  string
	args  []string
	total func(t *testing.T) string
}

// do runs the sample and answers its word; fenced for the exit code that says so.
func (s sink) do(t *testing.T, env []string, token, id string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.args[0], append(s.args[1:], id)...)
	cmd.Env = append(os.Environ(), append(env, "POINTSMAN_LEASE=jobs/3", "POINTSMAN_LEASE_TOKEN="+token)...)
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed) && failed.ExitCode() == 3 && len(out) == 0:
		return "fenced"
	case err != nil:
		t.Fatalf("%s: %v\n%s", s.name, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestLeaseSinks: each sample refuses the token of a worker that comes late, and
// does a piece of work once per id, whoever offers it again.
func TestLeaseSinks(t *testing.T) {
	interpreters(t)
	l, err := redislab.Start(t.Context(), redislab.Options{Replicas: 1, Sentinels: 1, Quorum: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	address, err := l.Master(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(t.TempDir(), "orders.db")
	env := []string{"REDIS=" + address, "FENCE=" + fence, "DATABASE=" + database}
	inRedis := func(t *testing.T) string {
		v, err := l.Do(t.Context(), address, "GET", "orders")
		if err != nil {
			t.Fatal(err)
		}
		word, _ := v.(string)
		return word
	}
	inSQL := func(t *testing.T) string {
		const read = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT orders FROM total').fetchone()[0])"
		out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", read, database).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, s := range []sink{
		{"sink.py", []string{"/usr/bin/python3", leaseSamples + "/sink.py"}, inSQL},
		{"sink.sh", []string{"sh", leaseSamples + "/sink.sh"}, inRedis},
		{"sink.php", []string{"php", leaseSamples + "/sink.php"}, inRedis},
	} {
		if _, err := l.Do(t.Context(), address, "FLUSHALL"); err != nil {
			t.Fatal(err)
		}
		for i, step := range []struct{ token, id, want, total string }{
			{"9", "a", "applied", "1"},
			{"9", "a", "already", "1"},
			{"10", "b", "applied", "2"},
			{"9", "c", "fenced", "2"}, // it was paused, and 10 has worked meanwhile
			{"10", "c", "applied", "3"},
			{"11", "b", "already", "3"},
		} {
			if got := s.do(t, env, step.token, step.id); got != step.want {
				t.Errorf("%s, step %d, token %s: %q, want %q", s.name, i, step.token, got, step.want)
			}
			if got := s.total(t); got != step.total {
				t.Errorf("%s, step %d: %s orders, want %s", s.name, i, got, step.total)
			}
		}
	}
}

// TestDocsShowTheLeaseSamples: the two pages have each file as it is, the script
// and the example too.
func TestDocsShowTheLeaseSamples(t *testing.T) {
	shown := map[string]string{}
	for _, page := range []string{"leases.md", "leases-workers.md"} {
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("(?ms)^`((?:deploy|client)/[a-z_./-]+)`\n\n```[a-z]+\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
			shown[m[1]] = m[2]
		}
	}
	files, err := filepath.Glob(leaseSamples + "/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d samples: %v", len(files), err)
	}
	for _, f := range append(files, fence, "../../client/leases/example_test.go") {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(filepath.ToSlash(f), "../../")
		if shown[name] != string(text) {
			t.Errorf("docs show %s other than it is, or not", name)
		}
		delete(shown, name)
	}
	for name := range shown {
		t.Errorf("docs show %s, which is not there", name)
	}
}
