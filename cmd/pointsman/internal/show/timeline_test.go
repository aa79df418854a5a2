package show

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// storyOf is a failover with every sort of action in it: done after a failure
// and a wait, stuck, superseded, open.
func storyOf() (*pb.Failover, *durationpb.Duration) {
	at := func(ms int) *durationpb.Duration {
		return durationpb.New(time.Hour + time.Duration(ms)*time.Millisecond)
	}
	lb := &pb.Action{
		Id: "a/1/lb", Stage: "cutover", Step: "lb", State: pb.ActionState_ACTION_STATE_DONE, Effect: pb.ActionEffect_ACTION_EFFECT_CHANGED,
		Attempts: 3, Token: 30, Term: 4, PlannedAt: at(0), SettledAt: at(4000),
		History: []*pb.Attempt{
			{Token: 10, Index: 10, Term: 3, NodeId: "n1", Outcome: pb.ActionState_ACTION_STATE_PENDING, InDoubt: true, Reason: "503", SettledAt: at(500), RequestIds: []string{"r1"}},
			{Token: 20, Index: 20, Term: 3, NodeId: "n1", Outcome: pb.ActionState_ACTION_STATE_PENDING, InDoubt: true, Reason: "503", SettledAt: at(1500), RequestIds: []string{"r2"}},
			{Token: 30, Index: 30, Term: 4, NodeId: "n2", Outcome: pb.ActionState_ACTION_STATE_WAITING, SettledAt: at(3000)},
			{Token: 30, Index: 30, Term: 4, NodeId: "n2", Outcome: pb.ActionState_ACTION_STATE_DONE, SettledAt: at(4000)},
		},
	}
	dns := &pb.Action{
		Id: "a/1/dns", Stage: "cutover", Step: "dns", State: pb.ActionState_ACTION_STATE_STUCK, Attempts: 1, PlannedAt: at(0),
		Reason:  "403 </text><script>x</script>\x1b]0;t\x07",
		History: []*pb.Attempt{{Token: 40, Index: 40, Term: 3, NodeId: "n1", Outcome: pb.ActionState_ACTION_STATE_STUCK, Reason: "403 </text><script>x</script>\x1b]0;t\x07", SettledAt: at(2000)}},
	}
	shop := &pb.Action{Id: "a/1/shop", Stage: "announce", Step: "shop", State: pb.ActionState_ACTION_STATE_PENDING, PlannedAt: at(0),
		Gates: []*pb.Gate{{Kind: pb.GateKind_GATE_KIND_STAGE, Detail: "waits for a/1/dns"}}}
	return &pb.Failover{
		Id: "a/1", Master: "a", From: "x:1", To: "y:1", AcceptedNode: "n1", AcceptedTerm: 3, AcceptedIndex: 10, AcceptedAt: at(0),
		State: pb.FailoverState_FAILOVER_STATE_STUCK, Actions: []*pb.Action{lb, dns, shop},
	}, at(8000)
}

// TestBars: a terminal gets bars of its width; elsewhere there are none.
func TestBars(t *testing.T) {
	f, now := storyOf()
	draw := func(width int) string {
		var out bytes.Buffer
		p := &Printer{Out: &out, Talk: io.Discard, Width: width}
		p.bars(newTimeline(f, now))
		return out.String()
	}
	text := draw(100)
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 8 {
		t.Fatalf("got %d lines:\n%s", len(lines), text)
	}
	for i, parts := range map[int][]string{
		1: {"0", "2s", "4s", "6s"},
		3: {"cutover/lb ", "██", "·█·", "█▒▒", "▒●", "done, changed +4.000s, 3 attempts"},
		4: {"cutover/dns", "·█✗", "stuck +2.000s"},
		5: {"announce/shop", "···", "pending +8.000s"},
	} {
		for _, part := range parts {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d lacks %q: %s", i, part, lines[i])
			}
		}
	}
	if got := draw(0) + draw(40); got != "" {
		t.Errorf("no terminal, or a narrow one, got bars: %q", got)
	}
	if strings.Contains(text, "\x1b") {
		t.Error("coloured without being asked")
	}
}

// TestStory: attempts that failed alike are one line, a takeover names the
// term, and everything stands in its order.
func TestStory(t *testing.T) {
	f, now := storyOf()
	var got []string
	for _, e := range newTimeline(f, now).events {
		got = append(got, strings.Join([]string{relative(e.at), or(e.step), or(e.by), oneLine(e.what)}, " | "))
	}
	want := []string{
		"+0.000s | - | n1 | accepted: y:1 is the master, was x:1",
		"+0.500s | lb | n1 | attempts 1 to 2 failed, in doubt, the last at +1.500s: 503",
		"+2.000s | dns | n1 | attempt 1: stuck: 403 </text><script>x</script>\x1b]0;t\x07",
		"+3.000s | lb | n2 (term 4) | attempt 3: written, waits for the provider",
		"+4.000s | lb | n2 (term 4) | attempt 3: done changed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var out bytes.Buffer
	p := &Printer{Out: &out, Talk: io.Discard, Format: Wide, Width: 90}
	p.Failover(f, now)
	for _, part := range []string{"open for 8.0s: 1/3 done", "a/1/dns is stuck and waits for a human", "[r1 r2]", "next: pointsman actions retry a/1/dns"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("lacks %q:\n%s", part, out.String())
		}
	}
}

// TestSVG: the drawing is well-formed whatever a provider said, loads nothing,
// and holds every action.
func TestSVG(t *testing.T) {
	f, now := storyOf()
	var out bytes.Buffer
	if err := FailoverSVG(&out, f, now); err != nil {
		t.Fatal(err)
	}
	elements := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(out.Bytes()))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, out.String())
		}
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
			for _, a := range e.Attr {
				if a.Name.Local == "href" || strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("attribute %s", a.Name.Local)
				}
			}
		}
	}
	for name := range elements {
		if !strings.Contains(" svg title style rect text line circle ", " "+name+" ") {
			t.Errorf("element %s", name)
		}
	}
	for _, part := range []string{"cutover/lb", "cutover/dns", "announce/shop", "prefers-color-scheme:dark"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("lacks %q", part)
		}
	}
}

// TestFromThePromotion: where the log holds it, the axis begins at the
// promotion, and a claim at its own clock; the chain counts from the promotion.
func TestFromThePromotion(t *testing.T) {
	f, now := storyOf()
	if chain := (&timeline{failover: f}).chain(); chain != nil {
		t.Errorf("only the acceptance is known: %q", chain)
	}
	at := func(ms int) *durationpb.Duration {
		return durationpb.New(time.Hour + time.Duration(ms)*time.Millisecond)
	}
	f.PromotedBefore = durationpb.New(1500 * time.Millisecond)
	second := f.GetActions()[0].GetHistory()[1]
	second.ClaimedAt, second.FirstRequestAfter = at(700), durationpb.New(20*time.Millisecond)
	line := newTimeline(f, now)
	if got, want := line.chain(), "promoted → accepted 1.5s → first request 2.2s"; len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
	var got []string
	for _, e := range line.events[:4] {
		got = append(got, relative(e.at)+" "+or(e.step)+" "+oneLine(e.what))
	}
	want := []string{
		"+0.000s - promoted: a Sentinel names y:1", "+1.500s - accepted: y:1 is the master, was x:1",
		"+2.000s lb attempts 1 to 2 failed, in doubt, the last at +3.000s: 503", "+2.220s lb first request that changes something",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantPieces := []piece{ // in ms after the promotion; the second attempt was claimed 200 ms after the first one settled
		{acting, 1500 * time.Millisecond, 2000 * time.Millisecond}, {idle, 2000 * time.Millisecond, 2200 * time.Millisecond},
		{acting, 2200 * time.Millisecond, 3000 * time.Millisecond},
	}
	if diff := cmp.Diff(wantPieces, line.lanes[0].pieces[:3], cmp.AllowUnexported(piece{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if line.end != 9500*time.Millisecond || line.summary(now)[1] != "open for 8.0s: 1/3 done" {
		t.Errorf("ends at %s: %q", line.end, line.summary(now))
	}
}

func TestTicks(t *testing.T) {
	for end, want := range map[time.Duration]string{
		0: "0", 9 * time.Millisecond: "2ms", 700 * time.Millisecond: "100ms", 9400 * time.Millisecond: "2s", 42 * time.Second: "10s",
		10 * time.Minute: "2m", 5 * time.Hour: "1h", 400 * time.Hour: "72h",
	} {
		if got := tickWord(tickStep(end, 8)); end > 0 && got != want {
			t.Errorf("%v: got %s, want %s", end, got, want)
		}
	}
}
