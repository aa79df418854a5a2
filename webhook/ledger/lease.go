package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/pointsman/pointsman/client/leases"
)

// OfLease keeps checkpoints of a worker's lease in the coordinators' log.
func OfLease(l *leases.Lease) Checkpoints { return leased{l} }

type leased struct{ lease *leases.Lease }

func (c leased) Checkpoint(ctx context.Context) (Checkpoint, error) {
	p, err := c.lease.Checkpoint(ctx)
	return Checkpoint{Version: p.Version, Token: p.Token, Data: p.Data}, told(err)
}

func (c leased) SaveCheckpoint(ctx context.Context, version uint64, data []byte) error {
	return told(c.lease.SaveCheckpoint(ctx, version, data))
}

// told gives the lease's errors the ledger's words too.
func told(err error) error {
	switch {
	case leases.Lost(err):
		return fmt.Errorf("%w: %w", ErrFenced, err)
	case errors.Is(err, leases.ErrVersion):
		return fmt.Errorf("%w: %w", ErrMoved, err)
	}
	return err
}
