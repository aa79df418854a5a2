package sim

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/pointsman/pointsman/fsm"
)

// crewComing lists what is not as it should be once nothing strikes any more:
// every partition is held by a worker that believes in it.
func (r *run) crewComing(state fsm.State) (why []string) {
	c := r.crew
	if c == nil {
		return nil
	}
	if p, _ := state.Pool(poolName); p.Suspended.Master != "" {
		why = append(why, fmt.Sprintf("pool %s is suspended by %s", poolName, p.Suspended))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := map[uint32]uint64{}
	for _, b := range c.beliefs {
		if b.to.IsZero() {
			now[b.partition] = b.token
		}
	}
	for n := range c.plan.Partitions {
		if l, _ := state.Lease(poolName, n); l.State != fsm.Held || now[uint32(n)] != uint64(l.Token) {
			why = append(why, fmt.Sprintf("partition %d is %s under %d, believed in under %d", n, l.State, l.Token, now[uint32(n)]))
		}
	}
	return why
}

// granted is one grant as the log made it.
type grantedLease struct {
	fsm.Lease
	at time.Time // first made durable anywhere
}

// leased judges the pool: tokens rise, none is granted while the pool is
// suspended and each for the address that the log had accepted; a worker believes
// only in what it was granted, and no two in one partition at a time; the sink
// takes nothing under an older token than it has; what CheckToken answers is
// linearizable with the log; and checkpoints are as saved says.
func (r *run) leased(log []decided) {
	c := r.crew
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	grants := r.grantsOfLeases(log)
	r.believed(grants, c.beliefs)
	r.sunk(grants, c.commits)
	r.checked(log, c.checks)
	r.saved(log, c.savings)
	r.figures.Pools, r.figures.Grants, r.figures.Commits, r.figures.Checks = 1, len(grants), len(c.commits), len(c.checks)
}

func (r *run) grantsOfLeases(log []decided) map[uint64][]grantedLease {
	grants, highest := map[uint64][]grantedLease{}, map[int]fsm.Token{}
	for _, d := range log {
		if d.after.Leased() == d.before.Leased() {
			continue
		}
		pool, _ := d.before.Pool(poolName)
		for _, l := range d.after.Leases(poolName) {
			was, known := d.before.Lease(poolName, l.Number)
			if known && was.Token == l.Token || l.State != fsm.Held {
				continue
			}
			master, _ := d.before.Master(fsm.MasterID(r.plan.Masters[0].ID))
			switch {
			case l.Token <= highest[l.Number]:
				r.fail("lease tokens rise", "entry %d grants %s/%d under %d after %d", d.Index, poolName, l.Number, l.Token, highest[l.Number])
			case pool.Suspended.Master != "":
				r.fail("lease while suspended", "entry %d grants %s/%d, which %s has suspended", d.Index, poolName, l.Number, pool.Suspended)
			case l.Address != master.Address:
				r.fail("lease address", "entry %d grants %s/%d for %s, the master is %s", d.Index, poolName, l.Number, l.Address, master.Address)
			case known && was.State.Owned():
				r.fail("lease taken", "entry %d grants %s/%d, which is %s", d.Index, poolName, l.Number, was.State)
			}
			highest[l.Number] = l.Token
			grants[uint64(l.Token)] = append(grants[uint64(l.Token)], grantedLease{l, d.entry.at})
		}
	}
	return grants
}

func grantOf(grants map[uint64][]grantedLease, token uint64, partition uint32) (grantedLease, bool) {
	i := slices.IndexFunc(grants[token], func(g grantedLease) bool { return g.Number == int(partition) })
	if i < 0 {
		return grantedLease{}, false
	}
	return grants[token][i], true
}

func (r *run) believed(grants map[uint64][]grantedLease, all []*belief) {
	for i, b := range all {
		g, ok := grantOf(grants, b.token, b.partition)
		switch {
		case !ok || b.from.Before(g.at):
			r.fail("lease belief", "%s believes in partition %d under %d, which was not granted by then", b.worker, b.partition, b.token)
		case g.Worker != b.worker:
			r.fail("lease belief", "%s believes in partition %d under %d, which is %s's", b.worker, b.partition, b.token, g.Worker)
		case string(g.Address) != b.address:
			r.fail("lease belief", "%s works on partition %d at %s, granted was %s", b.worker, b.partition, b.address, g.Address)
		}
		for _, other := range all[:i] {
			if other.partition == b.partition && b.from.Before(ends(other)) && other.from.Before(ends(b)) && other.token != b.token {
				r.fail("two holders", "partition %d: %s under %d from %s to %s, %s under %d from %s to %s", b.partition, other.worker, other.token,
					r.since(other.from), r.since(ends(other)), b.worker, b.token, r.since(b.from), r.since(ends(b)))
			}
		}
	}
}

func (r *run) since(t time.Time) time.Duration { return t.Sub(r.story.began) }

// ends is when a belief ended; one that lasts, far away.
func ends(b *belief) time.Time {
	if b.to.IsZero() {
		return b.from.Add(1000 * time.Hour)
	}
	return b.to
}

func (r *run) sunk(grants map[uint64][]grantedLease, all []commit) {
	highest := map[uint32]uint64{}
	for _, w := range all {
		if g, ok := grantOf(grants, w.token, w.partition); !ok || g.Worker != w.worker {
			r.fail("lease commit", "%s wrote to partition %d under %d, which it was not granted", w.worker, w.partition, w.token)
		}
		if w.taken != (w.token >= highest[w.partition]) {
			r.fail("sink", "a write to partition %d under %d, after %d, was taken: %v", w.partition, w.token, highest[w.partition], w.taken)
		}
		highest[w.partition] = max(highest[w.partition], w.token)
		if !w.taken {
			r.figures.FencedOff++
		}
	}
}

// turn is what an entry of the log made of a partition, or what a worker was told
// of one of its tokens.
type turn struct {
	index uint64 // of the entry; 0: a question
	token uint64
	owned bool
}

// standing is a partition between two entries.
type standing struct {
	index, token uint64
	owned        bool
}

func leaseModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return standing{} },
		Step: func(state, in, out any) (bool, any) {
			s, t := state.(standing), in.(turn)
			if t.index > 0 {
				return t.index > s.index, standing(t)
			}
			return out.(bool) == (s.owned && s.token == t.token), s
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %v", in, out) },
	}
}

// checked holds the answers about tokens against the log, partition by partition.
// An entry takes effect after it was first made durable, and before any question
// that was asked after a majority had it.
func (r *run) checked(log []decided, all []check) {
	for n := range r.crew.plan.Partitions {
		var history []porcupine.Operation
		at := func(t time.Time) int64 { return int64(r.since(t)) }
		for _, d := range log {
			was, _ := d.before.Lease(poolName, n)
			now, _ := d.after.Lease(poolName, n)
			if was.Token == now.Token && was.State.Owned() == now.State.Owned() {
				continue
			}
			op := porcupine.Operation{ClientId: 0, Input: turn{d.Index, uint64(now.Token), now.State.Owned()}, Output: true, Call: at(d.entry.at), Return: math.MaxInt64}
			if !d.entry.sure.IsZero() {
				op.Return = at(d.entry.sure)
			}
			history = append(history, op)
		}
		for _, q := range all {
			if q.partition == uint32(n) {
				history = append(history, porcupine.Operation{ClientId: 1, Input: turn{token: q.token}, Output: q.current, Call: at(q.call), Return: at(q.ended)})
			}
		}
		if !porcupine.CheckOperations(leaseModel(), history) {
			r.fail("lease history", "what was told of the tokens of partition %d is not linearizable", n)
		}
	}
}
