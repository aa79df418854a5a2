//go:build mutants

package planted

import (
	"fmt"
	"os"
)

// chosen is fixed before main begins.
var chosen = choose(os.Getenv(Variable))

func choose(name string) Name {
	if !Known(name) {
		fmt.Fprintf(os.Stderr, "%s=%s: no such planted bug\n", Variable, name)
		os.Exit(2)
	}
	return Name(name)
}

// Bug reports whether the guard of that name is taken out. It may be called
// concurrently and always gives the same answer.
func Bug(n Name) bool { return chosen == n }

// Warning is what a program with planted bugs must say of itself.
func Warning() string {
	if chosen == "" {
		return "BUILT WITH THE TAG mutants: guards can be taken out of this program. Never let it serve anybody."
	}
	return fmt.Sprintf("BUILT WITH THE TAG mutants, AND THE GUARD %q IS TAKEN OUT. This program does wrong on purpose.", chosen)
}
