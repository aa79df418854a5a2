package ovhapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
)

// ExpirySoon is how long before its end a consumer key is named by Missing.
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

// Missing holds the rules of the consumer key against calls, and names those that
// are not granted, and a key that ends soon. A key that may not ask for its own
// rules, and a login without any (OAuth2), tell nothing.
func (c *Client) Missing(ctx context.Context, calls []Call) ([]string, error) {
	if !c.Keyed() {
		return nil, nil
	}
	var g grants
	if _, err := c.Do(ctx, Call{Method: http.MethodGet, Path: "/auth/currentCredential", Out: &g}); err != nil {
		if actuators.Explain(err).Permanent {
			return nil, nil
		}
		return nil, err
	}
	var missing []string
	for _, call := range calls {
		if !g.allow(call) {
			missing = append(missing, fmt.Sprintf("the consumer key is not granted %s", call))
		}
	}
	if g.Expiration != nil && time.Until(*g.Expiration) < ExpirySoon {
		missing = append(missing, "the consumer key expires at "+g.Expiration.UTC().Format(time.RFC3339))
	}
	return missing, nil
}

func (g grants) allow(c Call) bool {
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
