package shopify

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Words of the knobs. The first of each group is what DefaultKnobs takes.
type (
	// Throttle is how a request over the rate is answered; both have been reported.
	Throttle string
	// CostForm is what extensions.cost holds.
	CostForm string
	// DigestForm is what a digest is made of. Shopify calls it opaque.
	DigestForm string
	// ValueForm is how a value of type json is told back.
	ValueForm string
	// StaleCode is the code of the user error for a digest that differs. The schema lets it be null.
	StaleCode string
	// SetAnswer is what the field metafields of a good answer holds. The schema lets it be null.
	SetAnswer string
	// RequestID is whether answers carry X-Request-Id.
	RequestID string
	// VersionHeader is whether answers carry X-Shopify-API-Version.
	VersionHeader string
	// Unsupported is what comes of a version that is no longer served.
	Unsupported string
	// Frozen is how a shop says that nothing is carried out there.
	Frozen string
	// ErrorsForm is how refusals by status are worded.
	ErrorsForm string
	// Scope is what the app lacks the right to. Which scope app-data metafields need is not documented.
	Scope string
	// ScopeForm is how that is told.
	ScopeForm string
	// ExpiresIn is how a granted token's life is told.
	ExpiresIn string
	// GrantForm is how a refused grant is worded.
	GrantForm string
	// TokenTrouble is what is wrong with every token.
	TokenTrouble string
	// GoodErrors is what the field errors of a good answer holds.
	GoodErrors string
	// FormerRefresh is how long a refresh token is honoured after it was used. It was an
	// hour until Shopify's changelog told of the first.
	FormerRefresh string
	// RefreshAgain is what a refresh token that was used before gives.
	RefreshAgain string
	// Maintenance is a page in front of the API.
	Maintenance string
	// HookAgain is what comes of a second webhook subscription to a topic and address.
	HookAgain string
)

// Values of the knobs.
const (
	ThrottleOK     Throttle = "200"
	ThrottleStatus Throttle = "429"
	ThrottleBare   Throttle = "429 without body"

	CostFull CostForm = "full"
	CostBare CostForm = "without throttleStatus"
	CostNone CostForm = "none"

	DigestHex    DigestForm = "hex"
	DigestBase64 DigestForm = "base64"
	DigestWrite  DigestForm = "new with each write"

	ValueVerbatim ValueForm = "verbatim"
	ValueSorted   ValueForm = "sorted"
	ValueSpaced   ValueForm = "spaced"

	StaleNamed StaleCode = "STALE_OBJECT"
	StaleNull  StaleCode = "null"
	StaleOnce  StaleCode = "STALE_OBJECT, told for the first only"

	SetList  SetAnswer = "list"
	SetNull  SetAnswer = "null"
	SetEmpty SetAnswer = "empty"

	RequestIDHeader RequestID = "header"
	RequestIDNone   RequestID = "none"

	VersionTold   VersionHeader = "told"
	VersionUntold VersionHeader = "untold"

	UnsupportedForward  Unsupported = "forward"
	UnsupportedNotFound Unsupported = "404"
	UnsupportedBad      Unsupported = "400"

	FrozenNot      Frozen = "not"
	FrozenPayment  Frozen = "402"
	FrozenLocked   Frozen = "423"
	FrozenInactive Frozen = "200 with SHOP_INACTIVE"

	ErrorsText   ErrorsForm = "text"
	ErrorsList   ErrorsForm = "list"
	ErrorsObject ErrorsForm = "object"
	ErrorsHTML   ErrorsForm = "html"

	ScopeGranted Scope = "granted"
	ScopeRead    Scope = "read"
	ScopeWrite   Scope = "write"

	ScopeError  ScopeForm = "200 with ACCESS_DENIED"
	ScopeStatus ScopeForm = "403"
	ScopeUser   ScopeForm = "user error APP_NOT_AUTHORIZED"

	ExpiresNumber ExpiresIn = "number"
	ExpiresText   ExpiresIn = "text"
	ExpiresNone   ExpiresIn = "none"

	GrantJSON GrantForm = "json"
	GrantHTML GrantForm = "html"

	TokensGood        TokenTrouble = "good"
	TokensRevoked     TokenTrouble = "revoked"
	TokensUninstalled TokenTrouble = "uninstalled"

	GoodErrorsNone  GoodErrors = "none"
	GoodErrorsNull  GoodErrors = "null"
	GoodErrorsEmpty GoodErrors = "empty"

	FormerUntilUsed FormerRefresh = "until its replacement is used"
	FormerForAnHour FormerRefresh = "for an hour"
	FormerVoid      FormerRefresh = "not at all"

	RefreshAgainNew  RefreshAgain = "another pair; the one before is void"
	RefreshAgainSame RefreshAgain = "the same refresh token"

	MaintenanceOff  Maintenance = "off"
	MaintenanceHTML Maintenance = "html"
	MaintenanceJSON Maintenance = "json"

	HookAgainRefused  HookAgain = "refused"
	HookAgainAccepted HookAgain = "accepted"
)

// Knobs are what is not known of Shopify, and what differs between shops.
type Knobs struct {
	Delay     time.Duration // of every answer, after the effect
	ReadLag   time.Duration // a read shows what stood so long ago
	Bucket    int           // points that a shop's bucket holds
	Restore   int           // points that come back in a second
	ReadCost  int           // of a query, for each metafield and one more
	WriteCost int           // of metafieldsSet
	TokenLife time.Duration // of a granted token
	ShortLife time.Duration // of a token that came with a refresh token
	Oldest    string        // version that is still served

	Throttle       Throttle
	CostForm       CostForm
	RetryAfter     string // header of a throttled answer; empty: none
	DigestForm     DigestForm
	ValueForm      ValueForm
	StaleCode      StaleCode
	SetAnswer      SetAnswer
	RequestID      RequestID
	VersionHeader  VersionHeader
	Unsupported    Unsupported
	Frozen         Frozen
	ErrorsForm     ErrorsForm
	Scope          Scope
	ScopeForm      ScopeForm
	ExpiresIn      ExpiresIn
	GrantForm      GrantForm
	TokenTrouble   TokenTrouble
	GoodErrors     GoodErrors
	FormerRefresh  FormerRefresh
	RefreshAgain   RefreshAgain
	Maintenance    Maintenance
	HookAgain      HookAgain
	HookLag        time.Duration // a list of webhook subscriptions shows what stood so long ago
	HookPage       int           // webhook subscriptions on a page, whatever is asked for
	HookDrop       int           // failed deliveries in a row after which one is removed
	Granted        string        // scopes of the app, with spaces between
	StrangerFields bool          // answers hold fields that nobody asked for
}

// DefaultKnobs are a shop of the standard plan as its documentation describes it.
func DefaultKnobs() Knobs {
	return Knobs{
		Bucket: 2000, Restore: 100, ReadCost: 1, WriteCost: 10, TokenLife: 24 * time.Hour, ShortLife: time.Hour, Oldest: "2026-01",
		Throttle: ThrottleOK, CostForm: CostFull, DigestForm: DigestHex, ValueForm: ValueVerbatim, StaleCode: StaleNamed,
		SetAnswer: SetList, RequestID: RequestIDHeader, VersionHeader: VersionTold, Unsupported: UnsupportedForward,
		Frozen: FrozenNot, ErrorsForm: ErrorsText, Scope: ScopeGranted, ScopeForm: ScopeError, ExpiresIn: ExpiresNumber,
		GrantForm: GrantJSON, TokenTrouble: TokensGood, GoodErrors: GoodErrorsNone, Maintenance: MaintenanceOff,
		FormerRefresh: FormerUntilUsed, RefreshAgain: RefreshAgainNew,
		HookAgain: HookAgainRefused, HookPage: 250, HookDrop: 8, Granted: "read_products read_orders",
	}
}

// Validate refuses unknown words and negative numbers.
func (k Knobs) Validate() error {
	errs := []error{
		oneOf("throttle", k.Throttle, ThrottleOK, ThrottleStatus, ThrottleBare),
		oneOf("cost form", k.CostForm, CostFull, CostBare, CostNone),
		oneOf("digest form", k.DigestForm, DigestHex, DigestBase64, DigestWrite),
		oneOf("value form", k.ValueForm, ValueVerbatim, ValueSorted, ValueSpaced),
		oneOf("stale code", k.StaleCode, StaleNamed, StaleNull, StaleOnce),
		oneOf("set answer", k.SetAnswer, SetList, SetNull, SetEmpty),
		oneOf("request id", k.RequestID, RequestIDHeader, RequestIDNone),
		oneOf("version header", k.VersionHeader, VersionTold, VersionUntold),
		oneOf("unsupported", k.Unsupported, UnsupportedForward, UnsupportedNotFound, UnsupportedBad),
		oneOf("frozen", k.Frozen, FrozenNot, FrozenPayment, FrozenLocked, FrozenInactive),
		oneOf("errors form", k.ErrorsForm, ErrorsText, ErrorsList, ErrorsObject, ErrorsHTML),
		oneOf("scope", k.Scope, ScopeGranted, ScopeRead, ScopeWrite),
		oneOf("scope form", k.ScopeForm, ScopeError, ScopeStatus, ScopeUser),
		oneOf("expires in", k.ExpiresIn, ExpiresNumber, ExpiresText, ExpiresNone),
		oneOf("grant form", k.GrantForm, GrantJSON, GrantHTML),
		oneOf("token trouble", k.TokenTrouble, TokensGood, TokensRevoked, TokensUninstalled),
		oneOf("good errors", k.GoodErrors, GoodErrorsNone, GoodErrorsNull, GoodErrorsEmpty),
		oneOf("former refresh", k.FormerRefresh, FormerUntilUsed, FormerForAnHour, FormerVoid),
		oneOf("refresh again", k.RefreshAgain, RefreshAgainNew, RefreshAgainSame),
		oneOf("hook again", k.HookAgain, HookAgainRefused, HookAgainAccepted),
		oneOf("maintenance", k.Maintenance, MaintenanceOff, MaintenanceHTML, MaintenanceJSON),
	}
	if k.HookPage < 1 || k.HookDrop < 1 {
		errs = append(errs, errors.New("want pages of one and removal after one failure at least"))
	}
	if min(k.Delay, k.ReadLag, k.TokenLife, k.ShortLife, k.HookLag) < 0 || min(k.Bucket, k.Restore, k.ReadCost, k.WriteCost) < 0 {
		errs = append(errs, errors.New("want no negative span or number"))
	}
	return errors.Join(errs...)
}

func oneOf[T ~string](name string, value T, allowed ...T) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s %q: want one of %q", name, value, allowed)
}
