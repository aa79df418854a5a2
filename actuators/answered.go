package actuators

import "github.com/pointsman/pointsman/fsm"

// Answered reports whether the log holds the clear answer to a deed that nothing
// can read back: it is done, or waits with that answer as its checkpoint. Judge
// takes that for applied, and nothing else: of a request without an answer
// nothing is known but that the same one, with the same key, may be sent again.
func Answered(a fsm.Action) bool {
	return a.Phase == fsm.Done || a.Phase == fsm.Waiting && len(a.Checkpoint) > 0
}
