package ovh

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Errors of the Go methods. The HTTP API answers refusals as bodies.
var (
	// ErrUnknown is returned when a service, farm, frontend, zone, task or call is not there.
	ErrUnknown = errors.New("not found")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("simulator closed")
	// ErrState is returned when a task or seed is not in a state that allows what was asked.
	ErrState = errors.New("not possible in this state")
)

// refusal is an error answer of the provider.
type refusal struct {
	status  int
	code    string // of the old form
	class   string // of the new form
	message string
	old     bool // old form when the knob says mixed
	number  *int // a numeric field code beside the others

	first      RateFirst // what happens instead, of a call beyond the rate
	form       RateForm
	retryAfter string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%d %s: %s", r.status, r.class, r.message)
}

func badRequest(message string) error {
	return &refusal{status: http.StatusBadRequest, code: "BAD_REQUEST", class: "Client::BadRequest", message: message}
}

func notFound(message string) error {
	return &refusal{status: http.StatusNotFound, code: "NOT_FOUND", class: "Client::NotFound", message: message}
}

func conflict(message string) error {
	return &refusal{status: http.StatusConflict, code: "CONFLICT", class: "Client::Conflict", message: message}
}

func oldForm(status int, code, message string) error {
	return &refusal{status: status, code: code, class: classOf(status), message: message, old: true}
}

// statusExpired is the provider's own status for a service that is expired or suspended for billing.
const statusExpired = 460

func statusText(status int) string {
	switch status {
	case statusExpired:
		return "This Service is expired"
	case http.StatusRequestTimeout:
		return "Request Time-out" // as the front proxy spells it
	}
	return http.StatusText(status)
}

func classOf(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "Client::BadRequest"
	case http.StatusUnauthorized:
		return "Client::Unauthorized" //nolint:misspell // the provider's word
	case http.StatusForbidden:
		return "Client::Forbidden"
	case http.StatusNotFound:
		return "Client::NotFound"
	case http.StatusConflict:
		return "Client::Conflict"
	case http.StatusTooManyRequests:
		return "Client::TooManyRequests"
	case http.StatusServiceUnavailable:
		return "Server::ServiceUnavailable"
	}
	if status >= 500 {
		return "Server::InternalServerError"
	}
	return "Client::Error"
}

// body writes the refusal in the generation that the knob names.
func (r *refusal) body(form ErrorForm, details Details) []byte {
	m := map[string]any{"message": r.message}
	switch {
	case form == FormBare:
	case form == FormOld || form == FormMixed && r.old:
		m["errorCode"] = r.code
		m["httpCode"] = fmt.Sprintf("%d %s", r.status, statusText(r.status))
	default:
		m["class"] = r.class
		switch details {
		case DetailsText:
			m["details"] = map[string]string{"unauthorizedActionsByIAM": "loadbalancer:apiovh:get"}
		case DetailsOdd:
			m["details"] = map[string]any{"unauthorizedActionsByIAM": []string{"loadbalancer:apiovh:get"}, "attempt": 1}
		}
	}
	if r.number != nil {
		m["code"] = *r.number
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return b
}

// page is the HTML that the provider's front proxy answers instead of JSON.
func page(status int) []byte {
	return fmt.Appendf(nil, "<html><body><h1>%d %s</h1>\nThe request could not be served.\n</body></html>\n",
		status, statusText(status))
}
