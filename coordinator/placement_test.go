package coordinator

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pointsman/pointsman/fsm"
)

// good and gone are what fresh probes say.
func good() contact { return contact{verdict: reached, since: time.Hour, probed: time.Second} }
func gone() contact { return contact{verdict: lost, since: 5 * time.Second, probed: time.Second} }

func at(id, zone string, lb contact) seat {
	return seat{id: fsm.NodeID(id), zone: zone, voter: true, heard: true, contacts: map[fsm.TargetID]contact{"lb": lb}}
}

// quiet is three nodes in three zones, the master in zone b, led by a, calm for
// an hour.
func quiet() scene {
	return scene{
		leader: "a", seats: []seat{at("a", "za", good()), at("b", "zb", good()), at("c", "zc", good())},
		declared: []fsm.TargetID{"lb"}, masters: map[string]int{"zb": 1}, calm: time.Hour, last: -1, pace: Pace{}.withDefaults(),
	}
}

func TestPlacement(t *testing.T) {
	for _, c := range []struct {
		name  string
		turn  func(*scene)
		next  fsm.NodeID
		now   bool
		alert bool
		says  string
	}{
		{"stands well", func(*scene) {}, "", false, false, "holds no master"},
		{"beside the only master", func(s *scene) { s.masters = map[string]int{"za": 1} }, "b", true, false, "holds 1 of 1"},
		{"not during a plan", func(s *scene) { s.masters = map[string]int{"za": 1}; s.calm = 0 }, "b", false, false, "calm for 1m"},
		{"not so soon after", func(s *scene) { s.masters = map[string]int{"za": 1}; s.last = 4 * time.Minute }, "b", false, false, "5m0s after"},
		{"zones about equal", func(s *scene) { s.masters = map[string]int{"za": 167, "zb": 167, "zc": 166} }, "", false, false, "clearly fewer"},
		{"another zone holds more", func(s *scene) { s.masters = map[string]int{"za": 2, "zb": 3} }, "", false, false, "another one more"},
		{"the emptiest zone", func(s *scene) { s.masters = map[string]int{"za": 5, "zb": 2, "zc": 1} }, "c", true, false, ""},
		{"never to a full disk", func(s *scene) { s.masters = map[string]int{"za": 1}; s.seats[1].low = true }, "c", true, false, ""},
		{"never to the silent", func(s *scene) { s.masters = map[string]int{"za": 1}; s.seats[1].heard, s.seats[2].heard = false, false }, "", false, false, "no zone with a fit node"},
		{"never to who has no vote", func(s *scene) { s.masters = map[string]int{"za": 1}; s.seats[1].voter = false }, "c", true, false, ""},
		{"never to who lags", func(s *scene) { s.masters = map[string]int{"za": 1}; s.seats[1].lag = maxLag + 1 }, "c", true, false, ""},
		{"a zone is not worth a provider", func(s *scene) {
			s.masters = map[string]int{"za": 1}
			s.seats[1].contacts["lb"], s.seats[2].contacts["lb"] = gone(), contact{}
		}, "", false, false, "no zone with a fit node"},
		{"lost, with work there", func(s *scene) { s.seats[0].contacts["lb"] = gone(); s.needed, s.calm = s.declared, 0 }, "c", true, false, "c does"},
		{"lost, without work, something else going on", func(s *scene) { s.seats[0].contacts["lb"] = gone(); s.calm = 0 }, "c", false, false, "nothing is going on"},
		{"lost, nothing going on", func(s *scene) { s.seats[0].contacts["lb"] = gone(); s.calm = time.Second }, "c", true, false, ""},
		{"lost, just handed over", func(s *scene) {
			s.seats[0].contacts["lb"] = gone()
			s.needed, s.last = s.declared, 59*time.Second
		}, "c", false, false, "1m0s after"},
		{"lost by all", func(s *scene) {
			for _, n := range s.seats {
				n.contacts["lb"] = gone()
			}
			s.needed = s.declared
		}, "", false, true, "nobody is better"},
		{"lost here first: the others' word is older", func(s *scene) {
			s.seats[0].contacts["lb"] = gone()
			for _, n := range s.seats[1:] {
				n.contacts["lb"] = contact{verdict: reached, since: time.Hour, probed: 6 * time.Second}
			}
			s.needed = s.declared
		}, "", false, true, "has not shown lately"},
		{"the newest probe there failed", func(s *scene) {
			s.seats[0].contacts["lb"] = gone()
			c := good()
			c.failing = true
			s.seats[1].contacts["lb"], s.seats[2].contacts["lb"] = c, c
			s.needed = s.declared
		}, "", false, true, "nobody is better"},
		{"not known yet is not lost", func(s *scene) { s.seats[0].contacts["lb"] = contact{}; s.needed = s.declared }, "", false, false, "holds no master"},
		{"low disk", func(s *scene) { s.seats[0].low = true; s.calm = 0 }, "c", true, false, "disk floor"},
		{"low disks everywhere", func(s *scene) {
			for i := range s.seats {
				s.seats[i].low = true
			}
		}, "", false, true, "nobody is better"},
		{"off", func(s *scene) { s.off = true; s.masters = map[string]int{"za": 1} }, "", false, false, "is off"},
		{"off, and lost", func(s *scene) { s.off = true; s.seats[0].contacts["lb"] = gone(); s.needed = s.declared }, "", false, true, "is off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := quiet()
			c.turn(&s)
			d := decide(s)
			if d.next != c.next || d.now != c.now || (d.alert != "") != c.alert || !strings.Contains(d.reason, c.says) {
				t.Errorf("%+v", d)
			}
		})
	}
}

// TestHandOverByHand: what a human asks for obeys the same rule.
func TestHandOverByHand(t *testing.T) {
	s := quiet()
	s.seats[1].contacts["lb"] = gone()
	if to, why := s.choose(""); to != "c" || why != "" {
		t.Errorf("the fittest: %s %q", to, why)
	}
	if _, why := s.choose("b"); !strings.Contains(why, "does not reach lb") {
		t.Errorf("to one without the provider: %q", why)
	}
	s.seats[2].low = true
	if _, why := s.choose("c"); !strings.Contains(why, "disk floor") {
		t.Errorf("to a full disk: %q", why)
	}
	if to, why := s.choose(""); to != "" || why == "" {
		t.Errorf("nobody is as fit: %s %q", to, why)
	}
	s.seats[0].contacts["lb"] = gone()
	if to, why := s.choose("b"); to != "b" || why != "" {
		t.Errorf("nobody reaches it: %s %q", to, why)
	}
}

// drawScene makes any scene.
func drawScene(t *rapid.T) scene {
	span := rapid.Map(rapid.IntRange(0, 600), func(n int) time.Duration { return time.Duration(n) * time.Second })
	s := scene{leader: "a", masters: map[string]int{}, declared: []fsm.TargetID{"x", "y"}, pace: Pace{}.withDefaults(), off: rapid.IntRange(0, 9).Draw(t, "off") == 0}
	if rapid.Bool().Draw(t, "work") {
		s.needed = s.declared[:rapid.IntRange(1, 2).Draw(t, "needed")]
	} else {
		s.calm = span.Draw(t, "calm")
	}
	if s.last = -1; rapid.Bool().Draw(t, "moved") {
		s.last = span.Draw(t, "last")
	}
	for _, z := range []string{"za", "zb", "zc"} {
		s.masters[z] = rapid.IntRange(0, 30).Draw(t, z)
	}
	for i, id := range []fsm.NodeID{"a", "b", "c"} {
		n := seat{id: id, zone: []string{"za", "zb", "zc"}[i], voter: i == 0 || rapid.IntRange(0, 9).Draw(t, "voter") > 0, contacts: map[fsm.TargetID]contact{}}
		n.heard, n.low = i == 0 || rapid.IntRange(0, 4).Draw(t, "heard") > 0, rapid.IntRange(0, 5).Draw(t, "low") == 0
		n.lag = uint64(rapid.IntRange(0, 2*maxLag).Draw(t, "lag"))
		for _, target := range s.declared {
			n.contacts[target] = contact{
				verdict: verdict(rapid.IntRange(0, 2).Draw(t, "verdict")), since: span.Draw(t, "since"),
				probed: span.Draw(t, "probed"), failing: rapid.Bool().Draw(t, "failing"),
			}
		}
		s.seats = append(s.seats, n)
	}
	return s
}

// TestPlacementPromises holds for every scene: who is named is fit, hand-overs
// keep their distance, a move by zone costs no target and waits for calm, and
// the one who took over would not hand straight back.
func TestPlacementPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		d := decide(s)
		if d.now && d.next == "" || d.next != "" && d.alert != "" {
			t.Fatalf("%+v", d)
		}
		if d.next == "" {
			return
		}
		to, ok := s.seat(d.next)
		if !ok || s.unfit(to) != "" || d.next == s.leader {
			t.Fatalf("%+v to %+v", d, to)
		}
		if s.off && d.cause != byDisk {
			t.Fatalf("moves though it is off: %+v", d)
		}
		me, _ := s.seat(s.leader)
		if d.now && d.cause == byZone && (s.calm < s.pace.Calm || s.last >= 0 && s.last < s.pace.Zone ||
			to.short(me, s.declared) > 0 || s.masters[to.zone] >= s.masters[me.zone]) {
			t.Fatalf("by zone: %+v", d)
		}
		if d.now && d.cause == byReach && s.last >= 0 && s.last < s.pace.Reach {
			t.Fatalf("too soon: %+v", d)
		}
		back := s
		back.leader, back.last = d.next, -1
		for i := range back.seats { // the old leader is as fit as can be
			if back.seats[i].id == s.leader {
				back.seats[i].heard, back.seats[i].lag = true, 0
			}
		}
		if again := decide(back); again.next == s.leader {
			t.Fatalf("%+v, and then back: %+v", d, again)
		}
	})
}

// TestVerdictTakesThreeProbes: neither one failure nor a flapping provider makes
// a verdict, three in a row do.
func TestVerdictTakesThreeProbes(t *testing.T) {
	p := &probed{}
	now := time.Now()
	say := func(answers string) verdict {
		for _, a := range answers {
			var err error
			if a == '-' {
				err = errClosed
			}
			p.learn(err, now)
		}
		return p.verdict
	}
	for _, c := range []struct {
		probes string
		want   verdict
	}{
		{"+", 0}, {"+", 0}, {"-", 0}, {"++", 0}, {"+", reached}, // the first verdict too
		{"--", reached}, {"+", reached}, {"--+--+-+-+", reached},
		{"---", lost}, {"++", lost}, {"-+-+-+", lost}, {"++", reached},
	} {
		if got := say(c.probes); got != c.want {
			t.Errorf("after %s: %d, want %d", c.probes, got, c.want)
		}
	}
}
