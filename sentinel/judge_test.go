package sentinel

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The nodes of the tables. X is nobody's candidate.
const (
	a, b, c, x = "10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379", "10.6.6.6:6379"
)

func candidates() []string { return []string{a, b, c} }

// epochStart is the moment from which tables count.
func epochStart() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// says builds a report of sentinel i: "b@1", "-" for unreachable, "b@1 id2" for
// another run id, "b@1 tilt", "b@1 others=1", "b@1 failing".
func says(i int, text string, now time.Time) Report {
	r := Report{Sentinel: fmt.Sprintf("s%d:26379", i), RunID: fmt.Sprintf("s%d", i), At: now, Flags: "master", OtherSentinels: 2, Replicas: 2}
	f := strings.Fields(text)
	if f[0] == "-" {
		r.Err = "connection refused"
		return r
	}
	node, epoch, _ := strings.Cut(f[0], "@")
	r.Address = map[string]string{"a": a, "b": b, "c": c, "x": x}[node]
	if _, err := fmt.Sscan(epoch, &r.Epoch); err != nil {
		panic(err)
	}
	r.Seen = true
	for _, extra := range f[1:] {
		switch {
		case strings.HasPrefix(extra, "id"):
			r.RunID += extra
		case extra == "tilt":
			r.Tilt = true
		case extra == "failing":
			r.Failover = true
		case extra == "old":
			r.At = now.Add(-FreshFor - time.Second)
		case strings.HasPrefix(extra, "others="):
			r.OtherSentinels = int(extra[len("others=")] - '0')
		}
	}
	return r
}

// roles builds the answers of a, b, c: m master, s slave, S sentinel,
// - unreachable, ? not asked, M and o: master and slave, answered a second ago.
func roles(text string, now time.Time) []Role {
	out := make([]Role, 0, 3)
	for i, k := range text {
		r := Role{Address: candidates()[i], At: now}
		switch k {
		case 'm':
			r.Role = RoleMaster
		case 'M':
			r.Role, r.At = RoleMaster, now.Add(-time.Second)
		case 'o':
			r.Role, r.At = RoleSlave, now.Add(-time.Second)
		case 's':
			r.Role = RoleSlave
		case 'S':
			r.Role = RoleSentinel
		case '-':
			r.Role, r.Err = RoleUnreachable, "NOAUTH"
		}
		out = append(out, r)
	}
	return out
}

// at is one call of Judge: after so much time the Sentinels say this, the nodes
// answer that, and the verdict is want ("advance b@1"), with exactly these alerts.
type at struct {
	after  time.Duration
	says   string // reports of the three, separated by |
	roles  string
	want   string
	alerts string // reasons, sorted, by spaces
}

type story struct {
	name     string
	accepted string // "a@0", "" for a master not yet known; "a@0 rebased"
	steps    []at
}

// run plays a story. An accepted verdict becomes Accepted, as the log does it.
func (s story) run(t *testing.T) {
	acc := parseAccepted(s.accepted)
	now := epochStart()
	var m Memory
	for i, step := range s.steps {
		// Judge is to be called at least each second.
		for end := now.Add(step.after); now.Before(end); {
			now = now.Add(min(time.Second, end.Sub(now)))
			if now.Equal(end) {
				break
			}
			m, _ = Judge(m, viewOf(s.steps[max(0, i-1)], now), acc, candidates(), now)
		}
		var v Verdict
		m, v = Judge(m, viewOf(step, now), acc, candidates(), now)
		got := "none"
		if v.Kind != None {
			got = fmt.Sprintf("%s %s@%d", v.Kind, short(v.Address), v.Epoch)
		}
		if got != step.want {
			t.Fatalf("step %d: %q, want %q (%+v)", i, got, step.want, v)
		}
		var reasons []string
		for _, x := range v.Alerts {
			if !slices.Contains(reasons, x.Reason) {
				reasons = append(reasons, x.Reason)
			}
		}
		slices.Sort(reasons)
		if g := strings.Join(reasons, " "); g != step.alerts {
			t.Fatalf("step %d: alerts %q, want %q (%+v)", i, g, step.alerts, v.Alerts)
		}
		if v.Again <= 0 || v.Again > LookAgain {
			t.Fatalf("step %d: look again after %v", i, v.Again)
		}
		if v.Kind == None {
			continue
		}
		if len(v.Evidence) == 0 {
			t.Fatalf("step %d: verdict without evidence", i)
		}
		// The same verdict until it is accepted.
		m2, again := Judge(m, viewOf(step, now), acc, candidates(), now)
		if again.Kind != v.Kind || again.Address != v.Address || again.Epoch != v.Epoch {
			t.Fatalf("step %d: %v first, then %v", i, v, again)
		}
		m = m2
		acc = Accepted{Known: true, Address: v.Address, Epoch: v.Epoch, Rebased: v.Kind == Rebase}
	}
}

func short(address string) string {
	return map[string]string{a: "a", b: "b", c: "c", x: "x"}[address]
}

func parseAccepted(s string) Accepted {
	if s == "" {
		return Accepted{}
	}
	r := says(0, s, time.Time{})
	return Accepted{Known: true, Address: r.Address, Epoch: r.Epoch, Rebased: strings.HasSuffix(s, "rebased")}
}

func viewOf(s at, now time.Time) View {
	v := View{Master: "cache", At: now, Roles: roles(s.roles, now)}
	for i, text := range strings.Split(s.says, "|") {
		v.Reports = append(v.Reports, says(i+1, strings.TrimSpace(text), now))
	}
	return v
}

func play(t *testing.T, stories ...[]story) {
	t.Helper()
	for _, s := range slices.Concat(stories...) {
		t.Run(strings.ReplaceAll(s.name, " ", "-"), s.run)
	}
}

// The rules of acceptance, one test each; the stories tell them.

func TestAcceptance_FirstView(t *testing.T)                  { play(t, firstView()) }
func TestAcceptance_Advance(t *testing.T)                    { play(t, advances(), manyEpochs(), lies()) }
func TestAcceptance_RoleMasterAloneNeverCounts(t *testing.T) { play(t, roleAlone()) }
func TestAcceptance_Conflict(t *testing.T)                   { play(t, conflicts()) }
func TestAcceptance_BehindIsNotRegressed(t *testing.T)       { play(t, notRegressed()) }
func TestAcceptance_Regressed(t *testing.T)                  { play(t, regressions()) }
func TestAcceptance_Alerts(t *testing.T)                     { play(t, warnings()) }

func TestWarmUp(t *testing.T) {
	now := epochStart()
	v := viewOf(at{says: "a@0|a@0 failing|a@0", roles: "-ss"}, now)
	_, got := Judge(Memory{}, v, Accepted{Known: true, Address: a}, candidates(), now)
	if !got.WarmUp || got.Kind != None {
		t.Fatalf("a failover in progress: %+v", got)
	}
	v = viewOf(at{says: "a@0|a@0|a@0", roles: "mss"}, now)
	if _, got = Judge(Memory{}, v, Accepted{Known: true, Address: a}, candidates(), now); got.WarmUp {
		t.Fatalf("at rest: %+v", got)
	}
	v.Switching = true
	if _, got = Judge(Memory{}, v, Accepted{Known: true, Address: a}, candidates(), now); !got.WarmUp {
		t.Fatalf("votes were seen: %+v", got)
	}
}

// TestGapClaim: a claim that came while nobody judged is like one that was there
// before us: the others follow it within 2 s, or it is a lie.
func TestGapClaim(t *testing.T) {
	acc := Accepted{Known: true, Address: a}
	now := epochStart()
	m, _ := Judge(Memory{}, viewOf(at{says: "a@0|a@0|a@0", roles: "mss"}, now), acc, candidates(), now)
	now = now.Add(time.Minute)
	m, v := Judge(m, viewOf(at{says: "a@0|a@0|b@1", roles: "-ms"}, now), acc, candidates(), now)
	if v.Kind != None {
		t.Fatalf("after a pause: %+v", v)
	}
	now = now.Add(time.Second)
	if _, v = Judge(m, viewOf(at{says: "a@0|b@1|b@1", roles: "-ms"}, now), acc, candidates(), now); v.Kind != Advance {
		t.Fatalf("followed by another: %+v", v)
	}
}

// TestGap: a timer that nobody watched does not run.
func TestGap(t *testing.T) {
	acc := Accepted{Known: true, Address: a, Epoch: 3}
	split := at{says: "b@3|b@3|a@3", roles: "mms"}
	now := epochStart()
	m, _ := Judge(Memory{}, viewOf(split, now), acc, candidates(), now)
	now = now.Add(time.Minute)
	m, v := Judge(m, viewOf(split, now), acc, candidates(), now)
	if v.Kind != None {
		t.Fatalf("after a pause: %+v", v)
	}
	for range 5 {
		now = now.Add(time.Second)
		m, v = Judge(m, viewOf(split, now), acc, candidates(), now)
	}
	if v.Kind != Resolve || v.Address != b {
		t.Fatalf("watched for 5 s: %+v", v)
	}
}
