package sim

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/ovh"
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
	case "forgotten":
		r.redis.forgotten(e)
	case "reset":
		r.redis.reset(e)
	case "seeded":
		r.redis.seeded(e)
	case "flap":
		r.redis.flap(e)
	case "ask":
		r.ask(e)
	default:
		r.disturb(e)
	}
}

// disturb plays an event at the provider, or one that hits nodes.
func (r *run) disturb(e event) {
	switch e.Do {
	case "fault":
		r.note(e, func() error { _, err := r.sim.AddFault(*e.Fault); return err })
	case "denied":
		r.mu.Lock()
		r.denied = true
		r.mu.Unlock()
		r.note(e, func() error { _, err := r.sim.AddFault(*e.Fault); return err })
	case "twice":
		r.edge.mu.Lock()
		r.edge.twice = append(r.edge.twice, e.For)
		r.edge.mu.Unlock()
	case "maintenance":
		r.maintain(e)
	case "quorum":
		r.several(e, func(id string) bool { return id != e.Node })
	case "power":
		r.several(e, func(string) bool { return true })
	case "task":
		r.note(e, func() error { return r.sim.PlanTasks(service, *e.Task) })
		if e.Task.Outcome == ovh.TaskBlocked {
			time.Sleep(e.For)
			r.unblock([]ovh.TaskStatus{ovh.TaskDone, ovh.TaskError, ovh.TaskCancelled}[e.Task.Todo%3])
		}
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
		<-r.pause(p, e.For)
	case "blind":
		defer r.out(p.id)()
		p.sees.Store(false)
		time.Sleep(e.For)
		p.sees.Store(true)
	case "step":
		r.wall(p.id).Add(int64(e.For))
	case "emptied":
		r.empty(p, e)
	default:
		panic(fmt.Sprintf("event %s is not known", e))
	}
}

// pause holds all lines of a node from this instant on; the channel closes when
// they are open again.
func (r *run) pause(p *process, span time.Duration) <-chan struct{} {
	done := make(chan struct{})
	mend := r.out(p.id)
	r.hub.pause(p.id, 1)
	open := r.hold(p.id, "all", true, true)
	r.graves.Go(func() {
		defer close(done)
		defer mend()
		time.Sleep(span)
		r.hub.pause(p.id, -1)
		open()
	})
	return done
}

func (h *hub) pause(host string, by int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paused[host] += by
	h.tell()
}

// pauses counts the nodes that are paused.
func (h *hub) pauses() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, times := range h.paused {
		n += times
	}
	return n
}

// blocked holds a node's lines for a while.
func (r *run) blocked(id string, e event, in, out bool) {
	if e.Peer != provider {
		defer r.out(id)()
	}
	open := r.hold(id, e.Peer, in, out)
	time.Sleep(e.For)
	open()
}

// hold blocks lines of a node until open is called.
func (r *run) hold(id, peer string, in, out bool) (open func()) {
	peers := []string{peer}
	if peer == "peers" || peer == "all" {
		peers = nodeIDs()
	}
	if peer == "all" {
		peers = append(append(peers, provider), r.sideHosts()...)
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
	return func() {
		set(-1)
		r.story.add("plan", "lines of %s to %s are open again", id, peer)
	}
}

// several kills more nodes than the cluster can spare, in one instant.
func (r *run) several(e event, which func(id string) bool) {
	var dead sync.WaitGroup
	for _, p := range r.all() {
		if which(p.id) {
			dead.Go(func() { r.crash(p, e.How, e.For) })
		}
	}
	dead.Wait()
}

// maintain has every call refused for a while, as in the provider's maintenance.
func (r *run) maintain(e event) {
	k := r.plan.Knobs
	k.Maintenance = ovh.Maintenance(e.Knob)
	r.note(e, func() error { return r.sim.SetKnobs(k) })
	time.Sleep(e.For)
	r.note(e, func() error { return r.sim.SetKnobs(r.plan.Knobs) })
}

// blocks: a refresh of this run is made to be blocked.
func (r *run) blocks() bool {
	return slices.ContainsFunc(r.plan.Events, func(e event) bool { return e.Task != nil && e.Task.Outcome == ovh.TaskBlocked })
}

// unblock ends every task that only the provider's people can end.
func (r *run) unblock(as ovh.TaskStatus) {
	for _, c := range r.sim.Journal(0).Calls {
		if c.Refresh != nil {
			_ = r.sim.FinishTask(c.Refresh.Task, as) // most are not blocked
		}
	}
}

// empty takes a node's store away while it is down. It must not come back with
// an empty one, since it forgot its votes; then it gets its store again.
func (r *run) empty(p *process, e event) {
	r.mu.Lock()
	r.hide[p.id] = e.For
	r.mu.Unlock()
	r.crash(p, e.How, e.For)
}

// hidden plays a start on an emptied store, if that is what comes next for the node.
func (r *run) hidden(id string) {
	r.mu.Lock()
	last, ok := r.hide[id]
	delete(r.hide, id)
	r.mu.Unlock()
	if !ok {
		return
	}
	dir, kept := filepath.Join(r.dir, id), filepath.Join(r.dir, id+".kept")
	r.note(event{Do: "emptied"}, func() error { return os.Rename(dir, kept) })
	r.startEmpty(id, last)
	r.note(event{Do: "emptied"}, func() error { return os.RemoveAll(dir) })
	r.note(event{Do: "emptied"}, func() error { return os.Rename(kept, dir) })
}

// startEmpty fails the run if a node with an empty store becomes a member.
func (r *run) startEmpty(id string, last time.Duration) {
	c := cluster.DefaultConfig()
	c.NodeID, c.Zone, c.DataDir, c.Listen = fsm.NodeID(id), id, filepath.Join(r.dir, id), id+":7800"
	for _, other := range nodeIDs() {
		c.Peers = append(c.Peers, cluster.Peer{ID: fsm.NodeID(other), Address: other + ":7800"})
	}
	c.Timings, _ = cluster.TimingsOf(r.plan.Profile)
	c.Faults.Free = func(string) (uint64, error) { return 1 << 40, nil }
	end := r.hub.join(id)
	c.Network, c.Logger = end, r.story.logger(id)
	defer end.kill(reset)
	ctx, cancel := context.WithTimeout(context.Background(), last)
	defer cancel()
	node, err := cluster.Start(ctx, c)
	if err != nil {
		r.story.add(id, "with an empty store: %v", err)
		r.emptied.Add(1)
		return
	}
	select {
	case <-node.Done():
		r.story.add(id, "with an empty store: %v", node.Err())
		r.emptied.Add(1)
	case <-ctx.Done():
		if s := node.Status(); s.Leading || node.State().Index() > 0 {
			r.fail("emptied store", "%s joined with an empty store: leads %v, applied %d", id, s.Leading, node.State().Index())
		}
	}
	_ = node.Close(ctx)
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
		p.stopCounter()
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
		r.hidden(p.id)
		r.rise(p.id)
	})
}
