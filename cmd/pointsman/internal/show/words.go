package show

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// none stands where there is nothing to say, so that columns stay countable.
const none = "-"

// Word is an enum value as people and filters write it: ACTION_STATE_DONE is
// "done". The zero value is "".
func Word(e protoreflect.Enum) string {
	values := e.Descriptor().Values()
	prefix := strings.TrimSuffix(string(values.Get(0).Name()), "UNSPECIFIED")
	v := values.ByNumber(e.Number())
	switch {
	case v == nil:
		return fmt.Sprintf("unknown(%d)", e.Number())
	case e.Number() == 0:
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
}

// Words lists every value of the enum but the zero one.
func Words(e protoreflect.Enum) []string {
	var all []string
	values := e.Descriptor().Values()
	for i := range values.Len() {
		if n := values.Get(i).Number(); n != 0 {
			all = append(all, Word(e.Type().New(n)))
		}
	}
	return all
}

// Span is a duration in at most two units: 3ms, 4.2s, 3m20s, 5h12m, 3d4h.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Span(-d)
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// span is the same for a message; none when it is unset.
func span(d *durationpb.Duration) string {
	if d == nil {
		return none
	}
	return Span(d.AsDuration())
}

// between is the time from one log clock to another; false when one is unset.
func between(from, to *durationpb.Duration) (time.Duration, bool) {
	if from == nil || to == nil {
		return 0, false
	}
	return to.AsDuration() - from.AsDuration(), true
}

// since is how long ago a log clock was, by the present one.
func since(then, now *durationpb.Duration) string {
	d, ok := between(then, now)
	if !ok {
		return none
	}
	return Span(max(d, 0))
}

// relative is a time on the axis of a timeline: +1.204s.
func relative(d time.Duration) string {
	return fmt.Sprintf("%+.3fs", d.Seconds())
}

// wall is a wall time for display, in UTC.
func wall(t *timestamppb.Timestamp) string {
	if t == nil {
		return none
	}
	return t.AsTime().UTC().Format("2006-01-02 15:04:05 UTC")
}

// Size is a number of bytes in binary units: 12.1 GiB.
func Size(bytes uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v, i := float64(bytes), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// or gives s, or the dash when there is none.
func or(s string) string {
	if s == "" {
		return none
	}
	return s
}

// short cuts a random id to what is enough to tell two apart.
func short(id string) string {
	if len(id) > 8 {
		return id[:8]
	}
	return id
}

// count writes "1 action", "2 actions".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
