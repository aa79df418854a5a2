package lab

import (
	"fmt"
	"time"
)

// Leases is what the workers of the lab wrote down of the leases that they held.
type Leases struct {
	Workers    int `json:"workers"`
	Partitions int `json:"partitions"`
	Grants     int `json:"grants"` // leases that were worked under
	// Unmoved are partitions that were not granted anew in a failover.
	Unmoved int `json:"unmoved"`
	// Fallen are grants whose token is not above the last one of their partition.
	Fallen int `json:"fallen"`
	// Shared are grants that were worked under while another worker still worked
	// on the same partition.
	Shared int `json:"shared"`
	// Stale are grants with another address than that of the newest failover that
	// the log had accepted before them.
	Stale int `json:"stale"`
	// Late are grants for an old master that were still worked under when a worker's
	// longest time to give back was over, after the failover had settled.
	Late    int      `json:"late"`
	Details []string `json:"details,omitempty"`
}

// swing is what a failover meant for the leases of the master.
type swing struct {
	index    uint64 // of the entry that accepted it
	from, to string
	settled  time.Time // zero: never
}

// audit holds the stints of a crew, in the order of their beginnings, against the
// failovers, oldest first. Tokens and indexes are positions in one log, as long as
// nothing was restored.
func audit(workers, partitions int, stints []stint, swings []swing) *Leases {
	l := &Leases{Workers: workers, Partitions: partitions, Grants: len(stints)}
	last := map[uint32]stint{}
	for _, s := range stints {
		before, known := last[s.partition]
		last[s.partition] = s
		if !known {
			continue
		}
		if s.token <= before.token {
			l.count(&l.Fallen, "partition %d: token %d after %d", s.partition, s.token, before.token)
		}
		if before.end.IsZero() || before.end.After(s.begin) {
			l.count(&l.Shared, "partition %d: %s began under token %d, %s worked under %d", s.partition, s.worker, s.token, before.worker, before.token)
		}
	}
	for i, f := range swings {
		end := ^uint64(0)
		if i+1 < len(swings) {
			end = swings[i+1].index
		}
		l.follow(f, end, stints)
	}
	return l
}

// follow judges what one failover did to the leases; end is the index of the
// next one.
func (l *Leases) follow(f swing, end uint64, stints []stint) {
	anew := map[uint32]bool{}
	for _, s := range stints {
		switch {
		case s.token >= end:
		case s.token > f.index && s.address != f.to:
			l.count(&l.Stale, "partition %d: granted to %s under token %d for %s, though %s was accepted at %d", s.partition, s.worker, s.token, s.address, f.to, f.index)
		case s.token > f.index:
			anew[s.partition] = true
		case s.address == f.from && !f.settled.IsZero() && (s.end.IsZero() || s.end.After(f.settled.Add(crewRest))):
			l.count(&l.Late, "partition %d: %s held token %d for %s %s after the failover to %s had settled", s.partition, s.worker, s.token, s.address, crewRest, f.to)
		}
	}
	if missing := l.Partitions - len(anew); missing > 0 {
		l.Unmoved += missing
		l.Details = append(l.Details, fmt.Sprintf("%d partitions were not granted for %s", missing, f.to))
	}
}

func (l *Leases) count(n *int, format string, args ...any) {
	*n++
	l.Details = append(l.Details, fmt.Sprintf(format, args...))
}
