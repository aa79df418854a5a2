package api

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const patience = 10 * time.Second

// actionsUntil reads a watch up to its next bookmark.
func actionsUntil(t testing.TB, stream pointsmanv1.ActionService_WatchActionsClient) (told []*pointsmanv1.Action, token string) {
	t.Helper()
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatalf("watch: %v", err)
		}
		if m.GetResumeToken() == "" || m.GetHeader().GetClusterId() == "" {
			t.Fatalf("message without token or header: %v", m)
		}
		token = m.GetResumeToken()
		if m.GetBookmark() != nil {
			return told, token
		}
		told = append(told, m.GetAction())
	}
}

func watchActions(t testing.TB, w *tape, id fsm.NodeID, req *pointsmanv1.WatchActionsRequest) (pointsmanv1.ActionService_WatchActionsClient, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	stream, err := w.at(id).Actions().WatchActions(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return stream, cancel
}

func TestWatchActions(t *testing.T) {
	w := newWorld(t, 2, Limits{Bookmark: 20 * time.Millisecond})
	w.putSpec("cache")
	w.seed("cache")
	f := w.failover("cache")
	stream, cancel := watchActions(t, w, "n1", &pointsmanv1.WatchActionsRequest{})
	told, token := actionsUntil(t, stream)
	if len(told) != 3 {
		t.Fatalf("first listing has %d actions", len(told))
	}
	w.finish(f, "url")
	var last pointsmanv1.ActionState
	for last != pointsmanv1.ActionState_ACTION_STATE_DONE {
		told, token = actionsUntil(t, stream)
		for _, a := range told {
			if a.GetId() != "cache/1/url" {
				t.Fatalf("told of %s", a.GetId())
			}
			last = a.GetState()
		}
	}
	cancel()
	w.stick(f, "b")
	w.finish(f, "a")
	stream, _ = watchActions(t, w, "n2", &pointsmanv1.WatchActionsRequest{ResumeToken: token})
	told, _ = actionsUntil(t, stream)
	if len(told) != 2 || told[0].GetId() != "cache/1/b" || told[1].GetId() != "cache/1/a" || told[0].GetIndex() >= told[1].GetIndex() {
		t.Errorf("after resume on the other node: %v", told)
	}
	stream, _ = watchActions(t, w, "n2", &pointsmanv1.WatchActionsRequest{Filter: "state=stuck"})
	if told, _ = actionsUntil(t, stream); len(told) != 1 {
		t.Errorf("filtered: %v", told)
	}
}

func TestWatchFailovers(t *testing.T) {
	w := newWorld(t, 1, Limits{Bookmark: 20 * time.Millisecond})
	w.putSpec("cache", "queue")
	w.seed("cache", "queue")
	w.failover("queue")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := w.at("n1").Failovers().WatchFailovers(ctx, &pointsmanv1.WatchFailoversRequest{Filter: "master=cache"})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || m.GetBookmark() == nil {
		t.Fatalf("first message %v, %v", m, err)
	}
	f := w.failover("cache")
	go func() {
		for _, step := range []string{"url", "a", "b"} {
			w.apply(fsm.Abandon{Action: f.Action(step), Reason: "test"}, "", "test")
		}
	}()
	var states []pointsmanv1.FailoverState
	for len(states) == 0 || states[len(states)-1] != pointsmanv1.FailoverState_FAILOVER_STATE_ABANDONED {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if v := m.GetFailover(); v != nil {
			if v.GetId() != "cache/1" {
				t.Fatalf("told of %s", v.GetId())
			}
			states = append(states, v.GetState())
		}
	}
}

// Whatever happens and wherever a watch is resumed, what it told last of each
// action is what the state holds, and each batch is in index order.
func TestWatchTellsEverything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 2, Limits{Bookmark: time.Millisecond, Coalesce: 50 * time.Microsecond})
		w.putSpec("cache", "queue")
		w.seed("cache", "queue")
		known := map[string]uint64{}
		token := ""
		for range rapid.IntRange(1, 4).Draw(rt, "connections") {
			node := rapid.SampledFrom([]fsm.NodeID{"n1", "n2"}).Draw(rt, "node")
			stream, cancel := watchActions(t, w, node, &pointsmanv1.WatchActionsRequest{ResumeToken: token})
			for range rapid.IntRange(0, 4).Draw(rt, "commands") {
				w.happen(rt)
			}
			for range rapid.IntRange(1, 6).Draw(rt, "messages") { // may break off inside a batch
				m, err := stream.Recv()
				if err != nil {
					rt.Fatal(err)
				}
				token = m.GetResumeToken()
				if a := m.GetAction(); a != nil {
					known[a.GetId()] = max(known[a.GetId()], a.GetIndex())
				}
			}
			cancel()
		}
		stream, _ := watchActions(t, w, "n2", &pointsmanv1.WatchActionsRequest{ResumeToken: token})
		told, _ := actionsUntil(t, stream)
		for i, a := range told {
			known[a.GetId()] = max(known[a.GetId()], a.GetIndex())
			if i > 0 && told[i-1].GetIndex() > a.GetIndex() {
				rt.Fatalf("%s at %d after %d", a.GetId(), a.GetIndex(), told[i-1].GetIndex())
			}
		}
		for _, a := range w.now().AllActions() {
			if known[string(a.ID)] != a.Index {
				rt.Fatalf("%s: told up to %d, it changed at %d", a.ID, known[string(a.ID)], a.Index)
			}
		}
	})
}

// happen logs something that may be refused.
func (w *tape) happen(t *rapid.T) {
	master := rapid.SampledFrom([]fsm.MasterID{"cache", "queue"}).Draw(t, "master")
	m, _ := w.now().Master(master)
	action := fsm.FailoverID{Master: master, Number: m.Number}.Action(rapid.SampledFrom([]string{"url", "a", "b"}).Draw(t, "step"))
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		w.failover(master)
	case 1:
		w.apply(fsm.Abandon{Action: action, Reason: "test"}, "", "test")
	case 2:
		w.apply(fsm.Claim{Action: action, Term: w.term, Act: 1}, "", "test")
	case 3:
		a, _ := w.now().Action(action)
		w.apply(fsm.Settle{Action: action, Token: a.Token, To: fsm.Stuck, Reason: "test"}, "", "test")
	}
}

func TestWatchTokens(t *testing.T) {
	w := newWorld(t, 2, Limits{CatchUp: 30 * time.Millisecond})
	w.putSpec("cache")
	here := string(w.now().Cluster())
	for name, row := range map[string]struct {
		token  string
		code   codes.Code
		reason string
	}{
		"not a token":     {"xyz", codes.InvalidArgument, ReasonInvalid},
		"other cluster":   {cursor{cluster: "other", index: 1}.token(), codes.OutOfRange, ReasonCompacted},
		"restored since":  {cursor{cluster: here, generation: 7, index: 1}.token(), codes.OutOfRange, ReasonCompacted},
		"ahead of us all": {cursor{cluster: here, index: 1000}.token(), codes.Unavailable, ReasonBehind},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			stream, err := plain(t, w, "n1").Actions().WatchActions(ctx, &pointsmanv1.WatchActionsRequest{ResumeToken: row.token})
			if err == nil {
				_, err = stream.Recv()
			}
			wantError(t, err, row.code, row.reason)
		})
	}
	stream, _ := watchActions(t, w, "n1", &pointsmanv1.WatchActionsRequest{ResumeToken: cursor{cluster: here, index: w.now().Index()}.token()})
	if told, _ := actionsUntil(t, stream); len(told) != 0 {
		t.Errorf("nothing happened, told %v", told)
	}
}

// A restore takes the ground from under a watch: it ends and says so.
func TestWatchEndsAtRestore(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache")
	stream, _ := watchActions(t, w, "n1", &pointsmanv1.WatchActionsRequest{})
	actionsUntil(t, stream)
	flat := w.now().Flatten()
	flat.Generation++
	flat.Index = 3
	w.mu.Lock()
	w.state = fsm.Unflatten(flat)
	w.spread()
	w.mu.Unlock()
	_, err := stream.Recv()
	wantError(t, err, codes.OutOfRange, ReasonCompacted)
}

func TestWatchBounds(t *testing.T) {
	w := newWorld(t, 1, Limits{Streams: 1, StreamBuffer: 1, SlowConsumer: 50 * time.Millisecond})
	w.putSpec("cache")
	stream, cancel := watchActions(t, w, "n1", &pointsmanv1.WatchActionsRequest{})
	actionsUntil(t, stream)
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	more, err := plain(t, w, "n1").Actions().WatchActions(ctx, &pointsmanv1.WatchActionsRequest{})
	if err == nil {
		_, err = more.Recv()
	}
	wantError(t, err, codes.ResourceExhausted, ReasonStreams)
	cancel()
	waitFor(t, func() bool { return w.nodes["n1"].server.streams.Load() == 0 })

	for i := range 40 { // more than the transport's own buffers take
		w.must(fsm.PutSetting{Key: fmt.Sprintf("big/%d", i), Value: string(make([]byte, fsm.MaxValueBytes-1))})
	}
	slow, err := plain(t, w, "n1").Settings().WatchSettings(ctx, &pointsmanv1.WatchSettingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return w.nodes["n1"].server.streams.Load() == 1 })
	waitFor(t, func() bool { return w.nodes["n1"].server.streams.Load() == 0 }) // nobody reads
	for err == nil {
		_, err = slow.Recv()
	}
	wantError(t, err, codes.ResourceExhausted, ReasonSlow)
}

func waitFor(t *testing.T, met func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not happen in time")
		}
	}
}

// settingsUntil reads a watch up to its next bookmark or its end.
func settingsUntil(stream pointsmanv1.SettingService_WatchSettingsClient) map[string]string {
	told := map[string]string{}
	for {
		m, err := stream.Recv()
		switch {
		case err != nil:
			return map[string]string{"error": err.Error()}
		case m.GetSetting() != nil:
			told[m.GetSetting().GetKey()] = m.GetSetting().GetValue()
		case m.GetBookmark() != nil:
			told["token"] = m.GetResumeToken()
			return told
		default:
			told[m.GetDeleted()] = "deleted"
		}
	}
}

func TestWatchSettings(t *testing.T) {
	w := newWorld(t, 2, Limits{Bookmark: 20 * time.Millisecond})
	w.must(putSetting("app/a", "1"))
	w.must(putSetting("app/b", "1"))
	w.must(putSetting("other", "1"))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	open := func(id fsm.NodeID, token string) func() map[string]string {
		stream, err := plain(t, w, id).Settings().WatchSettings(ctx, &pointsmanv1.WatchSettingsRequest{Prefix: "app/", ResumeToken: token})
		if err != nil {
			t.Fatal(err)
		}
		return func() map[string]string { return settingsUntil(stream) }
	}
	next := open("n1", "")
	told := next()
	if fmt.Sprintf("%d %s %s", len(told), told["app/a"], told["app/b"]) != "3 1 1" {
		t.Fatalf("first listing %v", told)
	}
	token := told["token"]
	w.must(fsm.DeleteSetting{Key: "app/a"})
	w.must(putSetting("app/c", "2"))
	if told = open("n1", token)(); fmt.Sprintf("%d %s %s", len(told), told["app/a"], told["app/c"]) != "3 deleted 2" {
		t.Errorf("after resume %v", told)
	}
	got := map[string]string{}
	for got["app/a"] == "" || got["app/c"] == "" {
		for k, v := range next() {
			got[k] = v
		}
		if got["error"] != "" {
			t.Fatal(got)
		}
	}
	if told = open("n2", token)(); told["error"] == "" {
		t.Errorf("resume where the state is not held: %v", told)
	}
}

// Close ends the watches and waits for their goroutines.
func TestCloseEndsWatches(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache")
	stream, _ := watchActions(t, w, "n1", &pointsmanv1.WatchActionsRequest{})
	actionsUntil(t, stream)
	w.nodes["n1"].server.Close()
	_, err := stream.Recv()
	wantError(t, err, codes.Unavailable, ReasonClosing)
}
