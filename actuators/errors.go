package actuators

import (
	"errors"
	"time"
)

// Error says what an actuator's error means for the action. A plain error
// without this type means: nothing was changed, try again later.
type Error struct {
	Err       error
	Permanent bool          // trying again cannot help: the action is stuck until a human acts
	Doubt     bool          // a request that could change the object got no clear answer
	After     time.Duration // the provider asked for this delay
	Requests  []string      // ids that the provider gave its answers
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Permanent marks an error that no further try can mend.
func Permanent(err error) error {
	e := Explain(err)
	e.Permanent = true
	return &e
}

// InDoubt marks an error after which the effect may have happened.
func InDoubt(err error) error {
	e := Explain(err)
	e.Doubt = true
	return &e
}

// Explain finds what an error means; a plain one means nothing but itself.
func Explain(err error) Error {
	var e *Error
	if errors.As(err, &e) {
		return Error{Err: err, Permanent: e.Permanent, Doubt: e.Doubt, After: e.After, Requests: e.Requests}
	}
	return Error{Err: err}
}
