package show

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestSpanAndSize(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0µs", 3 * time.Millisecond: "3ms", 4250 * time.Millisecond: "4.2s", 9999 * time.Millisecond: "9.9s", 42 * time.Second: "42s",
		200 * time.Second: "3m20s", 5*time.Hour + 12*time.Minute: "5h12m", 76 * time.Hour: "3d4h", -time.Second: "-1.0s",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 1 << 40: "1.0 TiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestWord(t *testing.T) {
	if got := Word(pb.MasterState_MASTER_STATE_FAILING_OVER); got != "failing_over" {
		t.Errorf("got %q", got)
	}
	if got := Word(pb.MasterState(99)); got != "unknown(99)" {
		t.Errorf("got %q", got)
	}
	if got := Word(pb.MasterState(0)); got != "" {
		t.Errorf("got %q", got)
	}
}

// TestHarmless: a provider's text steers neither the terminal nor the table.
func TestHarmless(t *testing.T) {
	var out bytes.Buffer
	p := &Printer{Out: &out, Talk: &out, Format: Table, Color: true}
	p.Actions([]*pb.Action{{Id: "a/1/lb", State: pb.ActionState_ACTION_STATE_STUCK, Reason: "x\x1b[2Jy\rz\nnext\u009b2J"}}, nil)
	text := out.String()
	for _, banned := range []string{"\x1b[2J", "\r", "\u009b"} {
		if strings.Contains(text, banned) {
			t.Errorf("%q came through: %q", banned, text)
		}
	}
	if strings.Count(text, "\n") != 2 || !strings.Contains(text, "\x1b[31;1mstuck\x1b[0m") {
		t.Errorf("got %q", text)
	}
	out.Reset()
	p.Color = false
	p.Actions([]*pb.Action{{Id: "a/1/lb", State: pb.ActionState_ACTION_STATE_STUCK}}, nil)
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("coloured: %q", out.String())
	}
}

func TestHealth(t *testing.T) {
	good := func() Status {
		return Status{
			Cluster: &pb.GetClusterResponse{Header: &pb.ResponseHeader{}, Cluster: &pb.Cluster{
				LeaderId: "n1", Quorum: true, Nodes: []*pb.Node{{Id: "n1", Reachable: true}}}},
			Masters: &pb.ListMastersResponse{Masters: []*pb.Master{{Id: "cache", State: pb.MasterState_MASTER_STATE_STEADY,
				Sentinels: []*pb.SentinelReport{{Reachable: true}}}}},
			Actions: &pb.ListActionsResponse{},
		}
	}
	for name, row := range map[string]struct {
		change func(*Status)
		want   Health
	}{
		"all well":         {func(*Status) {}, Healthy},
		"no leader":        {func(s *Status) { s.Cluster.Cluster.LeaderId = "" }, NoLeader},
		"no quorum":        {func(s *Status) { s.Cluster.Cluster.Quorum = false }, NoLeader},
		"nobody confirmed": {func(s *Status) { s.Fallback = true }, NoLeader},
		"stuck": {func(s *Status) {
			s.Actions.Actions = []*pb.Action{{State: pb.ActionState_ACTION_STATE_STUCK}}
		}, Unhealthy},
		"disputed":     {func(s *Status) { s.Masters.Masters[0].State = pb.MasterState_MASTER_STATE_DISPUTED }, Unhealthy},
		"never heard":  {func(s *Status) { s.Masters.Masters[0].State = pb.MasterState_MASTER_STATE_UNKNOWN }, Unhealthy},
		"sentinel out": {func(s *Status) { s.Masters.Masters[0].Sentinels[0].Reachable = false }, Warning},
		"node out":     {func(s *Status) { s.Cluster.Cluster.Nodes[0].Reachable = false }, Warning},
		"node unfit":   {func(s *Status) { s.Cluster.Cluster.Nodes[0].Degraded = []string{"disk"} }, Warning},
		"warning": {func(s *Status) {
			s.Cluster.Cluster.Alerts = []*pb.Alert{{Severity: pb.AlertSeverity_ALERT_SEVERITY_WARNING}}
		}, Warning},
		"critical": {func(s *Status) {
			s.Masters.Masters[0].Alerts = []*pb.Alert{{Severity: pb.AlertSeverity_ALERT_SEVERITY_CRITICAL}}
		}, Unhealthy},
	} {
		s := good()
		row.change(&s)
		if got := s.Health(); got != row.want {
			t.Errorf("%s: got %s, want %s", name, got, row.want)
		}
	}
}

// TestFound: the newest action of an object tells what is wanted there, a drift
// what was found; those in trouble come first.
func TestFound(t *testing.T) {
	at := func(s int) *durationpb.Duration { return durationpb.New(time.Duration(s) * time.Second) }
	action := func(id, object string, planned int, state pb.ActionState) *pb.Action {
		return &pb.Action{Id: id, Object: object, PlannedAt: at(planned), SettledAt: at(planned), State: state}
	}
	doubt := action("a/3/x", "x", 30, pb.ActionState_ACTION_STATE_PENDING)
	doubt.InDoubt = true
	s := Status{
		Cluster: &pb.GetClusterResponse{Cluster: &pb.Cluster{LogClock: at(60), Alerts: []*pb.Alert{
			{Code: "OBJECT_DRIFTED", Subject: "lb", Message: "is not as a/2/lb left it (foreign: farm 12); nothing is done about it"},
			{Code: "OBJECT_DRIFTED", Subject: "lb", Message: "is not as a/2/lb left it (foreign: farm 12); nothing is done about it"}}}},
		Failovers: &pb.ListFailoversResponse{Failovers: []*pb.Failover{
			{Actions: []*pb.Action{doubt}},
			{Actions: []*pb.Action{action("a/2/lb", "lb", 20, pb.ActionState_ACTION_STATE_DONE), action("a/2/x", "x", 20, pb.ActionState_ACTION_STATE_DONE)}},
			{Actions: []*pb.Action{action("a/1/lb", "lb", 10, pb.ActionState_ACTION_STATE_SUPERSEDED), action("a/1/b", "b", 10, pb.ActionState_ACTION_STATE_DONE)}},
		}},
	}
	var out bytes.Buffer
	(&Printer{Out: &out}).objects(s)
	var got []string
	for line := range strings.Lines(out.String()) {
		if words := strings.Fields(line); len(words) > 0 {
			got = append(got, strings.Join(words, " "))
		}
	}
	want := []string{
		"OBJECT WANTED FOUND SINCE BY", "lb - DIFFERS: foreign: farm 12 40s a/2/lb",
		"x - not known: in doubt 30s a/3/x", "b - as wanted 50s a/1/b",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if n := len(s.alerts()); n != 1 {
		t.Errorf("one alert told twice counts as %d", n)
	}
}

// TestAttemptNames: a claim that waited and then ended is one attempt, and no
// number is given where claims are missing.
func TestAttemptNames(t *testing.T) {
	history := func(tokens ...uint64) (all []*pb.Attempt) {
		for _, k := range tokens {
			all = append(all, &pb.Attempt{Token: k})
		}
		return all
	}
	for name, row := range map[string]struct {
		action *pb.Action
		want   []string
	}{
		"in order":      {&pb.Action{Attempts: 2, Token: 9, History: history(5, 9)}, []string{"1", "2"}},
		"waited":        {&pb.Action{Attempts: 2, Token: 9, History: history(5, 9, 9)}, []string{"1", "2", "2"}},
		"one under way": {&pb.Action{Attempts: 2, Token: 9, State: pb.ActionState_ACTION_STATE_CLAIMED, History: history(5)}, []string{"1"}},
		"leader died":   {&pb.Action{Attempts: 3, Token: 9, History: history(5, 9)}, []string{"-", "-"}},
	} {
		if diff := cmp.Diff(row.want, attemptNames(row.action)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestChanges(t *testing.T) {
	step := func(name, key string) *pb.Step {
		return &pb.Step{Name: name, Timeout: durationpb.New(time.Second), Kind: &pb.Step_Setting{Setting: &pb.SettingStep{Key: key}}}
	}
	old := &pb.Spec{Masters: []*pb.MasterSpec{
		{Id: "cache", Sentinel: &pb.SentinelSpec{Addresses: []string{"a:1"}}, Plan: []*pb.Stage{
			{Stage: "one", Steps: []*pb.Step{step("x", "k")}}, {Stage: "two", Steps: []*pb.Step{step("y", "k")}}}},
		{Id: "gone"},
	}}
	fresh := &pb.Spec{Masters: []*pb.MasterSpec{
		{Id: "cache", ObserveOnly: true, Sentinel: &pb.SentinelSpec{Addresses: []string{"a:1", "b:1"}}, Plan: []*pb.Stage{
			{Stage: "two", Steps: []*pb.Step{step("y", "k2")}}, {Stage: "one", Steps: []*pb.Step{step("x", "k")}}}},
		{Id: "new", Sentinel: &pb.SentinelSpec{Name: "n"}},
	}, Targets: map[string]*pb.Target{"lb": {Rate: 30}}}
	var out bytes.Buffer
	p := &Printer{Out: &out}
	p.Changes(Changes(old, fresh))
	want := `+ masters[cache].observe_only = true
~ masters[cache].plan (order) = two, one  (was one, two)
~ masters[cache].plan[two].steps[y].setting.key = k2  (was k)
~ masters[cache].sentinel.addresses = a:1, b:1  (was a:1)
- masters[gone]  (1 value)
+ masters[new]  (2 values)
+ targets[lb]  (1 value)
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if same := Changes(old, old); len(same) > 0 {
		t.Errorf("equal specs differ: %v", same)
	}
}
