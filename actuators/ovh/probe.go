package ovh

import (
	"context"
	"errors"
	"net/http"

	"github.com/pointsman/pointsman/actuators"
)

var _ actuators.Prober = (*actuator)(nil)

// Probe implements actuators.Prober: it gets the pending changes, which every
// action needs the right to. That takes the network, the endpoint, this node's
// credentials and its address, all of which may be wrong on one node alone; the
// provider's time, which is free, would tell of the first two.
func (a *actuator) Probe(ctx context.Context) error {
	// Not do: a stale clock is dropped there too, but a probe is one request,
	// and the next one follows anyway.
	id, err := a.client.once(ctx, call{method: http.MethodGet, path: a.path + "/pendingChanges"})
	refused, ok := errors.AsType[*apiError](err)
	switch {
	case !ok: // answered, or not at all
		return err
	case a.client.login.stale(refused):
		a.client.login.forget()
		return err
	case id != "" && (refused.status == http.StatusTooManyRequests || refused.status >= http.StatusInternalServerError):
		return nil // the API's own word, by its id, and not a proxy's on the way
	default:
		return err
	}
}
