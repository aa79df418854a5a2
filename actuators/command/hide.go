package command

import (
	"slices"
	"strings"
	"unicode"
)

// hider makes a program's words fit for a log.
type hider struct {
	replace *strings.Replacer
	longest int // of the secrets, in bytes
}

// minLine is the shortest line of a secret of several that is hidden by itself.
const minLine = 8

func newHider(secrets []string) hider {
	var all []string
	for _, s := range secrets {
		all = append(all, s)
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); len(line) >= minLine {
				all = append(all, line)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) }) // one may begin with another
	var h hider
	var pairs []string
	for _, s := range all {
		h.longest = max(h.longest, len(s))
		pairs = append(pairs, s, "***")
	}
	h.replace = strings.NewReplacer(pairs...)
	return h
}

// tail is the end of an output: one line, no secret. Where the output was cut,
// its first bytes may be the rest of a secret and are dropped.
func (h hider) tail(e Ended) string {
	text := e.Output
	if e.Cut {
		text = text[min(h.longest, len(text)):]
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, h.replace.Replace(text))
	text = strings.TrimSpace(text)
	if len(text) > MaxShown {
		text = strings.ToValidUTF8(text[len(text)-MaxShown:], "")
	}
	return text
}
