package linode

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Token is a personal access token.
type Token struct {
	Value   string
	Scopes  string    // such as "nodebalancers:read_write", several by blanks; "*" is all
	Expires time.Time // zero: never
	Foreign bool      // somebody else's: in no count
}

// AddToken adds a token, or replaces the one of its value.
func (s *Sim) AddToken(t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[t.Value] = t
}

// authorize holds a request against its token. The caller holds mu.
func (s *Sim) authorize(x *exchange, header http.Header) error {
	t, known := s.tokens[bearer(x.header)]
	trouble := s.knobs.TokenTrouble
	if t.Foreign {
		trouble = TokenFine
	}
	switch {
	case !known, trouble == TokenUnknown:
		return refuse(http.StatusUnauthorized, "", "Invalid Token")
	case trouble == TokenExpired, !t.Expires.IsZero() && time.Now().After(t.Expires):
		return refuse(http.StatusUnauthorized, "", "Token has expired")
	case trouble == TokenReadOnly:
		t.Scopes = "nodebalancers:read_only"
	case trouble == TokenOther:
		t.Scopes = "linodes:read_write"
	}
	want := x.scope()
	header.Set("X-OAuth-Scopes", t.Scopes)
	header.Set("X-Accepted-OAuth-Scopes", want)
	if !t.grants(want) {
		status := s.knobs.ScopeStatus
		if status == 0 {
			status = http.StatusUnauthorized
		}
		return refuse(status, "", "Your OAuth token is not authorized to use this endpoint.")
	}
	switch trouble {
	case TokenRestricted:
		return refuse(http.StatusForbidden, "", "Unauthorized")
	case TokenHidden:
		return notFound()
	}
	return nil
}

// scope is what a request needs: to get a single node takes the right to write,
// as the API's description has it.
func (x *exchange) scope() string {
	oneNode := len(x.path) == 6 && x.path[4] == "nodes"
	if x.call.Write() || oneNode {
		return "nodebalancers:read_write"
	}
	return "nodebalancers:read_only"
}

func (t Token) grants(scope string) bool {
	for have := range strings.FieldsSeq(t.Scopes) {
		if have == "*" || have == scope || have == "nodebalancers:read_write" {
			return true
		}
	}
	return false
}

// window counts the requests of a minute.
type window struct {
	began      time.Time
	all, lists int
}

// admit holds a request against the rates. The caller holds mu.
func (s *Sim) admit(x *exchange, header http.Header) error {
	token := bearer(x.header)
	w, ok := s.rates[token]
	if !ok || time.Since(w.began) >= time.Minute {
		w = &window{began: time.Now()}
		s.rates[token] = w
	}
	w.all++
	limit, used := s.knobs.RatePerMinute, w.all
	if list := s.knobs.ListRatePerMinute; list > 0 && x.lists() {
		w.lists++
		limit, used = list, w.lists
	}
	if limit == 0 {
		return nil
	}
	if s.knobs.RateHeaders {
		header.Set("X-RateLimit-Limit", strconv.Itoa(limit))
		header.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, limit-used)))
		header.Set("X-RateLimit-Reset", strconv.FormatInt(w.began.Add(time.Minute).Unix(), 10))
	}
	if used <= limit {
		return nil
	}
	r := &refusal{status: http.StatusTooManyRequests, reason: "Too Many Requests", form: s.knobs.RateForm, header: http.Header{}}
	if s.knobs.RateRetryAfter != "" {
		r.header.Set("Retry-After", s.knobs.RateRetryAfter)
	}
	return r
}

// lists reports whether a request is one for a paged list.
func (x *exchange) lists() bool { return !x.call.Write() && len(x.path)%2 == 1 }
