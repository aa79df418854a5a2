package sim

import (
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// figures are what runs add up to: numbers are summed, spans are the longest.
type figures struct {
	Runs, Failed                                                      int
	Failovers, Actions, Done, Superseded, Stuck, Retried              int
	Claims, TakenOver, InDoubt, Terms, Crashes                        int
	Changes, Refreshes, Repeats, Twice, OutOfOrder                    int
	Outlasted, Stale, Duplicates                                      int // runs in which a request outlasted the window, and what came of it
	Foreign, Apart, Lagging, NoQuorum                                 int // runs with somebody else's edit, clocks apart, reads that lag, a lost quorum
	Differs                                                           int // masters left at another address by a late rebase
	Loads, Installs, Emptied                                          int // starts from a snapshot, snapshots installed, starts refused with an empty store
	Hashes                                                            int // states compared
	Shops, ShopChanges, ShopRefused                                   int // runs with a shop, writes that it took, writes that its digests refused
	Linodes, Octavias, IPs, Hooks, Balancers, Scripts, Fences, Fenced int
	Pools, Grants, Commits, FencedOff, Checks                         int // runs with workers, grants to them, their writes, those that the sink refused, tokens asked about // runs with one of these besides
	Saves, SavesFenced                                                int // checkpoints saved, and those that the log refused since another token was current
	Asked, AskedLed                                                   int // switchovers that humans asked for, and those that led to a failover
	SideChanges, SideLate                                             int // changes there, and requests that outlasted their window

	Slowest, SlowestRight, SlowestCalm, LongestDoubt, SlowestMend time.Duration
}

type total struct {
	mu sync.Mutex
	figures
}

func (t *total) add(r *run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum, one := reflect.ValueOf(&t.figures).Elem(), reflect.ValueOf(*r.figures)
	for i := range one.NumField() {
		f, v := sum.Field(i), one.Field(i)
		if v.Type() == reflect.TypeFor[time.Duration]() {
			f.SetInt(max(f.Int(), v.Int()))
		} else {
			f.SetInt(f.Int() + v.Int())
		}
	}
}

// tell says how a long run goes.
func (t *total) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Runs%500 == 0 {
		fmt.Fprintf(os.Stderr, "%d runs, %d failed, %d failovers\n", t.Runs, t.Failed, t.Failovers)
	}
}

func (t *total) String() string {
	f := &t.figures
	short := func(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
	return fmt.Sprintf("%d runs, %d failed: %d failovers, %d actions (%d done, %d superseded, %d stuck, %d retried by hand) by %d claims, %d of them taken over and %d in doubt (longest %s); "+
		"%d terms, %d crashes, %d runs without a quorum for a while, %d starts from a snapshot, %d snapshots installed, %d starts on an emptied store refused, %d states compared; "+
		"%d changes at the provider, %d refreshes, %d repeats, %d requests delivered twice, %d out of order; "+
		"%d runs with a request that outlasted the window (%d stale, %d duplicates in them, longest until mended %s), %d with foreign edits, %d with clocks apart, %d with reads that lag; "+
		"%d runs with a shop, %d writes taken and %d refused there by their digests; "+
		"%d runs with a Linode, %d with an Octavia, %d with failover IPs, %d with a bridge, %d with an HAProxy, %d with programs, %d with a fence (%d old masters fenced), %d changes there and %d requests that outlasted the window; "+
		"%d runs with a pool of leases, %d grants, %d writes under them, %d refused by their tokens, %d answers about tokens, %d checkpoints saved and %d refused; "+
		"%d switchovers asked for, %d of them led to a failover; "+
		"%d masters left elsewhere by a late rebase; slowest from a calm switch to its entry %s, from the last fault to right %s and to settled %s",
		f.Runs, f.Failed, f.Failovers, f.Actions, f.Done, f.Superseded, f.Stuck, f.Retried, f.Claims, f.TakenOver, f.InDoubt, short(f.LongestDoubt),
		f.Terms, f.Crashes, f.NoQuorum, f.Loads, f.Installs, f.Emptied, f.Hashes,
		f.Changes, f.Refreshes, f.Repeats, f.Twice, f.OutOfOrder,
		f.Outlasted, f.Stale, f.Duplicates, short(f.SlowestMend), f.Foreign, f.Apart, f.Lagging,
		f.Shops, f.ShopChanges, f.ShopRefused,
		f.Linodes, f.Octavias, f.IPs, f.Hooks, f.Balancers, f.Scripts, f.Fences, f.Fenced, f.SideChanges, f.SideLate,
		f.Pools, f.Grants, f.Commits, f.FencedOff, f.Checks, f.Saves, f.SavesFenced, f.Asked, f.AskedLed,
		f.Differs, short(f.SlowestCalm), short(f.SlowestRight), short(f.Slowest))
}

// count sums one run up.
func (r *run) count(state fsm.State, log []decided, deeds []deed, p ovh.Proof) {
	f := r.figures
	f.Failovers, f.Changes, f.Refreshes, f.Repeats = len(state.Failovers("")), p.FrontendChanges, p.Refreshes, p.Repeats
	f.Stale, f.Duplicates, f.Hashes = p.Stale, p.Duplicates, len(r.samples)
	r.commands(log)
	for _, a := range state.AllActions() {
		f.Actions++
		switch a.Phase {
		case fsm.Done:
			f.Done++
		case fsm.Superseded:
			f.Superseded++
		case fsm.Stuck:
			f.Stuck++
		}
	}
	for _, m := range state.Masters() {
		if truth, _ := r.redis.told(string(m.ID)); truth != string(m.Address) {
			f.Differs++
		}
	}
	f.Outlasted, f.Foreign, f.Apart = one(r.outlasted(deeds)), one(r.anyEdited()), one(len(r.plan.Clocks) > 0)
	for _, s := range r.plan.Sides {
		*map[string]*int{"linode": &f.Linodes, "octavia": &f.Octavias, "ip": &f.IPs, "hook": &f.Hooks, balancerHost: &f.Balancers, scriptHost: &f.Scripts, fenceName: &f.Fences}[s.Name]++
	}
	f.Lagging, f.NoQuorum = one(r.plan.ReadLag > 0), one(len(r.quorums) > 0)
}

func (r *run) commands(log []decided) {
	f, terms := r.figures, map[fsm.Term]bool{}
	for _, d := range log {
		terms[d.Entry.Term] = true
		switch c := d.Command.(type) {
		case fsm.Observe:
			f.Claims += len(d.answer.Claims)
		case fsm.Claim:
			if d.answer.Refusal == 0 {
				f.Claims++
				if a, _ := d.before.Action(c.Action); a.Phase == fsm.Claimed {
					f.TakenOver++
				}
			}
		case fsm.Settle:
			f.InDoubt += one(c.Doubt && d.answer.Refusal == 0)
		}
	}
	f.Terms = len(terms)
}

// sum completes the figures with what needs no log.
func (r *run) sum() {
	f := r.figures
	f.Runs, f.Failed, f.Slowest, f.SlowestRight = 1, one(len(r.fails) > 0), r.took, r.right
	f.Crashes, f.Retried, f.Emptied = int(r.crashes.Load()), int(r.retries.Load()), int(r.emptied.Load())
	f.Loads, f.Installs = int(r.loads.Load()), int(r.installs.Load())
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}
