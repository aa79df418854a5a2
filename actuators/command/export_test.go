package command

import "context"

// Process runs a program as a process of its own, as the zero Config does.
func Process(ctx context.Context, r Run) (Ended, error) { return process(ctx, r) }
