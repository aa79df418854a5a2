package octavia

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Outcome is how a change of a tree ends.
type Outcome string

// The outcomes.
const (
	OutcomeActive   Outcome = ""             // in effect, all ACTIVE
	OutcomeListener Outcome = "listener"     // the listener in ERROR, the balancer ACTIVE again: it takes changes
	OutcomeBalancer Outcome = "loadbalancer" // the balancer in ERROR, for good: only its operator can help
	OutcomeStays    Outcome = "stays"        // PENDING_UPDATE for good, as when the worker died over it
)

// Shows says from when on a GET answers what a PUT wrote.
type Shows string

// The moments.
const (
	ShowsAtOnce Shows = ""
	ShowsActive Shows = "active" // once the change has ended
)

// PutAnswer is what an accepted PUT of a listener answers.
type PutAnswer string

// The answers.
const (
	PutWhole PutAnswer = ""         // 200 with the listener
	PutEmpty PutAnswer = "empty"    // 202 without body
	PutOld   PutAnswer = "outdated" // 200 with the listener as it was, ACTIVE
)

// ErrorForm says how an error body looks.
type ErrorForm string

// The forms.
const (
	FormFault ErrorForm = ""      // {"faultcode","faultstring","debuginfo"}
	FormError ErrorForm = "error" // {"error":{"code","title","message"}}
	FormText  ErrorForm = "text"  // the message alone, as text
)

// Trouble is what is wrong with our login, whatever we send.
type Trouble string

// The troubles.
const (
	TroubleNone    Trouble = ""
	TroubleLogin   Trouble = "login"   // Keystone: 401
	TroubleProject Trouble = "project" // Keystone: 403
	TroubleTokens  Trouble = "tokens"  // Octavia takes no token, fresh ones neither
	TroubleRole    Trouble = "role"    // Octavia: 403 to whatever is asked
)

// TokenForm is what is odd about Keystone's answer.
type TokenForm string

// The forms.
const (
	TokenPlain     TokenForm = ""
	TokenOffset    TokenForm = "offset"    // times with +00:00 instead of Z
	TokenNoTimes   TokenForm = "no times"  // no issued_at, no expires_at
	TokenOddTimes  TokenForm = "odd times" // times that are none
	TokenNoHeader  TokenForm = "no header" // no X-Subject-Token
	TokenNoCatalog TokenForm = "no catalog"
	TokenElsewhere TokenForm = "elsewhere" // the catalogue lacks our region
	TokenHTML      TokenForm = "html"      // a page under 201
)

// EndpointForm is how the catalogue spells the endpoint.
type EndpointForm string

// The spellings.
const (
	EndpointRoot  EndpointForm = ""
	EndpointSlash EndpointForm = "/"
	EndpointV2    EndpointForm = "/v2"
	EndpointV20   EndpointForm = "/v2.0/"
	EndpointBelow EndpointForm = "/load-balancer" // everything below a folder
)

// RateForm is the body of an answer beyond the rate.
type RateForm string

// The bodies.
const (
	RateJSON  RateForm = "" // {"error":{"status","message"}}
	RateHTML  RateForm = "html"
	RateEmpty RateForm = "empty"
)

// Maintenance makes every call answer 503 without effect.
type Maintenance string

// The shapes of a maintenance answer.
const (
	MaintenanceOff  Maintenance = ""
	MaintenanceHTML Maintenance = "html"
	MaintenanceJSON Maintenance = "json"
)

// Knobs are the behaviours that public material does not settle, and those a test wants to turn. The zero value is
// the plainest. They may be changed at any time with SetKnobs; a change under way keeps the end it was begun with.
type Knobs struct {
	Provision    time.Duration // from a change's acceptance to its end
	Outcome      Outcome
	ErrorApplies bool // a change that ends in ERROR is in effect all the same
	Shows        Shows
	ReadLag      time.Duration // how old the answers of GET are
	PutAnswer    PutAnswer
	NullText     bool   // an empty description is answered as null
	Operating    string // operating_status of everything; empty: ONLINE

	ErrorForm   ErrorForm
	NoRequestID bool // no X-Openstack-Request-Id
	Maintenance Maintenance
	NotGranted  string // one call that our role may not make: "PUT /path", "*" in it for anything

	RatePerMinute  int // of Octavia, for each user; 0: no limit
	RateStatus     int // 0: 429
	RateForm       RateForm
	RateRetryAfter string // header; empty: none

	Trouble      Trouble
	TokenTTL     time.Duration // 0: an hour
	TokenForm    TokenForm
	TokenDelay   time.Duration // how long Keystone takes
	TokenRate    int           // tokens per minute and user; 0: 60
	ClockSkew    time.Duration // the provider's clock minus ours
	EndpointForm EndpointForm
}

// Validate refuses unknown words and negative spans.
func (k Knobs) Validate() error {
	for _, err := range []error{
		oneOf("outcome", k.Outcome, OutcomeActive, OutcomeListener, OutcomeBalancer, OutcomeStays),
		oneOf("shows", k.Shows, ShowsAtOnce, ShowsActive),
		oneOf("put answer", k.PutAnswer, PutWhole, PutEmpty, PutOld),
		oneOf("error form", k.ErrorForm, FormFault, FormError, FormText),
		oneOf("trouble", k.Trouble, TroubleNone, TroubleLogin, TroubleProject, TroubleTokens, TroubleRole),
		oneOf("token form", k.TokenForm, TokenPlain, TokenOffset, TokenNoTimes, TokenOddTimes, TokenNoHeader, TokenNoCatalog, TokenElsewhere, TokenHTML),
		oneOf("endpoint form", k.EndpointForm, EndpointRoot, EndpointSlash, EndpointV2, EndpointV20, EndpointBelow),
		oneOf("rate form", k.RateForm, RateJSON, RateHTML, RateEmpty),
		oneOf("maintenance", k.Maintenance, MaintenanceOff, MaintenanceHTML, MaintenanceJSON),
		oneOf("operating", k.Operating, "", "ONLINE", "DRAINING", "OFFLINE", "DEGRADED", "ERROR", "NO_MONITOR"),
	} {
		if err != nil {
			return err
		}
	}
	for name, d := range map[string]time.Duration{"provision": k.Provision, "read lag": k.ReadLag, "token ttl": k.TokenTTL, "token delay": k.TokenDelay} {
		if d < 0 {
			return fmt.Errorf("%s %s: want 0 or more", name, d)
		}
	}
	if k.RatePerMinute < 0 || k.TokenRate < 0 {
		return fmt.Errorf("rate %d, token rate %d: want 0 or more", k.RatePerMinute, k.TokenRate)
	}
	if k.RateStatus != 0 && (k.RateStatus < 400 || k.RateStatus > 599) {
		return fmt.Errorf("rate status %d: want 0 or one of 400 to 599", k.RateStatus)
	}
	if method, path, ok := strings.Cut(k.NotGranted, " "); k.NotGranted != "" && (!ok || method == "" || !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "*")) {
		return fmt.Errorf("not granted %q: want a method, a space and a path", k.NotGranted)
	}
	return nil
}

func oneOf[T ~string](name string, got T, words ...T) error {
	if slices.Contains(words, got) {
		return nil
	}
	return fmt.Errorf("%s %q: want one of %q", name, string(got), words)
}
