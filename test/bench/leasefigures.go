package main

import (
	"fmt"
	"io"
)

// leaseTable writes how leases move, and what they cost beside etcd's.
func (f *figures) leaseTable(w io.Writer) {
	l := f.Leases
	if l == nil {
		return
	}
	row(w, "")
	row(w, fmt.Sprintf("a lease goes to another worker (ttl %.0f ms, no lock delay)", l.TTL), "n", "until the other's handler begins, ms")
	row(w, "---", "---", "---")
	for _, r := range []struct {
		what string
		took spread
	}{{"its worker is told to stop", l.Graceful}, {"its worker falls silent right after a renewal", l.Silent}, {"its worker's process is killed (SIGKILL)", l.Killed}} {
		row(w, r.what, fmt.Sprint(r.took.N), r.took.text())
	}
	if l.Left != "" {
		fmt.Fprintf(w, "\nLEFT OUT: %s\n", l.Left)
	}
	l.costs(w)
}

// costs writes a column for each side.
func (l *leased) costs(w io.Writer) {
	head, line := []string{"leases"}, []string{"---"}
	for _, b := range l.Beats {
		head, line = append(head, b.Side), append(line, "---")
	}
	row(w, "")
	row(w, head...)
	row(w, line...)
	ofBeats := func(what string, cell func(beats) string) {
		cells := []string{what}
		for _, b := range l.Beats {
			cells = append(cells, cell(b))
		}
		row(w, cells...)
	}
	ofMass := func(what string, cell func(mass) string) {
		cells := []string{what}
		for _, m := range l.Mass {
			cells = append(cells, cell(m))
		}
		row(w, cells...)
	}
	ofBeats("sessions, each with one lease and a stream", func(b beats) string { return fmt.Sprint(b.Sessions) })
	for _, way := range []struct {
		name string
		of   func(beats) paced
	}{{"offered", func(b beats) paced { return b.Offered }}, {"as fast as answered", func(b beats) paced { return b.Most }}} {
		ofBeats(way.name+": keepalives a second", func(b beats) string {
			if p := way.of(b); p.Offer > 0 {
				return fmt.Sprintf("%.0f of %.0f", p.Rate, p.Offer)
			}
			return fmt.Sprintf("%.0f", way.of(b).Rate)
		})
		ofBeats(way.name+": until answered, ms", func(b beats) string { return fmt.Sprintf("%s, p99 %.1f", way.of(b).Delay.text(), way.of(b).P99) })
		ofBeats(way.name+": keepalives per CPU second of the three nodes", func(b beats) string { return fmt.Sprintf("%.0f", way.of(b).PerCPU) })
	}
	ofBeats("log entries a second while they renew", func(b beats) string { return fmt.Sprintf("%.1f", b.Offered.Log) })
	ofBeats("all connections cut → each answered on a new one, ms", func(b beats) string { return fmt.Sprintf("%.0f", b.Back) })
	ofMass("leases held at once", func(m mass) string { return fmt.Sprint(m.Leases) })
	ofMass("granted a second, until all were held", func(m mass) string { return fmt.Sprintf("%.0f", float64(m.Leases)/max(m.Granted, 0.1)) })
	ofMass("resident memory of the largest node, MiB", func(m mass) string { return fmt.Sprintf("%.0f", m.RSS) })
	ofMass("log entries a second while all are renewed", func(m mass) string { return fmt.Sprintf("%.1f", m.Entries) })
}
