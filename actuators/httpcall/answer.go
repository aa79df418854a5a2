package httpcall

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// media is what an answer says that its body is.
func media(answer *wire.Answer) string {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return kind
}

// refusal says what a status that is no success means. After a 301, 302 or 303
// the endpoint may have carried the event out and point at what it made; a 307
// or 308 says that it has not.
func (a *actuator) refusal(call wire.Call, answer *wire.Answer) error {
	err := fmt.Errorf("%s: %w %d", call.Method, ErrStatus, answer.Status)
	if said := a.client.Quote(string(answer.Body)); said != "" && media(answer) != "text/html" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	if off := clockOff(answer, a.now()); off != "" && (answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden) {
		err = fmt.Errorf("%w (%s)", err, off)
	}
	own := media(answer) != "text/html" || answer.Status == http.StatusGone || answer.Status == http.StatusUnprocessableEntity
	e := answer.Refusal(call, err, own)
	switch answer.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
		e.Doubt = call.Mutates()
	}
	return e
}

// clockOff says that this node's clock differs from that of an answer by more
// than receivers of signed requests commonly let pass; empty: it does not, or the
// answer tells no time.
func clockOff(answer *wire.Answer, now time.Time) string {
	theirs, err := http.ParseTime(answer.Header.Get("Date"))
	off := now.Sub(theirs).Round(time.Second)
	switch {
	case err != nil || off.Abs() < MaxClockOff:
		return ""
	case off > 0:
		return fmt.Sprintf("this node's clock is %s ahead of the endpoint's", off)
	}
	return fmt.Sprintf("this node's clock is %s behind the endpoint's", -off)
}

// contradiction is why a success is no clear answer to an event; nil: it is one.
// A page may be any proxy's, and an error inside is the endpoint's own word
// against its status: either is in doubt.
func (a *actuator) contradiction(answer *wire.Answer) error {
	why := ""
	switch body := bytes.TrimSpace(answer.Body); {
	case answer.Broken != nil:
		return a.unclear(answer, answer.Broken)
	case bytes.HasPrefix(body, []byte("<")):
		why = "a page"
	case bytes.HasPrefix(body, []byte("{")):
		why = inside(body)
	case len(body) > 0 && media(answer) == "application/json" && !json.Valid(body):
		why = "no JSON"
	}
	if why == "" {
		return nil
	}
	if said := a.client.Quote(string(answer.Body)); why != "a page" {
		why += ": " + said
	}
	return a.unclear(answer, errors.New(why))
}

func (a *actuator) unclear(answer *wire.Answer, why error) error {
	return &actuators.Error{
		Err:   fmt.Errorf("POST: %w %d, and with it %w: %w", ErrStatus, answer.Status, why, wire.ErrAnswer),
		Doubt: true, Requests: answer.IDs(),
	}
}

// inside finds an error in a JSON object: error or errors that hold something,
// ok or success that is false.
func inside(body []byte) string {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(body, &top); err != nil {
		return "no JSON"
	}
	for name, value := range top {
		switch text := string(bytes.TrimSpace(value)); strings.ToLower(name) {
		case "error", "errors":
			if text != "null" && text != "false" && text != `""` && text != "[]" && text != "{}" && text != "0" {
				return "an error"
			}
		case "ok", "success":
			if text == "false" {
				return "an error"
			}
		}
	}
	return ""
}
