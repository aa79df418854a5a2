package httpcall

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

var _ actuators.Checker = (*actuator)(nil)

// ExpirySoon is how long before its end the endpoint's certificate is named by Check.
const ExpirySoon = 14 * 24 * time.Hour

// Check implements actuators.Checker, as far as a signed HEAD tells: a redirect
// that an event would stop at, a certificate that ends soon, a clock that is off.
// What else an endpoint thinks of a HEAD is its own affair; a step's check is read
// as at every failover.
func (a *actuator) Check(ctx context.Context, _ actuators.Subject) ([]string, error) {
	answer, err := a.client.Send(ctx, wire.Call{Method: http.MethodHead})
	if err != nil {
		return nil, err
	}
	var missing []string
	if answer.Status >= 300 && answer.Status < 400 && answer.Status != http.StatusNotModified {
		missing = append(missing, fmt.Sprintf("the endpoint answers a redirect (%d to a HEAD), at which an event would stop", answer.Status))
	}
	now := a.now()
	if left := answer.Ends.Sub(now); !answer.Ends.IsZero() && left < ExpirySoon {
		missing = append(missing, "the endpoint's certificate ends at "+answer.Ends.UTC().Format(time.RFC3339))
	}
	if off := clockOff(answer, now); off != "" {
		missing = append(missing, off+": it may refuse the timestamps of signed events")
	}
	return missing, nil
}
