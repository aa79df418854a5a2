package linode

import (
	"context"
	"errors"
	"net/http"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

var _ actuators.Prober = (*actuator)(nil)

// Probe implements actuators.Prober: it gets the NodeBalancer, which takes the
// network, the endpoint, this node's token and its scope, all of which may be
// wrong on one node alone. Linode's own word that it is busy or in trouble
// counts as reached; a page of something on the way does not.
func (a *actuator) Probe(ctx context.Context) error {
	var found struct {
		ID int64 `json:"id"`
	}
	_, err := a.do(ctx, wire.Call{Method: http.MethodGet, Path: a.path}, &found)
	refused, ok := errors.AsType[*apiError](err)
	if ok && refused.own && (refused.busy || refused.status == http.StatusTooManyRequests || refused.status >= http.StatusInternalServerError) {
		return nil
	}
	return err
}
