package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

var errOver = errors.New("this term is over")

// classes is one run: a log, an object, and the judge who sees both.
type classes struct {
	seed      uint64
	class     fsm.Class
	act, hold time.Duration
	switches  int
	graves    sync.WaitGroup

	mu      sync.Mutex // guards what follows
	draw    *rand.Rand
	began   time.Time
	calm    bool
	truth   int // the number of the newest switch
	term    fsm.Term
	now     *proc
	state   fsm.State
	changed chan struct{}
	stamps  map[fsm.Token]time.Time
	grants  map[fsm.Token]granted
	ended   map[fsm.ActionID]fsm.Phase

	value   string
	version int
	keys    map[fsm.ActionID]bool
	sends   map[fsm.ActionID]int // requests of class blind that left
	changes map[fsm.ActionID]int
	late    bool // a request outlasted its window

	fails []failure
	story []string
}

// granted is a claim as the log granted it.
type granted struct {
	action  fsm.ActionID
	term    fsm.Term
	version string
	at      time.Time
}

func newClasses(seed uint64) *classes {
	c := &classes{
		seed: seed, draw: rand.New(rand.NewPCG(seed, 0x636c617373)),
		stamps: map[fsm.Token]time.Time{}, grants: map[fsm.Token]granted{}, ended: map[fsm.ActionID]fsm.Phase{},
		keys: map[fsm.ActionID]bool{}, sends: map[fsm.ActionID]int{}, changes: map[fsm.ActionID]int{},
	}
	c.class = pick(c.draw, fsm.Fenced, fsm.Keyed, fsm.Readable, fsm.Readable, fsm.Blind)
	c.act, c.hold = pick(c.draw, 2*time.Second, 5*time.Second), pick(c.draw, 3*time.Second, 5*time.Second, 10*time.Second)
	c.switches = 4 + c.draw.IntN(8)
	return c
}

// sleep takes a drawn span of at most that.
func (c *classes) sleep(most time.Duration) {
	c.mu.Lock()
	d := time.Duration(c.draw.Int64N(int64(most))) + time.Millisecond
	c.mu.Unlock()
	time.Sleep(d)
}

func (c *classes) one(of ...time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pick(c.draw, of...)
}

func (c *classes) chance(percent int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draw.IntN(100) < percent
}

func (c *classes) leading() *proc {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *classes) addresses() []fsm.Address { return []fsm.Address{"a:1", "b:1", "c:1"} }

func (c *classes) fail(check, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed(check, format, args...)
}

// failed is fail for who holds mu.
func (c *classes) failed(check, format string, args ...any) {
	c.fails = append(c.fails, failure{check, fmt.Sprintf(format, args...)})
	c.told("%s: %s", check, fmt.Sprintf(format, args...))
}

func (c *classes) tell(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told(format, args...)
}

func (c *classes) told(format string, args ...any) {
	if len(c.story) < maxStory {
		c.story = append(c.story, fmt.Sprintf("%9.3fs %s", time.Since(c.began).Seconds(), fmt.Sprintf(format, args...)))
	}
}

// commit makes one entry and judges it: what is final stays, and a claim is
// settled by who made it or by a later term.
func (c *classes) commit(term fsm.Term, node fsm.NodeID, command fsm.Command) fsm.Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.state
	next, answer := before.Apply(fsm.Entry{
		Index: before.Index() + 1, Term: term, Clock: fsm.Clock(time.Since(c.began)), Wall: time.Now(), Node: node, Command: command,
	})
	c.state = next
	close(c.changed)
	c.changed = make(chan struct{})
	if answer.Refusal != 0 {
		return answer
	}
	if s, ok := command.(fsm.Settle); ok {
		a, _ := before.Action(s.Action)
		c.told("%s settles %s %s (%d): %s", node, s.Action, s.To, s.Token, s.Reason)
		if a.Phase == fsm.Claimed && s.Token != a.Token {
			c.failed("settled by its holder", "%s settled %s under claim %d; it stands claimed by %d of %s", node, a.ID, s.Token, a.Token, a.Node)
		}
	}
	c.finals(next)
	for _, a := range next.Open() {
		if _, known := c.grants[a.Token]; a.Phase == fsm.Claimed && !known {
			c.grants[a.Token] = granted{a.ID, term, a.Version, time.Now()}
			c.stamps[a.Token] = time.Now()
			c.told("%s claims %s (%d, version %q)", node, a.ID, a.Token, a.Version)
		}
	}
	return answer
}

// finals: an action that reached its end never changes again (G5).
func (c *classes) finals(next fsm.State) {
	for _, a := range next.AllActions() {
		if was, ok := c.ended[a.ID]; ok && was != a.Phase {
			c.failed("settled once", "%s was %s and is %s", a.ID, was, a.Phase)
		}
		if a.Phase.Final() {
			c.ended[a.ID] = a.Phase
		}
	}
}

// fate is what becomes of a process.
type fate struct {
	at    int // its nth call; 0: none
	how   string
	span  time.Duration // of a pause
	hands time.Duration // when it hands over
}

func (f fate) String() string { return fmt.Sprintf("%s at call %d (%s)", f.how, f.at, f.span) }

func (c *classes) fate() fate {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := fate{at: 1 + c.draw.IntN(14), how: pick(c.draw, "die before", "die after", "pause before", "pause after", "pause after"), hands: time.Hour}
	f.span = pick(c.draw, time.Second, 15*time.Second)
	f.span += time.Duration(c.draw.Int64N(int64(f.span)))
	if c.draw.IntN(100) < 25 {
		f.at, f.hands = 0, time.Duration(c.draw.Int64N(int64(10*time.Second)))
	}
	if f.hands == time.Hour && c.draw.IntN(100) < 30 {
		f.hands = 30 * time.Second // a long term, if nothing strikes
	}
	return f
}

// proc is one process that leads one term. What it has of the outside comes
// through call, where its fate strikes.
type proc struct {
	c      *classes
	term   fsm.Term
	fate   fate
	exec   *executor.Executor
	ctx    context.Context
	cancel context.CancelFunc
	over   sync.WaitGroup
	acting atomic.Int64
	woke   chan struct{}

	mu     sync.Mutex
	calls  int
	dead   bool
	frozen fsm.State
	thawed chan struct{} // set while and after it stands still
}

var _ executor.Journal = (*proc)(nil)

func (p *proc) id() fsm.NodeID { return fsm.NodeID(fmt.Sprint("n", p.term)) }

func (p *proc) begin(set func(*executor.Config)) {
	p.ctx, p.cancel = context.WithCancel(context.Background())
	config := executor.DefaultConfig()
	set(&config)
	p.exec = executor.New(config)
	p.over.Go(func() { _ = p.exec.Run(p.ctx, p.term) })
	p.over.Go(p.watch)
}

// watch reports each switch in turn.
func (p *proc) watch() {
	for ; p.ctx.Err() == nil; pause(p.ctx, 20*time.Millisecond) {
		p.c.mu.Lock()
		truth := p.c.truth
		p.c.mu.Unlock()
		state, _ := p.Watch()
		if m, _ := state.Master("cache"); int(m.Number) < truth {
			n := int(m.Number) + 1
			_, _ = p.exec.Observe(p.ctx, p.term, executor.Sighting{Master: "cache", As: fsm.Advance, Address: p.c.addresses()[n%3], Epoch: fsm.Epoch(n + 1)})
		}
	}
}

func (p *proc) stop() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.cancel()
	p.over.Wait()
}

// drained: it has come to rest within the span.
func (p *proc) drained(within time.Duration) bool {
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	return p.exec.Drain(ctx) == nil
}

// call runs one effect of the process under its fate.
func (p *proc) call(name string, effect func()) error {
	p.mu.Lock()
	p.calls++
	struck := p.calls == p.fate.at
	p.mu.Unlock()
	if err := p.strikes(struck, name, "before"); err != nil {
		return err
	}
	effect()
	return p.strikes(struck, name, "after")
}

func (p *proc) strikes(struck bool, name, when string) error {
	p.awaken()
	p.mu.Lock()
	if struck && p.fate.how == "die "+when {
		p.dead = true
		p.c.tell("%s dies %s %s", p.id(), when, name)
		p.cancel()
	}
	if struck && p.fate.how == "pause "+when && !p.dead {
		p.freeze(name)
	}
	p.mu.Unlock()
	p.awaken()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errDead
	}
	return nil
}

// freeze, under mu, has all calls of the process wait. A request that stands
// in the gap between the last check and the wire must come within the window.
func (p *proc) freeze(name string) {
	span := p.fate.span
	if name == "act" {
		span = min(span, p.c.hold/2+time.Second)
	}
	p.c.mu.Lock()
	p.frozen = p.c.state
	p.c.told("%s stands still at %s for %s", p.id(), name, span)
	p.c.mu.Unlock()
	p.thawed = make(chan struct{})
	time.AfterFunc(span, func() {
		close(p.thawed)
		close(p.woke)
	})
}

func (p *proc) awaken() {
	p.mu.Lock()
	thawed := p.thawed
	p.mu.Unlock()
	if thawed != nil {
		<-thawed
	}
}

// Watch gives what the process has applied: when it wakes, what it had before.
func (p *proc) Watch() (fsm.State, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if p.thawed != nil {
		return p.frozen, p.ctx.Done()
	}
	return p.c.state, p.c.changed
}

// ProposeAs has the guard of cluster.Node.ProposeAs: a term that is over writes nothing.
func (p *proc) ProposeAs(ctx context.Context, term fsm.Term, command fsm.Command) (answer fsm.Answer, err error) {
	_, settles := command.(fsm.Settle)
	anyTerm := settles && planted.Bug(planted.SettleAnyTerm)
	if ctx.Err() != nil && !anyTerm {
		return answer, context.Cause(ctx)
	}
	p.c.sleep(10 * time.Millisecond)
	dead := p.call(command.Kind().String(), func() {
		if now := p.c.leading().term; now != term && !anyTerm {
			err = errOver
			return
		}
		answer = p.c.commit(p.c.leading().term, p.id(), command)
	})
	return answer, errors.Join(dead, err)
}

// Applied implements executor.Journal.
func (p *proc) Applied(t fsm.Token) (time.Time, bool) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	at, ok := p.c.stamps[t]
	return at, ok
}

// Clock implements executor.Journal.
func (p *proc) Clock() fsm.Clock { return fsm.Clock(time.Since(p.c.began)) }

// newer says which of two values is of a newer failover.
func newer(a, b string) bool { return numberOf(a) > numberOf(b) }

func numberOf(value string) (n fsm.Number) {
	if i := slices.Index([]byte(value), ' '); i >= 0 {
		_, _ = fmt.Sscan(value[i+1:], &n)
	}
	return n
}

func valueOf(a fsm.Address, n fsm.Number) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s %d", a, n)
}
