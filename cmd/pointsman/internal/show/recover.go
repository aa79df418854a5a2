package show

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/fsm"
)

// Recovery is a data directory that a cluster may begin again from.
type Recovery struct {
	cluster.Found
	Dir    string
	Config []cluster.Peer // of the node file
	Now    time.Time
	Done   *cluster.Recovered // nil: nothing was changed
}

// Parts is the recovery for programs.
func (r Recovery) Parts() []Part {
	var voters []string
	for _, v := range r.Voters {
		voters = append(voters, string(v.ID))
	}
	sessions, leases := r.leases()
	parts := []Part{
		{"recovered", r.Done != nil},
		{"node", r.Node},
		{"cluster", r.Cluster},
		{"store", r.Store},
		{"generation", r.State.Generation()},
		{"term", r.Term},
		{"last_term", r.LastTerm},
		{"last_index", r.LastIndex},
		{"snapshot_index", r.Snapshot},
		{"entries", r.Entries},
		{"newest", r.newest()},
		{"voters", voters},
		{"open_failovers", r.failovers()},
		{"open_actions", len(r.State.Open())},
		{"sessions", sessions},
		{"held", leases[fsm.Held]},
		{"draining", leases[fsm.Draining]},
		{"locked", leases[fsm.Locked]},
	}
	if r.Done != nil {
		parts = append(parts, Part{"new_generation", r.Done.Generation}, Part{"copy", r.Done.Copy})
	}
	return parts
}

// newest is empty when the log does not tell.
func (r Recovery) newest() string {
	if r.Newest.IsZero() {
		return ""
	}
	return r.Newest.UTC().Format(time.RFC3339)
}

// failovers lists those with actions that are not settled.
func (r Recovery) failovers() []string {
	list := []string{}
	for _, a := range r.State.Open() {
		if id := a.For.String(); a.For.Master != "" && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

func (r Recovery) leases() (sessions int, leases map[fsm.LeaseState]int) {
	leases = map[fsm.LeaseState]int{}
	for _, l := range r.State.Leases("") {
		leases[l.State]++
	}
	return len(r.State.Sessions("")), leases
}

// Recovery writes what was found, and what is done or would be.
func (p *Printer) Recovery(r Recovery) {
	p.printf("node %s, cluster %s, store %s\n", r.Node, or(string(r.Cluster)), short(string(r.Store)))
	line := func(name, format string, args ...any) { p.printf("  %-13s %s\n", name, fmt.Sprintf(format, args...)) }
	line("newest entry", "term %d, index %d", r.LastTerm, r.LastIndex)
	if !r.Newest.IsZero() {
		line("written", "%s ago (%s, by the wall clock)", Span(r.Now.Sub(r.Newest)), r.newest())
	}
	line("term", "%d", r.Term)
	line("generation", "%d", r.State.Generation())
	line("log", "%d entries behind the snapshot at index %d", r.Entries, r.Snapshot)
	line("voters", "%s", or(places(r.Voters)))
	claimed, doubt := 0, 0
	for _, a := range r.State.Open() {
		if a.Phase == fsm.Claimed {
			claimed++
		}
		if a.Doubt {
			doubt++
		}
	}
	line("failovers", "%s", or(strings.Join(r.failovers(), ", ")))
	line("actions", "%d open, %d of them claimed, %d in doubt", len(r.State.Open()), claimed, doubt)
	sessions, leases := r.leases()
	line("leases", "%s; %d held, %d draining, %d locked", count(sessions, "session"), leases[fsm.Held], leases[fsm.Draining], leases[fsm.Locked])
	if r.Done == nil {
		p.recoveryPlan(r)
	} else {
		p.recovered(r)
	}
}

func places(peers []cluster.Peer) string {
	var all []string
	for _, v := range peers {
		all = append(all, fmt.Sprintf("%s (%s)", v.ID, v.Address))
	}
	return strings.Join(all, ", ")
}

func (r Recovery) others() string {
	var all []string
	for _, v := range r.Config {
		if v.ID != r.Node {
			all = append(all, string(v.ID))
		}
	}
	return strings.Join(all, ", ")
}

func (r Recovery) partitions() (n int, longest time.Duration) {
	for _, s := range r.State.Spec().Pools {
		n, longest = n+s.Partitions, max(longest, s.TTL)
	}
	for _, s := range r.State.Sessions("") {
		longest = max(longest, s.TTL)
	}
	return n, longest
}

func (p *Printer) recoveryPlan(r Recovery) {
	p.printf("\na recovery from here would\n")
	p.printf("  take every entry for committed, also the last ones, of which nobody can tell any more whether they were\n")
	p.printf("  raise the generation to %d: every token from then on is above all that were given out\n", r.State.Generation()+1)
	if n, longest := r.partitions(); n > 0 {
		p.printf("  end all sessions, and lock all %d partitions until their workers have stopped believing, %s or more after the start\n", n, Span(longest))
	}
	p.printf("  make %s the only voter, of a cluster that others join with emptied data directories: %s\n", r.Node, or(r.others()))
	p.printf("  keep what is there in a directory of its own, in %s\n", r.Dir)
	p.printf("\nwhat another node has and this one has not is lost then: run --dry-run on each node that is left, and recover\n")
	p.printf("the one with the newest entry of the highest term, and of those the highest index\n")
}

func (p *Printer) recovered(r Recovery) {
	p.printf("\n%s, generation %d; what was there is kept in %s\n", p.paint(good, "recovered"), r.Done.Generation, r.Done.Copy)
	p.printf("next: start %s alone, and wait until pointsman status names it the leader\n", r.Node)
	p.printf("      then empty the data directories of the others (%s) and start them: they become voters again\n", or(r.others()))
}
