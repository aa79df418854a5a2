package remote

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Told is what one endpoint answered to a hint.
type Told struct {
	Address string
	Answer  *pointsmanv1.NotifyResponse
	Err     error
}

// Notify passes a hint to every endpoint at once, since each node watches for
// itself.
func (s *Session) Notify(ctx context.Context, hint *pointsmanv1.NotifyRequest) []Told {
	told := make([]Told, len(s.opts.Endpoints))
	var wg sync.WaitGroup
	for i, address := range s.opts.Endpoints {
		told[i].Address = address
		conn, err := s.Node(address)
		if err != nil {
			told[i].Err = err
			continue
		}
		wg.Go(func() { told[i].Answer, told[i].Err = s.hint(ctx, conn, hint) })
	}
	wg.Wait()
	return told
}

func (s *Session) hint(ctx context.Context, conn grpc.ClientConnInterface, hint *pointsmanv1.NotifyRequest) (*pointsmanv1.NotifyResponse, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	return pointsmanv1.NewClusterServiceClient(conn).Notify(ctx, hint)
}
