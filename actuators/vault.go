package actuators

import (
	"context"
	"errors"

	"github.com/pointsman/pointsman/fsm"
)

// Errors of a Vault.
var (
	// ErrNotKeeper is returned by Store on a node that does not lead, or leads no more.
	ErrNotKeeper = errors.New("only the leader replaces what is sealed")
	// ErrReplaced is returned by Store when another revision stands there now.
	ErrReplaced = errors.New("was replaced meanwhile")
	// ErrSealed is returned when what stands there cannot be opened, or nothing can
	// be sealed: the node has no cluster key, or another one.
	ErrSealed = errors.New("the cluster key does not open it")
)

// Vault keeps, for each target, what the provider replaces as it is used and what
// therefore all nodes must know: sealed, in the log. Its methods may be called
// concurrently.
type Vault interface {
	// Load returns what stands for a target on this node, and its revision; nil and
	// 0 when there is nothing. ErrSealed.
	Load(target fsm.TargetID) (data []byte, revision uint64, err error)
	// Store replaces the revision that was loaded, 0 for nothing, and returns the
	// new one once a majority holds it. ErrNotKeeper and ErrReplaced: nothing was
	// written; ErrSealed; any other error leaves that open.
	Store(ctx context.Context, target fsm.TargetID, revision uint64, data []byte) (uint64, error)
}

// Keeper is what a Kind may be besides: one whose actuators need a Vault. Keep
// returns a kind like it that uses this one. Without it the kind checks and plans,
// and its actuators say that they have none.
type Keeper interface {
	Keep(vault Vault) Kind
}
