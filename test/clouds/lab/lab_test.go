package lab

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// The rendered samples must say what the lab means, and nothing of the sample's
// own addresses may be left.
func TestRenderNode(t *testing.T) {
	places := []place{}
	for _, id := range []string{"pm-a", "pm-b", "pm-c"} {
		at := func(port string) string {
			return "127.0.0.1:" + port + map[string]string{"pm-a": "1", "pm-b": "2", "pm-c": "3"}[id]
		}
		places = append(places, place{id: id, zone: "eu-west-par-" + id[3:], raft: at("1700"), grpc: at("1701"), http: at("1702"), dir: "/tmp/" + id})
	}
	for i, p := range places {
		text, err := renderNode(i, places)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "10.0.") {
			t.Errorf("an address of the sample is left in:\n%s", text)
		}
		file := t.TempDir() + "/node.yaml"
		write(t, file, text)
		n, err := config.LoadNode(config.Sources{Path: file, LookupEnv: func(string) (string, bool) { return "", false }})
		if err != nil {
			t.Fatal(err)
		}
		c := n.Config
		if c.Id != p.id || c.Zone != p.zone || c.DataDir != p.dir || c.Listen.Raft != p.raft || c.Listen.Grpc != p.grpc || c.Listen.Http != p.http {
			t.Errorf("node %d is %v, want %+v", i, c, p)
		}
		for k, peer := range c.Peers {
			if want := places[k]; peer.Id != want.id || peer.Zone != want.zone || peer.Raft != want.raft || peer.Grpc != want.grpc {
				t.Errorf("node %d has peer %v, want %+v", i, peer, want)
			}
		}
	}
}

func TestRenderSpec(t *testing.T) {
	sentinels := []string{"127.0.0.1:17011", "127.0.0.1:17012", "127.0.0.1:17013"}
	redis := []string{"127.0.0.1:17001", "127.0.0.1:17002", "127.0.0.1:17003"}
	text, err := renderSpec(sentinels, redis, "127.0.0.1:16900", "http://127.0.0.1:17099/1.0", "/x/ovh.conf", "/x/password", Options{Rate: 6001, Hold: 1500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := config.ParseSpec("spec.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m := spec.Masters[0]
	if got := strings.Join(m.Sentinel.Addresses, " "); got != strings.Join(sentinels, " ") {
		t.Errorf("sentinels %s", got)
	}
	farms := m.Plan[0].Steps[0].GetOvhIplb().Farms
	for i, c := range m.Candidates {
		if c.Address != redis[i] || farms[c.Address] == 0 {
			t.Errorf("candidate %s with farm %d, want %s", c.Address, farms[c.Address], redis[i])
		}
	}
	if p := spec.Targets["lb-par"]; p.Rate != 6001 || p.Hold.AsDuration() != 1500*time.Millisecond {
		t.Errorf("rate %d, hold %s", p.Rate, p.Hold.AsDuration())
	}
	target := spec.Targets["lb-par"].GetOvhIplb()
	if target.Endpoint != "http://127.0.0.1:17099/1.0" || target.Credentials != "file:/x/ovh.conf" || m.Redis.Password != "file:/x/password" || m.Sentinel.Password != "file:/x/password" {
		t.Errorf("target %v, redis %v, sentinel %v", target, m.Redis, m.Sentinel)
	}
	if strings.Contains(text, "10.0.") || strings.Contains(text, "/etc/pointsman") {
		t.Errorf("something of the sample is left in:\n%s", text)
	}
}

func TestSwapWantsEachText(t *testing.T) {
	if _, err := swap("a b", "a", "x", "c", "y"); err == nil {
		t.Error("a text that is not there was accepted")
	}
}

// good is a run in which every check holds.
func good() (Report, facts) {
	at := func(ms float64) *float64 { return &ms }
	phases := Phases{Killed: at(0), Promoted: at(2200), Accepted: at(2206), FirstRequest: at(2205), Applied: at(2800), Settled: at(2900)}
	r := Report{
		Failovers: []Failover{
			{ID: "cache/1", From: "a", To: "b", SentinelEpoch: 1, PhasesMS: phases, Actions: []Action{{ID: "cache/1/lb", State: "done"}}},
			{ID: "cache/2", From: "b", To: "c", SentinelEpoch: 3, PhasesMS: phases, Actions: []Action{{ID: "cache/2/lb", State: "done"}}},
		},
		Provider: Provider{FrontendChanges: 2, Refreshes: 3, Repeats: 1}, Client: Client{WritesOK: 9}, LeaderKills: 1,
		Log: Log{Entries: 30, Verified: true}, Leases: &Leases{Grants: 12},
	}
	return r, facts{
		want: Expect{Failovers: 2, LeaderKills: 1}, promotions: []string{"b at epoch 1", "c at epoch 3"},
		traffic: "c", master: "c", setting: "redis://c/0", settingDue: "redis://c/0",
	}
}

// Each claim of a report can fail, and then it alone does.
func TestJudge(t *testing.T) {
	bad := map[string]func(*Report, *facts){
		"failovers":        func(r *Report, f *facts) { f.want.Failovers = 3 },
		"leader_kills":     func(r *Report, f *facts) { f.want.LeaderKills = 2 },
		"numbers":          func(r *Report, f *facts) { r.Failovers[1].ID = "cache/3" },
		"seen":             func(r *Report, f *facts) { f.promotions[1] = "b at epoch 3" },
		"phases":           func(r *Report, f *facts) { r.Failovers[0].PhasesMS.Applied = nil },
		"actions":          func(r *Report, f *facts) { r.Failovers[1].Actions[0].State = "superseded" },
		"frontend_changes": func(r *Report, f *facts) { r.Provider.FrontendChanges = 3 },
		"refreshes":        func(r *Report, f *facts) { r.Provider.Refreshes = 4 },
		"duplicates":       func(r *Report, f *facts) { r.Provider.Duplicates = 1 },
		"repeats":          func(r *Report, f *facts) { r.Provider.Repeats = 2 },
		"stale":            func(r *Report, f *facts) { r.Provider.Stale = 1 },
		"lost":             func(r *Report, f *facts) { r.Provider.Lost = 1 },
		"orphans":          func(r *Report, f *facts) { r.Provider.Orphans = 1 },
		"journal":          func(r *Report, f *facts) { f.proof = ovh.Proof{Dropped: 1} },
		"traffic":          func(r *Report, f *facts) { f.traffic = "b" },
		"setting":          func(r *Report, f *facts) { f.setting = "redis://b/0" },
		"client":           func(r *Report, f *facts) { f.writing = errors.New("no write") },
		"log":              func(r *Report, f *facts) { r.Log.Verified = false },
		"workers":          func(r *Report, f *facts) { f.working = errors.New("a worker ended") },
		"lease_moves":      func(r *Report, f *facts) { r.Leases.Unmoved = 1 },
		"lease_tokens":     func(r *Report, f *facts) { r.Leases.Fallen = 1 },
		"lease_holders":    func(r *Report, f *facts) { r.Leases.Shared = 1 },
		"lease_addresses":  func(r *Report, f *facts) { r.Leases.Stale = 1 },
		"lease_ends":       func(r *Report, f *facts) { r.Leases.Late = 1 },
	}
	r, f := good()
	for _, c := range judge(r, f) {
		if !c.OK() {
			t.Errorf("good run: %s: %s", c.Name, c.Detail)
		}
		if bad[c.Name] == nil {
			t.Errorf("check %q is not shown to fail", c.Name)
		}
	}
	for name, spoil := range bad {
		r, f := good()
		spoil(&r, &f)
		for _, c := range judge(r, f) {
			if c.OK() == (c.Name == name) {
				t.Errorf("with %s spoilt, check %s holds: %t (%s)", name, c.Name, c.OK(), c.Detail)
			}
		}
	}
}

// Nodes tell the same failover in different states: an older one changes nothing.
func TestWatchKeepsTheNewest(t *testing.T) {
	var told []string
	w := &Watch{events: func(e Event) { told = append(told, e.Text) }, seen: map[string]Seen{}, changed: make(chan struct{})}
	state := func(s pointsmanv1.ActionState, index uint64) *pointsmanv1.Failover {
		return &pointsmanv1.Failover{Id: "cache/1", AcceptedIndex: 5, Actions: []*pointsmanv1.Action{{Id: "cache/1/lb", State: s, Index: index}}}
	}
	begin := time.Now()
	w.note(state(pointsmanv1.ActionState_ACTION_STATE_CLAIMED, 5), begin)
	w.note(state(pointsmanv1.ActionState_ACTION_STATE_DONE, 8), begin.Add(time.Second))
	w.note(state(pointsmanv1.ActionState_ACTION_STATE_CLAIMED, 6), begin.Add(2*time.Second))
	w.note(state(pointsmanv1.ActionState_ACTION_STATE_DONE, 8), begin.Add(3*time.Second))
	s, err := w.wait(t.Context(), time.Second, "cache/1", "settled", func(s Seen) bool { return !s.Settled.IsZero() })
	if err != nil {
		t.Fatal(err)
	}
	if !s.Accepted.Equal(begin) || !s.Settled.Equal(begin.Add(time.Second)) || s.Failover.Actions[0].Index != 8 {
		t.Errorf("seen %+v", s)
	}
	if len(told) != 4 { // accepted, claimed, done, settled
		t.Errorf("told %q", told)
	}
	if _, err := w.wait(t.Context(), 10*time.Millisecond, "cache/2", "accepted", func(Seen) bool { return true }); err == nil || !strings.Contains(err.Error(), "cache/2 to be accepted") {
		t.Errorf("error %v does not say what was awaited", err)
	}
}

// The writer goes on over broken connections, counts what was acknowledged, and
// knows its longest gap.
func TestWriterSurvivesBreaks(t *testing.T) {
	server := newCounter(t)
	w := startWriter(server.address)
	defer w.stop()
	enough := func(n int64) {
		t.Helper()
		err := Until(t.Context(), 10*time.Second, "writes", func(context.Context) error {
			if w.Seen().WritesOK < n {
				return errors.New("too few")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	enough(writesOnConn + 5) // a second connection is in use
	server.breakFor(200 * time.Millisecond)
	before := w.Seen().WritesOK
	enough(before + 10)
	w.stop()
	seen := w.Seen()
	if seen.LongestGapMS < 150 {
		t.Errorf("longest gap %.1f ms, the server was away for 200", seen.LongestGapMS)
	}
	if got := server.highest(); got < seen.WritesOK {
		t.Errorf("%d writes acknowledged, the server's counter is at %d", seen.WritesOK, got)
	}
}
