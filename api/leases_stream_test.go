package api

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (w *tape) keepAlive(id fsm.NodeID) pointsmanv1.LeaseService_KeepAliveClient {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	w.t.Cleanup(cancel)
	stream, err := w.leases(id).KeepAlive(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return stream
}

type lifeline = pointsmanv1.LeaseService_KeepAliveClient

func renewal(sequence, session uint64, key string) *pointsmanv1.KeepAliveRequest {
	return &pointsmanv1.KeepAliveRequest{Sequence: sequence, Renewal: &pointsmanv1.RenewRequest{Session: session, Key: key}}
}

// said is the next answer, which has to be of the sequence.
func said(t *testing.T, s lifeline, sequence uint64) *pointsmanv1.RenewResponse {
	t.Helper()
	m, err := s.Recv()
	if err != nil || m.GetSequence() != sequence {
		t.Fatalf("sequence %d, %v, want %d", m.GetSequence(), err, sequence)
	}
	return m.GetRenewal()
}

func ends(t *testing.T, s lifeline, code codes.Code, reason string) error {
	t.Helper()
	for {
		if _, err := s.Recv(); err != nil {
			wantError(t, err, code, reason)
			return err
		}
	}
}

// A stream answers renewals, and tells of a change without being asked, which
// prolongs nothing.
func TestKeepAlive(t *testing.T) {
	w := newPool(t, 1, Limits{})
	one := w.join("w1", keyOne)
	s := w.keepAlive("n1")
	send := func(m *pointsmanv1.KeepAliveRequest) {
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	send(renewal(1, one, keyOne))
	if got := assigned(said(t, s, 1)); got != "" {
		t.Errorf("first: %s", got)
	}
	w.grant(one, 2)
	if got := assigned(said(t, s, 0)); got != "2 HELD 0s; " {
		t.Errorf("told of the grant: %s", got)
	}
	send(renewal(2, one, keyOne))
	if got := assigned(said(t, s, 2)); got != "2 HELD 7s; " {
		t.Errorf("second: %s", got)
	}
	w.must(fsm.CloseSessions{How: fsm.LeftByForce, Sessions: []fsm.SessionID{fsm.SessionID(one)}})
	ends(t, s, codes.NotFound, ReasonNotFound)
}

// What changes after a renewal was judged and before the stream listens is told
// all the same.
func TestKeepAlive_TellsOfAChangeBetween(t *testing.T) {
	w := newPool(t, 1, Limits{})
	one := w.join("w1", keyOne)
	n := w.nodes["n1"]
	var granted bool
	n.between = func() {
		if !granted {
			granted = true
			w.grant(one, 0)
		}
	}
	s := w.keepAlive("n1")
	if err := s.Send(renewal(1, one, keyOne)); err != nil {
		t.Fatal(err)
	}
	said(t, s, 1)
	if got := assigned(said(t, s, 0)); got != "0 HELD 0s; " {
		t.Errorf("told %s", got)
	}
}

func TestKeepAlive_OnlyTheLeaderServesIt(t *testing.T) {
	w := newPool(t, 2, Limits{})
	one := w.join("w1", keyOne)
	s := w.keepAlive("n2")
	if err := s.Send(renewal(1, one, keyOne)); err != nil {
		t.Fatal(err)
	}
	if f := facts(ends(t, s, codes.Unavailable, ReasonNotLeader)); f["leader"] != "n1" || f["leader_address"] != "n1:7801" {
		t.Errorf("told %v", f)
	}
	s = w.keepAlive("n1")
	if err := s.Send(renewal(1, one, keyOne)); err != nil {
		t.Fatal(err)
	}
	said(t, s, 1)
	w.setLead("n2")
	if f := facts(ends(t, s, codes.Unavailable, ReasonNotLeader)); f["leader_address"] != "n2:7801" {
		t.Errorf("after it was deposed: %v", f)
	}
}

func TestKeepAlive_Misuse(t *testing.T) {
	w := newPool(t, 1, Limits{})
	one, two := w.join("w1", keyOne), w.join("w2", keyTwo)
	for name, row := range map[string]struct {
		messages []*pointsmanv1.KeepAliveRequest
		code     codes.Code
		reason   string
	}{
		"no sequence":         {[]*pointsmanv1.KeepAliveRequest{renewal(0, one, keyOne)}, codes.InvalidArgument, ReasonInvalid},
		"no renewal":          {[]*pointsmanv1.KeepAliveRequest{{Sequence: 1}}, codes.InvalidArgument, ReasonInvalid},
		"a stranger":          {[]*pointsmanv1.KeepAliveRequest{renewal(1, one, keyTwo)}, codes.NotFound, ReasonNotFound},
		"two on one stream":   {[]*pointsmanv1.KeepAliveRequest{renewal(1, one, keyOne), renewal(2, two, keyTwo)}, codes.InvalidArgument, ReasonInvalid},
		"a stranger, later":   {[]*pointsmanv1.KeepAliveRequest{renewal(1, one, keyOne), renewal(2, one, keyTwo)}, codes.NotFound, ReasonNotFound},
		"no such session yet": {[]*pointsmanv1.KeepAliveRequest{renewal(1, two+1, keyTwo)}, codes.NotFound, ReasonNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.keepAlive("n1")
			for _, m := range row.messages {
				if err := s.Send(m); err != nil {
					break // it has ended, which Recv tells
				}
			}
			ends(t, s, row.code, row.reason)
		})
	}
}

// silent is a stream of which nothing comes: its other side is gone, and nobody
// has said so.
type silent struct {
	grpc.ServerStream
	ctx context.Context
}

func (s silent) Context() context.Context                { return s.ctx }
func (silent) Send(*pointsmanv1.KeepAliveResponse) error { return nil }
func (s silent) Recv() (*pointsmanv1.KeepAliveRequest, error) {
	<-s.ctx.Done()
	return nil, context.Cause(s.ctx)
}

// A stream that never says for whom it speaks ends by itself.
func TestKeepAlive_HalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{
			Log: &node{tape: &tape{}}, Sights: &node{}, Gates: &node{}, Operator: &node{}, Fitness: &node{}, Switcher: &node{}, Leases: &node{},
			Compile: compile, Preflight: &node{},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, hangUp := context.WithCancel(t.Context())
		begun := time.Now()
		err = leaseService{Server: s}.KeepAlive(silent{ctx: ctx})
		if took := time.Since(begun); err == nil || took != firstRenewal {
			t.Errorf("ended after %s with %v", took, err)
		}
		if n := s.keepAlives.Load(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
		hangUp() // as gRPC does when the handler has returned
		s.Close()
	})
}

// A renewal that waits for a barrier keeps nothing else waiting: its stream tells
// of changes meanwhile, and ends.
func TestKeepAlive_WhileARenewalWaits(t *testing.T) {
	w := newPool(t, 1, Limits{})
	one := w.join("w1", keyOne)
	barrier := make(chan struct{}, 1)
	w.nodes["n1"].barrier = barrier
	s := w.keepAlive("n1")
	barrier <- struct{}{}
	if err := errors.Join(s.Send(renewal(1, one, keyOne)), s.Send(renewal(2, one, keyOne))); err != nil {
		t.Fatal(err)
	}
	said(t, s, 1)
	w.grant(one, 2)
	if got := assigned(said(t, s, 0)); got != "2 HELD 0s; " {
		t.Errorf("told while a renewal waits: %s", got)
	}
	w.must(fsm.CloseSessions{How: fsm.LeftByForce, Sessions: []fsm.SessionID{fsm.SessionID(one)}})
	_ = ends(t, s, codes.NotFound, ReasonNotFound)
}
