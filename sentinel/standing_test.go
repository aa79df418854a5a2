package sentinel

import (
	"testing"
	"time"
)

// stands calls Judge each 100 ms for so long with the same words and returns
// the last standing.
type stands struct {
	memory Memory
	acc    Accepted
	now    time.Time
}

func (s *stands) after(d time.Duration, began time.Time, switching bool, flags ...string) Standing {
	var v Verdict
	for end := s.now.Add(d); ; s.now = s.now.Add(100 * time.Millisecond) {
		view := View{Master: "m", At: s.now, Switching: switching, Began: began, Roles: roles("mss", s.now)}
		for i, f := range flags {
			r := says(i, "a@"+string(rune('0'+s.acc.Epoch)), s.now)
			r.Flags = f
			r.Failover = f == "master,s_down,o_down,failover_in_progress"
			view.Reports = append(view.Reports, r)
		}
		s.memory, v = Judge(s.memory, view, s.acc, candidates(), s.now)
		if !s.now.Before(end) {
			return v.Standing
		}
	}
}

func TestStanding(t *testing.T) {
	s := &stands{acc: Accepted{Known: true, Address: a, Epoch: 1}, now: epochStart()}
	step := func(name string, want Standing, got Standing) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	up, sdown, odown := "master", "master,s_down", "master,s_down,o_down"
	leading := "master,s_down,o_down,failover_in_progress"
	step("at first", Unclear, s.after(0, time.Time{}, false, up, up, up))
	step("once it has stood", Calm, s.after(CalmFor, time.Time{}, false, up, up, up))
	step("one sees it down", Calm, s.after(5*time.Second, time.Time{}, false, sdown, up, up))
	step("a majority sees it down, not for long", Unclear, s.after(time.Second, time.Time{}, false, sdown, sdown, up))
	step("for longer", Down, s.after(DownFor, time.Time{}, false, sdown, sdown, up))
	began := s.now
	step("votes", Coming, s.after(0, began, true, leading, sdown, sdown))
	step("an election that runs", Coming, s.after(5*time.Second, began, true, leading, sdown, sdown))
	step("given up, at once", Down, s.after(0, began, false, odown, sdown, sdown))
	step("back, not for long", Unclear, s.after(100*time.Millisecond, began, false, up, up, up))
	step("back", Calm, s.after(CalmFor, began, false, up, up, up))
	step("no Sentinel answers", Calm, s.after(0, began, false, up, up, up))

	began = s.now
	step("the next votes", Coming, s.after(0, began, true, leading, sdown, sdown))
	s.acc.Epoch = 2
	s.now = s.now.Add(100 * time.Millisecond)
	step("accepted: what began before is over", Unclear, s.after(0, began, true, leading, up, up))
	step("the leading Sentinel still says so", Calm, s.after(CalmFor, began, true, leading, up, up))
	step("another one begins", Coming, s.after(0, s.now, true, leading, sdown, sdown))
}

// TestStanding_BlindKeepsWhatWas: without a majority of Sentinels nothing is
// said, and before a first view neither.
func TestStanding_BlindKeepsWhatWas(t *testing.T) {
	s := &stands{acc: Accepted{Known: true, Address: a, Epoch: 1}, now: epochStart()}
	s.after(CalmFor, time.Time{}, false, "master", "master", "master")
	if got := s.after(FreshFor+time.Second, time.Time{}, false, "master"); got != Calm {
		t.Errorf("one declared Sentinel of one: %s", got)
	}
	s = &stands{now: epochStart()}
	if got := s.after(CalmFor*2, s.now, true, "master", "master", "master"); got != Unclear {
		t.Errorf("before the first view: %s", got)
	}
	s = &stands{acc: Accepted{Known: true, Address: b, Epoch: 1}, now: epochStart()}
	if got := s.after(CalmFor*2, time.Time{}, false, "master", "master", "master"); got != Unclear {
		t.Errorf("Sentinels that name another node: %s", got)
	}
	if got := s.after(ElsewhereFor, time.Time{}, false, "master", "master", "master"); got != Down {
		t.Errorf("Sentinels that go on naming another node: %s", got)
	}
}

// TestBegan: what begins a failover and what does not.
func TestBegan(t *testing.T) {
	declare := func() (*Watcher, *process) {
		w := New(Config{})
		list := []Master{
			{ID: "cache", Name: "cache", Sentinels: []string{"s:26379"}, Candidates: []string{a}},
			{ID: "queue", Name: "queue", Sentinels: []string{"s:26379"}, Candidates: []string{b}},
		}
		if err := w.SetMasters(list); err != nil {
			t.Fatal(err)
		}
		return w, w.processes[keyOf("s:26379", Access{})]
	}
	sick := func(w *Watcher, ids ...string) {
		for _, id := range ids {
			w.masters[id].reports[0] = Report{Sentinel: "s:26379", Seen: true, Address: a, Epoch: 6, Flags: "master,s_down"}
		}
	}
	about := "master cache 10.0.0.1 6379"
	for name, row := range map[string]struct {
		sick             []string
		channel, payload string
		want             bool
	}{
		"tried":                        {nil, "+try-failover", about, true},
		"elected":                      {nil, "+elected-leader", about, true},
		"chosen":                       {nil, "+selected-slave", "slave 10.0.0.2:6379 10.0.0.2 6379 @ cache 10.0.0.1 6379", true},
		"promoted is the end of it":    {nil, "+promoted-slave", "slave 10.0.0.2:6379 10.0.0.2 6379 @ cache 10.0.0.1 6379", false},
		"another master's":             {nil, "+try-failover", "master queue 10.0.0.2 6379", false},
		"a vote":                       {[]string{"cache"}, "+vote-for-leader", "abc 7", true},
		"a vote while all are well":    {nil, "+vote-for-leader", "abc 7", false},
		"a vote for one of two":        {[]string{"cache", "queue"}, "+vote-for-leader", "abc 7", false},
		"a vote of a failover of old":  {[]string{"cache"}, "+vote-for-leader", "abc 6", false},
		"a vote that cannot be read":   {[]string{"cache"}, "+vote-for-leader", "abc", false},
		"a vote with a word for epoch": {[]string{"cache"}, "+vote-for-leader", "abc x", false},
	} {
		w, p := declare()
		sick(w, row.sick...)
		w.event(p, row.channel, row.payload)
		if v, _ := w.View("cache"); !v.Began.IsZero() != row.want {
			t.Errorf("%s: began %s", name, v.Began)
		}
	}
	w, _ := declare()
	seen := Report{Sentinel: "s:26379", Seen: true, Address: a, Epoch: 6, Flags: "master"}
	leads, later := seen, seen
	leads.Failover, later.Failover, later.Epoch = true, true, 7
	w.update(w.masters["cache"], 0, seen)
	w.update(w.masters["cache"], 0, later)
	if v, _ := w.View("cache"); !v.Began.IsZero() {
		t.Error("a failover that is past its promotion began nothing")
	}
	w.update(w.masters["cache"], 0, seen)
	w.update(w.masters["cache"], 0, leads)
	if v, _ := w.View("cache"); v.Began.IsZero() {
		t.Error("a Sentinel leads a failover at the old epoch: it began")
	}
}
