package ovh

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
)

var _ actuators.Checker = (*actuator)(nil)

// ExpirySoon is how long before its end a consumer key is named by Check.
const ExpirySoon = 14 * 24 * time.Hour

// grants is what GET /auth/currentCredential says of the key that asks
// (api.ovh.com, model auth.ApiCredential).
type grants struct {
	Expiration *time.Time `json:"expiration"`
	Rules      []struct {
		Method string `json:"method"`
		Path   string `json:"path"`
	} `json:"rules"`
}

// Check implements actuators.Checker: the rules of the consumer key against the
// calls that a switch makes and a read does not. A key that may not ask for its
// own rules, and a login without any (OAuth2), tell nothing.
func (a *actuator) Check(ctx context.Context, s actuators.Subject) ([]string, error) {
	if !a.client.Keyed() {
		return nil, nil
	}
	params, err := paramsOf(s.Step)
	if err != nil {
		return nil, err
	}
	var g grants
	if _, err := a.client.Do(ctx, ovhapi.Call{Method: http.MethodGet, Path: "/auth/currentCredential", Out: &g}); err != nil {
		if actuators.Explain(err).Permanent {
			return nil, nil
		}
		return nil, err
	}
	var missing []string
	for _, c := range []ovhapi.Call{
		{Method: http.MethodPut, Path: a.frontendPath(params.GetFrontend())},
		{Method: http.MethodPost, Path: a.path + "/refresh"},
		{Method: http.MethodGet, Path: a.path + "/task"},
		{Method: http.MethodGet, Path: a.path + "/task/1"},
	} {
		if !g.allow(c) {
			missing = append(missing, fmt.Sprintf("the consumer key is not granted %s", c))
		}
	}
	if g.Expiration != nil && time.Until(*g.Expiration) < ExpirySoon {
		missing = append(missing, "the consumer key expires at "+g.Expiration.UTC().Format(time.RFC3339))
	}
	return missing, nil
}

func (g grants) allow(c ovhapi.Call) bool {
	for _, r := range g.Rules {
		if r.Method == c.Method && fits(r.Path, c.Path) {
			return true
		}
	}
	return false
}

// fits matches a path against a rule's, in which * stands for any text, slashes included.
func fits(pattern, path string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == path
	}
	if !strings.HasPrefix(path, first) {
		return false
	}
	for path = path[len(first):]; ; path = path[1:] {
		if fits(rest, path) {
			return true
		}
		if path == "" {
			return false
		}
	}
}
