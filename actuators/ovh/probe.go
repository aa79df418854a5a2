package ovh

import (
	"context"

	"github.com/pointsman/pointsman/actuators"
)

var _ actuators.Prober = (*actuator)(nil)

// Probe implements actuators.Prober: it gets the pending changes, which every
// action needs the right to. That takes the network, the endpoint, this node's
// credentials and its address, all of which may be wrong on one node alone; the
// provider's time, which is free, would tell of the first two.
func (a *actuator) Probe(ctx context.Context) error {
	return a.client.Probe(ctx, a.path+"/pendingChanges")
}
