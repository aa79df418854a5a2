package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/client/leases"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestCheckpointsOutliveLeaderAndWorker: a worker counts in a checkpoint while the
// leader goes; the next worker goes on from where it was, and none is lost.
func TestCheckpointsOutliveLeaderAndWorker(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	spec.Pools = map[string]*pointsmanv1.PoolSpec{"count": {Partitions: 1, Ttl: durationpb.New(10 * time.Second), LockDelay: durationpb.New(0)}}
	tr.apply(spec)
	var nodes []string
	for _, f := range tr.files {
		nodes = append(nodes, f.GetListen().GetGrpc())
	}
	conn, err := client.Dial(nodes)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	enough := errors.New("enough")
	// count has a worker save n checkpoints, and answers the last.
	count := func(worker string, n uint64, halfway func()) (last leases.Checkpoint) {
		err := leases.Run(t.Context(), conn.Conn(), leases.Config{Pool: "count", Worker: worker}, func(ctx context.Context, l *leases.Lease) error {
			now, err := l.Checkpoint(ctx)
			for i := range n {
				if i == n/2 && halfway != nil {
					halfway()
				}
				if err == nil {
					err = l.SaveCheckpoint(ctx, now.Version+i+1, fmt.Append(nil, worker, now.Version+i+1))
				}
			}
			if err == nil {
				last, err = l.Checkpoint(ctx)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", worker, err)
			}
			return enough
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
		return last
	}
	gone := tr.leader()
	one := count("w1", 20, func() { tr.stop(gone) })
	if one.Version != 20 || string(one.Data) != "w120" {
		t.Fatalf("the first worker left %+v", one)
	}
	if two := count("w2", 10, nil); two.Version != 30 || string(two.Data) != "w230" || two.Token <= one.Token {
		t.Errorf("the next one left %+v, after %+v", two, one)
	}
}
