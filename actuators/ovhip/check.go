package ovhip

import (
	"context"
	"net/http"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
)

var _ actuators.Checker = (*actuator)(nil)

// Check implements actuators.Checker: the rules of the consumer key against the
// calls that a move makes and a read does not, and the key's end. Where the IP can
// be moved to, the read itself tells.
func (a *actuator) Check(ctx context.Context, s actuators.Subject) ([]string, error) {
	params, err := paramsOf(s.Step)
	if err != nil {
		return nil, err
	}
	block, err := blockOf(params.GetIp())
	if err != nil {
		return nil, err
	}
	return a.client.Missing(ctx, []ovhapi.Call{
		{Method: http.MethodPut, Path: path(block)},
		{Method: http.MethodPost, Path: path(block, "/move")},
		{Method: http.MethodGet, Path: path(block, "/task/1")},
	})
}
