package sim

import (
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
)

// TestClasses plays what the whole cluster's provider has not: one object of
// each class, fenced, keyed, readable and blind. Real executors lead in turn over
// one log; they die or stand still at a drawn call, or hand over; requests are
// lost, answered unclearly, or held and land late. The judge stands at the object.
func TestClasses(t *testing.T) {
	from, n := *flags.from, *flags.seeds
	if *flags.seed >= 0 {
		from, n = uint64(*flags.seed), 1
	}
	for seed := from; seed < from+n; seed++ {
		for range *flags.repeat {
			c := newClasses(seed)
			synctest.Test(t, func(t *testing.T) { c.play(t) })
			if len(c.fails) == 0 && !*flags.story {
				continue
			}
			t.Logf("class %s, act %s, hold %s", c.class, c.act, c.hold)
			for _, line := range c.story {
				t.Log(line)
			}
			for _, f := range c.fails {
				t.Errorf("seed %d: %s: %s", seed, f.Check, f.Detail)
			}
			if len(c.fails) > 0 {
				fmt.Fprintf(os.Stderr, "seed %d: %s: %.200s\n", seed, c.fails[0].Check, c.fails[0].Detail)
				t.Fatalf("run it again: go test ./test/sim -run TestClasses -sim.seed=%d", seed)
			}
		}
	}
}

// play has leaders in turn until every switch is made, then a calm one that
// finishes, and judges what came of it.
func (c *classes) play(t *testing.T) {
	c.open(t)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for range c.switches {
			c.sleep(c.one(300*time.Millisecond, 3*time.Second, 3*time.Second, 25*time.Second))
			if l := c.leading(); l != nil && c.chance(60) {
				l.exec.Warm(l.ctx, "cache")
				c.sleep(c.one(time.Second, 6*time.Second))
			}
			c.mu.Lock()
			c.truth++
			c.mu.Unlock()
		}
	}()
	for done := false; !done; {
		c.turn(c.lead(c.fate()))
		select {
		case <-over:
			done = true
		default:
		}
	}
	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	last := c.lead(fate{})
	for began := time.Now(); time.Since(began) < quietAfter && len(c.left()) > 0; time.Sleep(time.Second) {
	}
	time.Sleep(driftPeriod)
	c.end()
	last.stop()
	c.graves.Wait()
}

// turn waits for what ends a leader's term, and begins no other before time.
func (c *classes) turn(l *proc) {
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		l.mu.Lock()
		dead, frozen := l.dead, l.thawed != nil
		l.mu.Unlock()
		switch {
		case dead:
			l.stop()
			c.sleep(time.Second)
			return
		case frozen: // others elect one; it learns of that when it wakes
			c.sleep(800 * time.Millisecond)
			c.graves.Go(func() {
				<-l.woke
				time.Sleep(20 * time.Millisecond)
				l.stop()
			})
			return
		case time.Since(began) > l.fate.hands:
			if c.handOver(l) {
				l.stop()
				return
			}
			began = time.Now()
		}
	}
}

// handOver is a graceful transfer: nothing is under way when it is allowed.
func (c *classes) handOver(l *proc) bool {
	began := time.Now()
	for time.Since(began) < c.act {
		l.mu.Lock()
		ready := l.dead || l.thawed != nil
		l.mu.Unlock()
		if ready {
			return false
		}
		if l.drained(50 * time.Millisecond) {
			if n := l.acting.Load(); n > 0 {
				c.fail("rest before a transfer", "term %d hands over with %d requests under way", l.term, n)
			}
			return true
		}
	}
	l.exec.Resume()
	return false
}

// left lists what is not over.
func (c *classes) left() (list []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, _ := c.state.Master("cache")
	if int(m.Number) != c.truth {
		list = append(list, fmt.Sprintf("failover %d of %d", m.Number, c.truth))
	}
	for _, a := range c.state.Open() {
		if a.Phase != fsm.Stuck || c.class != fsm.Blind || a.For.Number != m.Number {
			list = append(list, fmt.Sprintf("%s is %s: %s", a.ID, a.Phase, a.Reason))
		}
	}
	for _, o := range c.state.Objects() {
		list = append(list, fmt.Sprintf("%s is held by %v", o.ID, o.Held))
	}
	return list
}

// end judges what stands when nothing is open.
func (c *classes) end() {
	if left := c.left(); len(left) > 0 {
		c.fail("left open", "%v", left)
	}
	c.mu.Lock()
	value, state := c.value, c.state
	c.mu.Unlock()
	m, _ := state.Master("cache")
	if want := valueOf(m.Address, m.Number); c.class != fsm.Blind && value != want {
		c.fail("final value", "the object is %q, not %q", value, want)
	}
}

// open makes the log that the leaders find.
func (c *classes) open(t *testing.T) {
	c.state, c.changed, c.began = fsm.New(), make(chan struct{}), time.Now()
	step := fsm.Step{Name: "do", Target: "api", Kind: "deed", Object: "api/object", Class: c.class, Act: c.act}
	master := fsm.MasterSpec{ID: "cache", Plan: []fsm.Stage{{Name: "cutover", Steps: []fsm.Step{step}}}}
	for _, a := range c.addresses() {
		master.Candidates = append(master.Candidates, fsm.Candidate{Address: a})
	}
	spec := fsm.Spec{Targets: []fsm.TargetSpec{{ID: "api", Kind: "deed", Hold: c.hold, Rate: 6000}}, Masters: []fsm.MasterSpec{master}}
	for _, command := range []fsm.Command{
		fsm.InitCluster{Cluster: "c1"}, fsm.PutSpec{Spec: spec},
		fsm.Observe{Master: "cache", Revision: 1, Address: c.addresses()[0], Epoch: 1, As: fsm.Seed},
	} {
		if answer := c.commit(0, "n0", command); answer.Err() != nil {
			t.Fatal(answer.Err())
		}
	}
}

// lead begins the next term.
func (c *classes) lead(f fate) *proc {
	c.mu.Lock()
	c.term++
	p := &proc{c: c, term: c.term, fate: f, woke: make(chan struct{})}
	c.now = p
	c.mu.Unlock()
	p.begin(func(e *executor.Config) { e.Journal, e.Kinds = p, actuators.Kinds{"deed": deedKind{p}} })
	c.tell("n%d leads, to %s", p.term, f)
	return p
}
