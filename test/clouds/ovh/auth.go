package ovh

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // the provider's signature is SHA-1
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KeyStatus is a consumer key's state.
type KeyStatus string

// The states of a consumer key.
const (
	KeyValidated KeyStatus = "validated"
	KeyPending   KeyStatus = "pendingValidation"
	KeyRefused   KeyStatus = "refused"
	KeyExpired   KeyStatus = "expired"
)

// AccessRule allows a method on a path below the version; "*" in it stands for anything, slashes included.
type AccessRule struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

// Credential is an application key with its secret and one consumer key.
type Credential struct {
	ApplicationKey    string
	ApplicationSecret string
	ConsumerKey       string
	Token             string       // accepted as Bearer instead of a signature; empty: none
	Rules             []AccessRule // nil: everything
	AllowedIPs        []string     // addresses or blocks; nil: any
	Status            KeyStatus    // empty: validated
	Expires           time.Time    // by the provider's clock; zero: never
	Foreign           bool         // somebody else's: left out of the proof's counts
}

type credential struct {
	Credential
	id      int64
	created time.Time
	used    time.Time
	recent  []time.Time // calls of the last minute, no more than the rate allows
	beyond  []time.Time // those of the last minute that came on top
}

// AddCredential makes a credential known. The same consumer key again replaces it.
func (s *Sim) AddCredential(c Credential) {
	if c.Status == "" {
		c.Status = KeyValidated
	}
	if c.Rules == nil {
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			c.Rules = append(c.Rules, AccessRule{Method: m, Path: "/*"})
		}
	}
	c.Rules, c.AllowedIPs = slices.Clone(c.Rules), slices.Clone(c.AllowedIPs)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID++
	added := &credential{Credential: c, id: s.nextID, created: s.now()}
	for i, k := range s.keys {
		if k.ConsumerKey == c.ConsumerKey {
			s.keys[i] = added
			return
		}
	}
	s.keys = append(s.keys, added)
}

// authenticate checks the signature and the rights of a request. The caller holds mu.
func (s *Sim) authenticate(x *exchange) error {
	k, err := s.identify(x)
	if err != nil {
		return err
	}
	x.call.Consumer, x.call.Foreign = k.ConsumerKey, k.Foreign
	if err := s.knobs.deny(x); err != nil && !k.Foreign {
		return err
	}
	now := s.now()
	if !k.Expires.IsZero() && !now.Before(k.Expires) {
		k.Status = KeyExpired
	}
	if k.Status != KeyValidated {
		return oldForm(http.StatusForbidden, "INVALID_CREDENTIAL", "This credential is not valid")
	}
	if !k.allows(x.remote) {
		return notFromHere()
	}
	granted := slices.ContainsFunc(k.Rules, func(r AccessRule) bool {
		return s.knobs.grants(r, x.call)
	})
	if !granted {
		return notGranted()
	}
	if beyond := k.admit(time.Now(), s.knobs.RatePerMinute); beyond > 0 {
		return s.knobs.tooMany(beyond)
	}
	k.used = now
	return nil
}

// identify finds whose request it is and verifies that nobody else could have sent it.
func (s *Sim) identify(x *exchange) (*credential, error) {
	if token, ok := strings.CutPrefix(x.header.Get("Authorization"), "Bearer "); ok {
		i := slices.IndexFunc(s.keys, func(k *credential) bool { return k.Token != "" && k.Token == token })
		if i < 0 {
			return nil, oldForm(http.StatusUnauthorized, "INVALID_CREDENTIAL", "Invalid access token")
		}
		return s.keys[i], nil
	}
	application, signature := x.header.Get("X-Ovh-Application"), x.header.Get("X-Ovh-Signature")
	if application == "" || signature == "" {
		return nil, &refusal{status: http.StatusUnauthorized, code: "NOT_CREDENTIAL", class: classOf(401), message: "You must login first"}
	}
	i := slices.IndexFunc(s.keys, func(k *credential) bool { return k.ApplicationKey == application })
	if i < 0 {
		return nil, &refusal{status: http.StatusForbidden, code: "INVALID_KEY", class: classOf(403), message: "This application key is invalid"}
	}
	sent, err := strconv.ParseInt(x.header.Get("X-Ovh-Timestamp"), 10, 64)
	if err != nil {
		return nil, oldForm(http.StatusBadRequest, "INVALID_SIGNATURE", "Invalid signature")
	}
	if off := s.now().Sub(time.Unix(sent, 0)).Abs(); s.knobs.TimeWindow > 0 && off > s.knobs.TimeWindow+time.Second {
		return nil, oldForm(cmp.Or(s.knobs.TimeOutStatus, http.StatusBadRequest), "QUERY_TIME_OUT", "Query out of time")
	}
	consumer := x.header.Get("X-Ovh-Consumer")
	i = slices.IndexFunc(s.keys, func(k *credential) bool {
		return k.ApplicationKey == application && k.ConsumerKey == consumer
	})
	if i < 0 {
		return nil, oldForm(http.StatusForbidden, "INVALID_CREDENTIAL", "This credential is not valid")
	}
	want := sign(s.keys[i].ApplicationSecret, consumer, x.call.Method, x.target, x.body, sent)
	if subtle.ConstantTimeCompare([]byte(want), []byte(signature)) != 1 {
		return nil, oldForm(http.StatusBadRequest, "INVALID_SIGNATURE", "Invalid signature")
	}
	return s.keys[i], nil
}

// sign is the provider's version 1: SHA-1 over the parts joined by plus signs.
func sign(secret, consumer, method, target string, body []byte, at int64) string {
	h := sha1.New() //nolint:gosec // the provider's signature is SHA-1
	fmt.Fprintf(h, "%s+%s+%s+%s+%s+%d", secret, consumer, method, target, body, at)
	return fmt.Sprintf("$1$%x", h.Sum(nil))
}

func (k *credential) allows(remote string) bool {
	if k.AllowedIPs == nil {
		return true
	}
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(k.AllowedIPs, func(b string) bool {
		p, err := parseBlock(b)
		return err == nil && p.Contains(from.Addr().Unmap())
	})
}

// admit counts a call against the rate, in a sliding minute, and returns the number of calls beyond it, this one
// included; 0 admits it.
func (k *credential) admit(now time.Time, perMinute int) int {
	if perMinute == 0 {
		return 0
	}
	old := func(t time.Time) bool { return now.Sub(t) >= time.Minute }
	k.recent, k.beyond = slices.DeleteFunc(k.recent, old), slices.DeleteFunc(k.beyond, old)
	if len(k.recent) < perMinute {
		k.recent = append(k.recent, now)
		return 0
	}
	if len(k.beyond) <= RateGrace { // more are not told apart
		k.beyond = append(k.beyond, now)
	}
	return len(k.beyond)
}

// wildcard matches a path against a pattern in which "*" stands for any text, slashes included.
func wildcard(pattern, path string) bool {
	head, rest, more := strings.Cut(pattern, "*")
	if !more {
		return pattern == path
	}
	tail, ok := strings.CutPrefix(path, head)
	if !ok {
		return false
	}
	for i := 0; i <= len(tail); i++ {
		if wildcard(rest, tail[i:]) {
			return true
		}
	}
	return false
}

func (s *Sim) authTime(*exchange) (any, error) { return s.knobs.timeAnswer(s.now().Unix()), nil }

func (s *Sim) currentCredential(x *exchange) (any, error) {
	i := slices.IndexFunc(s.keys, func(k *credential) bool { return k.ConsumerKey == x.call.Consumer })
	k := s.keys[i] // authenticate has set Consumer from this list
	info := credentialInfo{
		AllowedIPs: k.AllowedIPs, ApplicationID: k.id, CredentialID: k.id, Creation: stamp(k.created),
		LastUse: new(stamp(k.used)), Rules: k.Rules, Status: k.Status,
	}
	if !k.Expires.IsZero() {
		info.Expiration = new(stamp(k.Expires))
	}
	return info, nil
}
