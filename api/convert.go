package api

import (
	"encoding/hex"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pointsman/pointsman/fsm"
)

// span shows a log clock.
func span(c fsm.Clock) *durationpb.Duration { return durationpb.New(time.Duration(c)) }

// stamp shows a wall time; the zero time stays unset.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// readable shows opaque bytes: as they are when they are printable text.
func readable(b []byte) string {
	if !utf8.Valid(b) {
		return hex.EncodeToString(b)
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) {
			return hex.EncodeToString(b)
		}
	}
	return string(b)
}
