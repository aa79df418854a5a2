package webhook

import (
	"encoding/hex"
	"regexp"
	"strings"
)

// What Replay says of events that were not chosen by a person's own replay:
//
//	retry-<16 hex>[.<replay>]   a dead letter that is tried again, of that replay
//	quarantine-<16 hex>         a delivery from the quarantine, as an event of its own
const (
	retryMark      = "retry-"
	quarantineMark = "quarantine-"
)

var replayName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)

// ValidReplay reports whether text can be the id of a person's own replay: 1 to
// 64 lower-case letters, digits and inner dashes, none of the marks before.
func ValidReplay(text string) bool {
	return replayName.MatchString(text) && !strings.HasPrefix(text, retryMark) && !strings.HasPrefix(text, quarantineMark)
}

// Retried is the event of a dead letter as it is put into the buffer again: the
// same one however often that is done, so that it is worked once. It keeps its
// idempotency key, since its effect may have happened.
func (e Event) Retried() Event {
	mark := retryMark + e.mark("retry")
	if base := e.base(); base != "" {
		mark += "." + base
	}
	e.Replay = mark
	return e
}

// Released is a delivery from the quarantine as it is put into the buffer again:
// an event of its own with its own idempotency key, since the other event under
// its id has used that one.
func (e Event) Released() Event {
	e.Replay = quarantineMark + e.mark("quarantine", string(e.Sum[:]))
	return e
}

// IdempotencyKey is what a sink knows the event's effect by, 64 hex digits: one
// for all tries of an event, a dead letter's included, and another one for each
// replay.
func (e Event) IdempotencyKey() string { return e.ID.Again(e.base()).String() }

// base is the replay that the event belongs to, whether or not it is tried again.
func (e Event) base() string {
	if rest, ok := strings.CutPrefix(e.Replay, retryMark); ok {
		_, base, _ := strings.Cut(rest, ".")
		return base
	}
	return e.Replay
}

func (e Event) mark(words ...string) string {
	key := e.Key()
	d := digest(append([]string{string(key[:])}, words...)...)
	return hex.EncodeToString(d[:8])
}
