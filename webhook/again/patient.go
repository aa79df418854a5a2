package again

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer"
)

// A request is made so often at most, each bounded.
const (
	tries      = 5
	oneTry     = 15 * time.Second
	pauseFirst = 50 * time.Millisecond
	pauseMost  = time.Second
)

// Patient is a store whose reads, and deletes without a condition, are tried
// again when they fail.
type Patient struct{ buffer.Store }

// Get implements buffer.Store.
func (p Patient) Get(ctx context.Context, key string) (o buffer.Object, err error) {
	err = repeat(ctx, func(ctx context.Context) error {
		o, err = p.Store.Get(ctx, key)
		return err
	})
	return o, err
}

// List implements buffer.Store.
func (p Patient) List(ctx context.Context, prefix, after string, limit int) (page []buffer.Info, more bool, err error) {
	err = repeat(ctx, func(ctx context.Context) error {
		page, more, err = p.Store.List(ctx, prefix, after, limit)
		return err
	})
	return page, more, err
}

// Delete implements buffer.Store.
func (p Patient) Delete(ctx context.Context, key string, c buffer.Condition) error {
	if c != (buffer.Condition{}) {
		return p.Store.Delete(ctx, key, c)
	}
	return repeat(ctx, func(ctx context.Context) error { return p.Store.Delete(ctx, key, c) })
}

// repeat does something again while the store says nothing certain.
func repeat(ctx context.Context, do func(context.Context) error) error {
	for n, pause := 1, pauseFirst; ; n, pause = n+1, min(2*pause, pauseMost) {
		bounded, cancel := context.WithTimeout(ctx, oneTry)
		err := do(bounded)
		cancel()
		switch {
		case err == nil, certain(err), ctx.Err() != nil:
			return err
		case n == tries:
			return fmt.Errorf("given up after %d tries: %w", tries, err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // jitter, no secret
		}
	}
}

func certain(err error) bool {
	return errors.Is(err, buffer.ErrNotFound) || errors.Is(err, buffer.ErrCondition) || errors.Is(err, buffer.ErrRefused)
}
