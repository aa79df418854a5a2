package coordinator

import (
	"testing"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestReportsThatComeLateAreRefused: within a run the sequence rises, and what
// is left of an older run is not taken for a new one.
func TestReportsThatComeLateAreRefused(t *testing.T) {
	var p peer
	for _, c := range []struct {
		run      string
		sequence uint64
		taken    bool
	}{
		{"first", 1, true}, {"first", 2, true}, {"first", 2, false}, {"first", 1, false}, {"first", 7, true},
		{"second", 1, true}, {"first", 8, false}, {"second", 2, true}, {"third", 1, true}, {"second", 3, false}, {"first", 9, false},
	} {
		next, err := p.follow(&pointsmanv1.ReportViewRequest{RunId: c.run, Sequence: c.sequence})
		if (err == nil) != c.taken {
			t.Errorf("%s/%d: %v", c.run, c.sequence, err)
		}
		p = next
	}
	if len(p.old) > oldRunsKept {
		t.Errorf("%d old runs are kept", len(p.old))
	}
}
