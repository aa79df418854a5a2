package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/internal/planted"
)

const (
	runWithin = 8 * time.Minute // one run of one test binary
	batch     = 6               // seeds of a search in one run
)

// catcher is a test that must fail while the guard is out.
type catcher struct {
	pkg   string
	run   string   // of go test -run
	args  []string // of the test binary
	seeds []uint64 // of test/sim: known to catch it, tried first
}

// result is what became of one planted bug.
type result struct {
	planted.Entry
	near, whole catch
	took        time.Duration
}

func (r result) caught() bool { return r.near.err == nil && r.whole.err == nil }

// catch says who noticed, or why nobody did.
type catch struct {
	by     string // the test, and for test/sim the seed
	check  string // what it said
	replay string
	err    error // not caught
}

// player runs test binaries that were compiled once.
type player struct {
	dir   string
	seeds uint64

	mu    sync.Mutex
	clean map[string]error // by command: how it ends without any bug
}

func (p *player) compile(ctx context.Context, list []planted.Entry) error {
	var done []string
	for _, e := range list {
		c, ok := catchers()[e.Name]
		if !ok {
			return fmt.Errorf("nobody is named to catch %s", e.Name)
		}
		for _, pkg := range []string{c.near.pkg, c.whole.pkg} {
			if pkg == "" || slices.Contains(done, pkg) {
				continue
			}
			done = append(done, pkg)
			cmd := exec.CommandContext(ctx, "go", "test", "-buildvcs=false", "-tags", "mutants", "-c", "-o", p.binary(pkg), pkg)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("compile %s: %w\n%s", pkg, err, out)
			}
		}
	}
	return nil
}

func (p *player) binary(pkg string) string {
	return filepath.Join(p.dir, strings.ReplaceAll(strings.TrimPrefix(pkg, "./"), "/", "-")+".test")
}

// play plays one bug before both of its catchers.
func (p *player) play(ctx context.Context, e planted.Entry) result {
	began, c := time.Now(), catchers()[e.Name]
	r := result{Entry: e, near: catch{by: "—"}}
	if c.near.pkg != "" {
		r.near = p.try(ctx, e.Name, c.near)
	}
	r.whole = p.try(ctx, e.Name, c.whole)
	r.took = time.Since(began)
	return r
}

var errSlept = errors.New("not caught")

func (p *player) try(ctx context.Context, n planted.Name, c catcher) catch {
	if c.pkg == sim {
		return p.search(ctx, n, c)
	}
	got, err := p.once(ctx, n, c)
	if err != nil {
		return catch{by: c.pkg + " " + c.run, err: err}
	}
	return catch{by: strings.TrimPrefix(c.pkg, "./") + " " + got.test, check: got.said, replay: c.replay(n)}
}

// search tries the known seeds, then others, until one run is failed by a check.
func (p *player) search(ctx context.Context, n planted.Name, c catcher) catch {
	tried := uint64(0)
	for _, seed := range c.seeds {
		tried++
		if got, ok := p.seed(ctx, n, c.of(seed, 1)); ok {
			return got
		}
	}
	for from := uint64(1); from <= p.seeds && ctx.Err() == nil; from += batch {
		tried += batch
		if got, ok := p.seed(ctx, n, c.of(from, batch)); ok {
			return got
		}
	}
	return catch{by: sim, err: fmt.Errorf("%w by %d seeds", errSlept, tried)}
}

func (c catcher) of(from, n uint64) catcher {
	c.args = []string{fmt.Sprintf("-sim.from=%d", from), fmt.Sprintf("-sim.seeds=%d", n), "-sim.repeat=2"}
	return c
}

// seed plays seeds and, of those that were caught, takes the first that is
// clean without the bug.
func (p *player) seed(ctx context.Context, n planted.Name, c catcher) (catch, bool) {
	text, failed := p.exec(ctx, n, c)
	if !failed {
		return catch{}, false
	}
	for _, m := range regexp.MustCompile(`(?m)seed (\d+): ([a-z ]+): `).FindAllStringSubmatch(text, -1) {
		var seed uint64
		if _, err := fmt.Sscan(m[1], &seed); err != nil {
			continue
		}
		one := c.of(seed, 1)
		if p.control(ctx, one) == nil {
			return catch{by: c.tale() + ", seed " + m[1], check: m[2], replay: one.replay(n)}, true
		}
	}
	return catch{}, false
}

// tale names a simulation.
func (c catcher) tale() string {
	if strings.Contains(c.run, "TestClasses") {
		return "sim of one object"
	}
	return "sim"
}

type verdict struct{ test, said string }

// once runs a test that needs no seed.
func (p *player) once(ctx context.Context, n planted.Name, c catcher) (verdict, error) {
	text, failed := p.exec(ctx, n, c)
	if !failed {
		return verdict{}, errSlept
	}
	m := regexp.MustCompile(`(?m)^\s*--- FAIL: (Test\w+\S*) \(`).FindAllStringSubmatch(text, -1)
	if m == nil || strings.Contains(text, "panic: test timed out") {
		return verdict{}, fmt.Errorf("%w: the test ended without a verdict: %s", errSlept, last(text))
	}
	if err := p.control(ctx, c); err != nil {
		return verdict{}, fmt.Errorf("it fails without the bug, too: %w", err)
	}
	said := regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: (.*)$`).FindStringSubmatch(text)
	v := verdict{test: m[0][1]}
	if said != nil {
		v.said = said[1]
	}
	return v, nil
}

// control runs the same without any bug; it must pass.
func (p *player) control(ctx context.Context, c catcher) error {
	key := c.replay("")
	p.mu.Lock()
	err, known := p.clean[key]
	p.mu.Unlock()
	if known {
		return err
	}
	if text, failed := p.exec(ctx, "", c); failed {
		err = errors.New(last(text))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clean[key] = err
	return err
}

// exec runs a test binary in its package's folder, as go test does.
func (p *player) exec(ctx context.Context, n planted.Name, c catcher) (text string, failed bool) {
	ctx, cancel := context.WithTimeout(ctx, runWithin+time.Minute)
	defer cancel()
	args := append([]string{"-test.run=" + c.run, "-test.timeout=" + runWithin.String()}, c.args...)
	cmd := exec.CommandContext(ctx, p.binary(c.pkg), args...)
	cmd.Dir = c.pkg
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "POINTSMAN_") })
	cmd.Env = append(cmd.Env, planted.Variable+"="+string(n))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err != nil
}

// replay is the command that shows it again.
func (c catcher) replay(n planted.Name) string {
	words := []string{planted.Variable + "=" + string(n), "go test -tags mutants", c.pkg, "-run '" + c.run + "'"}
	return strings.Join(append(words, c.args...), " ")
}

// last is the line of a run's output that tells most.
func last(text string) string {
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, "panic:") || strings.Contains(line, "_test.go:") {
			return cut(strings.TrimSpace(line), 200)
		}
	}
	return cut(strings.TrimSpace(text), 200)
}

func cut(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n]) + "…"
	}
	return text
}
