package chaos

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"
)

type options struct {
	runs, pauses, kills *int
	seed                *uint64
	fault, matrix       *string
	story               *bool
	span                *time.Duration
}

// flags are read by the tests; this is the one place that go test gives for them.
var flags = options{
	runs:   flag.Int("chaos.runs", 0, "runs to play; 0: the small selection"),
	seed:   flag.Uint64("chaos.seed", 0, "seed of the first run; 0: one of this moment"),
	fault:  flag.String("chaos.fault", "", "play this fault only"),
	matrix: flag.String("chaos.matrix", "", "file that takes the table, between its marks if it has them"),
	story:  flag.Bool("chaos.story", false, "print the story of a good run too"),
	span:   flag.Duration("chaos.for", 0, "begin no run after so long; 0: no bound"),
	pauses: flag.Int("chaos.pauses", 10, "pauses of the pause-read test"),
	kills:  flag.Int("chaos.kills", 2, "leaders that the takeover test kills"),
}

// runWithin bounds one run with its healing.
const runWithin = 6 * time.Minute

// small is the selection that every test run plays, in this order.
func small() []string {
	return []string{
		"leader killed", "leader paused over a newer failover", "leading sentinel killed at promotion",
		"quorum lost and back", "provider trouble", "store damaged", "one-way cut between coordinators", "disk hangs",
	}
}

// playable leaves out what cannot be played here, and says why.
func playable(t *testing.T) (list []fault) {
	t.Helper()
	why := map[ground]error{}
	if _, err := exec.LookPath("ip"); err != nil || os.Getuid() != 0 {
		why[spaces] = errors.New("needs root and the ip program")
	} else if w, err := newNetwork(1); err != nil {
		why[spaces] = err
	} else if err := w.close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range faults() {
		switch {
		case f.root && os.Getuid() != 0:
			fmt.Printf("NOT PLAYED: %q needs root\n", f.name)
		case why[f.on] != nil:
			fmt.Printf("NOT PLAYED: %q: %v\n", f.name, why[f.on])
		default:
			list = append(list, f)
		}
	}
	return list
}

// deck is the faults to play: the named one, the selection, or all of them in
// turn, shuffled anew each time round, those of one ground together.
func deck(t *testing.T, seed uint64) (list []fault) {
	t.Helper()
	all := playable(t)
	byName := map[string]fault{}
	for _, f := range all {
		byName[f.name] = f
	}
	switch {
	case *flags.fault != "":
		f, ok := byName[*flags.fault]
		if !ok {
			t.Fatalf("no fault %q to play", *flags.fault)
		}
		for range max(1, *flags.runs) {
			list = append(list, f)
		}
		return list
	case *flags.runs == 0:
		for _, name := range small() {
			if f, ok := byName[name]; ok {
				list = append(list, f)
			}
		}
		return list
	}
	for rng := rand.New(rand.NewPCG(seed, 0)); len(list) < *flags.runs; {
		order := rng.Perm(len(all))
		for _, g := range []ground{plain, points, spaces} {
			for _, i := range order {
				for k := 0; all[i].on == g && k <= all[i].more; k++ {
					list = append(list, all[i])
				}
			}
		}
	}
	return list[:*flags.runs]
}
