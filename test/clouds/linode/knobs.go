package linode

import (
	"fmt"
	"slices"
	"time"
)

// ContentType is what answers in JSON say that they are.
type ContentType string

// The content types. linodego takes only the first for an error.
const (
	TypeExact   ContentType = "application/json"
	TypeCharset ContentType = "application/json; charset=utf-8"
	TypeText    ContentType = "text/plain"
)

// ErrorField says what stands in an error that is about no field.
type ErrorField string

// The forms of such an error.
const (
	FieldAbsent ErrorField = "absent"
	FieldNull   ErrorField = "null"
	FieldEmpty  ErrorField = "empty"
)

// PutAnswer is the body of a PUT that was carried out.
type PutAnswer string

// The bodies.
const (
	PutObject PutAnswer = "object"
	PutEmpty  PutAnswer = "empty"
	PutNull   PutAnswer = "null"
	PutOld    PutAnswer = "old" // the object as it was before
)

// BusyForm is how a NodeBalancer that is busy says so, with status 400.
type BusyForm string

// The forms.
const (
	BusyLinode BusyForm = "linode" // "Linode busy."
	BusyOwn    BusyForm = "own"    // "NodeBalancer busy"
	BusyPage   BusyForm = "page"   // nginx's
)

// Maintenance is what a maintenance window does.
type Maintenance string

// The kinds of maintenance.
const (
	MaintenanceOff    Maintenance = "off"
	MaintenanceAll    Maintenance = "all"    // 503 with X-Maintenance-Mode, in JSON
	MaintenanceWrites Maintenance = "writes" // the same, to writes only
	MaintenancePage   Maintenance = "page"   // 502 as HTML
)

// RateForm is the body of 429.
type RateForm string

// The bodies of 429.
const (
	RateJSON  RateForm = "json"
	RateHTML  RateForm = "html"
	RateEmpty RateForm = "empty"
)

// TokenTrouble is what is wrong with every token that is not foreign.
type TokenTrouble string

// The troubles.
const (
	TokenFine       TokenTrouble = "fine"
	TokenUnknown    TokenTrouble = "unknown"    // 401
	TokenExpired    TokenTrouble = "expired"    // 401
	TokenReadOnly   TokenTrouble = "read only"  // its scope is nodebalancers:read_only
	TokenOther      TokenTrouble = "other"      // its scope is of another product
	TokenRestricted TokenTrouble = "restricted" // its user has no grant for the NodeBalancer: 403
	TokenHidden     TokenTrouble = "hidden"     // the same, as 404
)

// Order is that of a list.
type Order string

// The orders.
const (
	OrderID       Order = "id"
	OrderReverse  Order = "reverse"
	OrderShuffled Order = "shuffled" // anew for each page, the same nodes on it
)

// Words is how the status of a node is spelt.
type Words string

// The spellings.
const (
	WordsUpper   Words = "upper"
	WordsLower   Words = "lower"
	WordsUnknown Words = "unknown" // nothing is known of any node
	WordsNone    Words = "none"    // the field is not there
)

// Knobs are the behaviours that public material does not settle, and those that
// a test wants to turn. Zero spans and counts are off.
type Knobs struct {
	ContentType ContentType
	ErrorField  ErrorField
	RequestID   bool // X-Request-Id in every answer
	NoDate      bool // no Date in any answer
	ExtraFields bool // fields in every object that no document has
	Latency     time.Duration

	ReadLag     time.Duration // how old every answer to a read is
	ListLag     time.Duration // how old lists are, besides
	Propagation time.Duration // from stored to in effect
	PutReplaces bool          // a field that a PUT leaves out is reset
	PutAnswer   PutAnswer
	LabelLower  bool // labels are stored in lower case
	NoSubnetPut bool // a PUT without subnet_id of a node in a VPC is refused
	StatusWords Words

	PageMost int // nodes on a page, whatever is asked for; 0: as asked
	Order    Order

	BusyFor     time.Duration // after each write, for the next one
	BusyForm    BusyForm
	Maintenance Maintenance

	RatePerMinute     int // 429 beyond, of all requests of a token
	ListRatePerMinute int // of lists
	RateForm          RateForm
	RateRetryAfter    string // header of 429; empty: none
	RateHeaders       bool   // X-RateLimit-* in every answer

	TokenTrouble TokenTrouble
	ScopeStatus  int // of a token without the scope; 0: 401
}

// DefaultKnobs are the most ordinary behaviours.
func DefaultKnobs() Knobs {
	return Knobs{
		ContentType: TypeExact, ErrorField: FieldAbsent, PutAnswer: PutObject, StatusWords: WordsUpper, Order: OrderID,
		BusyForm: BusyLinode, Maintenance: MaintenanceOff, RateForm: RateJSON, RateHeaders: true, TokenTrouble: TokenFine,
		Propagation: 200 * time.Millisecond,
	}
}

// Validate refuses unknown words and negative numbers.
func (k Knobs) Validate() error {
	for _, err := range []error{
		oneOf("content type", k.ContentType, TypeExact, TypeCharset, TypeText),
		oneOf("error field", k.ErrorField, FieldAbsent, FieldNull, FieldEmpty),
		oneOf("put answer", k.PutAnswer, PutObject, PutEmpty, PutNull, PutOld),
		oneOf("status words", k.StatusWords, WordsUpper, WordsLower, WordsUnknown, WordsNone),
		oneOf("order", k.Order, OrderID, OrderReverse, OrderShuffled),
		oneOf("busy form", k.BusyForm, BusyLinode, BusyOwn, BusyPage),
		oneOf("maintenance", k.Maintenance, MaintenanceOff, MaintenanceAll, MaintenanceWrites, MaintenancePage),
		oneOf("rate form", k.RateForm, RateJSON, RateHTML, RateEmpty),
		oneOf("token trouble", k.TokenTrouble, TokenFine, TokenUnknown, TokenExpired, TokenReadOnly, TokenOther, TokenRestricted, TokenHidden),
	} {
		if err != nil {
			return err
		}
	}
	for _, d := range []time.Duration{k.Latency, k.ReadLag, k.ListLag, k.Propagation, k.BusyFor} {
		if d < 0 || d > MaxLag {
			return fmt.Errorf("span %s: want 0 to %s", d, MaxLag)
		}
	}
	if k.PageMost < 0 || k.RatePerMinute < 0 || k.ListRatePerMinute < 0 {
		return fmt.Errorf("page of %d, rates of %d and %d: want 0 or more", k.PageMost, k.RatePerMinute, k.ListRatePerMinute)
	}
	if k.ScopeStatus != 0 && (k.ScopeStatus < 400 || k.ScopeStatus > 499) {
		return fmt.Errorf("scope status %d: want 4xx", k.ScopeStatus)
	}
	return nil
}

func oneOf[T ~string](name string, got T, words ...T) error {
	if slices.Contains(words, got) {
		return nil
	}
	return fmt.Errorf("%s %q: want one of %q", name, string(got), words)
}
