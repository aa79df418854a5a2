package httpcall

import (
	"context"
	"net/http"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

var _ actuators.Prober = (*actuator)(nil)

// Probe implements actuators.Prober: a HEAD of the URL. Any answer tells that
// name, network and certificate are right from this node; what the endpoint
// thinks of a HEAD is its own affair.
func (a *actuator) Probe(ctx context.Context) error {
	_, err := a.client.Send(ctx, wire.Call{Method: http.MethodHead})
	return err
}
