package api

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// maxPeers bounds the connections to other nodes that are kept.
const maxPeers = 64

// peers holds one connection for each other node that was called.
type peers struct {
	dial []grpc.DialOption

	mu     sync.Mutex
	conns  map[string]*grpc.ClientConn // nil once closed
	closed bool
}

func newPeers(dial []grpc.DialOption) *peers {
	all := append([]grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxResponseBytes)), // a forwarded answer is as large as any
	}, dial...)
	return &peers{dial: all, conns: map[string]*grpc.ClientConn{}}
}

// conn returns the connection to an address. gRPC connects at the first call
// and lets go of an idle one by itself.
func (p *peers) conn(address string) (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, context.Canceled
	}
	if c, ok := p.conns[address]; ok {
		return c, nil
	}
	if len(p.conns) >= maxPeers { // addresses change seldom: begin anew
		p.drop()
	}
	c, err := grpc.NewClient("passthrough:///"+address, p.dial...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	p.conns[address] = c
	return c, nil
}

func (p *peers) drop() {
	for address, c := range p.conns {
		_ = c.Close()
		delete(p.conns, address)
	}
}

func (p *peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
	p.closed = true
}

// leaderOnly are the calls that only the leader's process can answer. Reads at
// level LEADER are the others.
func leaderOnly(method string) bool {
	switch method {
	case pointsmanv1.ClusterService_TransferLeadership_FullMethodName, pointsmanv1.SpecService_CheckSpec_FullMethodName,
		pointsmanv1.MasterService_Switchover_FullMethodName, pointsmanv1.LeaseService_Renew_FullMethodName:
		return true
	}
	return false
}

type leveled interface {
	GetRead() *pointsmanv1.ReadOptions
}

// forwardUnary brings a call to the leader when this node cannot answer it. A
// call that was forwarded once is not forwarded again.
func (s *Server) forwardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	read, ok := req.(leveled)
	level := ok && read.GetRead().GetLevel() == pointsmanv1.ReadLevel_READ_LEVEL_LEADER
	if !level && !leaderOnly(info.FullMethod) {
		return next(ctx, req)
	}
	st := s.cfg.Log.Status()
	if st.Leads() {
		return next(ctx, req)
	}
	if incoming(ctx, client.HopKey) != "" {
		return nil, &NotLeaderError{Leader: st.Leader, Address: st.LeaderAddress}
	}
	if st.Leader == "" || st.LeaderAddress == "" {
		return nil, ErrNoQuorum
	}
	return s.forward(ctx, st.LeaderAddress, info.FullMethod, req.(proto.Message))
}

// forward makes the call on another node, as a peer, and returns its answer
// and its errors as they are.
func (s *Server) forward(ctx context.Context, address, method string, req proto.Message) (proto.Message, error) {
	resp, err := responseOf(method)
	if err != nil {
		return nil, err
	}
	conn, err := s.peers.conn(address)
	if err != nil {
		return nil, err
	}
	s.metrics.forwarded.WithLabelValues(method).Inc()
	ctx = metadata.NewOutgoingContext(ctx, metadata.Pairs(
		client.HopKey, string(s.cfg.Log.Status().Node), client.RoleKey, client.RolePeer, client.ActorKey, actor(ctx)))
	if err := conn.Invoke(ctx, method, req, resp); err != nil {
		return nil, unreachable(err, address)
	}
	return resp, nil
}

// unreachable gives a transport error the reason that a node's own errors have.
func unreachable(err error, address string) error {
	st, _ := status.FromError(err)
	for _, d := range st.Details() {
		if _, ok := d.(*errdetails.ErrorInfo); ok {
			return err
		}
	}
	if st.Code() != codes.Unavailable {
		return err
	}
	return &fault{
		code: codes.Unavailable, reason: ReasonUnreachable, retry: retryAfter,
		message: fmt.Sprintf("leader at %s: %s", address, st.Message()),
		facts:   map[string]string{"leader_address": address},
	}
}

// responseOf makes the empty response of a method, "/package.Service/Method".
func responseOf(method string) (proto.Message, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, fmt.Errorf("method %s: %w", method, err)
	}
	m, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no method", method)
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	if err != nil {
		return nil, fmt.Errorf("response of %s: %w", method, err)
	}
	return t.New().Interface(), nil
}
