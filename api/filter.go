package api

import (
	"slices"
	"strings"
)

// maxFilter bounds a filter's text, in bytes.
const maxFilter = 1024

// filter holds the conditions of a list or watch; all must hold.
type filter struct {
	text  string // as the caller wrote it
	terms map[string]string
}

// parseFilter reads "key=value key=value". Values hold no space.
func parseFilter(text string, allowed ...string) (filter, error) {
	f := filter{text: text, terms: map[string]string{}}
	if len(text) > maxFilter {
		return f, invalid("filter", "%d bytes (at most %d)", len(text), maxFilter)
	}
	for _, term := range strings.Fields(text) {
		key, value, ok := strings.Cut(term, "=")
		switch _, twice := f.terms[key]; {
		case !ok || key == "":
			return f, invalid("filter", "%q is not key=value", term)
		case !slices.Contains(allowed, key):
			return f, invalid("filter", "unknown key %q; known are %s", key, strings.Join(allowed, ", "))
		case twice:
			return f, invalid("filter", "key %q stands twice", key)
		}
		f.terms[key] = value
	}
	return f, nil
}

// want reports whether a value passes the condition on key, if there is one.
func (f filter) want(key, value string) bool {
	wanted, ok := f.terms[key]
	return !ok || wanted == value
}

// enum is a generated enum type's value.
type enum interface{ String() string }

// word is the short lower-case form of an enum value: RUNNING of
// FAILOVER_STATE_RUNNING is "running".
func word(e enum, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(e.String(), prefix))
}

// checkWord refuses a condition on an enum whose value does not exist, and
// takes the long form for the short one.
func (f filter) checkWord(key, prefix string, names map[int32]string) error {
	given, ok := f.terms[key]
	if !ok {
		return nil
	}
	var known []string
	for _, name := range names {
		known = append(known, strings.ToLower(strings.TrimPrefix(name, prefix)))
	}
	value := strings.TrimPrefix(strings.ToLower(given), strings.ToLower(prefix))
	if !slices.Contains(known, value) || value == "unspecified" {
		slices.Sort(known)
		known = slices.DeleteFunc(known, func(w string) bool { return w == "unspecified" })
		return invalid("filter", "unknown %s %q; known are %s", key, given, strings.Join(known, ", "))
	}
	f.terms[key] = value
	return nil
}
