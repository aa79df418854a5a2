package sentinel

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The bounds of Sentinel's own choice: its ping period and INFO period, and how
// many of each a replica may miss.
const (
	choosePing = 5 * time.Second  // 5 pings of 1 s
	chooseInfo = 30 * time.Second // 3 INFO of 10 s, while the master is up
	chooseDown = 10               // down-after times this: longest loss of the master
)

// Choice is whom a Sentinel would promote, by its own rule.
type Choice struct {
	Ranked []Replica // those that it may choose, the first one first
	Out    []Passed  // the others
	// Certain is false when the first and the second have the same priority:
	// then the offsets of the moment decide, which go on changing.
	Certain bool
}

// Passed is a replica that Sentinel would pass over.
type Passed struct {
	Address, Why string
}

// Choose ranks the replicas as the Sentinel would: lowest priority first, then
// the largest offset, then the smallest run id. Having started, a Sentinel asks
// INFO anew before it chooses, so offsets read from the nodes themselves stand
// in for its older ones where all have one. It is a function of values.
func Choose(w Word, fresh map[string]int64) Choice {
	var c Choice
	for _, r := range w.Replicas {
		if why := passed(r, w.DownAfter); why != "" {
			c.Out = append(c.Out, Passed{r.Address, why})
			continue
		}
		c.Ranked = append(c.Ranked, r)
	}
	known := !slices.ContainsFunc(c.Ranked, func(r Replica) bool { _, ok := fresh[r.Address]; return !ok })
	if known {
		for i, r := range c.Ranked {
			c.Ranked[i].Offset = fresh[r.Address]
		}
	}
	slices.SortStableFunc(c.Ranked, func(a, b Replica) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Offset, a.Offset), byRunID(a.RunID, b.RunID))
	})
	c.Certain = len(c.Ranked) == 1 || len(c.Ranked) > 1 && c.Ranked[0].Priority < c.Ranked[1].Priority
	return c
}

// byRunID: letters of either case are equal, and no run id comes last.
func byRunID(a, b string) int {
	switch {
	case a == "" || b == "":
		return cmp.Compare(len(b), len(a))
	default:
		return strings.Compare(strings.ToLower(a), strings.ToLower(b))
	}
}

// passed says why Sentinel would not choose a replica of a master that is up.
func passed(r Replica, downAfter time.Duration) string {
	for _, flag := range []string{"s_down", "o_down", "disconnected"} {
		if slices.Contains(r.Flags, flag) {
			return "flag " + flag
		}
	}
	switch longest := chooseDown * downAfter; {
	case r.Silent > choosePing:
		return fmt.Sprintf("no good answer to PING for %s (at most %s)", r.Silent, choosePing)
	case r.Priority == 0:
		return "replica-priority 0"
	case r.Informed > chooseInfo:
		return fmt.Sprintf("its INFO is %s old (at most %s)", r.Informed, chooseInfo)
	case r.LinkDown > longest:
		return fmt.Sprintf("without its master for %s (at most %s)", r.LinkDown, longest)
	}
	return ""
}

// why says in words what puts the first before the others.
func (c Choice) why() string {
	switch {
	case len(c.Ranked) == 0:
		return "no replica that Sentinel would promote"
	case len(c.Ranked) == 1:
		return "the only replica that Sentinel would promote"
	}
	a, b := c.Ranked[0], c.Ranked[1]
	switch {
	case a.Priority < b.Priority:
		return fmt.Sprintf("replica-priority %d is the lowest; %s has %d", a.Priority, b.Address, b.Priority)
	case a.Offset > b.Offset:
		return fmt.Sprintf("replica-priority %d as %s; its offset %d is larger than %d now", a.Priority, b.Address, a.Offset, b.Offset)
	default:
		return fmt.Sprintf("replica-priority %d and offset %d as %s; its run id is the smaller", a.Priority, a.Offset, b.Address)
	}
}

// Prefer lists the commands that would make Sentinel choose an address for
// certain: its priority below all others', or where that cannot be, the others'
// above it. Nobody but a human sends them.
func (c Choice) Prefer(address string) []string {
	at := slices.IndexFunc(c.Ranked, func(r Replica) bool { return r.Address == address })
	if at < 0 {
		return nil
	}
	least := 0
	for _, r := range c.Ranked {
		if r.Address != address && (least == 0 || r.Priority < least) {
			least = r.Priority
		}
	}
	if least > 1 {
		return []string{setPriority(address, min(c.Ranked[at].Priority, least-1))}
	}
	lines := []string{setPriority(address, 1)}
	for _, r := range c.Ranked {
		if r.Address != address && r.Priority <= 1 {
			lines = append(lines, setPriority(r.Address, 100))
		}
	}
	return lines
}

func setPriority(address string, priority int) string {
	host, port := address, "6379"
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		host, port = strings.Trim(address[:i], "[]"), address[i+1:]
	}
	return fmt.Sprintf("redis-cli -h %s -p %s CONFIG SET replica-priority %d", host, port, priority)
}
