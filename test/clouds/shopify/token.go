package shopify

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// formerFor is how long a refresh token was honoured after its first use.
const formerFor = time.Hour

// chain is the refresh tokens of one installation.
type chain struct {
	current string
	former  string    // used, and honoured for a while; empty: none
	used    time.Time // when former was used first
}

// grant answers the token endpoint.
func (s *Sim) grant(q *request) *reply {
	k := s.Knobs()
	form, err := url.ParseQuery(string(q.body))
	kind := form.Get("grant_type")
	if err != nil || kind != "client_credentials" && kind != "refresh_token" {
		return s.ungranted(k, "invalid_request", "The request is malformed.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, known := s.apps[form.Get("client_id")]
	switch {
	case !known || secret != form.Get("client_secret"):
		return s.ungranted(k, "invalid_client", "Client authentication failed.")
	case k.TokenTrouble == TokensUninstalled:
		return s.ungranted(k, "app_not_installed", "The app is not installed in this shop.")
	}
	life, body := k.TokenLife, map[string]any{"scope": "read_products"}
	if kind == "refresh_token" {
		next, ok := s.rotate(k, form.Get("refresh_token"))
		if !ok {
			return s.ungranted(k, "invalid_grant", "The refresh token is invalid or has been used.")
		}
		life = k.ShortLife
		body["refresh_token"], body["refresh_token_expires_in"] = next, int((90 * 24 * time.Hour).Seconds())
	}
	s.issued++
	token := fmt.Sprintf("shpat_granted%032d", s.issued)
	s.tokens[token] = time.Now().Add(life)
	body["access_token"] = token
	switch k.ExpiresIn {
	case ExpiresNumber:
		body["expires_in"] = int(life.Seconds())
	case ExpiresText:
		body["expires_in"] = fmt.Sprint(int(life.Seconds()))
	case ExpiresNone:
	}
	return answer(http.StatusOK, encode(body))
}

// rotate uses a refresh token and returns the one in its place; false: it is not
// honoured. The caller holds mu.
func (s *Sim) rotate(k Knobs, token string) (string, bool) {
	for _, c := range s.chains {
		switch {
		case token == "":
		case token == c.current:
			c.former, c.used = token, time.Now()
			if k.FormerRefresh == FormerVoid {
				c.former = ""
			}
		case token == c.former && (k.FormerRefresh != FormerForAnHour || time.Since(c.used) < formerFor):
			if k.RefreshAgain == RefreshAgainSame {
				return c.current, true
			}
		default:
			continue
		}
		s.issued++
		c.current = fmt.Sprintf("shprt_rotated%032d", s.issued)
		return c.current, true
	}
	return "", false
}

func (s *Sim) ungranted(k Knobs, code, text string) *reply {
	if k.GrantForm == GrantHTML {
		return page(http.StatusBadRequest)
	}
	return answer(http.StatusBadRequest, encode(map[string]any{"error": code, "error_description": text}))
}
