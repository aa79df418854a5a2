package ovh

import (
	"context"
	"net/http"
	"slices"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
)

// uncovered lists the service's zones that a refresh does not name. One that
// names none, or all, covers every zone. Which zones there are is asked once;
// a key without the right to that knows those where something was last seen
// staged.
func (a *actuator) uncovered(ctx context.Context, out *actuators.Outcome, covered []string) (left []string) {
	if len(covered) == 0 || slices.Contains(covered, allZones) {
		return nil
	}
	a.mu.Lock()
	zones, asked := a.zones, a.asked
	a.mu.Unlock()
	if !asked {
		ids, err := a.client.Do(ctx, ovhapi.Call{Method: http.MethodGet, Path: a.path + "/zone", Out: &zones})
		out.Requests = append(out.Requests, ids...)
		a.mu.Lock()
		a.zones, a.asked = zones, err == nil || actuators.Explain(err).Permanent
		a.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, zone := range slices.Concat(zones, a.staged) {
		if zone != allZones && !slices.Contains(covered, zone) && !slices.Contains(left, zone) {
			left = append(left, zone)
		}
	}
	return left
}
