package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// What any node shows of the log has one tag on all of them, at any level.
func TestGatewayTags(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	f := w.failover("cache")
	one, two := w.web("n1"), w.web("n2")
	paths := []string{"/v1/failovers", "/v1/failovers/cache/1", "/v1/actions?filter=state%3Dpending", "/v1/actions/cache/1/url", "/v1/settings", "/v1/spec"}
	tags := map[string]string{}
	for _, path := range paths {
		tag := one.get(path).header.Get("ETag")
		tags[path] = tag
		for _, header := range []string{tag, `"x", ` + tag, "W/" + tag, "*"} {
			g := two.get(path+sep(path)+"read.level=stale", "If-None-Match: "+header)
			if g.code != http.StatusNotModified || g.body != "" || g.header.Get("ETag") != tag || g.header.Get("X-Pointsman-Node") != "n2" {
				t.Errorf("%s with %s: %d %s %v", path, header, g.code, g.body, g.header)
			}
		}
		if g := two.get(path, `If-None-Match: "x"`); g.code != http.StatusOK {
			t.Errorf("%s with another tag: %d", path, g.code)
		}
	}
	w.finish(f, "url")
	for _, path := range paths[:5] {
		if g := one.get(path, "If-None-Match: "+tags[path]); g.code != http.StatusOK {
			t.Errorf("%s after a change: %d", path, g.code)
		}
	}
	if g := one.get("/v1/spec", "If-None-Match: "+tags["/v1/spec"]); g.code != http.StatusNotModified {
		t.Errorf("the spec after another change: %d", g.code)
	}
}

func sep(path string) string {
	if strings.Contains(path, "?") {
		return "&"
	}
	return "?"
}

// The tag of a master changes with what its Sentinels say, not with the time
// since they said it.
func TestGatewayTagsForgetTime(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache")
	b := w.web("n1")
	see := func(age time.Duration, offset int64, reachable bool) string {
		w.mu.Lock()
		w.nodes["n1"].sight = Sight{
			Sentinels: []*pointsmanv1.SentinelReport{{Address: "s1", Age: durationpb.New(age), Reachable: reachable}},
			Roles:     []*pointsmanv1.RoleReport{{Address: "r1", Age: durationpb.New(age), Offset: offset}},
			Alerts:    []*pointsmanv1.Alert{{Code: "TILT", Age: durationpb.New(age)}},
		}
		w.mu.Unlock()
		return b.get("/v1/masters").header.Get("ETag") + b.get("/v1/masters/cache").header.Get("ETag")
	}
	first := see(time.Second, 10, true)
	if again := see(2*time.Second, 20, true); again != first {
		t.Errorf("time alone: %s, then %s", first, again)
	}
	if other := see(2*time.Second, 20, false); other == first {
		t.Error("a Sentinel that is gone has the same tag")
	}
}

// Each span in an answer is either a measure that passes by itself, which the
// tag leaves out, or a fact of the log or the spec.
func TestPassingFieldsAreKnown(t *testing.T) {
	for _, name := range passing() {
		if _, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	facts := []protoreflect.FullName{
		"pointsman.v1.Failover.accepted_at", "pointsman.v1.Failover.settled_at", "pointsman.v1.Action.planned_at",
		"pointsman.v1.Action.settled_at", "pointsman.v1.Attempt.settled_at", "pointsman.v1.Failover.promoted_before",
		"pointsman.v1.Action.claimed_at", "pointsman.v1.Attempt.claimed_at", "pointsman.v1.Attempt.first_request_after",
		"pointsman.v1.FailoverRequest.asked_at", "pointsman.v1.Switchover.asked_at",
		"pointsman.v1.StepCheck.typical", "pointsman.v1.ScoreLook.at",
		"pointsman.v1.ActionScore.would_begin", "pointsman.v1.ActionScore.came_by", "pointsman.v1.ActionScore.came_after",
		"pointsman.v1.ActionScore.applied_by", "pointsman.v1.ActionScore.last_look", "pointsman.v1.ActionScore.unseen",
		"pointsman.v1.StepScore.would_begin", "pointsman.v1.StepScore.came_by", "pointsman.v1.StepScore.came_by_most",
		"pointsman.v1.OpenSessionResponse.ttl", "pointsman.v1.RenewResponse.ttl",
		"pointsman.v1.Pool.ttl", "pointsman.v1.Pool.drain", "pointsman.v1.Pool.lock_delay",
	}
	seen := map[protoreflect.FullName]bool{}
	var walk func(d protoreflect.MessageDescriptor)
	walk = func(d protoreflect.MessageDescriptor) {
		file := d.ParentFile().Path()
		if seen[d.FullName()] || d.Name() == "ResponseHeader" || strings.HasSuffix(file, "/spec.proto") || strings.HasSuffix(file, "/targets.proto") {
			return
		}
		seen[d.FullName()] = true
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			if f.Message() == nil {
				continue
			}
			if f.Message().FullName() == "google.protobuf.Duration" && !slices.Contains(passing(), f.FullName()) && !slices.Contains(facts, f.FullName()) {
				t.Errorf("%s: does it pass by itself (passing in gateway_etag.go) or not (here)?", f.FullName())
			}
			walk(f.Message())
		}
	}
	for m := range methods() {
		walk(m.Output())
	}
	if !seen["pointsman.v1.SentinelReport"] || !seen["pointsman.v1.Node"] {
		t.Error("the walk missed messages that answers hold")
	}
}

// Clearing what passes leaves the message itself alone.
func TestTagsLeaveTheMessage(t *testing.T) {
	m := &pointsmanv1.ListNodesResponse{
		Header: &pointsmanv1.ResponseHeader{NodeId: "n1"},
		Nodes:  []*pointsmanv1.Node{{Id: "n1", Uptime: durationpb.New(time.Second), DiskFree: 7}},
	}
	before := proto.Clone(m)
	tag, err := tagOf(m, true)
	if err != nil || tag == "" || !proto.Equal(m, before) {
		t.Errorf("%s, %v: %v", tag, err, m)
	}
	m.Nodes[0].Uptime, m.Nodes[0].DiskFree, m.Header = nil, 0, nil
	if again, _ := tagOf(m, true); again != tag {
		t.Errorf("%s, without what passes %s", tag, again)
	}
}

func (b *web) await(path string, headers ...string) <-chan got {
	answered := make(chan got, 1)
	go func() { answered <- b.get(path, headers...) }()
	return answered
}

func TestLongPoll(t *testing.T) {
	w := newWorld(t, 2, Limits{Look: 10 * time.Millisecond})
	w.putSpec("cache")
	w.must(putSetting("k", "1"))
	for _, level := range []string{"", "&read.level=leader", "&read.level=stale"} {
		b := w.web("n2")
		tag := b.get("/v1/settings/k").header.Get("ETag")
		// What the caller does not have is answered at once.
		if g := b.get("/v1/settings/k?wait=20s"+level, `If-None-Match: "x"`); g.code != http.StatusOK {
			t.Errorf("another tag: %d", g.code)
		}
		if g := b.get("/v1/settings/k?wait=20s" + level); g.code != http.StatusOK {
			t.Errorf("no tag: %d", g.code)
		}
		begin := time.Now()
		g := b.get("/v1/settings/k?wait=150ms"+level, "If-None-Match: "+tag)
		if g.code != http.StatusNotModified || time.Since(begin) < 150*time.Millisecond {
			t.Errorf("nothing happened: %d after %s", g.code, time.Since(begin))
		}
		answered := b.await("/v1/settings/k?wait=20s"+level, "If-None-Match: "+tag)
		waitFor(t, func() bool { return w.nodes["n2"].server.gateway.waiting.Load() == 1 })
		w.must(putSetting("other", level+"1"))
		select {
		case g := <-answered:
			t.Errorf("woken by another key: %d %s", g.code, g.body)
		case <-time.After(50 * time.Millisecond):
		}
		w.must(putSetting("k", "2"+level))
		if g := <-answered; g.code != http.StatusOK || g.at(t, "setting.value") != "2"+level || g.header.Get("ETag") == tag {
			t.Errorf("changed: %d %s", g.code, g.body)
		}
	}
	b := w.web("n1")
	answered := b.await("/v1/settings/k?wait=20s", "If-None-Match: *")
	waitFor(t, func() bool { return w.nodes["n1"].server.gateway.waiting.Load() == 1 })
	w.must(fsm.DeleteSetting{Key: "k"})
	wantStatus(t, <-answered, http.StatusNotFound, codes.NotFound, ReasonNotFound)
}

// What is not in the log is looked at now and then.
func TestLongPollOfSights(t *testing.T) {
	w := newWorld(t, 2, Limits{Look: 10 * time.Millisecond})
	w.putSpec("cache")
	for _, row := range []struct {
		asked fsm.NodeID
		level string
	}{{"n1", ""}, {"n2", "&read.level=leader"}} {
		b := w.web(row.asked)
		tag := b.get("/v1/masters/cache?" + row.level).header.Get("ETag")
		answered := b.await("/v1/masters/cache?wait=20s"+row.level, "If-None-Match: "+tag)
		waitFor(t, func() bool { return w.nodes[row.asked].server.gateway.waiting.Load() == 1 })
		w.mu.Lock()
		w.nodes["n1"].sight = Sight{Sentinels: []*pointsmanv1.SentinelReport{{Address: string(row.asked)}}}
		w.mu.Unlock()
		if g := <-answered; g.code != http.StatusOK || g.at(t, "master.sentinels.0.address") != string(row.asked) {
			t.Errorf("%s: %d %s", row.asked, g.code, g.body)
		}
	}
}

func TestLongPollBounds(t *testing.T) {
	w := newWorld(t, 1, Limits{LongPoll: 100 * time.Millisecond, HTTPStreams: 1})
	w.must(putSetting("k", "1"))
	b := w.web("n1", func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 30*time.Millisecond, 30*time.Millisecond })
	tag := b.get("/v1/settings/k").header.Get("ETag")
	if g := b.get("/v1/settings/k?wait=1h", "If-None-Match: "+tag); g.code != http.StatusNotModified {
		t.Errorf("at the bound, beyond the time-outs of the port: %d %s", g.code, g.body)
	}
	release, err := w.nodes["n1"].server.gateway.hold("test")
	if err != nil {
		t.Fatal(err)
	}
	g := b.get("/v1/settings/k?wait=1h", "If-None-Match: "+tag)
	wantStatus(t, g, http.StatusServiceUnavailable, codes.ResourceExhausted, ReasonStreams)
	if g.header.Get("Retry-After") != "1" {
		t.Errorf("no Retry-After: %v", g.header)
	}
	release()
	// The last word is at the level that was asked for.
	w.setLead("")
	wantStatus(t, b.get("/v1/settings/k?wait=50ms&read.level=linearizable", "If-None-Match: "+tag), http.StatusServiceUnavailable, codes.Unavailable, ReasonNoQuorum)
	if g := b.get("/v1/settings/k?wait=50ms&read.level=stale", "If-None-Match: "+tag); g.code != http.StatusNotModified || g.header.Get("X-Pointsman-Stale") != "true" {
		t.Errorf("stale without a quorum: %d %v", g.code, g.header)
	}
}
