package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Group is other programs that run beside a lab, to be compared with it. Its
// methods may be called concurrently.
type Group struct {
	spawner *spawner
	mu      sync.Mutex // guards all
	all     []*process
}

// StartGroup starts one program for each list of arguments, their first word
// being its path. Their output goes to files in dir. Close ends them.
func StartGroup(dir string, commands ...[]string) (*Group, error) {
	g := &Group{spawner: newSpawner()}
	for i, c := range commands {
		name := fmt.Sprintf("%s-%d", filepath.Base(c[0]), i+1)
		p := &process{name: name, path: c[0], args: c[1:], log: filepath.Join(dir, name+".log")}
		if err := p.start(g.spawner); err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.all = append(g.all, p)
	}
	return g, nil
}

// PIDs lists the processes; 0 for one that has ended.
func (g *Group) PIDs() []int {
	var out []int
	for _, p := range g.list() {
		out = append(out, p.pid())
	}
	return out
}

// Said returns nil when every program runs and has written text; the error says
// which one has not, with the end of what it wrote.
func (g *Group) Said(text string) error {
	for _, p := range g.list() {
		all, err := os.ReadFile(p.log)
		if err != nil {
			return err
		}
		if p.pid() == 0 || !strings.Contains(string(all), text) {
			return fmt.Errorf("%s has not said %q, pid %d; its log ends:\n%s", p.name, text, p.pid(), p.tail())
		}
	}
	return nil
}

// Add starts one more program, which is called name in messages, and answers its
// number, from 0 on.
func (g *Group) Add(dir, name string, command ...string) (int, error) {
	p := &process{name: name, path: command[0], args: command[1:], log: filepath.Join(dir, name+".log")}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append(g.all, p)
	return len(g.all) - 1, p.start(g.spawner)
}

// Kill ends a program with SIGKILL and waits for its end.
func (g *Group) Kill(i int) error { return g.list()[i].kill() }

// Restart starts a program that has ended once more, with the same arguments.
func (g *Group) Restart(i int) error { return g.list()[i].start(g.spawner) }

// Log is the end of what a program has said.
func (g *Group) Log(i int) string { return g.list()[i].tail() }

func (g *Group) list() []*process {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all
}

// Close kills the programs and removes their logs.
func (g *Group) Close() error {
	var errs []error
	for _, p := range g.list() {
		if err := p.kill(); err != nil && !errors.Is(err, ErrNotRunning) {
			errs = append(errs, err)
		}
		errs = append(errs, gone(os.Remove(p.log)))
	}
	g.spawner.stop()
	return errors.Join(errs...)
}
