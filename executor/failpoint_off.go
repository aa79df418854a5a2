//go:build !failpoints

package executor

import "github.com/pointsman/pointsman/fsm"

// crashAt does nothing: crash points exist only in builds with the tag failpoints.
func crashAt(point, fsm.Action) {}

// crashDuring does nothing either.
func crashDuring(point, fsm.Action) {}
