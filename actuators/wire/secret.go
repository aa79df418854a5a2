package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// IsReference reports whether text names a secret: env:NAME, file:/PATH or
// credential:NAME. What is none may be a secret written out: do not quote it.
func IsReference(text string) bool {
	return regexp.MustCompile(`^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+|credential:[A-Za-z0-9._-]+)$`).MatchString(text)
}

// Secret reads what a reference names, anew at each call; getenv is os.Getenv
// but in tests. White space around it is cut. ErrReference for what is not
// there, empty or larger than MaxSecret.
func Secret(reference string, getenv func(string) string) (string, error) {
	if !IsReference(reference) {
		return "", fmt.Errorf("want env:NAME, file:PATH or credential:NAME: %w", ErrReference)
	}
	value, err := readReference(reference, getenv)
	if err == nil && strings.TrimSpace(value) == "" {
		err = errors.New("is empty")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w", reference, err, ErrReference)
	}
	return strings.TrimSpace(value), nil
}

func readReference(reference string, getenv func(string) string) (string, error) {
	how, name, _ := strings.Cut(reference, ":")
	switch how {
	case "env":
		return getenv(name), nil
	case "credential": // set by systemd for units with LoadCredential=
		dir := getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", errors.New("CREDENTIALS_DIRECTORY is not set")
		}
		return readFile(filepath.Join(dir, filepath.Base(name)))
	}
	return readFile(name)
}

func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSecret+1))
	if err == nil && len(text) > MaxSecret {
		err = fmt.Errorf("more than %d bytes", MaxSecret)
	}
	return string(text), err
}
