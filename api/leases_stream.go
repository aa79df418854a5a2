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
	k := &keeper{leaseService: s, stream: stream, joined: make(chan struct{}), failed: make(chan error, 2), turn: make(chan struct{}, 1)}
	k.first = time.AfterFunc(firstRenewal, func() {
		k.failed <- &fault{code: codes.DeadlineExceeded, reason: ReasonDeadline, message: fmt.Sprintf("no renewal for %s", firstRenewal)}
	})
	defer k.first.Stop()
	// A blocked receive returns when the handler does: gRPC then ends the stream.
	if !s.start(k.receive) {
		return s.closing()
	}
	defer k.leave()
	return k.tell()
}

// keeper is one stream. Its session is that of the first renewal. One goroutine
// receives renewals and answers them, the handler's tells what changes.
type keeper struct {
	leaseService
	stream keepAliveStream
	first  *time.Timer   // runs out unless a message has come
	joined chan struct{} // closed when the first renewal was answered
	failed chan error    // capacity 2: of first and receive

	key, hash string // of the last renewal; receive owns them

	session fsm.SessionID // set once, before joined

	// turn is taken to send, and guards what follows. A channel, since whoever waits
	// for one that sends may wait for as long as the worker does not read.
	turn chan struct{}
	told uint64 // State.Leased of the newest that was sent
	over bool   // the handler has returned: nothing may be sent
}

// receive answers one renewal after another.
func (k *keeper) receive() {
	defer func() {
		if p := recover(); p != nil {
			k.failed <- k.recovered(k.stream.Context(), p)
		}
	}()
	for n := 0; ; n++ {
		m, err := k.stream.Recv()
		if n == 0 {
			k.first.Stop()
		}
		if err == nil {
			err = k.renew(m)
		}
		if err != nil {
			k.failed <- err
			return
		}
		if n == 0 {
			close(k.joined)
		}
	}
}

// leave keeps receive from sending.
func (k *keeper) leave() {
	k.turn <- struct{}{}
	defer func() { <-k.turn }()
	k.over = true
}

// send sends what is true at an index of the log.
func (k *keeper) send(index uint64, m *pointsmanv1.KeepAliveResponse) error {
	k.turn <- struct{}{}
	defer func() { <-k.turn }()
	if k.over {
		return io.EOF
	}
	k.told = max(k.told, index)
	return k.stream.Send(m)
}

// tell goes on until the worker hangs up, its session ends, or this node leads no
// more.
func (k *keeper) tell() error {
	select {
	case <-k.joined:
	case err := <-k.failed:
		return ended(err)
	case <-k.done:
		return k.closing()
	}
	changed, done := k.cfg.Leases.Subscribe(k.session)
	defer done()
	for {
		if err := k.push(); err != nil { // at first, of what changed before it subscribed
			return err
		}
		select {
		case <-changed:
		case err := <-k.failed:
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
	if key := m.GetRenewal().GetKey(); k.hash == "" || key != k.key {
		k.key, k.hash = key, keyHash(key)
	}
	answer, err := k.renewed(k.stream.Context(), m.GetRenewal(), k.hash)
	if err != nil {
		return err
	}
	if k.session == 0 {
		k.session = id
	}
	return k.send(answer.GetHeader().GetAppliedIndex(), &pointsmanv1.KeepAliveResponse{Header: answer.GetHeader(), Sequence: m.GetSequence(), Renewal: answer})
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
	if !k.news(state.Leased()) {
		return nil
	}
	h := header(state, st)
	answer := &pointsmanv1.RenewResponse{Header: h, Ttl: durationpb.New(v.TTL), SuspendedBy: suspendedBy(state, v.Pool)}
	for _, l := range state.Holdings(v) {
		answer.Assignments = append(answer.Assignments, assignmentMessage(l, 0))
	}
	return k.send(state.Leased(), &pointsmanv1.KeepAliveResponse{Header: h, Renewal: answer})
}

// news reports whether nothing as new as the index was sent.
func (k *keeper) news(index uint64) bool {
	k.turn <- struct{}{}
	defer func() { <-k.turn }()
	return index > k.told
}
