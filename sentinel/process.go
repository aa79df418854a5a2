package sentinel

import (
	"context"
	"slices"
	"time"
)

// process is one Sentinel process, shared by all masters that declare it with
// the same access. One goroutine polls it, one is subscribed to it.
type process struct {
	key     key
	address string
	nudge   chan struct{} // capacity 1: something is due

	// Guarded by Watcher.mu:
	access Access
	refs   []*ref
	tilt   time.Time // in tilt until
	heard  bool      // its events reach us
	cancel context.CancelFunc
}

// ref is one master in one Sentinel's care.
type ref struct {
	m     *master
	index int // of the report in m
	due   time.Time
}

// wireProcesses, under mu, makes processes and refs fit the masters.
func (w *Watcher) wireProcesses() {
	old := w.processes
	w.processes = map[key]*process{}
	now := time.Now()
	for _, m := range w.masters {
		for i, address := range m.spec.Sentinels {
			k := keyOf(address, m.spec.Sentinel)
			p, ok := w.processes[k]
			if !ok {
				if p, ok = old[k]; !ok {
					p = &process{key: k, address: address, nudge: make(chan struct{}, 1)}
				}
				p.refs = nil
				w.processes[k] = p
			}
			p.access = m.spec.Sentinel
			p.refs = append(p.refs, &ref{m: m, index: i, due: now})
		}
	}
	for k, p := range old {
		if _, stays := w.processes[k]; !stays {
			p.refs = nil // its goroutines may still be delivering
			if p.cancel != nil {
				p.cancel()
			}
		}
	}
	for _, p := range w.processes {
		if p.cancel == nil {
			w.startProcess(p)
		}
		signal(p.nudge)
	}
}

// startProcess, under mu, does nothing before Run.
func (w *Watcher) startProcess(p *process) {
	if w.ctx == nil || w.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(w.ctx)
	p.cancel = cancel
	w.wg.Go(func() { w.poll(ctx, p) })
	w.wg.Go(func() { w.subscribe(ctx, p) })
}

// hurry, under mu, makes the reads of one master due.
func (p *process) hurry(m *master) {
	for _, r := range p.refs {
		if r.m == m {
			r.due = time.Time{}
		}
	}
	signal(p.nudge)
}

// job is one read to do; it can be used without the lock.
type job struct {
	ref  *ref
	name string
}

// take returns at most a batch of due reads, the longest overdue first so that
// none starves when there are more than can be served, or how long there is
// nothing to do. The next reads are planned here: at Rest, stretched so that this
// Sentinel answers at most RestPairs a second, or in trouble at Fast, stretched
// so that there is one full batch per Fast. Once one is due, masters at rest go
// with it up to an eighth early: few full writes instead of many small ones.
func (w *Watcher) take(p *process, now time.Time) ([]job, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	hot := 0
	for _, r := range p.refs {
		if now.Before(r.m.hot) {
			hot++
		}
	}
	rest := time.Duration(len(p.refs)) * time.Second / time.Duration(w.cfg.RestPairs)
	rest = min(max(w.cfg.Rest, rest), maxRest)
	fast := w.cfg.Fast * time.Duration((hot+w.cfg.Batch-1)/w.cfg.Batch)
	var due []*ref
	wait := rest
	for _, r := range p.refs {
		slack := rest / 8
		if now.Before(r.m.hot) {
			slack = 0
		}
		left := r.due.Sub(now)
		wait = min(wait, left)
		if left <= slack {
			due = append(due, r)
		}
	}
	if wait > 0 {
		return nil, wait
	}
	slices.SortStableFunc(due, func(a, b *ref) int { return a.due.Compare(b.due) })
	jobs := make([]job, 0, min(len(due), w.cfg.Batch))
	for _, r := range due[:cap(jobs)] {
		jobs = append(jobs, job{ref: r, name: r.m.spec.Name})
		r.due = now.Add(rest)
		if now.Before(r.m.hot) {
			r.due = now.Add(fast)
		}
	}
	return jobs, 0
}

// deliver takes in what one Sentinel said. Reports are in the order of jobs.
func (w *Watcher) deliver(p *process, jobs []job, reports []Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, j := range jobs {
		m := j.ref.m
		if !slices.Contains(p.refs, j.ref) {
			continue // SetMasters came between
		}
		r := reports[i]
		r.Sentinel = m.spec.Sentinels[j.ref.index]
		r.Tilt, r.Subscribed = r.At.Before(p.tilt), p.heard
		r.Address = w.spell(m, r.Address)
		w.update(m, j.ref.index, r)
	}
}

// update, under mu, is the one place where a report changes.
func (w *Watcher) update(m *master, index int, r Report) {
	old := m.reports[index]
	if !r.Seen { // keep its last word
		err, at, heard := r.Err, r.At, r.Subscribed
		r = old
		r.Seen, r.Err, r.Failover, r.At, r.Subscribed = false, err, false, at, heard
	}
	if r.Seen && r.Failover && old.Seen && !old.Failover && r.Epoch == old.Epoch {
		m.began = time.Now() // its events may have been lost; a promotion would show in the epoch
	}
	m.reports[index] = r
	old.At = r.At
	if old == r {
		return
	}
	if r.Address != old.Address || r.Epoch != old.Epoch || r.Flags != old.Flags || r.Seen != old.Seen {
		w.heat(m, time.Now())
	}
	m.tell()
}

// lost marks all of a Sentinel's reports as unseen.
func (w *Watcher) lost(p *process, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, r := range p.refs {
		w.update(r.m, r.index, Report{Err: plain(err), At: now, Subscribed: p.heard})
	}
}

func (w *Watcher) accessOf(p *process) Access {
	w.mu.Lock()
	defer w.mu.Unlock()
	return p.access
}
