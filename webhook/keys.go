package webhook

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Prefixes of the buffer's objects.
//
//	rx/<stream>                         a receiver makes its stream known
//	in/<stream>/<number>-<slots>        a segment of events
//	part/<partition>/head               what is known of a partition, by compare-and-swap
//	part/<partition>/head-<token>-<n>   the same, where the log says which one is current
//	part/<partition>/done-<token>-<n>   finished events
//	dead/<slot>/<id>-<token>            a dead letter
//	quarantine/<slot>/<id>-<sum>        a delivery with the id of another one and another body
//	dropped/<slot>/<letter>             who has dropped a letter, and why
//	redact/<slot>/<id>                  bodies that have to go
//	layout                              how many partitions there are
//	probe/<random>                      a probe of the store; thrown away
const (
	PrefixReceivers  = "rx/"
	PrefixSegments   = "in/"
	PrefixPartitions = "part/"
	PrefixDead       = "dead/"
	PrefixQuarantine = "quarantine/"
	PrefixDropped    = "dropped/"
	PrefixRedact     = "redact/"
	PrefixProbe      = "probe/"
	KeyLayout        = "layout"
)

// streamName is how streams are called: the receiver's name, when it started,
// and a random end. No two starts share one.
var streamName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?-[0-9a-f]{12}-[0-9a-f]{16}$`)

// ValidStream reports whether text can be the name of a stream.
func ValidStream(text string) bool { return streamName.MatchString(text) }

// ReceiverKey is the key by which a stream is made known.
func ReceiverKey(stream string) string { return PrefixReceivers + stream }

// SegmentPrefix begins the keys of a stream's segments.
func SegmentPrefix(stream string) string { return PrefixSegments + stream + "/" }

// SegmentFrom sorts right before the key of a stream's segment of this number:
// where a list that begins with that segment goes on after.
func SegmentFrom(stream string, number uint64) string {
	return fmt.Sprintf("%s%016x", SegmentPrefix(stream), number)
}

// Segment names a segment: the slots tell who has to read it.
type Segment struct {
	Stream string
	Number uint64 // from 0 on; a receiver leaves no number out, but a write of its may never land
	Slots  SlotSet
}

// Key is the segment's key.
func (s Segment) Key() string {
	return SegmentFrom(s.Stream, s.Number) + "-" + hex.EncodeToString(s.Slots[:])
}

// ParseSegment reads a segment's key.
func ParseSegment(key string) (Segment, error) {
	bad := fmt.Errorf("key %.200q is no segment's", key)
	rest, ok := strings.CutPrefix(key, PrefixSegments)
	stream, last, ok2 := strings.Cut(rest, "/")
	number, slots, ok3 := strings.Cut(last, "-")
	if !ok || !ok2 || !ok3 || len(number) != 16 || !ValidStream(stream) {
		return Segment{}, bad
	}
	n, err := strconv.ParseUint(number, 16, 64)
	b, err2 := hex.DecodeString(slots)
	s := Segment{Stream: stream, Number: n}
	if err != nil || err2 != nil || copy(s.Slots[:], b) != len(s.Slots) || len(b) != len(s.Slots) || s.Key() != key {
		return Segment{}, bad
	}
	return s, nil
}

// PartitionPrefix begins the keys of all that is known of a partition.
func PartitionPrefix(partition uint32) string {
	return fmt.Sprintf("%s%04d/", PrefixPartitions, partition)
}

// DeadKey is the key of a dead letter, put there under a token.
func DeadKey(e Event, token uint64) string {
	return fmt.Sprintf("%s%s-%016x", DeadPrefix(e.Slot()), e.Key(), token)
}

// DeadPrefix begins the keys of a slot's dead letters.
func DeadPrefix(slot int) string { return fmt.Sprintf("%s%03d/", PrefixDead, slot) }

// QuarantineKey is the key of a delivery that has the id of another event and
// not its body.
func QuarantineKey(e Event) string {
	return fmt.Sprintf("%s%s-%s", QuarantinePrefix(e.Slot()), e.Key(), hex.EncodeToString(e.Sum[:8]))
}

// QuarantinePrefix begins the keys of a slot's deliveries in quarantine.
func QuarantinePrefix(slot int) string { return fmt.Sprintf("%s%03d/", PrefixQuarantine, slot) }
