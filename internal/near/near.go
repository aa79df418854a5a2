// Package near finds the word that a misspelt one was meant to be.
package near

import "strings"

// Word is the word that was most likely meant: one that begins with what was
// given (three letters and more), else the one with the fewest changed letters,
// at most a third of the longer word and one. Empty when none is near. Case does
// not count. Both are short: its time grows with the product of their lengths.
func Word(given string, words []string) string {
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
