package ledger

import (
	"context"
	"math"
)

// Peek reads how far a partition has come by its current head, whoever holds it.
// Nothing is taken over. A partition that nobody has opened yet has no positions.
func Peek(ctx context.Context, cfg Config) (map[string]Position, error) {
	cfg.Token = math.MaxUint64
	head, _, err := cfg.Commits.load(ctx, cfg)
	if err != nil {
		return nil, err
	}
	out := map[string]Position{}
	for _, p := range head.GetStreams() {
		out[p.GetStream()] = Position{Stream: p.GetStream(), Next: p.GetNext(), Missing: p.GetMissing()}
	}
	return out, nil
}
