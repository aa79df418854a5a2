package fault

import (
	"strings"

	"github.com/pointsman/pointsman/internal/near"
)

// Unknown is a usage error for a word that is not among words.
func Unknown(what, given string, words []string) error {
	e := &Error{Code: Usage, What: "unknown " + what + " " + quote(given)}
	if meant := near.Word(given, words); meant != "" {
		e.Next = "did you mean " + quote(meant) + "?"
	} else {
		e.Next = "one of: " + strings.Join(words, ", ")
	}
	return e
}

func quote(s string) string { return `"` + s + `"` }
