package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Kinds of Change.
const (
	KindGetter = "getter" // a Sentinel's getter names another address, or "" when it stopped answering
	KindRole   = "role"   // a Redis node's ROLE changed, or "" when it stopped answering
	KindEvent  = "event"  // a Sentinel published Channel
)

// Change is one thing that the Recorder saw for the first time.
type Change struct {
	At      time.Time // after the answer was read, with its monotonic part
	Kind    string
	Source  string // address of the process that said it
	Channel string // events only
	Value   string
	Epoch   uint64 // getter only: config-epoch, read just after the address
}

// Promotion is the first moment at which any Sentinel's getter names an address
// under a config-epoch higher than every one before.
type Promotion struct {
	Address  string
	Epoch    uint64
	Sentinel string
	At       time.Time
}

// Bounds of the Recorder.
const (
	recordEvery  = 2 * time.Millisecond
	redialEvery  = 10 * time.Millisecond
	answerWithin = 300 * time.Millisecond
	maxChanges   = 1 << 16 // older ones are dropped
)

// Recorder watches a Lab from outside: the getter of every Sentinel and ROLE of
// every node each 2 ms, and all events of all Sentinels. Its methods may be
// called concurrently.
type Recorder struct {
	lab    *Lab
	cancel context.CancelFunc
	ctx    context.Context
	wg     sync.WaitGroup

	mu         sync.Mutex // guards what follows
	changes    []Change
	promotions []Promotion
	highest    uint64
	changed    chan struct{}
}

// Record starts a Recorder and returns once every running Sentinel has told its
// epoch, so that the present master is not taken for a promotion. Stop ends it.
func (l *Lab) Record(ctx context.Context) (*Recorder, error) {
	r := &Recorder{lab: l, changed: make(chan struct{})}
	for _, p := range l.sentinels {
		if p.pid() == 0 || p.isPaused() {
			continue
		}
		v, err := l.do(ctx, p, time.Second, "SENTINEL", "MASTER", l.opt.Name)
		if err != nil {
			return nil, fmt.Errorf("record: sentinel %s: %w", p.address, err)
		}
		r.highest = max(r.highest, epochOf(v))
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for _, p := range l.sentinels {
		r.wg.Go(func() { r.keep(p, r.pollGetter) })
		r.wg.Go(func() { r.keep(p, r.events) })
	}
	for _, p := range l.redis {
		r.wg.Go(func() { r.keep(p, r.pollRole) })
	}
	return r, nil
}

// Stop ends the recording; what was seen stays readable. It may be called again.
func (r *Recorder) Stop() {
	r.cancel()
	r.wg.Wait()
}

// Changes lists everything seen, oldest first.
func (r *Recorder) Changes() []Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.changes)
}

// Promotions lists the promotions since Record, oldest first.
func (r *Recorder) Promotions() []Promotion {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.promotions)
}

// WaitPromotion returns the newest promotion as soon as it names an address
// other than not: give it the master that is about to die.
func (r *Recorder) WaitPromotion(ctx context.Context, not string) (Promotion, error) {
	for {
		r.mu.Lock()
		changed := r.changed
		if n := len(r.promotions); n > 0 && r.promotions[n-1].Address != not {
			p := r.promotions[n-1]
			r.mu.Unlock()
			return p, nil
		}
		r.mu.Unlock()
		select {
		case <-changed:
		case <-r.ctx.Done():
			return Promotion{}, ErrClosed
		case <-ctx.Done():
			return Promotion{}, fmt.Errorf("wait for a promotion of another than %s: %w", not, context.Cause(ctx))
		}
	}
}

// keep redials for ever and lets watch use each connection until it fails.
func (r *Recorder) keep(p *process, watch func(*process, *conn)) {
	for r.ctx.Err() == nil {
		if c, err := dial(r.ctx, p.address, r.lab.login(p), r.lab.opt.TLS); err == nil {
			stop := context.AfterFunc(r.ctx, func() { c.Close() })
			watch(p, c)
			stop()
			c.Close()
		}
		select {
		case <-r.ctx.Done():
		case <-time.After(redialEvery):
		}
	}
}

func (r *Recorder) pollGetter(p *process, c *conn) {
	t := time.NewTicker(recordEvery)
	defer t.Stop()
	last := ""
	for range t.C {
		v, err := c.do(answerWithin, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", r.lab.opt.Name)
		at := time.Now()
		if err != nil {
			r.add(Change{At: at, Kind: KindGetter, Source: p.address})
			return
		}
		address := hostPort(v)
		if address == last {
			continue
		}
		last = address
		m, err := c.do(answerWithin, "SENTINEL", "MASTER", r.lab.opt.Name)
		if err != nil {
			return
		}
		r.add(Change{At: at, Kind: KindGetter, Source: p.address, Value: address, Epoch: epochOf(m)})
	}
}

func (r *Recorder) pollRole(p *process, c *conn) {
	t := time.NewTicker(recordEvery)
	defer t.Stop()
	last := ""
	for range t.C {
		v, err := c.do(answerWithin, "ROLE")
		at := time.Now()
		list, _ := v.([]any)
		if err != nil || len(list) == 0 {
			r.add(Change{At: at, Kind: KindRole, Source: p.address})
			return
		}
		if role, _ := list[0].(string); role != last {
			last = role
			r.add(Change{At: at, Kind: KindRole, Source: p.address, Value: role})
		}
	}
}

func (r *Recorder) events(p *process, c *conn) {
	if _, err := c.do(answerWithin, "PSUBSCRIBE", "*"); err != nil {
		return
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return
	}
	for {
		v, err := c.read()
		if err != nil {
			return
		}
		list, _ := v.([]any)
		if len(list) != 4 || list[0] != "pmessage" {
			continue
		}
		channel, _ := list[2].(string)
		text, _ := list[3].(string)
		r.add(Change{At: time.Now(), Kind: KindEvent, Source: p.address, Channel: channel, Value: text})
	}
}

func (r *Recorder) add(c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.changes) >= maxChanges {
		r.changes = slices.Delete(r.changes, 0, maxChanges/4)
	}
	r.changes = append(r.changes, c)
	if c.Kind == KindGetter && c.Value != "" && c.Epoch > r.highest {
		r.highest = c.Epoch
		r.promotions = append(r.promotions, Promotion{Address: c.Value, Epoch: c.Epoch, Sentinel: c.Source, At: c.At})
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

func epochOf(v any) uint64 {
	e, err := strconv.ParseUint(pairs(v)["config-epoch"], 10, 64)
	if err != nil {
		return 0
	}
	return e
}
