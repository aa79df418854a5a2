package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// TestSideJudge: the judge of the further providers sees what it is there to see.
func TestSideJudge(t *testing.T) {
	began := time.Now()
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	of := func(n fsm.Number) fsm.FailoverID { return fsm.FailoverID{Master: "cache", Number: n} }
	claim := func(n fsm.Number, seconds int) *grant {
		id := of(n)
		return &grant{
			action: fsm.Action{ID: id.Action("linode"), For: id, Step: fsm.Step{Name: "linode", Target: "linode"}}, act: 5 * time.Second,
			by: entry{at: at(seconds), author: &process{}},
		}
	}
	write := func(n fsm.Number, came, effect int, before, after string) sideWrite {
		return sideWrite{of: of(n), came: at(came), effect: at(effect), before: before, after: after}
	}
	claims := []*grant{claim(1, 0), claim(2, 10)}
	for name, c := range map[string]struct {
		writes []sideWrite
		twin   bool // the last one was delivered again after its answer
		want   []string
	}{
		"as it should be":    {writes: []sideWrite{write(1, 1, 1, "a", "b"), write(2, 11, 11, "b", "c")}},
		"nobody's":           {writes: []sideWrite{write(3, 1, 1, "a", "b")}, want: []string{"side orphans"}},
		"before its claim":   {writes: []sideWrite{write(2, 9, 9, "a", "b")}, want: []string{"side orphans"}},
		"twice":              {writes: []sideWrite{write(1, 1, 1, "a", "b"), write(1, 2, 2, "x", "b")}, want: []string{"side duplicates"}},
		"older over newer":   {writes: []sideWrite{write(2, 11, 11, "a", "c"), write(1, 1, 12, "c", "b")}, want: []string{"side stale"}},
		"outlasted":          {writes: []sideWrite{write(2, 11, 11, "a", "c"), write(1, 1, 30, "c", "b"), write(2, 31, 31, "b", "c")}},
		"older, again":       {writes: []sideWrite{write(2, 11, 11, "a", "c"), write(1, 1, 12, "c", "b")}, twin: true},
		"the same once more": {writes: []sideWrite{write(1, 1, 1, "a", "b"), write(1, 2, 2, "b", "b")}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{plan: &plan{Hold: 10 * time.Second}, story: newStory(), figures: &figures{}}
			s := &side{name: "linode", writes: func() []sideWrite { return c.writes }, edge: &sideEdge{run: r}}
			if c.twin {
				s.edge.twins = []time.Time{c.writes[len(c.writes)-1].came}
			}
			r.sideWrites(fsm.New(), s, claims, map[string][]time.Time{})
			if got := checksOf(r); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// TestAskJudge: a Sentinel that is asked twice, or without an entry, is told of.
func TestAskJudge(t *testing.T) {
	p := &process{id: "n1"}
	committed := decided{
		entry: entry{author: p, at: time.Now(), sure: time.Now()}, Entry: fsm.Entry{Command: fsm.AskSwitchover{Master: "cache", Sender: "one"}},
	}
	one := asked{master: "cache", sender: "one", by: p, sent: time.Now()}
	early := one
	early.sent = committed.sure.Add(-time.Second)
	for name, c := range map[string]struct {
		list []asked
		want []string
	}{
		"once":               {list: []asked{one}},
		"twice":              {list: []asked{one, one}, want: []string{"asked once"}},
		"before its entry":   {list: []asked{early}, want: []string{"asked once"}},
		"under another's":    {list: []asked{{master: "cache", sender: "two", by: p, sent: time.Now()}}, want: []string{"asked once"}},
		"by another process": {list: []asked{{master: "cache", sender: "one", by: &process{id: "n2"}, sent: time.Now()}}, want: []string{"asked once"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{story: newStory(), figures: &figures{}, asked: c.list}
			r.askings(fsm.New(), []decided{committed})
			if got := checksOf(r); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func checksOf(r *run) (names []string) {
	for _, f := range r.fails {
		names = append(names, f.Check)
	}
	return names
}

// TestFenceJudge: the judge of fenced nodes sees a transaction that nobody
// claimed, and one on the master.
func TestFenceJudge(t *testing.T) {
	began, id := time.Now(), fsm.FailoverID{Master: "cache", Number: 1}
	claim := &grant{
		action: fsm.Action{ID: id.Action("fence~1"), For: id, Version: "aa", Step: fsm.Step{Name: "fence~1", Target: fenceName}},
		by:     entry{at: began, author: &process{}},
	}
	find := func(asked fsm.FailoverID) (fsm.Failover, bool) {
		return fsm.Failover{ID: id, From: "a", To: "b"}, asked == id
	}
	good := fencing{master: "cache", node: "a", to: "b", replid: "aa", at: began.Add(time.Second)}
	for name, c := range map[string]struct {
		change func(*fencing)
		want   []string
	}{
		"as it should be":  {change: func(*fencing) {}},
		"of another life":  {change: func(f *fencing) { f.replid = "bb" }, want: []string{"fence orphans"}},
		"to another":       {change: func(f *fencing) { f.to = "c" }, want: []string{"fence orphans"}},
		"another node":     {change: func(f *fencing) { f.node = "c" }, want: []string{"fence orphans"}},
		"before its claim": {change: func(f *fencing) { f.at = began.Add(-time.Second) }, want: []string{"fence orphans"}},
		"on the master":    {change: func(f *fencing) { f.truth = true }, want: []string{"fence of the master"}},
	} {
		r := &run{plan: &plan{}, story: newStory(), figures: &figures{}}
		w := good
		c.change(&w)
		r.fencings([]fencing{w}, find, []*grant{claim})
		var got []string
		for _, f := range r.fails {
			got = append(got, f.Check)
		}
		if !slices.Equal(got, c.want) || r.figures.Fenced != 1 {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
