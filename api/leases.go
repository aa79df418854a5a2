package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Leaser keeps count of workers while this node leads. Safe for concurrent use.
type Leaser interface {
	// Renew answers what a session holds, by a state that was confirmed after the
	// call. Errors: *NotLeaderError, ErrNoSession, *fsm.Refused, or ctx's.
	Renew(ctx context.Context, r Renewal) (Renewed, error)
	// Subscribe tells through the channel when what a session holds may have
	// changed, or when this node ceases to lead. The function ends it.
	Subscribe(id fsm.SessionID) (<-chan struct{}, func())
}

// ErrNoSession is returned for a session that has ended, or with a key that is
// not its own.
var ErrNoSession = errors.New("no such session")

// Renewal is a worker's proof that it lives.
type Renewal struct {
	Session fsm.SessionID
	Key     string // as it stands in the log
	Held    []fsm.LeaseItem
	Uptime  time.Duration // by the worker's clock; 0: not told
	Leaving bool          // it comes to its end, and is given nothing more
}

// Renewed is the answer to a renewal.
type Renewed struct {
	State    fsm.State // that it was judged by
	Session  fsm.Session
	Assigned []RenewedLease
	Refused  []RefusedLease
}

// RenewedLease is a partition that the session holds.
type RenewedLease struct {
	fsm.Lease
	ValidFor time.Duration // from before the renewal was sent
}

// RefusedLease is a grant that was named and is not held.
type RefusedLease struct {
	fsm.LeaseItem
	Now fsm.Lease // zero: there is no such partition
}

type leaseService struct {
	pointsmanv1.UnimplementedLeaseServiceServer
	*Server
}

// keyHash is the form in which a key stands in the log.
func keyHash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func noSession(id uint64) error { return notFound("session", strconv.FormatUint(id, 10)) }

func (s leaseService) OpenSession(ctx context.Context, req *pointsmanv1.OpenSessionRequest) (*pointsmanv1.OpenSessionResponse, error) {
	c, err := s.commit(ctx, req, fsm.OpenSession{
		Pool: fsm.PoolID(req.GetPool()), Worker: req.GetWorker(), Zone: req.GetZone(), Capacity: int(req.GetCapacity()), Key: keyHash(req.GetKey()),
	})
	if err != nil {
		return nil, err
	}
	v, ok := c.state.Session(fsm.SessionID(c.answer.Token))
	if !ok { // a repeat, after it has ended
		return nil, noSession(uint64(c.answer.Token))
	}
	return &pointsmanv1.OpenSessionResponse{Header: c.header, Session: sessionMessage(v), Ttl: durationpb.New(v.TTL)}, nil
}

// CloseSession answers a repeat with the first answer. For that the log is asked
// to close nothing: a number that is no session's may be one a moment later.
func (s leaseService) CloseSession(ctx context.Context, req *pointsmanv1.CloseSessionRequest) (*pointsmanv1.CloseSessionResponse, error) {
	cmd := fsm.CloseSessions{How: fsm.LeftByItself}
	v, known, err := s.speaker(ctx, req.GetSession(), req.GetKey())
	switch {
	case err == nil:
		cmd.Sessions = []fsm.SessionID{v.ID}
	case known || req.GetRequestId() == "":
		return nil, err
	}
	c, err := s.commit(ctx, req, cmd)
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.CloseSessionResponse{Header: c.header}, nil
}

// speaker finds the session that a worker speaks for. A session's key never
// changes, so any state that has the session will do. Known is false when there
// is no such session, and nothing else is wrong.
func (s leaseService) speaker(ctx context.Context, id uint64, key string) (v fsm.Session, known bool, err error) {
	state, _ := s.cfg.Log.Watch()
	v, known = state.Session(fsm.SessionID(id))
	if !known {
		fresh, _, err := s.readLinearizable(ctx)
		if err != nil {
			return v, true, err
		}
		v, known = fresh.Session(fsm.SessionID(id))
	}
	if !known || subtle.ConstantTimeCompare([]byte(v.Key), []byte(keyHash(key))) != 1 {
		err = noSession(id)
	}
	return v, known, err
}

func (s leaseService) Release(ctx context.Context, req *pointsmanv1.ReleaseRequest) (*pointsmanv1.ReleaseResponse, error) {
	v, _, err := s.speaker(ctx, req.GetSession(), req.GetKey())
	if err != nil {
		return nil, err
	}
	c, err := s.commit(ctx, req, fsm.MoveLeases{
		Pool: v.Pool, Move: fsm.MoveRelease, Session: v.ID, Items: itemsOf(req.GetReleased()), Reason: "released",
	})
	if errors.Is(err, fsm.ErrFenced) || errors.Is(err, fsm.ErrPhase) || errors.Is(err, fsm.ErrUnknown) { // all are passed over
		state, _ := s.cfg.Log.Watch()
		return &pointsmanv1.ReleaseResponse{Header: header(state, s.cfg.Log.Status())}, nil
	}
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.ReleaseResponse{Header: c.header}, nil
}

func itemsOf(held []*pointsmanv1.HeldToken) []fsm.LeaseItem {
	items := make([]fsm.LeaseItem, 0, len(held))
	for _, h := range held {
		items = append(items, fsm.LeaseItem{Number: int(h.GetPartition()), Token: fsm.Token(h.GetToken())})
	}
	return items
}

func (s leaseService) RevokeLease(ctx context.Context, req *pointsmanv1.RevokeLeaseRequest) (*pointsmanv1.RevokeLeaseResponse, error) {
	state, _, err := s.readLinearizable(ctx)
	if err != nil {
		return nil, err
	}
	l, err := leaseOf(state, req.GetId())
	if err != nil {
		return nil, err
	}
	cmd := fsm.MoveLeases{Pool: l.Pool, Move: fsm.MoveDrain, Items: []fsm.LeaseItem{{Number: l.Number, Token: l.Token}}, Reason: req.GetReason()}
	if req.GetImmediate() {
		cmd.Move = fsm.MoveRevoke
	}
	if req.GetToken() != 0 {
		cmd.Items[0].Token = fsm.Token(req.GetToken())
	}
	c, err := s.commit(ctx, req, cmd)
	if err != nil {
		return nil, err
	}
	l, err = leaseOf(c.state, req.GetId())
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.RevokeLeaseResponse{Header: c.header, Lease: leaseMessage(c.state, l)}, nil
}

func (s leaseService) CheckToken(ctx context.Context, req *pointsmanv1.CheckTokenRequest) (*pointsmanv1.CheckTokenResponse, error) {
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	l, err := leaseOf(state, req.GetId())
	if err != nil {
		return nil, err
	}
	if l.Token != fsm.Token(req.GetToken()) || !l.State.Owned() {
		return nil, &fault{
			code: codes.Aborted, reason: fsm.ErrFenced.Reason(),
			message: fmt.Sprintf("partition %s is %s with token %d, not held under %d", req.GetId(), l.State, l.Token, req.GetToken()),
			facts:   map[string]string{"current_token": strconv.FormatUint(uint64(l.Token), 10), "state": l.State.String()},
		}
	}
	return &pointsmanv1.CheckTokenResponse{Header: head, Lease: leaseMessage(state, l)}, nil
}

func (s leaseService) Renew(ctx context.Context, req *pointsmanv1.RenewRequest) (*pointsmanv1.RenewResponse, error) {
	return s.renewed(ctx, req, keyHash(req.GetKey()))
}

// renewed is Renew, with the key's hash.
func (s leaseService) renewed(ctx context.Context, req *pointsmanv1.RenewRequest, key string) (*pointsmanv1.RenewResponse, error) {
	r, err := s.cfg.Leases.Renew(ctx, Renewal{
		Session: fsm.SessionID(req.GetSession()), Key: key, Held: itemsOf(req.GetHeld()), Uptime: req.GetUptime().AsDuration(),
		Leaving: req.GetLeaving(),
	})
	switch {
	case errors.Is(err, ErrNoSession):
		return nil, noSession(req.GetSession())
	case err != nil:
		return nil, s.led(err)
	}
	m := &pointsmanv1.RenewResponse{Header: header(r.State, s.cfg.Log.Status()), Ttl: durationpb.New(r.Session.TTL), SuspendedBy: suspendedBy(r.State, r.Session.Pool)}
	for _, a := range r.Assigned {
		m.Assignments = append(m.Assignments, assignmentMessage(a.Lease, a.ValidFor))
	}
	for _, x := range r.Refused {
		state := pointsmanv1.LeaseState(x.Now.State)
		if x.Now.State == 0 {
			state = pointsmanv1.LeaseState_LEASE_STATE_FREE
		}
		m.Refused = append(m.Refused, &pointsmanv1.RefusedToken{
			Partition: count(x.Number), Token: uint64(x.Token), CurrentToken: uint64(x.Now.Token), State: state,
		})
	}
	return m, nil
}

// led adds to a refusal for want of leadership who leads, as this node knows it.
func (s leaseService) led(err error) error {
	var moved *NotLeaderError
	if !errors.As(err, &moved) || moved.Leader != "" {
		return err
	}
	st := s.cfg.Log.Status()
	if st.Leader == "" || st.Leads() {
		return ErrNoQuorum
	}
	return &NotLeaderError{Leader: st.Leader, Address: st.LeaderAddress}
}

func suspendedBy(s fsm.State, id fsm.PoolID) string {
	if p, _ := s.Pool(id); p.Suspended.Master != "" {
		return p.Suspended.String()
	}
	return ""
}

// leaseOf finds a partition by its id; one that was never granted is free.
func leaseOf(s fsm.State, id string) (fsm.Lease, error) {
	pool, text, _ := strings.Cut(id, "/")
	n, err := strconv.ParseUint(text, 10, 16)
	spec, ok := s.Spec().Pool(fsm.PoolID(pool))
	if err != nil || !ok || n >= uint64(spec.Partitions) { //nolint:gosec // 1 to fsm.MaxPartitions
		return fsm.Lease{}, notFound("lease", id)
	}
	return leaseAt(s, spec.ID, int(n)), nil //nolint:gosec // below it
}

func leaseAt(s fsm.State, id fsm.PoolID, n int) fsm.Lease {
	if l, ok := s.Lease(id, n); ok {
		return l
	}
	return fsm.Lease{Pool: id, Number: n, State: fsm.Free}
}

// count is a small number of the state as the contract has it.
func count(n int) uint32 { return uint32(min(max(n, 0), math.MaxInt32)) } //nolint:gosec // it is bounded here
