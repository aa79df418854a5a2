package sim

import (
	"context"
	"fmt"
	"time"
)

// do plays one event and returns when it has ended.
func (r *run) do(e event) {
	r.story.add("plan", "%s", e)
	switch e.Do {
	case "switch":
		r.redis.switchTo(e)
	case "conflict":
		r.redis.conflict(e)
	case "returned":
		r.redis.returned(e)
	case "wiped":
		r.redis.wiped(e)
	case "away":
		r.redis.away(e)
	case "fault":
		r.note(e, func() error { _, err := r.sim.AddFault(*e.Fault); return err })
	case "task":
		r.note(e, func() error { return r.sim.PlanTasks(service, *e.Task) })
	case "foreign":
		r.foreign(e)
	default:
		if p := r.nodeOf(e); p != nil {
			r.strike(p, e)
		}
	}
}

func (r *run) note(e event, f func() error) {
	if err := f(); err != nil {
		r.story.add("plan", "%s does not work: %v", e.Do, err)
	}
}

// foreign plays a human's edit, and for an even farm the refresh after it.
func (r *run) foreign(e event) {
	for _, m := range r.plan.Masters {
		if m.ID != e.Master {
			continue
		}
		r.note(e, func() error { return r.sim.ForeignPut(m.Frontend, map[string]any{"defaultFarmId": e.Farm}) })
		if e.Farm%2 == 0 {
			r.note(e, func() error { _, err := r.sim.ForeignRefresh(service, ""); return err })
		}
	}
}

// strike plays an event that hits a node.
func (r *run) strike(p *process, e event) {
	switch e.Do {
	case "crash":
		r.crash(p, e.How, e.For)
	case "stop":
		r.setBack(p.id, e.For)
		p.stop()
	case "transfer":
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		p.tell("hands over: %v", p.node.Transfer(ctx, ""))
	case "snapshot":
		for _, q := range r.all() {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			q.tell("snapshot: %v", q.node.Snapshot(ctx))
			cancel()
		}
	case "cut":
		r.blocked(p.id, e, true, true)
	case "deaf":
		r.blocked(p.id, e, true, false)
	case "mute":
		r.blocked(p.id, e, false, true)
	case "pause":
		r.hub.pause(p.id, 1)
		r.blocked(p.id, event{Peer: "all", For: e.For}, true, true)
		r.hub.pause(p.id, -1)
	case "blind":
		p.sees.Store(false)
		time.Sleep(e.For)
		p.sees.Store(true)
	default:
		panic(fmt.Sprintf("event %s is not known", e))
	}
}

func (h *hub) pause(host string, by int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paused[host] += by
	h.tell()
}

// blocked holds a node's lines for a while.
func (r *run) blocked(id string, e event, in, out bool) {
	peers := []string{e.Peer}
	if e.Peer == "peers" || e.Peer == "all" {
		peers = nodeIDs()
	}
	if e.Peer == "all" {
		peers = append(peers, provider)
	}
	set := func(by int) {
		for _, other := range peers {
			if in && other != id {
				r.hub.block(other, id, by)
			}
			if out && other != id {
				r.hub.block(id, other, by)
			}
		}
	}
	set(1)
	time.Sleep(e.For)
	set(-1)
	r.story.add("plan", "lines of %s to %s are open again", id, e.Peer)
}

// crash kills a node; a negative delay means for good.
func (r *run) crash(p *process, how death, back time.Duration) {
	r.setBack(p.id, back)
	p.crash(how)
	<-p.gone
}

func (r *run) setBack(id string, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.back[id] = d
}

// bury takes down what is left of a process and starts the next one after its delay.
func (r *run) bury(p *process) {
	r.mu.Lock()
	back, ok := r.back[p.id]
	delete(r.back, p.id)
	r.mu.Unlock()
	if !ok {
		back = 2 * time.Second
	}
	died := time.Now()
	r.graves.Go(func() {
		defer close(p.gone)
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.node.Close(over)
		p.work.Wait()
		if back < 0 {
			r.mu.Lock()
			r.never[p.id] = true
			r.mu.Unlock()
		}
		if back < 0 || r.over() {
			return
		}
		time.Sleep(time.Until(died.Add(back)))
		r.rise(p.id)
	})
}
