package sentinel

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Watcher keeps the View of many masters up to date. All methods may be called
// concurrently.
type Watcher struct {
	cfg Config

	mu        sync.Mutex // guards what follows, and the fields of what it leads to
	masters   map[string]*master
	processes map[key]*process
	nodes     map[key]*node
	changed   chan struct{} // closed at the next SetMasters
	names     names
	hotNodes  int             // nodes of masters in trouble
	hotAt     time.Time       // when they were counted
	ctx       context.Context // of Run; nil before
	wg        sync.WaitGroup  // every goroutine started by Run or SetMasters
}

// key tells connections apart: masters with equal ones share them.
type key struct {
	address, access, user string
	tls                   bool
}

func keyOf(address string, a Access) key {
	return key{canonical(address), a.ID, a.User, a.TLS != nil}
}

// master is what is known of one master.
type master struct {
	spec      Master
	reports   []Report
	roles     []Role
	notes     []Note
	spelling  map[string]string // canonical address to the candidate's spelling
	changed   chan struct{}     // closed at the next change of its view
	hot       time.Time         // in trouble until
	switching time.Time         // View.Switching until
	began     time.Time         // View.Began
}

// maxNotes bounds the notes of a master.
const maxNotes = 16

// New returns a Watcher that watches nothing yet.
func New(c Config) *Watcher {
	return &Watcher{
		cfg: c.withDefaults(), masters: map[string]*master{}, processes: map[key]*process{},
		nodes: map[key]*node{}, changed: make(chan struct{}),
		names: names{known: map[string]resolved{}, wanted: map[string]bool{}, nudge: make(chan struct{}, 1)},
	}
}

// Run watches until ctx ends, waits for all its goroutines and returns nil. A
// Watcher runs once; a second call gets ErrRunning.
func (w *Watcher) Run(ctx context.Context) error {
	w.mu.Lock()
	if w.ctx != nil {
		w.mu.Unlock()
		return ErrRunning
	}
	w.ctx = ctx
	w.wg.Add(1) // keeps Wait from returning while SetMasters may still start some
	w.wg.Go(func() { w.resolve(ctx) })
	for _, p := range w.processes {
		w.startProcess(p)
	}
	for _, n := range w.nodes {
		w.startNode(n)
	}
	w.mu.Unlock()
	<-ctx.Done()
	w.wg.Done()
	w.wg.Wait()
	return nil
}

// SetMasters declares what to watch from now on. Masters, Sentinels and nodes
// that stay keep their connections and what they said. On error nothing changes.
func (w *Watcher) SetMasters(list []Master) error {
	ids := map[string]bool{}
	for _, m := range list {
		if err := m.Validate(); err != nil {
			return err
		}
		if ids[m.ID] {
			return fmt.Errorf("master %q: %w", m.ID, ErrDuplicate)
		}
		ids[m.ID] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.masters
	w.masters = make(map[string]*master, len(list))
	for _, spec := range list {
		w.masters[spec.ID] = renew(old[spec.ID], spec)
	}
	for _, m := range old {
		close(m.changed) // the one who waits looks again, and finds the new channel
	}
	w.wireProcesses()
	w.wireNodes()
	close(w.changed)
	w.changed = make(chan struct{})
	return nil
}

// renew makes the record of a master, with what is already known of it.
func renew(old *master, spec Master) *master {
	m := &master{spec: spec, changed: make(chan struct{}), spelling: map[string]string{}}
	m.spec.Sentinels, m.spec.Candidates = slices.Clone(spec.Sentinels), slices.Clone(spec.Candidates)
	same := old != nil && old.spec.Name == spec.Name
	for _, s := range spec.Sentinels {
		r := Report{Sentinel: s, Err: "not asked yet"}
		if same {
			if i := slices.IndexFunc(old.reports, func(x Report) bool { return x.Sentinel == s }); i >= 0 {
				r = old.reports[i]
			}
		}
		m.reports = append(m.reports, r)
	}
	for _, c := range spec.Candidates {
		m.spelling[canonical(c)] = c
		r := Role{Address: c}
		if same {
			if i := slices.IndexFunc(old.roles, func(x Role) bool { return x.Address == c }); i >= 0 {
				r = old.roles[i]
			}
		}
		m.roles = append(m.roles, r)
	}
	if same {
		m.notes, m.hot, m.switching = old.notes, old.hot, old.switching
		m.began = old.began
	}
	return m
}

// View returns what is seen of a master now, and a channel that is closed at
// the next change of anything but the times in it. An unknown id gives an empty
// view and a channel that is closed at the next SetMasters.
func (w *Watcher) View(id string) (View, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	m, ok := w.masters[id]
	if !ok {
		return View{Master: id, At: now}, w.changed
	}
	v := View{
		Master: id, At: now, Reports: slices.Clone(m.reports), Roles: slices.Clone(m.roles),
		Switching: now.Before(m.switching), Began: m.began,
	}
	for _, n := range m.notes {
		if now.Sub(n.At) <= NoteFor {
			v.Notes = append(v.Notes, n)
		}
	}
	for _, r := range m.reports {
		v.Switching = v.Switching || (r.Seen && r.Failover)
	}
	return v, m.changed
}

// Masters lists the ids that are watched, sorted.
func (w *Watcher) Masters() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.masters))
}

// Declared returns a master as it was declared last; false when it is not.
func (w *Watcher) Declared(id string) (Master, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, ok := w.masters[id]
	if !ok {
		return Master{}, false
	}
	return m.spec, true
}

// Nudge reads everything about a master at once and treats it as in trouble for
// a while: for hints from outside, such as Sentinel's notification script.
func (w *Watcher) Nudge(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m, ok := w.masters[id]; ok {
		w.heat(m, time.Now())
	}
}

// heat, under mu, puts a master in trouble: read now, and fast for a while.
func (w *Watcher) heat(m *master, now time.Time) {
	m.hot = now.Add(w.cfg.Hot)
	w.readNow(m)
	w.askNow(m)
}

func (w *Watcher) readNow(m *master) {
	for _, s := range m.spec.Sentinels {
		if p, ok := w.processes[keyOf(s, m.spec.Sentinel)]; ok {
			p.hurry(m)
		}
	}
}

func (w *Watcher) askNow(m *master) {
	for _, c := range m.spec.Candidates {
		if n, ok := w.nodes[keyOf(c, m.spec.Redis)]; ok {
			n.hurry()
		}
	}
}

// tell, under mu, wakes those who wait for a change.
func (m *master) tell() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *master) note(n Note) {
	m.notes = append(m.notes, n)
	m.notes = m.notes[max(0, len(m.notes)-maxNotes):]
}

// signal wakes a goroutine that waits on a channel of capacity one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
