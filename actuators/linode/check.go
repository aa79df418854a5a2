package linode

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

var _ actuators.Checker = (*actuator)(nil)

// Check implements actuators.Checker: the token's scopes, as Linode names them
// beside an answer, and a GET of the node, which by the API's description takes
// the same scope as the write does and the list does not. What only the token's
// user lacks, and when the token ends, no call within that scope tells.
func (a *actuator) Check(ctx context.Context, s actuators.Subject) ([]string, error) {
	params, err := paramsOf(s.Step)
	if err != nil {
		return nil, err
	}
	call := wire.Call{Method: http.MethodGet, Path: a.nodePath(params.GetConfig(), params.GetNode())}
	answer, err := a.client.Send(ctx, call)
	if err != nil {
		return nil, err
	}
	if scopes := answer.Header.Get("X-OAuth-Scopes"); scopes != "" && !grants(scopes) {
		return []string{fmt.Sprintf("the token is not granted %s, only %q", Scope, a.client.Quote(scopes))}, nil
	}
	said := a.apiError(call, answer)
	switch {
	case answer.OK(), answer.Status == http.StatusNotFound && said.own: // of what is not there the read tells
		return nil, nil
	case said.own && (answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden):
		return []string{said.Error()}, nil
	}
	return nil, a.refuse(call, answer, said)
}

// grants reads scopes as Linode lists them, by blanks or commas; "*" is all.
func grants(scopes string) bool {
	for scope := range strings.FieldsFuncSeq(scopes, func(r rune) bool { return unicode.IsSpace(r) || r == ',' }) {
		if scope == "*" || scope == Scope {
			return true
		}
	}
	return false
}
