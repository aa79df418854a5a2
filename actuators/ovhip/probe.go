package ovhip

import (
	"context"

	"github.com/pointsman/pointsman/actuators"
)

var _ actuators.Prober = (*actuator)(nil)

// Probe implements actuators.Prober: it asks for this key's own rights, which takes
// the network, the endpoint and the credentials. Which IPs there are is the steps'.
func (a *actuator) Probe(ctx context.Context) error {
	return a.client.Probe(ctx, "/auth/currentCredential")
}
