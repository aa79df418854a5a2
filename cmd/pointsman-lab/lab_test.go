package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want spread
	}{
		{nil, spread{}},
		{[]float64{4}, spread{N: 1, Median: 4, Max: 4}},
		{[]float64{9, 1, 2.04}, spread{N: 3, Median: 2, Max: 9}},
		{[]float64{8, 1, 3, 2}, spread{N: 4, Median: 2.5, Max: 8}},
	} {
		if got := spreadOf(c.in); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.in, got, c.want)
		}
	}
}

// The leader dies in the second failover and in every other one after it.
func TestKills(t *testing.T) {
	got := ""
	for n := 1; n <= 6; n++ {
		if kills(n) {
			got += "k"
		} else {
			got += "-"
		}
	}
	if got != "-k-k-k" {
		t.Errorf("kills %s", got)
	}
}

// Lines come in the order of events, whoever is slow to report, and count from
// the kill.
func TestScreenOrders(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	zero := time.Now()
	at := func(d time.Duration) time.Time { return zero.Add(d) }
	s.event(lab.Event{At: at(-time.Second), Who: lab.ByLab, Text: "before"})
	s.event(lab.Event{At: at(30 * time.Millisecond), Who: lab.ByProvider, Text: "third"})
	s.event(lab.Event{At: zero, Who: lab.ByLab, Text: "first", Zero: true})
	s.event(lab.Event{At: at(20 * time.Millisecond), Who: lab.BySentinel, Text: "second"})
	s.event(lab.Event{At: at(time.Hour), Who: lab.ByLab, Text: "later"})
	s.flush(at(time.Minute))
	var texts []string
	for line := range strings.Lines(out.String()) {
		f := strings.Fields(line)
		texts = append(texts, f[0]+" "+f[len(f)-1])
	}
	if got, want := strings.Join(texts, ", "), "0.0 first, 20.0 second, 30.0 third"; got != want {
		t.Errorf("timeline %q, want %q", got, want)
	}
}

func TestExitCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--help"}, 0},
		{[]string{"demo", "--no-such-flag"}, exitUsage},
		{[]string{"no-such-command"}, exitUsage},
		{[]string{"demo", "--failovers", "0"}, exitUsage},
		{[]string{"demo", "--rate", "-1"}, exitUsage},
		{[]string{"demo", "--pointsman", "/no/such/program"}, exitFailed},
	} {
		if got := run(t.Context(), c.args); got != c.want {
			t.Errorf("%q: exit code %d, want %d", c.args, got, c.want)
		}
	}
	left, err := os.ReadDir(".")
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
