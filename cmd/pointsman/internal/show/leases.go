package show

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Pools writes the table of pools.
func (p *Printer) Pools(all []*pointsmanv1.Pool) {
	if len(all) == 0 {
		p.printf("no pools: the spec declares none\n")
		return
	}
	g := p.grid(cols("POOL", "MASTER", "ADDRESS", "PARTITIONS", "HELD", "DRAINING", "LOCKED", "FREE", "SESSIONS", "+TTL", "+DRAIN", "+LOCK DELAY", "+MOVES", "STATE"))
	for _, v := range all {
		g.row(v.GetId(), or(v.GetMaster()), or(v.GetAddress()), fmt.Sprint(v.GetPartitions()), fmt.Sprint(v.GetHeld()),
			fmt.Sprint(v.GetDraining()), p.openCount(v.GetLocked()), p.openCount(v.GetFree()), fmt.Sprint(v.GetSessions()),
			span(v.GetTtl()), span(v.GetDrain()), span(v.GetLockDelay()), fmt.Sprint(v.GetMoves()), p.poolState(v))
	}
	g.print()
}

func (p *Printer) poolState(v *pointsmanv1.Pool) string {
	if v.GetSuspendedBy() != "" {
		return p.paint(warn, "held back by "+v.GetSuspendedBy())
	}
	if v.GetSessions() == 0 {
		return p.paint(warn, "open, no workers")
	}
	return p.paint(good, "open")
}

// Pool writes one pool in full: what it promises, and what each worker holds, if
// anything.
func (p *Printer) Pool(resp *pointsmanv1.GetPoolResponse, leases []*pointsmanv1.Lease) {
	v := resp.GetPool()
	p.printf("%s  %s\n", p.paint(bold, "POOL "+v.GetId()), p.poolState(v))
	p.printf("master %s   address %s\n", or(v.GetMaster()), or(v.GetAddress()))
	p.printf("ttl %s   drain %s   lock delay %s   moves at once %d\n", span(v.GetTtl()), span(v.GetDrain()), span(v.GetLockDelay()), v.GetMoves())
	p.printf("%s   held %d   draining %d   locked %d   free %d\n\n", count(int(v.GetPartitions()), "partition"), v.GetHeld(), v.GetDraining(), v.GetLocked(), v.GetFree())
	holders := map[[3]string][]uint32{}
	for _, s := range resp.GetSessions() {
		holders[[3]string{s.GetWorker(), fmt.Sprint(s.GetId()), s.GetZone()}] = nil
	}
	for _, l := range leases {
		if holds(l) {
			k := [3]string{l.GetWorker(), fmt.Sprint(l.GetSession()), l.GetZone()}
			holders[k] = append(holders[k], l.GetPartition())
		}
	}
	if len(holders) == 0 {
		p.printf("there are no workers\n")
		return
	}
	g := p.grid(cols("WORKER", "ZONE", "HOLDS", "+SESSION", "PARTITIONS"))
	for _, k := range slices.SortedFunc(maps.Keys(holders), func(a, b [3]string) int { return strings.Compare(a[0]+" "+a[1], b[0]+" "+b[1]) }) {
		g.row(k[0], or(k[2]), fmt.Sprint(len(holders[k])), k[1], or(ranges(holders[k])))
	}
	g.wrapLast()
	g.print()
}

func holds(l *pointsmanv1.Lease) bool {
	return l.GetState() == pointsmanv1.LeaseState_LEASE_STATE_HELD || l.GetState() == pointsmanv1.LeaseState_LEASE_STATE_DRAINING
}

// ranges writes numbers in few words: 0-3, 7, 9-10.
func ranges(numbers []uint32) string {
	numbers = slices.Sorted(slices.Values(numbers))
	var words []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if word := fmt.Sprint(numbers[i]); j == i {
			words = append(words, word)
		} else {
			words = append(words, fmt.Sprint(word, "-", numbers[j]))
		}
		i = j + 1
	}
	return strings.Join(words, ", ")
}

// Leases writes the table of partitions.
func (p *Printer) Leases(all []*pointsmanv1.Lease) {
	if len(all) == 0 {
		p.printf("no leases\n")
		return
	}
	g := p.grid(cols("LEASE", "STATE", "WORKER", "ZONE", "TOKEN", "ADDRESS", "+SESSION", "+INDEX", "+UPDATED", "REASON"))
	for _, l := range all {
		worker, zone := none, none
		if l.GetState() != pointsmanv1.LeaseState_LEASE_STATE_FREE {
			worker, zone = or(l.GetWorker()), or(l.GetZone())
		}
		g.row(l.GetId(), p.leaseState(l), worker, zone, tokenOf(l), or(l.GetAddress()),
			fmt.Sprint(l.GetSession()), fmt.Sprint(l.GetIndex()), wall(l.GetUpdateTime()), or(l.GetReason()))
	}
	g.print()
}

func (p *Printer) leaseState(l *pointsmanv1.Lease) string {
	word := or(Word(l.GetState()))
	switch l.GetState() {
	case pointsmanv1.LeaseState_LEASE_STATE_HELD:
		return p.paint(good, word)
	case pointsmanv1.LeaseState_LEASE_STATE_DRAINING, pointsmanv1.LeaseState_LEASE_STATE_LOCKED:
		return p.paint(warn, word)
	}
	return word
}

func tokenOf(l *pointsmanv1.Lease) string {
	if l.GetToken() == 0 {
		return none
	}
	return fmt.Sprint(l.GetToken())
}

// Lease writes one partition in full.
func (p *Printer) Lease(l *pointsmanv1.Lease) {
	p.printf("%s  %s\n", p.paint(bold, "LEASE "+l.GetId()), p.leaseState(l))
	if l.GetToken() == 0 {
		p.printf("never granted\n")
		return
	}
	switch {
	case holds(l):
		p.printf("held by %s   zone %s   session %d\n", or(l.GetWorker()), or(l.GetZone()), l.GetSession())
	case l.GetWorker() != "":
		p.printf("last held by %s   zone %s   session %d\n", or(l.GetWorker()), or(l.GetZone()), l.GetSession())
	}
	p.printf("token %d   address %s\nlast change at index %d, %s: %s\n", l.GetToken(), or(l.GetAddress()), l.GetIndex(), wall(l.GetUpdateTime()), or(l.GetReason()))
	if c := l.GetCheckpoint(); c != nil { // its data is its workers' own, and no text
		p.printf("checkpoint version %d   of token %d   %d bytes\n", c.GetVersion(), c.GetToken(), len(c.GetData()))
	}
}

// LeaseEvent writes one change of a watch.
func (p *Printer) LeaseEvent(l *pointsmanv1.Lease) {
	line := fmt.Sprintf("%s  %s", l.GetId(), p.leaseState(l))
	if l.GetToken() != 0 {
		line += fmt.Sprintf("  token %d  %s", l.GetToken(), or(l.GetWorker()))
	}
	if l.GetReason() != "" {
		line += "  (" + l.GetReason() + ")"
	}
	p.printf("%s\n", line)
}
