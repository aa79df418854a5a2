package octavia

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators/wire"
)

const fullCloud = `
clouds:
  ovh:
    region_name: GRA9
    interface: internal
    auth:
      auth_url: https://auth.cloud.ovh.net/v3
      username: user-a
      password: 0123
      user_domain_name: Default
      project_id: 0a1b
`

func TestParseClouds(t *testing.T) {
	c, err := parseClouds([]byte(fullCloud), "")
	if err != nil {
		t.Fatal(err)
	}
	if c.region != "GRA9" || c.face != "internal" || c.auth["password"] != "0123" || c.tokensURL() != "https://auth.cloud.ovh.net/v3/auth/tokens" {
		t.Errorf("%+v, %s", c, c.tokensURL())
	}
	for name, change := range map[string][2]string{
		"password: 0123":   {"password: 0123", ""},
		"username":         {"username: user-a", ""},
		"project_id":       {"project_id: 0a1b", ""},
		"auth_url":         {"https://auth", "auth"},
		"verify":           {"region_name", "verify: false\n    region_name"},
		"cacert":           {"region_name", "cacert: /nowhere/ca.pem\n    region_name"},
		"application_cred": {"username", "application_credential_id"},
	} {
		_, err := parseClouds([]byte(strings.Replace(fullCloud, change[0], change[1], 1)), "ovh")
		if !errors.Is(err, ErrCredentials) || strings.Contains(err.Error(), "0123") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLogin: the bodies are those of the identity API, v3.
func TestLogin(t *testing.T) {
	for _, c := range []struct {
		auth map[string]string
		want string
	}{
		{
			map[string]string{"application_credential_id": "id", "application_credential_secret": "s", "project_id": "p"},
			`{"auth":{"identity":{"application_credential":{"id":"id","secret":"s"},"methods":["application_credential"]}}}`,
		},
		{
			map[string]string{"username": "u", "password": "s", "project_id": "p"},
			`{"auth":{"identity":{"methods":["password"],"password":{"user":{"domain":{"id":"default"},"name":"u","password":"s"}}},"scope":{"project":{"id":"p"}}}}`,
		},
		{
			map[string]string{"user_id": "7", "password": "s", "project_name": "p", "project_domain_name": "d"},
			`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"7","password":"s"}}},"scope":{"project":{"domain":{"name":"d"},"name":"p"}}}}`,
		},
	} {
		got, err := json.Marshal(cloud{auth: c.auth}.login())
		if err != nil || string(got) != c.want {
			t.Errorf("%s, want %s (%v)", got, c.want, err)
		}
	}
}

func TestVariables(t *testing.T) {
	env := map[string]string{"OS_AUTH_URL": "https://auth.example/v3/", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_ID": "1", "OS_REGION_NAME": "GRA9", "OS_INTERFACE": "publicURL"}
	config := Config{Getenv: func(name string) string { return env[name] }}
	c, err := config.resolve("env:OS", "")
	if err != nil || c.region != "GRA9" || c.face != "public" || c.auth["username"] != "u" || c.tokensURL() != "https://auth.example/v3/auth/tokens" {
		t.Errorf("%+v, %v", c, err)
	}
	delete(env, "OS_PASSWORD")
	if _, err := config.resolve("env:OS", ""); !errors.Is(err, ErrCredentials) || !strings.Contains(err.Error(), "password") {
		t.Errorf("without password: %v", err)
	}
	env["CLOUDS"] = fullCloud
	if c, err := config.resolve("env:CLOUDS", ""); err != nil || c.region != "GRA9" {
		t.Errorf("a text in a variable: %+v, %v", c, err)
	}
	if _, err := config.resolve("hunter2", ""); !errors.Is(err, wire.ErrReference) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("no reference: %v", err)
	}
}

func TestFind(t *testing.T) {
	var catalogue []service
	if err := json.Unmarshal([]byte(`[
		{"type":"network","endpoints":[{"interface":"public","region":"GRA9","region_id":"GRA9","url":"https://network.example"}]},
		{"type":"load-balancer","endpoints":[
			{"interface":"public","region":"GRA9","region_id":"GRA9","url":"https://gra.example"},
			{"interface":"internal","region":"GRA9","region_id":"GRA9","url":"https://inside.example"},
			{"interface":"public","region":"EU-WEST-PAR","region_id":"EU-WEST-PAR","url":"https://par.example"},
			{"interface":"public","region":"ODD","region_id":"ODD","url":"gopher://odd.example"}]}]`), &catalogue); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ region, face, want string }{
		{"GRA9", "public", "https://gra.example"}, {"eu-west-par", "public", "https://par.example"}, {"", "internal", "https://inside.example"},
		{"", "public", ""}, {"SBG7", "public", ""}, {"ODD", "public", ""}, {"GRA9", "admin", ""},
	} {
		got, err := cloud{region: c.region, face: c.face}.find(catalogue)
		if got != c.want || (c.want == "") != errors.Is(err, ErrCatalogue) {
			t.Errorf("%q %s: %q, %v, want %q", c.region, c.face, got, err, c.want)
		}
	}
}

func TestLbaas(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://lb.example": "https://lb.example/v2.0/lbaas", "https://lb.example/": "https://lb.example/v2.0/lbaas",
		"https://lb.example/v2": "https://lb.example/v2/lbaas", "https://lb.example/v2.0/": "https://lb.example/v2.0/lbaas",
		"https://api.example/load-balancer": "https://api.example/load-balancer/v2.0/lbaas",
	} {
		if got := lbaas(endpoint); got != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
	}
}

// TestUsable: the provider's clock may say what it likes, only its span counts.
func TestUsable(t *testing.T) {
	for times, want := range map[string]time.Duration{
		`"issued_at":"1999-01-01T00:00:00.000000Z","expires_at":"1999-01-02T00:00:00.000000Z"`: 24*time.Hour - RenewBefore,
		`"issued_at":"2026-01-01T00:00:00+00:00","expires_at":"2026-01-01T00:01:00+00:00"`:     45 * time.Second,
		`"issued_at":"2026-01-01T00:00:00Z","expires_at":"2027-01-01T00:00:00Z"`:               MaxLifetime - RenewBefore,
		`"issued_at":"2026-01-02T00:00:00Z","expires_at":"2026-01-01T00:00:00Z"`:               DefaultLifetime - DefaultLifetime/4,
		`"issued_at":null,"expires_at":"2026-01-01T00:00:00Z"`:                                 DefaultLifetime - DefaultLifetime/4,
		`"issued_at":7`: DefaultLifetime - DefaultLifetime/4,
	} {
		var body issued
		if err := json.Unmarshal([]byte(`{"token":{`+times+`}}`), &body); err != nil {
			t.Fatal(err)
		}
		if got := usable(body); got != want {
			t.Errorf("%s: %s, want %s", times, got, want)
		}
	}
}
