package api

import (
	"context"
	"net"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
)

// inProcess connects to the gateway's own gRPC server, which no network sees.
func inProcess(port *bufconn.Listener) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///gateway",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return port.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxResponseBytes), grpc.MaxCallSendMsgSize(MaxRequestBytes)),
		grpc.WithInitialWindowSize(windowBytes),
		grpc.WithInitialConnWindowSize(MaxRequestBytes),
		grpc.WithIdleTimeout(0),
		grpc.WithDisableServiceConfig(),
	)
}

// checkedConn looks at each request once more as HTTP gave it: names in the
// query that no field has, and preconditions that stand in headers.
type checkedConn struct {
	*grpc.ClientConn
}

// Invoke implements grpc.ClientConnInterface.
func (c checkedConn) Invoke(ctx context.Context, method string, req, resp any, options ...grpc.CallOption) error {
	if msg, ok := req.(proto.Message); ok {
		if err := callOf(ctx).check(msg); err != nil {
			return err
		}
	}
	return c.ClientConn.Invoke(ctx, method, req, resp, options...)
}

// NewStream implements grpc.ClientConnInterface.
func (c checkedConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := c.ClientConn.NewStream(ctx, desc, method, options...)
	if err != nil {
		return nil, err
	}
	return &checkedStream{ClientStream: s, call: callOf(ctx), method: method}, nil
}

// checkedStream waits for the first message before it has a header, so that a
// watch which cannot begin is answered like any other call, and not within a
// stream that seems to have begun.
type checkedStream struct {
	grpc.ClientStream
	call   *call
	method string
	first  proto.Message // received and not yet taken
}

func (s *checkedStream) SendMsg(m any) error {
	if msg, ok := m.(proto.Message); ok {
		if err := s.call.check(msg); err != nil {
			return err
		}
	}
	return s.ClientStream.SendMsg(m)
}

func (s *checkedStream) Header() (metadata.MD, error) {
	first, err := responseOf(s.method)
	if err != nil {
		return nil, err
	}
	if err := s.ClientStream.RecvMsg(first); err != nil {
		return nil, err
	}
	s.first = first
	return s.ClientStream.Header()
}

func (s *checkedStream) RecvMsg(m any) error {
	into, ok := m.(proto.Message)
	if s.first == nil || !ok {
		return s.ClientStream.RecvMsg(m)
	}
	proto.Merge(into, s.first)
	s.first = nil
	return nil
}

// registerer fits the generated registration of one service into a list.
func registerer[C any](register func(context.Context, *runtime.ServeMux, C) error, client func(grpc.ClientConnInterface) C) func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error {
	return func(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
		return register(ctx, mux, client(conn))
	}
}
