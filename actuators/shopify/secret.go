package shopify

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// secret reads what a reference names: env:NAME, file:PATH or credential:NAME.
// White space around it is no part of it.
func (c Config) secret(ref string) (string, error) {
	how, name, _ := strings.Cut(ref, ":")
	var text string
	var err error
	switch how {
	case "env":
		if text = c.Getenv(name); text == "" {
			err = errors.New("is not in the environment")
		}
	case "file":
		text, err = readSecret(name)
	case "credential":
		dir := c.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			err = errors.New("CREDENTIALS_DIRECTORY is not set")
			break
		}
		text, err = readSecret(filepath.Join(dir, filepath.Base(name)))
	default:
		err = errors.New("want file:PATH, env:NAME or credential:NAME")
	}
	if text = strings.TrimSpace(text); err == nil && text == "" {
		err = errors.New("is empty")
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrReference, err)
	}
	return text, nil
}

// reference is a reference as errors may show it. What is none may be a secret.
func reference(ref string) string {
	for _, how := range []string{"env:", "file:", "credential:"} {
		if strings.HasPrefix(ref, how) {
			return ref
		}
	}
	return "a secret"
}

func readSecret(path string) (string, error) {
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
