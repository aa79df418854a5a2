package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/pointsman/pointsman/api"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// stopTimeout is how long calls may finish when the node stops; then
// connections are cut.
const stopTimeout = 2 * time.Second

// servers are the two ports of the API.
type servers struct {
	grpc, http net.Listener
}

func (s *servers) listen(l *pointsmanv1.Listen) (err error) {
	if s.grpc, err = net.Listen("tcp", l.GetGrpc()); err != nil {
		return fmt.Errorf("gRPC port: %w", err)
	}
	if s.http, err = net.Listen("tcp", l.GetHttp()); err != nil {
		_ = s.grpc.Close()
		return fmt.Errorf("HTTP port: %w", err)
	}
	return nil
}

func (s *servers) close() {
	_ = s.grpc.Close()
	_ = s.http.Close()
}

// serve answers on both ports until ctx ends, then lets calls finish for
// stopTimeout.
func (s *servers) serve(ctx context.Context, a *api.Server) error {
	g := a.NewGRPCServer()
	h := a.NewHTTPServer()
	ended := make(chan error, 2)
	go func() { ended <- g.Serve(s.grpc) }()
	go func() { ended <- h.Serve(s.http) }()
	var err error
	left := 2
	select {
	case <-ctx.Done():
	case err = <-ended:
		left--
	}
	cut := time.AfterFunc(stopTimeout, g.Stop)
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if h.Shutdown(within) != nil {
		_ = h.Close()
	}
	g.GracefulStop()
	cut.Stop()
	for range left {
		err = errors.Join(err, ignoreClosed(<-ended))
	}
	return ignoreClosed(err)
}

// ignoreClosed drops what a server says after its ordinary end.
func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
