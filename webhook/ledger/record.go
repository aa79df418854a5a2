package ledger

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// OfPool reads the checkpoint of a partition, whoever holds it, for Peek. It
// saves none.
func OfPool(conn grpc.ClientConnInterface, pool string, partition uint32) Checkpoints {
	return record{pointsmanv1.NewLeaseServiceClient(conn), fmt.Sprintf("%s/%d", pool, partition)}
}

type record struct {
	calls pointsmanv1.LeaseServiceClient
	lease string
}

func (r record) Checkpoint(ctx context.Context) (Checkpoint, error) {
	a, err := r.calls.GetLease(ctx, &pointsmanv1.GetLeaseRequest{
		Read: &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_LINEARIZABLE}, Id: r.lease,
	})
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read the checkpoint of %s: %w", r.lease, err)
	}
	c := a.GetLease().GetCheckpoint()
	return Checkpoint{Version: c.GetVersion(), Token: c.GetToken(), Data: c.GetData()}, nil
}

func (r record) SaveCheckpoint(context.Context, uint64, []byte) error {
	return errors.New("a checkpoint is saved under a lease only")
}
