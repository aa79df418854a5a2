package shopify

import (
	"context"
	"errors"
	"net/http"

	"github.com/pointsman/pointsman/actuators"
)

// Probe implements actuators.Prober: it asks for the app's installation, which
// every action does. That takes the network, the shop's name and this node's
// credentials, and keeps a granted token young.
func (a *actuator) Probe(ctx context.Context) error {
	var data struct {
		Installation struct {
			ID string `json:"id"`
		} `json:"currentAppInstallation"`
	}
	said, err := a.client.once(ctx, call{name: "probe", query: "query PointsmanProbe { currentAppInstallation { id } }", out: &data}, true)
	if err == nil {
		return nil
	}
	if unauthorized(err) {
		a.client.login.forget()
		return err
	}
	refused, ok := errors.AsType[*statusError](err)
	switch {
	case ok && len(said.ids) > 0 && (refused.status == http.StatusTooManyRequests || refused.status == http.StatusPaymentRequired ||
		refused.status == http.StatusLocked || refused.status >= http.StatusInternalServerError):
		return nil // Shopify's own word, by its id: no other node would fare better
	case !ok && len(said.ids) > 0 && !actuators.Explain(err).Permanent:
		return nil // an error inside a 200: it answered, and did not refuse this node
	}
	return err
}
