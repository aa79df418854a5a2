package shopify

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// grant answers the client-credentials grant.
func (s *Sim) grant(q *request) *reply {
	k := s.Knobs()
	form, err := url.ParseQuery(string(q.body))
	if err != nil || form.Get("grant_type") != "client_credentials" {
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
	s.issued++
	token := fmt.Sprintf("shpat_granted%032d", s.issued)
	s.tokens[token] = time.Now().Add(k.TokenLife)
	body := map[string]any{"access_token": token, "scope": "read_products"}
	switch k.ExpiresIn {
	case ExpiresNumber:
		body["expires_in"] = int(k.TokenLife.Seconds())
	case ExpiresText:
		body["expires_in"] = fmt.Sprint(int(k.TokenLife.Seconds()))
	case ExpiresNone:
	}
	return answer(http.StatusOK, encode(body))
}

func (s *Sim) ungranted(k Knobs, code, text string) *reply {
	if k.GrantForm == GrantHTML {
		return page(http.StatusBadRequest)
	}
	return answer(http.StatusBadRequest, encode(map[string]any{"error": code, "error_description": text}))
}
