package api

import (
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// TestAlertsAgeWhereNothingIsLogged: the age of an alert goes on while the log
// stands still.
func TestAlertsAgeWhereNothingIsLogged(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	f := w.failover("cache")
	w.stick(f, "url")
	state := w.now()
	for _, a := range clusterAlerts(state, Status{Leader: "n1", Clock: state.Clock() + fsm.Clock(time.Hour)}, nil) {
		if a.GetCode() == AlertStuck {
			if age := a.GetAge().AsDuration(); age < time.Hour || age > time.Hour+time.Second {
				t.Errorf("stuck for %s", age)
			}
			return
		}
	}
	t.Error("no alert of a stuck action")
}
