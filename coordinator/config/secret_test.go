package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretResolves(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PM_TEST_SECRET", "from env")
	t.Setenv(credentialsDir, dir)
	path := filepath.Join(dir, "redis")
	if err := os.WriteFile(path, []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"env:PM_TEST_SECRET": "from env",
		"file:" + path:       "from file",
		"credential:redis":   "from file",
		"":                   "",
	} {
		s, err := ParseSecret(ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		got, err := s.Resolve()
		if err != nil || got != want {
			t.Errorf("%s resolves to %q, %v; want %q", ref, got, err, want)
		}
		if s.String() != ref || s.IsZero() != (ref == "") {
			t.Errorf("%s shows as %s", ref, s)
		}
	}
	if err := os.WriteFile(path, []byte("rotated"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := ParseSecret("credential:redis")
	if got, err := s.Resolve(); err != nil || got != "rotated" {
		t.Errorf("a rotated secret is not found: %q, %v", got, err)
	}
}

func TestSecretRefusesWhatIsNoReference(t *testing.T) {
	for _, text := range []string{"hunter2", "env:", ":x", "file:relative", "credential:../etc/shadow", "credential:..", "credential:a/b", "vault:x", "https://u:hunter2@h"} {
		_, err := ParseSecret(text)
		if !errors.Is(err, ErrNotReference) {
			t.Errorf("%s: %v", text, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the text: %v", text, err)
		}
	}
}

func TestSecretDoesNotResolve(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PM_TEST_EMPTY", "")
	t.Setenv(credentialsDir, dir)
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, []byte(strings.Repeat("hunter2 ", MaxSecretBytes/8+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"env:PM_TEST_UNSET", "env:PM_TEST_EMPTY", "file:" + dir + "/none", "file:" + dir, "credential:none", "credential:large"} {
		s, err := ParseSecret(ref)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Resolve()
		if !errors.Is(err, ErrUnresolved) || !strings.Contains(err.Error(), ref) {
			t.Errorf("%s: %v does not name the reference", ref, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the secret", ref)
		}
	}
	if err := os.Unsetenv(credentialsDir); err != nil {
		t.Fatal(err)
	}
	s, _ := ParseSecret("credential:none")
	if _, err := s.Resolve(); err == nil || !strings.Contains(err.Error(), "$"+credentialsDir+" is not set") {
		t.Errorf("without systemd: %v", err)
	}
}

func TestSecretInLogsIsTheReference(t *testing.T) {
	t.Setenv("PM_TEST_SECRET", "hunter2")
	s, err := ParseSecret("env:PM_TEST_SECRET")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "password", s)
	fmt.Fprintf(&b, "%v %+v", s, s)
	if strings.Contains(b.String(), "hunter2") || !strings.Contains(b.String(), "password=env:PM_TEST_SECRET") {
		t.Errorf("logged %s", b.String())
	}
}

func TestCheckSecretsNamesTheField(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(credentialsDir, dir)
	if err := os.WriteFile(filepath.Join(dir, "sentinel"), []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	ovh := filepath.Join(dir, "ovh.conf")
	source := edit(t, "file:/etc/pointsman/ovh.conf", "file:"+ovh)
	spec, file, err := ParseSpec("s", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	problems := CheckSecrets(spec)
	if len(problems) != 1 {
		t.Fatalf("problems %v, want one", problems)
	}
	want := `: targets["lb-par"].ovh_iplb.credentials: secret does not resolve: file:` + ovh
	if got := file.Locate(problems[0]); !strings.HasPrefix(got, "s:22:") || !strings.Contains(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if err := os.WriteFile(ovh, []byte("[default]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if problems := CheckSecrets(spec); len(problems) != 0 {
		t.Errorf("problems %v, want none", problems)
	}
}
