package coordinator

import (
	"testing"
	"time"

	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
)

// TestUnderWay: what is stuck, or older than a failover may take, does not hold
// the preflight back; a young action does, whatever stands beside it.
func TestUnderWay(t *testing.T) {
	now := fsm.Clock(time.Hour)
	old, young := now-fsm.Clock(executor.LateAfter)-1, now-fsm.Clock(executor.LateAfter)
	for name, c := range map[string]struct {
		open []fsm.Action
		want bool
	}{
		"nothing":            {nil, false},
		"young and stuck":    {[]fsm.Action{{Phase: fsm.Stuck, Created: now}}, false},
		"young and pending":  {[]fsm.Action{{Phase: fsm.Pending, Created: young}}, true},
		"young and claimed":  {[]fsm.Action{{Phase: fsm.Claimed, Created: now}}, true},
		"old and pending":    {[]fsm.Action{{Phase: fsm.Pending, Created: old, Changed: now}}, false},
		"old and waiting":    {[]fsm.Action{{Phase: fsm.Waiting, Created: old}}, false},
		"young beside stuck": {[]fsm.Action{{Phase: fsm.Stuck, Created: old}, {Phase: fsm.Waiting, Created: young}}, true},
	} {
		if got := underWay(c.open, now); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
