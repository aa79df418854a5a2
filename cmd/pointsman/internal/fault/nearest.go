package fault

import "strings"

// Nearest finds the word that was most likely meant: the one with the fewest
// changed letters, at most a third of the longer word; or "" when none is near.
func Nearest(given string, words []string) string {
	given = strings.ToLower(given)
	best, least := "", len(given)+1
	for _, w := range words {
		limit := max(len(given), len(w))/3 + 1
		d := distance(given, strings.ToLower(w))
		if d <= limit && d < least {
			best, least = w, d
		}
		if len(given) >= 3 && strings.HasPrefix(strings.ToLower(w), given) && least > 1 {
			best, least = w, 1
		}
	}
	return best
}

// Unknown is a usage error for a word that is not among words.
func Unknown(what, given string, words []string) error {
	e := &Error{Code: Usage, What: "unknown " + what + " " + quote(given)}
	if near := Nearest(given, words); near != "" {
		e.Next = "did you mean " + quote(near) + "?"
	} else {
		e.Next = "one of: " + strings.Join(words, ", ")
	}
	return e
}

func quote(s string) string { return `"` + s + `"` }

// distance counts the inserts, deletions, changes and swaps of neighbouring
// letters between two words (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
