package octavia

import (
	"context"
	"errors"
	"net/http"

	"github.com/pointsman/pointsman/actuators"
)

var _ actuators.Prober = (*actuator)(nil)

// Probe implements actuators.Prober: it gets the load balancer, which every
// action needs the right to. That takes the network, both endpoints and this
// node's credentials, all of which may be wrong on one node alone.
func (a *actuator) Probe(ctx context.Context) error {
	s, _, err := a.client.login.session(ctx)
	if err == nil {
		var body struct{}
		_, err = a.client.once(ctx, s, http.MethodGet, "/loadbalancers/"+a.balancer, nil, &body)
		_ = a.client.stale(err) // dropped; the next probe follows anyway
	}
	refused, ok := errors.AsType[*apiError](err)
	if ok && refused.id != "" && (refused.status == http.StatusTooManyRequests || refused.status == statusRate || refused.status >= http.StatusInternalServerError) {
		return nil // the API's own word, by its id, and not a proxy's on the way
	}
	return err
}
