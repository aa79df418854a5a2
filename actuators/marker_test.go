package actuators_test

import (
	"strings"
	"testing"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// maxName is the bound of these tests, in bytes.
const maxName = 255

func TestMarker(t *testing.T) {
	ours := actuators.MarkerOf("1f2e3d4c5b6a7988", fsm.FailoverID{Master: "cache", Number: 7})
	if ours.String() != "[pm 1f2e3d4c cache/7]" {
		t.Fatalf("marker %s", ours)
	}
	for _, c := range []struct {
		name   string
		text   string
		marker string // empty: none
		marked string
	}{
		{"", "", "", "[pm 1f2e3d4c cache/7]"},
		{"Redis", "Redis", "", "Redis [pm 1f2e3d4c cache/7]"},
		{" Redis ", "Redis", "", "Redis [pm 1f2e3d4c cache/7]"},
		{"Redis [pm 1f2e3d4c cache/6]", "Redis", "[pm 1f2e3d4c cache/6]", "Redis [pm 1f2e3d4c cache/7]"},
		{"[pm 1f2e3d4c cache/6]", "", "[pm 1f2e3d4c cache/6]", "[pm 1f2e3d4c cache/7]"},
		{"Redis [pm 1f2e3d4c cache/5] [pm 00000000 other/6]", "Redis", "[pm 00000000 other/6]", "Redis [pm 1f2e3d4c cache/7]"},
		{"a\nb [pm 1f2e3d4c cache/6]", "a\nb", "[pm 1f2e3d4c cache/6]", "a\nb [pm 1f2e3d4c cache/7]"},
		{"[pm 1f2e3d4c cache/6] moved", "[pm 1f2e3d4c cache/6] moved", "", "[pm 1f2e3d4c cache/6] moved [pm 1f2e3d4c cache/7]"},
		{"Redis [pm 1f2e3d4c cache/x]", "Redis [pm 1f2e3d4c cache/x]", "", "Redis [pm 1f2e3d4c cache/x] [pm 1f2e3d4c cache/7]"},
		{"Redis [pm 1f2e3d4c cache/99999999999999999999]", "Redis [pm 1f2e3d4c cache/99999999999999999999]", "", "Redis [pm 1f2e3d4c cache/99999999999999999999] [pm 1f2e3d4c cache/7]"},
	} {
		text, m, marked := actuators.ParseMarked(c.name)
		if text != c.text || marked != (c.marker != "") || marked && m.String() != c.marker {
			t.Errorf("%q: text %q, marker %s (%t)", c.name, text, m, marked)
		}
		got := ours.Mark(c.name, maxName)
		if got != c.marked {
			t.Errorf("%q is marked %q, want %q", c.name, got, c.marked)
		}
		if _, m, _ := actuators.ParseMarked(got); m != ours {
			t.Errorf("%q reads back as %s", got, m)
		}
	}
}

func TestMarkCutsTheTextOnly(t *testing.T) {
	ours := actuators.MarkerOf("1f2e3d4c5b6a7988", fsm.FailoverID{Master: "cache", Number: 7})
	got := ours.Mark(strings.Repeat("é", maxName), maxName)
	if len(got) > maxName || !strings.HasSuffix(got, " "+ours.String()) || !strings.HasPrefix(got, "éé") {
		t.Errorf("marked %q of %d bytes", got, len(got))
	}
	if strings.ToValidUTF8(got, "?") != got {
		t.Errorf("cut inside a rune: %q", got)
	}
}
