package ovh

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The words below are knobs whose empty value is the plain behaviour, so that Knobs written before they were
// known mean what they meant.

// TimeForm says how GET /auth/time answers.
type TimeForm string

// The forms of the time.
const (
	TimeNumber TimeForm = ""      // a bare integer
	TimeHTML   TimeForm = "html"  // a page under 200, as of something in between
	TimeEmpty  TimeForm = "empty" // 200 without body
	TimeText   TimeForm = "text"  // the integer in quotes
)

// KeyTrouble is what is wrong with every key that is ours, whatever its own state.
type KeyTrouble string

// The troubles of a key.
const (
	KeyOwn         KeyTrouble = ""                  // its own state holds
	KeyUnknown     KeyTrouble = "unknown"           // the application key
	KeyNotYet      KeyTrouble = "pendingValidation" // the consumer key, as the next two
	KeyTurnedDown  KeyTrouble = "refused"
	KeyOver        KeyTrouble = "expired"
	KeyFromHere    KeyTrouble = "ip"        // the source address is not allowed
	KeySignatureNo KeyTrouble = "signature" // no signature is right
)

// Details says what stands in the field details of an error body in the new form.
type Details string

// The details.
const (
	DetailsNone Details = ""
	DetailsText Details = "text" // an object of texts, as the authorization service writes it
	DetailsOdd  Details = "odd"  // an object that holds a list and a number
)

// QueryIDForm is the form of X-Ovh-Queryid.
type QueryIDForm string

// The forms of the query id.
const (
	QueryIDNew  QueryIDForm = ""     // EU.ext-4.<hex time>.<n>.<uuid>
	QueryIDOld  QueryIDForm = "old"  // FR.ws-8.<hex time>.<n>.<n>
	QueryIDNone QueryIDForm = "none" // no such header
)

// Counting says what pendingChanges counts.
type Counting string

// The ways of counting.
const (
	CountEdits   Counting = ""        // each write that changed something
	CountObjects Counting = "objects" // each object once, however often it was edited
	CountNet     Counting = "net"     // each object once, and a frontend only while staged and applied differ
)

// PendingZones says which zones pendingChanges lists.
type PendingZones string

// The listings.
const (
	PendingSome  PendingZones = ""      // those with changes
	PendingEvery PendingZones = "every" // all, with number 0 where nothing is staged
	PendingAll   PendingZones = "all"   // one entry for the pseudo-zone
)

// RefreshZones says what a refresh without zone covers, and what its task says of that.
type RefreshZones string

// The coverings.
const (
	RefreshEvery    RefreshZones = ""         // every zone, listed by name
	RefreshAsAll    RefreshZones = "all"      // every zone, listed as the pseudo-zone
	RefreshUnlisted RefreshZones = "unlisted" // every zone, none listed
	RefreshFirst    RefreshZones = "first"    // only the service's first zone
)

// RateFirst is what happens to the first RateGrace calls beyond the rate; 429 follows.
type RateFirst string

// What comes before 429.
const (
	RateAtOnce RateFirst = ""      // nothing: 429 from the first call on
	RateStall  RateFirst = "stall" // no answer for StallTime, then a 408 page
	RateReset  RateFirst = "reset" // connections are reset
)

// The way in which the rate is enforced before it answers 429.
const (
	// RateGrace is the number of calls beyond the rate, in a sliding minute, that RateFirst is for.
	RateGrace = 5
	// StallTime is how long a stalled call waits for its 408.
	StallTime = 20 * time.Second
)

// RateForm is the body of 429.
type RateForm string

// The bodies of 429.
const (
	RateJSON  RateForm = ""
	RateHTML  RateForm = "html"
	RateEmpty RateForm = "empty"
)

func (k Knobs) validateUnsettled() error {
	words := []error{
		oneOf("time form", k.TimeForm, TimeNumber, TimeHTML, TimeEmpty, TimeText),
		oneOf("key trouble", k.KeyTrouble, KeyOwn, KeyUnknown, KeyNotYet, KeyTurnedDown, KeyOver, KeyFromHere, KeySignatureNo),
		oneOf("details", k.Details, DetailsNone, DetailsText, DetailsOdd),
		oneOf("query id", k.QueryID, QueryIDNew, QueryIDOld, QueryIDNone),
		oneOf("pending counts", k.PendingCounts, CountEdits, CountObjects, CountNet),
		oneOf("pending zones", k.PendingZones, PendingSome, PendingEvery, PendingAll),
		oneOf("refresh zones", k.RefreshZones, RefreshEvery, RefreshAsAll, RefreshUnlisted, RefreshFirst),
		oneOf("rate first", k.RateFirst, RateAtOnce, RateStall, RateReset),
		oneOf("rate form", k.RateForm, RateJSON, RateHTML, RateEmpty),
	}
	for _, err := range words {
		if err != nil {
			return err
		}
	}
	for name, status := range map[string]int{"time out status": k.TimeOutStatus, "second status": k.SecondStatus} {
		if status != 0 && (status < 400 || status > 499) {
			return fmt.Errorf("%s %d: want 0 or one of 400 to 499", name, status)
		}
	}
	if method, path, ok := strings.Cut(k.NotGranted, " "); k.NotGranted != "" && (!ok || method == "" || !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "*")) {
		return fmt.Errorf("not granted %q: want a method, a space and a path", k.NotGranted)
	}
	return nil
}

// deny says what the knobs have against a call under one of our keys.
func (k Knobs) deny(x *exchange) error {
	invalid := oldForm(http.StatusForbidden, "INVALID_CREDENTIAL", "This credential is not valid")
	switch k.KeyTrouble {
	case KeyUnknown:
		return &refusal{status: http.StatusForbidden, code: "INVALID_KEY", class: classOf(403), message: "This application key is invalid"}
	case KeyNotYet, KeyTurnedDown, KeyOver:
		return invalid
	case KeyFromHere:
		return notFromHere()
	case KeySignatureNo:
		return oldForm(http.StatusBadRequest, "INVALID_SIGNATURE", "Invalid signature")
	}
	if method, path, ok := strings.Cut(k.NotGranted, " "); ok && method == x.call.Method && wildcard(path, x.call.Path) {
		return notGranted()
	}
	return nil
}

func notGranted() error {
	return oldForm(http.StatusForbidden, "NOT_GRANTED_CALL", "This call has not been granted")
}

func notFromHere() error {
	return oldForm(http.StatusForbidden, "FORBIDDEN", "Your IP is not allowed to call the API with this credential")
}

// tooMany is the answer to the n-th call beyond the rate within a minute.
func (k Knobs) tooMany(n int) error {
	r := &refusal{
		status: http.StatusTooManyRequests, code: "TOO_MANY_REQUESTS", class: classOf(429), message: "Too many requests",
		retryAfter: k.RateRetryAfter, form: k.RateForm,
	}
	if k.RateFirst != RateAtOnce && n <= RateGrace {
		r.first = k.RateFirst
	}
	return r
}

// segmentwise matches as wildcard does, but "*" stands for text without a slash.
func segmentwise(pattern, path string) bool {
	ps, ss := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(ps) != len(ss) {
		return false
	}
	for i := range ps {
		if !wildcard(ps[i], ss[i]) {
			return false
		}
	}
	return true
}

// grants says whether a rule allows a call.
func (k Knobs) grants(r AccessRule, c *Call) bool {
	if r.Method != c.Method {
		return false
	}
	if k.NarrowRules && r.Path != "/*" {
		return segmentwise(r.Path, c.Path)
	}
	return wildcard(r.Path, c.Path)
}

// timeAnswer is GET /auth/time in the form that the knob names.
func (k Knobs) timeAnswer(seconds int64) any {
	switch k.TimeForm {
	case TimeHTML:
		a := htmlAnswer(http.StatusOK)
		a.body = []byte("<html><body>Please stand by.</body></html>\n")
		return a
	case TimeEmpty:
		return answer{status: http.StatusOK, header: jsonHeader()}
	case TimeText:
		return fmt.Sprint(seconds)
	}
	return seconds
}
