package chaos

import (
	"flag"
	"time"
)

type options struct {
	runs, pauses, kills, moves *int
	seed                       *uint64
	fault, matrix, also        *string
	story                      *bool
	span                       *time.Duration
}

// flags are read by the tests; this is the one place that go test gives for them.
var flags = options{
	runs:   flag.Int("chaos.runs", 0, "runs to play; 0: the small selection"),
	seed:   flag.Uint64("chaos.seed", 0, "seed of the first run; 0: one of this moment"),
	fault:  flag.String("chaos.fault", "", "play this fault only"),
	also:   flag.String("chaos.also", alsoDrawn, "kinds that each playground carries besides, such as http,haproxy, and fence for a fence before the cutover; or none; drawn: by the seed"),
	matrix: flag.String("chaos.matrix", "", "file that takes the table, between its marks if it has them"),
	story:  flag.Bool("chaos.story", false, "print the story of a good run too"),
	span:   flag.Duration("chaos.for", 0, "begin no run after so long; 0: no bound"),
	pauses: flag.Int("chaos.pauses", 6, "pauses of the pause-read test"),
	kills:  flag.Int("chaos.kills", 1, "leaders that the takeover test kills"),
	moves:  flag.Int("chaos.moves", 2, "failovers of the lease counter test"),
}

// runWithin bounds one run with its healing.
const runWithin = 6 * time.Minute

// small is the selection that every test run plays, in this order.
func small() []string {
	return []string{
		"leader killed", "leader paused over a newer failover", "quorum lost and back", "provider trouble", "store damaged",
		"one-way cut between coordinators", "disk hangs",
	}
}
