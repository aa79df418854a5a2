//go:build !failpoints

package chaos

import (
	"fmt"
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
	s := &series{t: t, began: time.Now(), seed: seed}
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
