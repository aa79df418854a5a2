package ovhapi

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ovh.conf")
	text := "[default]\nendpoint = ovh-ca\n[ovh-eu]\napplication_key = canary-ak\napplication_secret=canary-as\nconsumer_key=canary-ck\n" +
		"[ovh-us]\naccess_token=canary-token\n[http://127.0.0.1:7900/1.0]\nclient_id=canary-id\nclient_secret=canary-secret\n" +
		"[ovh-ca]\napplication_key=canary-ak\n[kimsufi-eu]\naccess_token=canary-token\nclient_id=canary-id\n[soyoustart-eu]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.conf")
	if err := os.WriteFile(broken, []byte("[ovh-eu]\ncanary-alone-on-a-line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large.conf")
	if err := os.WriteFile(large, make([]byte, MaxCredentials+1), 0o600); err != nil {
		t.Fatal(err)
	}
	signed := Credentials{ApplicationKey: "canary-ak", ApplicationSecret: "canary-as", ConsumerKey: "canary-ck"}
	env := map[string]string{
		"CONF": text, "CREDENTIALS_DIRECTORY": dir,
		"OVH_APPLICATION_KEY": "canary-ak", "OVH_APPLICATION_SECRET": "canary-as", "OVH_CONSUMER_KEY": "canary-ck",
		"HALF_APPLICATION_KEY": "canary-ak",
	}
	for _, c := range []struct {
		reference, endpoint string
		want                Credentials
		err                 error
	}{
		{"file:" + path, "ovh-eu", signed, nil},
		{"file:" + path, "ovh-us", Credentials{AccessToken: "canary-token"}, nil},
		{"file:" + path, "http://127.0.0.1:7900/1.0", Credentials{ClientID: "canary-id", ClientSecret: "canary-secret"}, nil},
		{"credential:ovh.conf", "ovh-eu", signed, nil},
		{"env:CONF", "ovh-eu", signed, nil},
		{"env:OVH", "ovh-eu", signed, nil},
		{"file:" + path, "ovh-ca", Credentials{}, ErrCredentials},        // parts are missing
		{"file:" + path, "kimsufi-eu", Credentials{}, ErrCredentials},    // two ways, one half
		{"file:" + path, "soyoustart-eu", Credentials{}, ErrCredentials}, // none
		{"file:" + path, "kimsufi-ca", Credentials{}, ErrCredentials},    // no section
		{"file:" + broken, "ovh-eu", Credentials{}, ErrCredentials},
		{"file:" + large, "ovh-eu", Credentials{}, ErrReference},
		{"file:" + path + ".not", "ovh-eu", Credentials{}, ErrReference},
		{"credential:other", "ovh-eu", Credentials{}, ErrReference},
		{"env:HALF", "ovh-eu", Credentials{}, ErrCredentials},
		{"env:NOTHING", "ovh-eu", Credentials{}, ErrReference},
		{"canary-plain", "ovh-eu", Credentials{}, ErrReference},
	} {
		config := Config{Getenv: func(name string) string { return env[name] }}.withDefaults()
		got, err := config.Resolve(c.reference, c.endpoint)
		if !errors.Is(err, c.err) || err == nil && got != c.want {
			t.Errorf("%s for %s: %+v, %v; want %v", c.reference, c.endpoint, got, err, c.err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("a secret shows in %q", err)
		}
	}
}
