package s3

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/pointsman/pointsman/webhook/buffer"
)

// Error is an answer of the store that is no success. It is one of the errors of
// package buffer, or none of them: then the outcome is unclear.
type Error struct {
	What      string // the request
	Status    int    // of HTTP
	Code      string // the store's word; may be empty
	Message   string // the store's sentence, cut to 300 bytes; may be empty
	RequestID string // what the store calls the request; may be empty
	kind      error
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.What, e.Status, cmp.Or(e.Code, http.StatusText(e.Status)))
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	if e.kind != nil {
		text += ": " + e.kind.Error()
	}
	return text
}

// Unwrap is an error of package buffer, or nil.
func (e *Error) Unwrap() error { return e.kind }

// errConflict is the answer to a conditional write that met another one: nothing
// was done.
var errConflict = errors.New("another write was under way")

func isConflict(err error) bool { return errors.Is(err, errConflict) }

// said is the body of an error.
type said struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string   `xml:"Code"`
	Message   string   `xml:"Message"`
	RequestID string   `xml:"RequestId"`
}

// judge says what an answer means that is neither 200 nor 204.
func judge(r request, status int, header http.Header, body []byte, keys secrets) error {
	var text said
	_ = xml.Unmarshal(body, &text) // a proxy's own page has no words for us
	e := &Error{
		What: r.what(), Status: status, Code: plain(keys, text.Code, 80), Message: plain(keys, text.Message, 300),
		RequestID: plain(keys, cmp.Or(text.RequestID, header.Get("X-Amz-Request-Id")), 128),
	}
	e.kind = kindOf(r, status, e.Code)
	return e
}

// kindOf is the error of package buffer that an answer stands for; nil: unclear.
func kindOf(r request, status int, code string) error {
	switch status {
	case http.StatusPreconditionFailed:
		if r.cond == (buffer.Condition{}) {
			return nil // nothing was asked for
		}
		return buffer.ErrCondition
	case http.StatusConflict:
		if r.cond != (buffer.Condition{}) && (code == "ConditionalRequestConflict" || code == "OperationAborted") {
			return errConflict
		}
		return nil
	case http.StatusNotFound:
		return missing(r, code)
	case http.StatusBadRequest:
		if transient(code) {
			return nil
		}
		return buffer.ErrRefused
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusTooEarly, http.StatusTemporaryRedirect:
		return nil
	case http.StatusNotImplemented:
		return buffer.ErrRefused
	}
	if status >= 300 && status < 500 {
		return buffer.ErrRefused
	}
	return nil
}

// missing judges a 404: of the object, of the bucket, or of something that is no
// store.
func missing(r request, code string) error {
	switch {
	case code == "NoSuchBucket":
		return buffer.ErrRefused
	case code != "NoSuchKey":
		return nil
	case r.cond.Tag != "":
		return buffer.ErrCondition
	case r.method == http.MethodGet || r.method == http.MethodDelete:
		return buffer.ErrNotFound
	}
	return nil
}

// transient are the words of a 400 that say nothing about the request itself.
func transient(code string) bool {
	switch code {
	case "", "RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "InternalError", "SlowDown":
		return true
	}
	return false
}

// hidden finds the error that a store sent with a good status, after it had
// begun to answer.
func hidden(r request, a answer) error {
	if !bytes.Contains(a.body, []byte("<Error")) {
		return nil
	}
	return fmt.Errorf("%s: 200 with an error in it: %q", r.what(), plain(a.keys, string(a.body), 200))
}

// plain is a text of the store's without control characters and credentials.
func plain(keys secrets, text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, keys.strike(text))
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}
