package octavia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

var _ actuators.Checker = (*actuator)(nil)

// ExpirySoon is how long before its end an application credential is named by Check.
const ExpirySoon = 14 * 24 * time.Hour

// Check implements actuators.Checker: the roles that Keystone names beside a
// token, and when an application credential ends. Octavia has no call that tells
// what its policy would grant, so only roles that are known to read and no more
// are named: those of Octavia's own policy, and Keystone's reader.
func (a *actuator) Check(ctx context.Context, _ actuators.Subject) ([]string, error) {
	s, _, err := a.client.login.session(ctx)
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	var missing []string
	if len(s.roles) > 0 && !slices.ContainsFunc(s.roles, mayWrite) {
		missing = append(missing, fmt.Sprintf("the user's roles in this project only read: %s; load-balancer_member, or member, is granted writes",
			a.client.http.Quote(strings.Join(s.roles, ", "))))
	}
	ends, err := a.client.login.ends(ctx, s)
	if left := time.Until(ends); !ends.IsZero() && left < ExpirySoon {
		missing = append(missing, "the application credential expires at "+ends.UTC().Format(time.RFC3339))
	}
	return missing, err
}

// mayWrite reports whether a role may be granted writes; of one that is not
// known nothing is said.
func mayWrite(role string) bool {
	return !slices.Contains([]string{"reader", "load-balancer_observer", "load-balancer_global_observer"}, role)
}

// ends asks when the application credential ends; zero: never, or it is not
// told. Who may not ask for it is no trouble.
func (l *login) ends(ctx context.Context, s *session) (time.Time, error) {
	id := l.cloud.auth["application_credential_id"]
	if id == "" || s.user == "" {
		return time.Time{}, nil
	}
	base := strings.TrimSuffix(l.cloud.tokensURL(), "/auth/tokens")
	call := wire.Call{
		Method: http.MethodGet, Header: http.Header{"X-Auth-Token": {s.token}},
		Path: base + "/users/" + url.PathEscape(s.user) + "/application_credentials/" + url.PathEscape(id),
	}
	answer, err := l.http.Send(ctx, call)
	if err != nil {
		return time.Time{}, err
	}
	if !answer.OK() {
		e := refusalOf(l.http, call, answer, s.token)
		if x := answer.Refusal(call, e, e.own); !x.Permanent {
			return time.Time{}, x
		}
		return time.Time{}, nil
	}
	var body struct {
		Credential struct {
			Expires *string `json:"expires_at"`
		} `json:"application_credential"`
	}
	if err := json.Unmarshal(answer.Body, &body); errors.Join(answer.Broken, err) != nil || body.Credential.Expires == nil {
		return time.Time{}, nil //nolint:nilerr // not told
	}
	at, err := time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(*body.Credential.Expires, "Z")) // UTC, with or without its letter
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // not told
	}
	return at, nil
}
