package actuators_test

import (
	"testing"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

func TestStanding(t *testing.T) {
	for text, want := range map[string][3]actuators.Verdict{ // as wanted, another value, another value to a mend
		"[pm 1f2e3d4c cache/7]": {actuators.Applied, actuators.Foreign, actuators.Absent},
		"[pm 1f2e3d4c cache/6]": {actuators.Absent, actuators.Absent, actuators.Absent},
		"[pm 1f2e3d4c cache/8]": {actuators.Newer, actuators.Newer, actuators.Newer},
		"[pm ffffffff cache/1]": {actuators.Newer, actuators.Newer, actuators.Newer},
		"[pm 1f2e3d4c other/9]": {actuators.Applied, actuators.Absent, actuators.Absent},
		"":                      {actuators.Applied, actuators.Absent, actuators.Absent},
	} {
		_, m, marked := actuators.ParseMarked(text)
		for i, mend := range []bool{false, false, true} {
			w := actuators.Work{Cluster: "1f2e3d4c5b6a7988", Action: fsm.Action{For: fsm.FailoverID{Master: "cache", Number: 7}, Mend: mend}}
			got := actuators.Standing{Match: i == 0, Marked: marked, Marker: m}.Verdict(w)
			if got != want[i] {
				t.Errorf("%q, column %d: %s, want %s", text, i, got, want[i])
			}
		}
	}
}
