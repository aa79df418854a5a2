//go:build !failpoints

package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestChaos plays failovers on real processes under real faults, and counts at
// the provider, in the log and at a client.
func TestChaos(t *testing.T) {
	seed := *flags.seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) >> 10 & (1<<32 - 1)
	}
	s := &series{t: t, began: time.Now(), seed: seed, version: version(t)}
	t.Cleanup(s.close)
	for i, f := range deck(t, seed) {
		if *flags.span > 0 && time.Since(s.began) > *flags.span {
			fmt.Printf("after %s: enough\n", *flags.span)
			break
		}
		s.play(f, seed+uint64(i))
	}
	fmt.Println(s.text())
	for _, text := range s.failed {
		fmt.Println(text)
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
