package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// figures is what a bench came to. Its JSON is stable.
type figures struct {
	Machine  machine    `json:"machine"`
	Left     string     `json:"left_out,omitempty"` // why a side is missing
	Switches []switches `json:"switches,omitempty"`
	Days     []ofDay    `json:"days,omitempty"`
	Reads    []reads    `json:"reads,omitempty"`
	Watchers told       `json:"watchers"`
	Fences   []losses   `json:"fences,omitempty"`
	Leases   *leased    `json:"leases,omitempty"`
	Hooks    *hooked    `json:"webhooks,omitempty"`
}

// ofDay is what one side made of a day, each time that it was played.
type ofDay struct {
	Day  string    `json:"day"`
	Side string    `json:"side"`
	From string    `json:"from"`
	All  []outcome `json:"all"`
	// Dirty counts the days left out: the Sentinels made more or fewer
	// failovers than were ordered.
	Dirty int `json:"dirty"`
}

// claims says what must hold whatever the machine: the counts. Spans are for
// the reader to judge.
func (f *figures) claims() error {
	var errs []error
	claim := func(holds bool, format string, args ...any) {
		if !holds {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{errClaims}, args...)...))
		}
	}
	for _, s := range f.Switches {
		if s.Side == byPointsman {
			claim(s.Writes.Values == s.N, "pointsman: %d writes of the value in %d switches", s.Writes.Values, s.N)
			claim(s.Writes.Refreshes == s.N, "pointsman: %d refreshes in %d switches", s.Writes.Refreshes, s.N)
		}
	}
	for _, d := range f.Days {
		for _, o := range d.All {
			if d.Side == byPointsman {
				claim(o.RightMS != nil, "pointsman, %s: the load balancer does not send to the master", d.Day)
				claim(o.Writes.Stale == 0 && len(o.Faults) == 0, "pointsman, %s: %d stale writes, %q", d.Day, o.Writes.Stale, o.Faults)
			}
		}
	}
	f.Hooks.claim(claim)
	return errors.Join(errs...)
}

// markdown writes the figures as they stand in docs/performance.md.
func (f *figures) markdown(w io.Writer) {
	m := f.Machine
	fmt.Fprintf(w, "%s, %d cores, Linux %s, %s; load average %.1f at the start.\n", m.CPU, m.Cores, m.Kernel, m.Go, m.Load)
	if f.Left != "" {
		fmt.Fprintf(w, "\nLEFT OUT: %s\n", f.Left)
	}
	f.switchTable(w)
	f.dayTable(w)
	f.readTable(w)
	f.fenceTable(w)
	f.leaseTable(w)
	f.hookTable(w)
	if t := f.Watchers; t.Watchers > 0 {
		row(w, "")
		row(w, "watchers", "changes", "the put itself, ms", "told, ms", "the last of them told, ms")
		row(w, "---", "---", "---", "---", "---")
		row(w, fmt.Sprint(t.Watchers), fmt.Sprint(t.Changes), t.Put.text(), t.Told.text(), t.Last.text())
	}
}

func (f *figures) switchTable(w io.Writer) {
	if len(f.Switches) == 0 {
		return
	}
	head, line := []string{""}, []string{"---"}
	rows := [][]string{
		{"promotion visible → first mutating request, ms"}, {"promotion visible → traffic at the new master, ms"},
		{"writes of the value per switch"}, {"refreshes per switch"}, {"left out: the Sentinels made two failovers of one"},
	}
	per := func(n int, s switches) string { return fmt.Sprintf("%.2f", float64(n)/float64(max(s.N, 1))) }
	for _, s := range f.Switches {
		head, line = append(head, fmt.Sprintf("%s (n = %d)", s.Side, s.N)), append(line, "---")
		for i, cell := range []string{s.Request.text(), s.Traffic.text(), per(s.Writes.Values, s), per(s.Writes.Refreshes, s), fmt.Sprint(s.Dirty)} {
			rows[i] = append(rows[i], cell)
		}
	}
	if len(f.Switches) == 2 {
		a, b := f.Switches[0], f.Switches[1]
		head, line = append(head, "ratio"), append(line, "---")
		rows[0] = append(rows[0], fmt.Sprintf("%.1f (medians), %.1f (maxima)", ratio(a.Request.Median, b.Request.Median), ratio(a.Request.Max, b.Request.Max)))
		rows[1] = append(rows[1], fmt.Sprintf("%.1f (medians)", ratio(a.Traffic.Median, b.Traffic.Median)))
		rows[2] = append(rows[2], fmt.Sprintf("%.1f", ratio(float64(a.Writes.Values)/float64(max(a.N, 1)), float64(b.Writes.Values)/float64(max(b.N, 1)))))
		rows[3] = append(rows[3], fmt.Sprintf("%.1f", ratio(float64(a.Writes.Refreshes)/float64(max(a.N, 1)), float64(b.Writes.Refreshes)/float64(max(b.N, 1)))))
		rows[4] = append(rows[4], "")
	}
	row(w, "")
	row(w, head...)
	row(w, line...)
	for _, r := range rows {
		row(w, r...)
	}
}

func (f *figures) dayTable(w io.Writer) {
	if len(f.Days) == 0 {
		return
	}
	row(w, "")
	row(w, "day", "counted from", "side", "n (left out)", "traffic at a serving master, s", "right for good, s", "values / refreshes a day", "stale values")
	row(w, "---", "---", "---", "---", "---", "---", "---", "---")
	for _, d := range f.Days {
		if len(d.All)+d.Dirty == 0 {
			continue
		}
		var served, right []*float64
		var sum tally
		for _, o := range d.All {
			served, right, sum = append(served, o.ServedMS), append(right, o.RightMS), sum.plus(o.Writes)
		}
		n := float64(max(len(d.All), 1))
		per := fmt.Sprintf("%.1f / %.1f", float64(sum.Values)/n, float64(sum.Refreshes)/n)
		row(w, d.Day, d.From, d.Side, fmt.Sprintf("%d (%d)", len(d.All), d.Dirty), seconds(served), seconds(right), per, fmt.Sprint(sum.Stale))
	}
}

func (f *figures) readTable(w io.Writer) {
	if len(f.Reads) == 0 {
		return
	}
	row(w, "")
	row(w, "reads of a setting", "asked", "clients", "per second", "latency, median ms", "p99 ms", "maximum ms")
	row(w, "---", "---", "---", "---", "---", "---", "---")
	for _, r := range f.Reads {
		row(w, r.Level, r.Where, fmt.Sprint(r.Clients), fmt.Sprintf("%.0f", r.Rate), fmt.Sprintf("%.2f", r.Latency.Median), fmt.Sprintf("%.2f", r.P99), fmt.Sprintf("%.1f", r.Latency.Max))
	}
}

func (s spread) text() string {
	if s.N == 0 {
		return "none"
	}
	return fmt.Sprintf("median %.1f, max %.1f", s.Median, s.Max)
}

// seconds is a set of spans; those that never ended are counted.
func seconds(list []*float64) string {
	var all []float64
	for _, ms := range list {
		if ms != nil {
			all = append(all, *ms)
		}
	}
	text := ""
	if s := spreadOf(all); s.N > 0 {
		text = fmt.Sprintf("median %.1f, max %.1f", s.Median/1000, s.Max/1000)
	}
	if never := len(list) - len(all); never > 0 {
		text = strings.TrimPrefix(fmt.Sprintf("%s; never in %d of %d", text, never, len(list)), "; ")
	}
	return text
}

// row writes a line of a table; without cells, an empty one.
func row(w io.Writer, cells ...string) {
	if len(cells) == 1 && cells[0] == "" {
		fmt.Fprintln(w)
		return
	}
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}
