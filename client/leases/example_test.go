package leases_test

import (
	"context"
	"fmt"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/client/leases"
)

// store is all that is asked of an object store: what was put is there, whole, and
// nothing has to be compared.
type store interface {
	Put(ctx context.Context, name string, data []byte) error
	Get(ctx context.Context, name string) ([]byte, error)
}

// What is done of a partition stands in one object. It is never changed: each job
// makes another one, under a name that no other grant can have, and the checkpoint
// says which one counts.
func ExampleLease_SaveCheckpoint() {
	var objects store         // of yours
	jobs := make(chan string) // the same
	work := func(ctx context.Context, l *leases.Lease) error {
		now, err := l.Checkpoint(ctx)
		if err != nil {
			return err
		}
		var done []byte
		if now.Version > 0 { // go on from what the last holder has left
			if done, err = objects.Get(ctx, string(now.Data)); err != nil {
				return err
			}
		}
		for version := now.Version + 1; ; version++ {
			select {
			case <-ctx.Done(): // the lease is lost
				return context.Cause(ctx)
			case <-l.Draining(): // the partition moves
				return nil
			case job := <-jobs:
				done = fmt.Appendln(done, job)
			}
			name := fmt.Sprintf("%s/%d-%d", l.ID(), l.Token, version)
			if err := objects.Put(ctx, name, done); err != nil {
				return err
			}
			if err := l.SaveCheckpoint(ctx, version, []byte(name)); err != nil {
				return err // leases.ErrLost: another worker has the partition, and knows nothing of name
			}
		}
	}
	c, err := client.Dial([]string{client.DefaultEndpoint})
	if err == nil {
		err = leases.Run(context.Background(), c.Conn(), leases.Config{Pool: "webhooks", Worker: "w1"}, work)
	}
	fmt.Println(err)
}
