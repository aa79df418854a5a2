package api

import (
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Bounds of the streams of workers on one node.
const (
	maxKeepAlives = fsm.MaxSessions
	firstRenewal  = 10 * time.Second // until the first message of a stream
)

type keepAliveStream = grpc.BidiStreamingServer[pointsmanv1.KeepAliveRequest, pointsmanv1.KeepAliveResponse]

// KeepAlive answers one renewal after another, and tells between them when what
// the session holds changes. A worker that does not read blocks only its own
// stream; the transport ends one whose other side is gone, and the end of the
// session ends its stream.
func (s leaseService) KeepAlive(stream keepAliveStream) error {
	if n := s.keepAlives.Add(1); n > maxKeepAlives {
		s.keepAlives.Add(-1)
		return &fault{code: codes.ResourceExhausted, reason: ReasonStreams, retry: retryAfter, message: fmt.Sprintf("this node serves %d workers already", maxKeepAlives)}
	}
	defer s.keepAlives.Add(-1)
	k := keeper{leaseService: s, stream: stream}
	in, failed, quit := make(chan *pointsmanv1.KeepAliveRequest), make(chan error, 1), make(chan struct{})
	defer close(quit)
	// A blocked receive returns when the handler does: gRPC then ends the stream.
	started := s.start(func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case in <- m:
			case <-quit:
				return
			}
		}
	})
	if !started {
		return s.closing()
	}
	return k.run(in, failed)
}

// keeper is one stream. Its session is that of the first renewal.
type keeper struct {
	leaseService
	stream  keepAliveStream
	session fsm.SessionID
	told    uint64 // State.Leased of what was sent last
}

func (k *keeper) run(in <-chan *pointsmanv1.KeepAliveRequest, failed <-chan error) error {
	first := time.NewTimer(firstRenewal)
	defer first.Stop()
	select {
	case m := <-in:
		if err := k.renew(m); err != nil {
			return err
		}
	case <-first.C:
		return &fault{code: codes.DeadlineExceeded, reason: ReasonDeadline, message: fmt.Sprintf("no renewal for %s", firstRenewal)}
	case err := <-failed:
		return ended(err)
	case <-k.done:
		return k.closing()
	}
	changed, done := k.cfg.Leases.Subscribe(k.session)
	defer done()
	if err := k.push(); err != nil { // of what changed before it subscribed
		return err
	}
	return k.serve(in, failed, changed)
}

// serve goes on until the worker hangs up, its session ends, or this node leads
// no more.
func (k *keeper) serve(in <-chan *pointsmanv1.KeepAliveRequest, failed <-chan error, changed <-chan struct{}) error {
	for {
		select {
		case m := <-in:
			if err := k.renew(m); err != nil {
				return err
			}
		case <-changed:
			if err := k.push(); err != nil {
				return err
			}
		case err := <-failed:
			return ended(err)
		case <-k.done:
			return k.closing()
		}
	}
}

// ended is what a stream ends with whose other side has said its last word.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (k *keeper) renew(m *pointsmanv1.KeepAliveRequest) error {
	id := fsm.SessionID(m.GetRenewal().GetSession())
	switch {
	case m.GetSequence() == 0:
		return invalid("sequence", "must not be 0")
	case k.session != 0 && k.session != id:
		return invalid("renewal.session", "a stream speaks for one session, this one for %d", k.session)
	}
	answer, err := k.Renew(k.stream.Context(), m.GetRenewal())
	if err != nil {
		return err
	}
	k.session, k.told = id, answer.GetHeader().GetAppliedIndex()
	return k.stream.Send(&pointsmanv1.KeepAliveResponse{Header: answer.GetHeader(), Sequence: m.GetSequence(), Renewal: answer})
}

// push tells what the session holds by this node's state. It prolongs nothing.
func (k *keeper) push() error {
	st := k.cfg.Log.Status()
	if !st.Leads() {
		return k.led(&NotLeaderError{})
	}
	state, _ := k.cfg.Log.Watch()
	v, ok := state.Session(k.session)
	if !ok {
		return noSession(uint64(k.session))
	}
	if state.Leased() <= k.told {
		return nil
	}
	k.told = state.Leased()
	h := header(state, st)
	answer := &pointsmanv1.RenewResponse{Header: h, Ttl: durationpb.New(v.TTL), SuspendedBy: suspendedBy(state, v.Pool)}
	for _, l := range state.Holdings(v) {
		answer.Assignments = append(answer.Assignments, assignmentMessage(l, 0))
	}
	return k.stream.Send(&pointsmanv1.KeepAliveResponse{Header: h, Renewal: answer})
}
