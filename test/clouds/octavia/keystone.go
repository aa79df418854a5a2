package octavia

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// User may get tokens, by password or by an application credential.
type User struct {
	Name, Domain, Password string
	CredentialID, Secret   string // of an application credential; empty: none
	Project                string // id; a password login names it

	Roles []string  // in the project; nil: load-balancer_member
	Ends  time.Time // of the application credential; zero: never
}

// userID is the id of every user.
const userID = "5a6b7c8d"

type token struct {
	user    string
	expires time.Time
}

// defaultTokenRate is the number of tokens a minute that one user gets.
const defaultTokenRate = 60

// AddUser makes a user known, or an application credential anew.
func (s *Sim) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = slices.DeleteFunc(s.users, func(old User) bool { return u.CredentialID != "" && old.CredentialID == u.CredentialID })
	s.users = append(s.users, u)
}

type authRequest struct {
	Auth struct {
		Identity struct {
			Methods    []string `json:"methods"`
			Credential struct {
				ID     string `json:"id"`
				Secret string `json:"secret"`
			} `json:"application_credential"`
			Password struct {
				User struct {
					Name     string `json:"name"`
					Password string `json:"password"`
					Domain   struct {
						ID, Name string
					} `json:"domain"`
				} `json:"user"`
			} `json:"password"`
		} `json:"identity"`
		Scope *struct {
			Project struct {
				ID string `json:"id"`
			} `json:"project"`
		} `json:"scope"`
	} `json:"auth"`
}

// keystone serves its calls. The caller holds mu.
func (s *Sim) keystone(c *Call, q *http.Request, body []byte) (answer, error) {
	if id, ok := strings.CutPrefix(c.Path, "/users/"+userID+"/application_credentials/"); ok && c.Method == http.MethodGet {
		return s.credential(id, q.Header.Get("X-Auth-Token"))
	}
	if c.Method != http.MethodPost || c.Path != "/auth/tokens" {
		return answer{}, refuse(http.StatusNotFound, "The resource could not be found.")
	}
	var r authRequest
	if json.Unmarshal(body, &r) != nil || len(r.Auth.Identity.Methods) != 1 {
		return answer{}, refuse(http.StatusBadRequest, "Expecting to find auth in request body.")
	}
	u, ok := s.login(r)
	if !ok || s.knobs.Trouble == TroubleLogin {
		return answer{}, refuse(http.StatusUnauthorized, "The request you have made requires authentication.")
	}
	if s.knobs.Trouble == TroubleProject {
		return answer{}, refuse(http.StatusForbidden, "You are not authorized to perform the requested action.")
	}
	limit := s.knobs.TokenRate
	if limit == 0 {
		limit = defaultTokenRate
	}
	if !s.withinRate("keystone "+u.Name+u.CredentialID, limit) {
		return answer{}, s.tooMany(http.StatusTooManyRequests)
	}
	return s.issue(u), nil
}

// credential shows an application credential to who has a token of its user.
func (s *Sim) credential(id, text string) (answer, error) {
	if t, ok := s.tokens[text]; !ok || time.Now().After(t.expires) {
		return answer{}, refuse(http.StatusUnauthorized, "The request you have made requires authentication.")
	}
	for _, u := range s.users {
		if u.CredentialID == id {
			body := object{"id": id, "name": u.Name, "expires_at": nil, "unrestricted": false}
			if !u.Ends.IsZero() {
				body["expires_at"] = u.Ends.Add(s.knobs.ClockSkew).UTC().Format("2006-01-02T15:04:05.000000") // without zone, as Keystone writes this one
			}
			return jsonAnswer(http.StatusOK, object{"application_credential": body}), nil
		}
	}
	return answer{}, refuse(http.StatusNotFound, "Could not find Application Credential.")
}

func (s *Sim) login(r authRequest) (User, bool) {
	id := r.Auth.Identity
	for _, u := range s.users {
		switch id.Methods[0] {
		case "application_credential": // it is for one project: a scope of its own is refused
			if u.CredentialID != "" && id.Credential.ID == u.CredentialID && id.Credential.Secret == u.Secret && r.Auth.Scope == nil {
				return u, true
			}
		case "password":
			p := id.Password.User
			if u.Name != "" && p.Name == u.Name && p.Password == u.Password && (p.Domain.ID == u.Domain || p.Domain.Name == u.Domain) &&
				r.Auth.Scope != nil && r.Auth.Scope.Project.ID == u.Project {
				return u, true
			}
		}
	}
	return User{}, false
}

// issue makes a token and the answer that brings it.
func (s *Sim) issue(u User) answer {
	k := s.knobs
	ttl := k.TokenTTL
	if ttl == 0 {
		ttl = time.Hour
	}
	t := &token{user: u.Name + u.CredentialID, expires: time.Now().Add(ttl)}
	text := "gAAAAA" + rand.Text()
	s.tokens[text] = t
	body := object{"methods": []string{"password"}, "user": object{"id": userID, "name": u.Name}, "roles": rolesOf(u), "catalog": s.catalog()}
	now := time.Now().Add(k.ClockSkew).UTC()
	layout := "2006-01-02T15:04:05.000000Z"
	if k.TokenForm == TokenOffset {
		layout = "2006-01-02T15:04:05+00:00"
	}
	body["issued_at"], body["expires_at"] = now.Format(layout), now.Add(ttl).Format(layout)
	var a answer
	switch k.TokenForm {
	case TokenNoTimes:
		delete(body, "issued_at")
		delete(body, "expires_at")
	case TokenOddTimes:
		body["issued_at"], body["expires_at"] = "now", 7
	case TokenNoCatalog:
		delete(body, "catalog")
	}
	a = jsonAnswer(http.StatusCreated, object{"token": body})
	if k.TokenForm == TokenHTML {
		a = pageAnswer(http.StatusCreated)
	}
	if k.TokenForm != TokenNoHeader {
		a.token = text
	}
	return a
}

func rolesOf(u User) []object {
	roles := u.Roles
	if roles == nil {
		roles = []string{"load-balancer_member"}
	}
	var list []object
	for _, name := range roles {
		list = append(list, object{"id": "id of " + name, "name": name})
	}
	return list
}

func (s *Sim) catalog() []object {
	endpoint := func(kind, region, url string) object {
		return object{"interface": kind, "region": region, "region_id": region, "url": url}
	}
	url := s.config.Endpoint + string(s.knobs.EndpointForm)
	region := s.config.Region
	if s.knobs.TokenForm == TokenElsewhere {
		region = "GRA9"
	}
	return []object{
		{"type": "network", "name": "neutron", "endpoints": []object{endpoint("public", region, "http://neutron.invalid/")}},
		{"type": "load-balancer", "name": "octavia", "endpoints": []object{
			endpoint("admin", region, "http://admin.invalid/"), endpoint("internal", region, "http://internal.invalid/"),
			endpoint("public", "SBG7", "http://elsewhere.invalid/"), endpoint("public", region, url),
		}},
	}
}

// authenticate finds the user of a call to Octavia. The caller holds mu.
func (s *Sim) authenticate(c *Call, r *http.Request) (string, error) {
	t, ok := s.tokens[r.Header.Get("X-Auth-Token")]
	if !ok || !time.Now().Before(t.expires) || s.knobs.Trouble == TroubleTokens {
		a := errorAnswer(FormError, http.StatusUnauthorized, "The request you have made requires authentication.")
		if s.knobs.ErrorForm == FormText {
			a = errorAnswer(FormText, http.StatusUnauthorized, "Authentication required")
		}
		a.challenge = true
		return "", &refusal{answer: &a}
	}
	method, path, ok := strings.Cut(s.knobs.NotGranted, " ")
	if s.knobs.Trouble == TroubleRole || ok && method == c.Method && wildcard(path, c.Path) {
		return "", refuse(http.StatusForbidden, "Policy does not allow this request to be performed.")
	}
	return t.user, nil
}

// withinRate counts a call of somebody, at most so many in a sliding minute.
func (s *Sim) withinRate(who string, most int) bool {
	now := time.Now()
	kept := s.recent[who][:0]
	for _, at := range s.recent[who] {
		if now.Sub(at) < time.Minute {
			kept = append(kept, at)
		}
	}
	ok := len(kept) < most
	if ok {
		kept = append(kept, now)
	}
	s.recent[who] = kept
	return ok
}

func (s *Sim) tooMany(status int) error {
	a := jsonAnswer(status, object{"error": object{"status": itoa(status) + " " + http.StatusText(status), "message": http.StatusText(status)}})
	switch s.knobs.RateForm {
	case RateHTML:
		a = pageAnswer(status)
	case RateEmpty:
		a.body = nil
	}
	a.retryAfter = s.knobs.RateRetryAfter
	return &refusal{answer: &a}
}
