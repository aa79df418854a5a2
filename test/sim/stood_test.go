package sim

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// TestStoodStill: a leader whose clock has all but stopped believes in its lease
// while others elect one and write. Then answers to its old heartbeats arrive. A
// linearizable read of it gives what was acknowledged before the read, or none.
// A clock at a quarter is beyond what is allowed; it stands for a process that
// was stopped, whose leases a bubble cannot stop.
func TestStoodStill(t *testing.T) {
	const most = 12
	for seed := *flags.from; seed < *flags.from+min(*flags.seeds, most); seed++ {
		p := draw(seed)
		p.Profile, p.Clocks, p.Events, p.Fuse, p.Latency = "calm", map[string]float64{"n1": 0.256, "n2": 1, "n3": 1}, nil, nil, 200*time.Microsecond
		spec, dir := compile(t, p), room(t)
		var r *run
		synctest.Test(t, func(*testing.T) {
			r = newRun(p, nil, dir, spec)
			r.standStill()
		})
		for _, f := range r.fails {
			fmt.Fprintf(os.Stderr, "seed %d: %s: %s\n", seed, f.Check, f.Detail)
			t.Errorf("seed %d: %s: %s", seed, f.Check, f.Detail)
		}
		if t.Failed() {
			t.Fatal(r.story)
		}
	}
}

// standStill is called in the bubble.
func (r *run) standStill() {
	defer r.close()
	if err := r.startProvider(); err != nil {
		r.fail("harness", "provider: %v", err)
		return
	}
	for _, id := range nodeIDs() {
		go r.rise(id)
	}
	old := r.slowLeads()
	if old == nil {
		r.fail("harness", "the slow node does not come to lead")
		return
	}
	for _, id := range []string{"n2", "n3"} { // the answers are on their way when it is cut off
		r.hub.block(id, "n1", 1)
	}
	time.Sleep(900 * time.Millisecond)
	for _, id := range []string{"n2", "n3"} {
		r.hub.block("n1", id, 1)
	}
	next := r.another("n1")
	if next == nil || !r.puts(next, "new") {
		r.fail("harness", "no other leader")
		return
	}
	follower := map[string]string{"n2": "n3", "n3": "n2"}[next.id]
	old.tell("leads %v while %s leads", old.node.Status().Leading, next.id)
	reads := make(chan struct{})
	go func() {
		defer close(reads)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		state, err := old.node.Read(ctx)
		if err != nil {
			old.tell("read: %v", err)
			return
		}
		if s, _ := state.Setting("k"); s.Value != "new" {
			r.fail("stale read", "%s reads %q, acknowledged was %q", old.id, s.Value, "new")
		}
	}()
	time.Sleep(time.Millisecond)
	r.hub.block(follower, "n1", -1)
	time.Sleep(time.Millisecond)
	r.hub.block(next.id, "n1", -1)
	time.Sleep(5 * time.Second)
	for _, id := range []string{"n2", "n3"} {
		r.hub.block("n1", id, -1)
	}
	<-reads
}

// slowLeads hands the leadership to n1, with writes to keep it: its heartbeats
// are far apart.
func (r *run) slowLeads() *process {
	for range 60 {
		time.Sleep(time.Second)
		lead := r.leader()
		if lead == nil {
			continue
		}
		if lead.id != "n1" {
			ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
			lead.tell("hands over: %v", lead.node.Transfer(ctx, "n1"))
			cancel()
		}
		if lead = r.another("n2"); lead != nil && lead.id == "n1" && r.puts(lead, "old") {
			return lead
		}
	}
	return nil
}

// another waits for a leader that is not that one.
func (r *run) another(not string) *process {
	for range 500 {
		for _, p := range r.all() {
			if p.id != not && p.node.Status().Leading {
				return p
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

func (r *run) puts(p *process, value string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	answer, err := p.node.Propose(ctx, fsm.PutSetting{Key: "k", Value: value})
	return err == nil && answer.Err() == nil
}
