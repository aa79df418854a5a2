package ovh

import (
	"context"
	"net/http"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
)

var _ actuators.Checker = (*actuator)(nil)

// Check implements actuators.Checker: the rules of the consumer key against the
// calls that a switch makes and a read does not, and the key's end.
func (a *actuator) Check(ctx context.Context, s actuators.Subject) ([]string, error) {
	params, err := paramsOf(s.Step)
	if err != nil {
		return nil, err
	}
	return a.client.Missing(ctx, []ovhapi.Call{
		{Method: http.MethodPut, Path: a.frontendPath(params.GetFrontend())},
		{Method: http.MethodPost, Path: a.path + "/refresh"},
		{Method: http.MethodGet, Path: a.path + "/task"},
		{Method: http.MethodGet, Path: a.path + "/task/1"},
	})
}
