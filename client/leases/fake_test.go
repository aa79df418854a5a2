package leases

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// fake serves one pool from memory. A test says who is granted what, and what
// goes wrong.
type fake struct {
	pointsmanv1.UnimplementedLeaseServiceServer
	t   testing.TB
	ttl time.Duration

	mu       sync.Mutex
	session  uint64 // the newest; 0: none is open
	opens    int
	closed   int
	token    uint64
	granted  map[uint32]*pointsmanv1.Assignment
	newest   map[uint32]uint64 // token of the newest grant
	released []uint64
	releases int                    // calls
	pushes   map[chan struct{}]bool // one of each stream
	streams  int
	renewals []time.Time // when they came in
	mute     bool        // renewals are not answered
	deafTo   int         // streams up to this one never answer: they are half open
	delay    time.Duration
	follows  bool  // is no leader: serves no stream
	refuse   error // what every call but streams is answered
	again    bool  // what is released is granted at once
	leaving  bool  // the newest renewal said so
	record   record
}

func newFake(t testing.TB, ttl time.Duration) *fake {
	return &fake{t: t, ttl: ttl, token: 100, granted: map[uint32]*pointsmanv1.Assignment{}, newest: map[uint32]uint64{}, pushes: map[chan struct{}]bool{}}
}

// dial serves the fake and connects to it; both end with the test.
func (f *fake) dial() Connection {
	port := bufconn.Listen(1 << 16)
	g := grpc.NewServer()
	pointsmanv1.RegisterLeaseServiceServer(g, f)
	served := make(chan error, 1)
	go func() { served <- g.Serve(port) }()
	c, err := client.DialNode("n1:7801", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return port.DialContext(ctx) }))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			f.t.Error(err)
		}
		g.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			f.t.Error(err)
		}
	})
	return c.Conn()
}

func (f *fake) set(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	for push := range f.pushes {
		select {
		case push <- struct{}{}:
		default:
		}
	}
}

func (f *fake) grant(partition uint32, address string) (token uint64) {
	f.set(func() {
		f.token++
		token = f.token
		f.newest[partition] = token
		f.granted[partition] = &pointsmanv1.Assignment{Partition: partition, Token: token, State: pointsmanv1.LeaseState_LEASE_STATE_HELD, ValidFor: durationpb.New(f.ttl), Address: address}
	})
	return token
}

func (f *fake) drain(partition uint32, left time.Duration) {
	f.set(func() {
		a := f.granted[partition]
		a.State, a.ValidFor = pointsmanv1.LeaseState_LEASE_STATE_DRAINING, durationpb.New(left)
	})
}

func (f *fake) revoke(partition uint32) { f.set(func() { delete(f.granted, partition) }) }

// end forgets the session and all that it holds.
func (f *fake) end() { f.set(func() { f.session = 0; clear(f.granted) }) }

func (f *fake) OpenSession(context.Context, *pointsmanv1.OpenSessionRequest) (*pointsmanv1.OpenSessionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	f.opens++
	f.session = uint64(f.opens)
	return &pointsmanv1.OpenSessionResponse{Session: &pointsmanv1.Session{Id: f.session}, Ttl: durationpb.New(f.ttl)}, nil
}

func (f *fake) CloseSession(context.Context, *pointsmanv1.CloseSessionRequest) (*pointsmanv1.CloseSessionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return &pointsmanv1.CloseSessionResponse{}, nil
}

func (f *fake) Release(_ context.Context, r *pointsmanv1.ReleaseRequest) (*pointsmanv1.ReleaseResponse, error) {
	back, err := f.release(r)
	for _, p := range back {
		f.grant(p, "")
	}
	return &pointsmanv1.ReleaseResponse{}, err
}

// release answers which partitions are to be granted at once.
func (f *fake) release(r *pointsmanv1.ReleaseRequest) (back []uint32, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.releases++
	for _, h := range r.GetReleased() {
		if f.refuse == nil {
			f.released = append(f.released, h.GetToken())
		}
		if p := h.GetPartition(); f.refuse == nil && f.granted[p].GetToken() == h.GetToken() {
			delete(f.granted, p)
			if f.again {
				back = append(back, p)
			}
		}
	}
	return back, f.refuse
}

func (f *fake) Renew(_ context.Context, r *pointsmanv1.RenewRequest) (*pointsmanv1.RenewResponse, error) {
	return f.judge(r)
}

func (f *fake) judge(r *pointsmanv1.RenewRequest) (*pointsmanv1.RenewResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewals, f.leaving = append(f.renewals, time.Now()), r.GetLeaving() || f.leaving
	if r.GetSession() != f.session {
		return nil, status.Error(codes.NotFound, "no such session")
	}
	answer := &pointsmanv1.RenewResponse{Ttl: durationpb.New(f.ttl)}
	for _, p := range slices.Sorted(maps.Keys(f.granted)) {
		a := f.granted[p]
		answer.Assignments = append(answer.Assignments, &pointsmanv1.Assignment{Partition: p, Token: a.GetToken(), State: a.GetState(), ValidFor: a.GetValidFor(), Address: a.GetAddress()})
	}
	for _, h := range r.GetHeld() {
		if f.granted[h.GetPartition()].GetToken() != h.GetToken() {
			answer.Refused = append(answer.Refused, &pointsmanv1.RefusedToken{Partition: h.GetPartition(), Token: h.GetToken(), CurrentToken: f.newest[h.GetPartition()]})
		}
	}
	return answer, nil
}

// because is an error with a reason.
func because(code codes.Code, reason string) error {
	st, err := status.New(code, "n1 says "+reason).WithDetails(&errdetails.ErrorInfo{Reason: reason})
	if err != nil {
		return err
	}
	return st.Err()
}

// begin answers the number of a stream, unless none is served.
func (f *fake) begin(push chan struct{}) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.follows {
		return 0, because(codes.Unavailable, notLeader)
	}
	f.streams++
	f.pushes[push] = true
	return f.streams, nil
}

func (f *fake) KeepAlive(s grpc.BidiStreamingServer[pointsmanv1.KeepAliveRequest, pointsmanv1.KeepAliveResponse]) error {
	push := make(chan struct{}, 1)
	number, err := f.begin(push)
	if err != nil {
		return err
	}
	defer f.set(func() { delete(f.pushes, push) })
	asked := make(chan *pointsmanv1.KeepAliveRequest)
	go func() {
		defer close(asked)
		for {
			r, err := s.Recv()
			if err != nil {
				return
			}
			select {
			case asked <- r:
			case <-s.Context().Done():
				return
			}
		}
	}()
	for {
		if err := f.exchange(s, number, asked, push); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// exchange answers one renewal, or tells of one change.
func (f *fake) exchange(s grpc.BidiStreamingServer[pointsmanv1.KeepAliveRequest, pointsmanv1.KeepAliveResponse], number int, asked <-chan *pointsmanv1.KeepAliveRequest, push <-chan struct{}) error {
	var last *pointsmanv1.KeepAliveRequest
	sequence := uint64(0)
	select {
	case <-push:
		f.mu.Lock()
		last = &pointsmanv1.KeepAliveRequest{Renewal: &pointsmanv1.RenewRequest{Session: f.session}}
		f.mu.Unlock()
	case r, ok := <-asked:
		if !ok {
			return io.EOF
		}
		last, sequence = r, r.GetSequence()
	}
	answer, err := f.judge(last.GetRenewal())
	if err != nil {
		return err
	}
	f.mu.Lock()
	mute, delay := f.mute || number <= f.deafTo, f.delay
	f.mu.Unlock()
	if mute {
		return nil
	}
	select {
	case <-time.After(delay):
	case <-s.Context().Done():
		return io.EOF
	}
	for _, a := range answer.GetAssignments() {
		if sequence == 0 {
			a.ValidFor = nil
		}
	}
	return s.Send(&pointsmanv1.KeepAliveResponse{Sequence: sequence, Renewal: answer})
}
