package lab

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Seen is a failover as the API showed it. The watch is told a little late, so
// its moments are the wall times in the answer, which are of this machine, where
// these lie before the lab's own sight.
type Seen struct {
	Accepted time.Time
	Settled  time.Time // of its last action; zero before
	Failover *pointsmanv1.Failover
}

// Watch follows the failovers on every node at once and keeps what it saw
// first. Its methods may be called concurrently.
type Watch struct {
	nodes  *Nodes
	events func(Event)
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	seen    map[string]Seen
	changed chan struct{} // closed and replaced at each change
}

// rewatch is the pause before a broken stream is opened again.
const rewatch = 20 * time.Millisecond

func startWatch(nodes *Nodes, events func(Event)) *Watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watch{nodes: nodes, events: events, cancel: cancel, seen: map[string]Seen{}, changed: make(chan struct{})}
	for _, node := range nodes.all {
		w.wg.Go(func() {
			for ctx.Err() == nil {
				w.follow(ctx, node)
				pause(ctx, rewatch)
			}
		})
	}
	return w
}

func (w *Watch) follow(ctx context.Context, node *Node) {
	stream, err := pointsmanv1.NewFailoverServiceClient(node.conn).WatchFailovers(ctx, &pointsmanv1.WatchFailoversRequest{})
	if err != nil {
		return
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return
		}
		if f := m.GetFailover(); f != nil {
			w.note(f, time.Now())
		}
	}
}

// note takes a failover in. Nodes lag behind each other: what is older than
// what was seen changes nothing.
func (w *Watch) note(f *pointsmanv1.Failover, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, known := w.seen[f.Id]
	if known && version(f) <= version(s.Failover) {
		return
	}
	if !known {
		s.Accepted = earlier(at, f.AcceptedTime)
		w.events(Event{At: s.Accepted, Who: ByCoordinator, Text: fmt.Sprintf("%s accepted by %s in term %d: %s → %s", f.Id, f.AcceptedNode, f.AcceptedTerm, f.From, f.To)})
	}
	w.tell(s.Failover, f, at)
	if s.Settled.IsZero() && final(f) {
		s.Settled = earlier(at, f.SettledTime)
		w.events(Event{At: s.Settled, Who: ByCoordinator, Text: f.Id + " settled"})
	}
	s.Failover = proto.CloneOf(f)
	w.seen[f.Id] = s
	close(w.changed)
	w.changed = make(chan struct{})
}

// tell makes a line of each action that changed its state.
func (w *Watch) tell(old, f *pointsmanv1.Failover, at time.Time) {
	before := map[string]pointsmanv1.ActionState{}
	for _, a := range old.GetActions() {
		before[a.Id] = a.State
	}
	for _, a := range f.Actions {
		if before[a.Id] == a.State {
			continue
		}
		text := fmt.Sprintf("%s %s", a.Id, stateWord(a.State))
		switch {
		case a.State == pointsmanv1.ActionState_ACTION_STATE_DONE:
			text += " (" + effectWord(a.Effect) + ")"
		case a.State == pointsmanv1.ActionState_ACTION_STATE_CLAIMED && a.NodeId != "":
			text += " by " + a.NodeId
		case a.Reason != "":
			text += ": " + a.Reason
		}
		w.events(Event{At: earlier(at, a.SettledTime), Who: ByCoordinator, Text: text})
	}
}

// earlier is the told wall time, if it is of the last minute before the sight.
func earlier(sight time.Time, told *timestamppb.Timestamp) time.Time {
	if told == nil {
		return sight
	}
	if ago := sight.Round(0).Sub(told.AsTime()); ago > 0 && ago < time.Minute {
		return sight.Add(-ago)
	}
	return sight
}

// version is the log index of the newest change of a failover.
func version(f *pointsmanv1.Failover) uint64 {
	v := f.AcceptedIndex
	for _, a := range f.Actions {
		v = max(v, a.Index)
	}
	return v
}

// final says that every action has reached a state that never changes again.
func final(f *pointsmanv1.Failover) bool {
	for _, a := range f.Actions {
		switch a.State {
		case pointsmanv1.ActionState_ACTION_STATE_DONE, pointsmanv1.ActionState_ACTION_STATE_SUPERSEDED, pointsmanv1.ActionState_ACTION_STATE_ABANDONED:
		default:
			return false
		}
	}
	return true
}

// wait returns the failover when it is as ok wants it. The error names what was
// awaited and how it stands.
func (w *Watch) wait(ctx context.Context, limit time.Duration, id, what string, ok func(Seen) bool) (Seen, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %s", limit))
	defer cancel()
	for {
		w.mu.Lock()
		s, known := w.seen[id]
		changed := w.changed
		w.mu.Unlock()
		if known && ok(s) {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, fmt.Errorf("wait for %s to be %s: %w; it stands: %s", id, what, context.Cause(ctx), standing(s.Failover))
		}
	}
}

// standing is one line on how a failover stands.
func standing(f *pointsmanv1.Failover) string {
	if f == nil {
		return "not accepted"
	}
	text := ""
	for _, a := range f.Actions {
		text += fmt.Sprintf("%s %s", a.Id, stateWord(a.State))
		if a.Reason != "" {
			text += " (" + a.Reason + ")"
		}
		for _, g := range a.Gates {
			text += fmt.Sprintf(" [%s %s]", g.Kind, g.Detail)
		}
		text += "; "
	}
	return text
}

func (w *Watch) stop() {
	w.cancel()
	w.wg.Wait()
}
