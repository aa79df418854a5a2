package api

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// unary lists the interceptors of unary calls, the outermost first. explain
// stands twice removed from the handler, so that logs and metrics see the same
// code as the caller.
func (s *Server) unary() []grpc.UnaryServerInterceptor {
	return []grpc.UnaryServerInterceptor{
		recovery.UnaryServerInterceptor(recovery.WithRecoveryHandlerContext(s.recovered)),
		logging.UnaryServerInterceptor(s.logger(), logging.WithLogOnEvents(logging.FinishCall), logging.WithLevels(level)),
		s.measureUnary,
		s.explainUnary,
		s.deadline,
		s.validate,
		s.forwardUnary,
	}
}

func (s *Server) stream() []grpc.StreamServerInterceptor {
	return []grpc.StreamServerInterceptor{
		recovery.StreamServerInterceptor(recovery.WithRecoveryHandlerContext(s.recovered)),
		logging.StreamServerInterceptor(s.logger(), logging.WithLogOnEvents(logging.FinishCall), logging.WithLevels(level)),
		s.measureStream,
		s.explainStream,
	}
}

// recovered turns a panic of a handler into an error; the stack goes to the
// log alone.
func (s *Server) recovered(_ context.Context, p any) error {
	s.log.Error("panic in a call", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return &fault{code: codes.Internal, reason: ReasonInternal, message: "a mistake of the program; its log has more"}
}

func (s *Server) logger() logging.Logger {
	return logging.LoggerFunc(func(ctx context.Context, l logging.Level, msg string, fields ...any) {
		s.log.Log(ctx, slog.Level(l), msg, fields...)
	})
}

// level keeps ordinary answers, refusals among them, out of the usual log.
func level(code codes.Code) logging.Level {
	switch code {
	case codes.Internal, codes.DataLoss, codes.Unknown:
		return logging.LevelError
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return logging.LevelWarn
	}
	return logging.LevelDebug
}

func (s *Server) explainUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	resp, err := next(ctx, req)
	return resp, s.explain(err)
}

func (s *Server) explainStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return s.explain(next(srv, validated{ss, s}))
}

// deadline bounds every unary call, whatever its caller asks for.
func (s *Server) deadline(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	most := s.limits.CallTime
	if info.FullMethod == pointsmanv1.ClusterService_VerifyNode_FullMethodName {
		most = s.limits.VerifyTime
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return next(ctx, req)
}

// validate refuses what breaks the rules of the contract. A spec is left to
// its handler, which tells its other problems at the same time.
func (s *Server) validate(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	switch req.(type) {
	case *pointsmanv1.ApplySpecRequest, *pointsmanv1.CheckSpecRequest:
		return next(ctx, req)
	}
	if err := s.check(req); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (s *Server) check(req any) error {
	msg, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	fields, err := violations(s.validator, msg)
	if err != nil || len(fields) == 0 {
		return err
	}
	return invalidFields(fields)
}

// validated checks what a stream receives.
type validated struct {
	grpc.ServerStream
	s *Server
}

func (v validated) RecvMsg(m any) error {
	if err := v.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return v.s.check(m)
}

func (s *Server) measureUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	begin := time.Now()
	resp, err := next(ctx, req)
	s.metrics.finished(info.FullMethod, status.Code(err), time.Since(begin))
	return resp, err
}

func (s *Server) measureStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	open := s.metrics.streams.WithLabelValues(info.FullMethod)
	open.Inc()
	defer open.Dec()
	begin := time.Now()
	err := next(srv, ss)
	s.metrics.finished(info.FullMethod, status.Code(err), time.Since(begin))
	return err
}
