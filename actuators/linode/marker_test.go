package linode

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pointsman/pointsman/fsm"
)

const cluster fsm.ClusterID = "1f2e3d4c5b6a79880123456789abcdef"

func TestMarker(t *testing.T) {
	long := fsm.MasterID(strings.Repeat("order-entry-", 5) + "x")
	for _, c := range []struct {
		master fsm.MasterID
		number fsm.Number
		want   string // a prefix
	}{
		{"cache", 7, "pm.1f2e3d4c.cache.7"}, {"c", 1, "pm.1f2e3d4c.c.1"}, {"abcdefghijk", 99_999_999, "pm.1f2e3d4c.abcdefghijk.99999999"},
		{"abcdefghijkl", 7, "pm.1f2e3d4c.abcde_"}, {long, 99_999_999, "pm.1f2e3d4c.order_"},
	} {
		m := markerOf(cluster, fsm.FailoverID{Master: c.master, Number: c.number})
		text, err := m.label()
		if err != nil || !strings.HasPrefix(text, c.want) || len(text) > MaxLabel {
			t.Errorf("%s/%d: %q, %v; want %q", c.master, c.number, text, err, c.want)
		}
		if back, ok := parseLabel(text); !ok || back != m {
			t.Errorf("%q is read as %+v, %t", text, back, ok)
		}
	}
	if _, err := markerOf(cluster, fsm.FailoverID{Master: "abcdefghijk", Number: 100_000_000}).label(); !errors.Is(err, ErrLabel) {
		t.Errorf("a number of nine digits: %v", err)
	}
	for _, text := range []string{
		"", "redis", "pm.1f2e3d4c.cache", "pm.1f2e3d4c.cache.x", "pm.1f2e3d4c.cache.7.8", "pm.1f2e3d4c5.cache.7", "xpm.1f2e3d4c.cache.7",
		"pm.1f2e3d4c.cache.99999999999999999999", "pm-1f2e3d4c-cache-7",
	} {
		if m, ok := parseLabel(text); ok {
			t.Errorf("%q is read as %+v", text, m)
		}
	}
}

// TestMarkersTellApart: whatever the masters are called, a label fits, is read
// back, and no two masters look the same.
func TestMarkersTellApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`)
		one, two := fsm.MasterID(id.Draw(t, "one")), fsm.MasterID(id.Draw(t, "two"))
		n := fsm.Number(rapid.Uint64Range(1, 99_999_999).Draw(t, "n"))
		m := markerOf(cluster, fsm.FailoverID{Master: one, Number: n})
		text, err := m.label()
		if back, ok := parseLabel(text); err != nil || !ok || back != m {
			t.Fatalf("%q, %v: read as %+v", text, err, back)
		}
		if other := markerOf(cluster, fsm.FailoverID{Master: two, Number: n}); (other == m) != (one == two) {
			t.Fatalf("%s and %s: %s and %s", one, two, m, other)
		}
	})
}
