package sim

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// side is one more provider of a run, whose step stands beside the load
// balancer's: what it takes to run and to judge one.
type side struct {
	name    string // of its step, its target and its host
	target  string // its line in the spec
	step    func(i int, m masterPlan) string
	handler http.Handler // or
	line    liner
	value   func(i int, m masterPlan) fsm.Address // where the object of the i-th master is; empty: at no candidate
	writes  func() []sideWrite                    // those that were carried out, in order
	close   func()

	forgot func(master string) []time.Time // when it lost its objects by itself; nil: it never does
	calm   func()                          // it does not any more

	fences *fences // instead of value and writes: it is judged by rules of its own

	edge   *sideEdge
	server io.Closer
}

// sideWrite is a write that a side carried out.
type sideWrite struct {
	of            fsm.FailoverID // without a number where the object does not say it
	to            fsm.Address    // then: where it leads
	came, effect  time.Time
	moved         time.Time // where what was taken is carried out later; zero: at its effect
	before, after string
}

// landed is when the object changed.
func (w sideWrite) landed() time.Time {
	if w.moved.IsZero() {
		return w.effect
	}
	return w.moved
}

// sidePlan is what a seed decides of one.
type sidePlan struct {
	Name   string
	Draw   uint64 // of its knobs
	Faults []sideFault
}

// sideFault strikes some of a side's requests, whatever its API is.
type sideFault struct {
	Write       bool
	Skip, Count int
	Do          sideDeed
	For         time.Duration
}

// sideDeed is what a fault does.
type sideDeed string

const (
	sideRefuses sideDeed = "500 before" // nothing is carried out
	sideFails   sideDeed = "500 after"  // it is, and the answer says otherwise
	sideBusy    sideDeed = "429"
	sideLoses   sideDeed = "lost before" // the connection ends, nothing is carried out
	sideCuts    sideDeed = "lost after"
	sideSlow    sideDeed = "slow" // carried out at once, answered late
	sideLate    sideDeed = "late" // carried out late, whether or not somebody still waits
	sideTwice   sideDeed = "twice"
)

func sideNames() []string { return []string{"linode", "octavia", "ip", "hook"} }

// sides draws them from a stream of its own, so that the other decisions of a
// seed stay as they were.
func (d drawer) sides() {
	d.r = rand.New(rand.NewPCG(d.p.Seed, 0x7369646573))
	if d.chance(50) {
		return
	}
	names := sideNames()
	d.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:pick(d.r, 1, 1, 2)] {
		s := sidePlan{Name: name, Draw: d.r.Uint64()}
		for range d.r.IntN(6) {
			s.Faults = append(s.Faults, d.sideFault())
		}
		d.p.Sides = append(d.p.Sides, s)
	}
}

// lines draws an HAProxy, the world of a node's programs and a fence, each for a
// part of the seeds and from a stream of its own too.
func (d drawer) lines() {
	for i, name := range []string{balancerHost, scriptHost, fenceName} {
		d.r = rand.New(rand.NewPCG(d.p.Seed, 0x6c696e6573+uint64(i)))
		if d.chance(75) {
			continue
		}
		s := sidePlan{Name: name, Draw: d.r.Uint64()}
		for range d.r.IntN(6) {
			s.Faults = append(s.Faults, d.sideFault())
		}
		d.p.Sides = append(d.p.Sides, s)
	}
}

func (d drawer) sideFault() sideFault {
	f := sideFault{
		Write: d.chance(70), Skip: d.r.IntN(8), Count: pick(d.r, 1, 1, 2, 4),
		Do: pick(d.r, sideRefuses, sideFails, sideBusy, sideLoses, sideCuts, sideSlow, sideLate, sideLate, sideTwice),
	}
	switch f.Do {
	case sideSlow, sideLate, sideTwice:
		f.For = pick(d.r, d.span(100*time.Millisecond, 4*time.Second), d.span(4*time.Second, 60*time.Second))
	}
	return f
}

// sideEdge stands before a side's API: it strikes, and it keeps the promise of
// a late request, which is carried out after its sender has gone.
type sideEdge struct {
	run  *run
	next http.Handler

	mu     sync.Mutex
	faults []sideFault
	coming int
	twins  []time.Time             // when a request came a second time, its first answered long ago
	held   map[time.Time]time.Time // when a request came that was handed on late, by when that was
}

// ServeHTTP implements http.Handler.
func (e *sideEdge) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	q = q.Clone(context.WithoutCancel(q.Context())) // what has arrived is carried out
	carry := func() *httptest.ResponseRecorder {
		again := q.Clone(q.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		got := httptest.NewRecorder()
		e.next.ServeHTTP(got, again)
		return got
	}
	got, do := pass(e, q.Method != http.MethodGet, carry)
	switch do {
	case sideRefuses:
		http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
		return
	case sideBusy:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "", http.StatusTooManyRequests)
		return
	case sideFails:
		http.Error(w, "<html>time-out</html>", http.StatusGatewayTimeout)
		return
	case sideLoses, sideCuts:
		panic(http.ErrAbortHandler)
	}
	for name, values := range got.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(got.Code)
	_, _ = w.Write(got.Body.Bytes())
}

// pass carries a request out as its fault says, and gives what it came to.
func pass[T any](e *sideEdge, write bool, carry func() T) (got T, do sideDeed) {
	f, struck := e.strike(write)
	if struck {
		defer e.over()
	}
	switch f.Do {
	case sideRefuses, sideBusy, sideLoses:
		return got, f.Do
	case sideLate:
		came := time.Now()
		time.Sleep(f.For)
		e.mu.Lock()
		e.held[time.Now()] = came
		e.mu.Unlock()
	}
	got = carry()
	switch f.Do {
	case sideSlow:
		time.Sleep(f.For)
	case sideTwice:
		e.again(func() { carry() }, f.For)
	}
	return got, f.Do
}

// again carries a request out once more; nobody gets its answer.
func (e *sideEdge) again(carry func(), after time.Duration) {
	e.mu.Lock()
	e.coming++
	e.mu.Unlock()
	e.run.graves.Go(func() {
		defer e.over()
		time.Sleep(after)
		e.mu.Lock()
		e.twins = append(e.twins, time.Now())
		e.mu.Unlock()
		carry()
	})
}

func (e *sideEdge) strike(write bool) (sideFault, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.faults {
		f := &e.faults[i]
		switch {
		case f.Write != write || f.Count == 0:
		case f.Skip > 0:
			f.Skip--
		default:
			f.Count--
			e.coming++
			return *f, true
		}
	}
	return sideFault{}, false
}

func (e *sideEdge) over() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.coming--
}

// twin reports whether what came then was a second delivery.
func (e *sideEdge) twin(came time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.twins, came.Equal)
}

// arrived is when that came which was handed on then.
func (e *sideEdge) arrived(handed time.Time) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if came, late := e.held[handed]; late {
		return came
	}
	return handed
}

func (e *sideEdge) unquiet() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.coming
}

// startSides opens the plan's sides on the run's network.
func (r *run) startSides() error {
	for _, plan := range r.plan.Sides {
		s, err := newSide(plan, r.plan)
		if err != nil {
			return fmt.Errorf("side %s: %w", plan.Name, err)
		}
		r.sides = append(r.sides, s)
		if s.name == fenceName {
			s.fences = newFences(r, plan.Draw)
			r.redis.fences = s.fences
		}
		s.edge = &sideEdge{run: r, next: s.handler, faults: slices.Clone(plan.Faults), held: map[time.Time]time.Time{}}
		if s.server, err = r.serveSide(s); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) closeSides() {
	for _, s := range r.sides {
		s.close()
		if s.server != nil {
			_ = s.server.Close()
		}
	}
}

// healSides ends what strikes them.
func (r *run) healSides() {
	for _, s := range r.sides {
		s.edge.mu.Lock()
		s.edge.faults = nil
		s.edge.mu.Unlock()
		if s.calm != nil {
			s.calm()
		}
	}
}

// sideHosts are the hosts at which they answer.
func (r *run) sideHosts() (list []string) {
	for _, s := range r.sides {
		if s.fences == nil {
			list = append(list, s.name)
			continue
		}
		for _, m := range r.plan.Masters {
			for _, address := range m.Candidates {
				host, _, _ := net.SplitHostPort(address)
				list = append(list, host)
			}
		}
	}
	return list
}

// sidesComing lists what is still on its way at them.
func (r *run) sidesComing() (why []string) {
	for _, s := range r.sides {
		if n := s.edge.unquiet(); n > 0 {
			why = append(why, fmt.Sprintf("%d requests of %s are under way", n, s.name))
		}
	}
	return why
}

// sideValues is where each side's objects are now, by side and master.
func (r *run) sideValues() map[string]fsm.Address {
	out := map[string]fsm.Address{}
	for _, s := range r.sides {
		for i, m := range r.plan.Masters {
			if s.fences != nil {
				continue
			}
			out[s.name+"/"+m.ID] = s.value(i, m)
		}
	}
	return out
}

// inOrder are the calls of a journal that had an effect, in that order.
func inOrder[C any](calls []C, order func(C) int64) []C {
	calls = slices.DeleteFunc(calls, func(c C) bool { return order(c) == 0 })
	slices.SortFunc(calls, func(a, b C) int { return cmp.Compare(order(a), order(b)) })
	return calls
}

// sideSteps and sideTargets are their part of the spec; a fence has a stage of
// its own, before the cutover.
func (p *plan) sideSteps(t testing.TB, i int, m masterPlan, fence bool) (text string) {
	for _, s := range p.Sides {
		if fence != (s.Name == fenceName) {
			continue
		}
		if fence {
			text = "      - stage: fence\n        steps:\n"
		}
		text += fmt.Sprintf("          - {name: %s, target: %s, timeout: %s, %s}\n", s.Name, s.Name, p.Act, p.side(t, s).step(i, m))
	}
	return text
}

func (p *plan) sideTargets(t testing.TB) (text string) {
	for _, s := range p.Sides {
		text += p.side(t, s).target
	}
	return text
}

// side opens one for what it says of itself.
func (p *plan) side(t testing.TB, s sidePlan) *side {
	one, err := newSide(s, p)
	if err != nil {
		t.Fatalf("side %s of seed %d: %v", s.Name, p.Seed, err)
	}
	one.close()
	return one
}
