package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// line is told as soon as a bug has been played.
func (r result) line() string {
	if r.caught() {
		return fmt.Sprintf("caught    %-22s %s (%s)", r.Name, r.whole.by, cut(r.whole.check, 80))
	}
	why := []string{}
	for _, c := range []catch{r.near, r.whole} {
		if c.err != nil {
			why = append(why, fmt.Sprintf("%s: %v", c.by, c.err))
		}
	}
	return fmt.Sprintf("SURVIVED  %-22s %s", r.Name, strings.Join(why, "; "))
}

// table is the report of a run.
func table(results []result) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nMUTANT\tFOR\tCAUGHT BY\tSAYING\tAND NEAR THE GUARD BY\tSECONDS")
	for _, r := range results {
		by, near := r.whole.by, r.near.by
		if r.whole.err != nil {
			by = "NOBODY"
		}
		if r.near.err != nil {
			near = "NOBODY"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.0f\n", r.Name, r.Guarantee, by, cut(r.whole.check, 60), near, r.took.Seconds())
	}
	_ = w.Flush()
	b.WriteString("\nTo see one again:\n")
	for _, r := range results {
		if r.whole.err == nil {
			fmt.Fprintf(&b, "  %s\n", r.whole.replay)
		}
	}
	return b.String()
}

// markdown is the table for the documentation.
func markdown(results []result) string {
	var b strings.Builder
	b.WriteString("| mutant | the guard that it takes out | serves | caught by | and near the guard by |\n|---|---|---|---|---|\n")
	for _, r := range results {
		by, near := r.whole.by, r.near.by
		if r.whole.err != nil {
			by = "**nobody**"
		} else if strings.HasPrefix(by, "sim") {
			by += ": " + r.whole.check
		}
		if r.near.err != nil {
			near = "**nobody**"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.Name, r.Guard, r.Guarantee, by, near)
	}
	return b.String()
}
