package work

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of what a handler may ask for.
const (
	maxRetryAfter = time.Hour
	maxPause      = 24 * time.Hour
)

// kind is what a handler's error says about the event.
type kind uint8

const (
	kindAgain       kind = iota // another call may help
	kindPermanent               // no call will
	kindPause                   // the shop is closed for a while
	kindFenced                  // the sink has seen a newer token
	kindUnavailable             // the sink was not reached at all
)

// answer is a handler's error with what follows from it.
type answer struct {
	err   error
	kind  kind
	after time.Duration
}

func (a *answer) Error() string { return a.err.Error() }
func (a *answer) Unwrap() error { return a.err }

// Permanent marks an error that no further call can mend: the event becomes a
// dead letter at once.
func Permanent(err error) error { return &answer{err: err, kind: kindPermanent} }

// RetryAfter marks an error whose next call shall not come before d (at most an
// hour). It counts as an attempt.
func RetryAfter(err error, d time.Duration) error {
	return &answer{err: err, kind: kindAgain, after: min(max(d, 0), maxRetryAfter)}
}

// PauseShop marks an error that concerns all events of the shop: none is handed
// out for d (at most a day; 0 means Config.Pause), then this one first. It does
// not count as an attempt.
func PauseShop(err error, d time.Duration) error {
	return &answer{err: err, kind: kindPause, after: min(max(d, 0), maxPause)}
}

// Fenced marks the error of a sink that has seen a newer token: the lease is
// given up, and the event is left to its new holder.
func Fenced(err error) error { return &answer{err: err, kind: kindFenced} }

// Unavailable marks the error of a sink that was not reached, which says nothing
// about the event: it does not count as an attempt, and is tried again for
// Config.RetryFor.
func Unavailable(err error) error { return &answer{err: err, kind: kindUnavailable} }

// judge reads a handler's error. What is not marked may be tried again.
func judge(err error) *answer {
	var a *answer
	if errors.As(err, &a) {
		return &answer{err: err, kind: a.kind, after: a.after}
	}
	return &answer{err: err}
}

// saying is a handler's error in two parts: what has happened, and what the other
// side says of it. The text may quote the event: it goes into letters, not into logs.
type saying struct {
	what error
	text string
}

func (s saying) Unwrap() error { return s.what }

func (s saying) Error() string {
	if s.text == "" {
		return s.what.Error()
	}
	return s.what.Error() + ": " + s.text
}

// quiet is a handler's error as logs may show it: its kind, and what is known to
// quote nothing.
type quiet struct{ error }

func (q quiet) Unwrap() error { return q.error }

func (q quiet) Error() string {
	kind := judge(q.error).kind.String()
	var s saying
	if errors.As(q.error, &s) {
		return kind + ": " + s.what.Error()
	}
	return kind
}

// ErrConfig is returned by New when a field of Config is missing or out of bounds.
var ErrConfig = errors.New("config of webhook work")

// cutText shortens what somebody else has said to one printable line.
func cutText(text string, most int) string {
	out := fmt.Sprintf("%.*q", most, text)
	return out[1 : len(out)-1]
}
