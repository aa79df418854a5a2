package shopify

import (
	"fmt"
	"slices"
	"testing"
)

// However often a pair is read, the tokens before it stay hidden for a while.
func TestHiddenTokens(t *testing.T) {
	r := &rotated{secret: "secret"}
	r.hide("seed", "")
	for range 100 {
		r.hide("access", "refresh", "seed")
	}
	if got := r.secrets(); !slices.Equal(got, []string{"secret", "seed", "access", "refresh"}) {
		t.Errorf("%q", got)
	}
	for i := range 100 {
		r.hide(fmt.Sprint(i))
	}
	if n := len(r.hidden); n != hiddenTokens || !slices.Contains(r.secrets(), "99") {
		t.Errorf("%d tokens: %q", n, r.secrets())
	}
}
