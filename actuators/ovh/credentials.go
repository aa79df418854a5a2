package ovh

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ovh/go-ovh/ovh"
	"gopkg.in/ini.v1"
)

// credentials are one of the three ways to log in that OVH's clients know.
type credentials struct {
	ApplicationKey, ApplicationSecret, ConsumerKey string
	ClientID, ClientSecret                         string
	AccessToken                                    string
}

// fields lists name and value in OVH's own spelling.
func (c *credentials) fields() map[string]*string {
	return map[string]*string{
		"application_key": &c.ApplicationKey, "application_secret": &c.ApplicationSecret, "consumer_key": &c.ConsumerKey,
		"client_id": &c.ClientID, "client_secret": &c.ClientSecret, "access_token": &c.AccessToken,
	}
}

// resolve reads the credentials that a reference names, for one endpoint:
//
//	file:PATH, credential:NAME  an ovh.conf; its section named like the endpoint counts
//	env:NAME                    the same text in a variable; if that is not set, the
//	                            variables NAME_APPLICATION_KEY, NAME_CONSUMER_KEY, ...
//	                            (env:OVH are those of OVH's own clients)
//
// The parser and the format are go-ovh's. Its loader is not used: it reads
// fixed paths only, and mixes variables of the environment into them, so two
// targets with keys of their own could not be told apart.
func (c Config) resolve(reference, endpoint string) (credentials, error) {
	how, name, _ := strings.Cut(reference, ":")
	var text []byte
	var err error
	switch how {
	case "file":
		text, err = readSecret(name)
	case "credential":
		dir := c.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return credentials{}, fmt.Errorf("%s: CREDENTIALS_DIRECTORY is not set: %w", reference, ErrReference)
		}
		text, err = readSecret(filepath.Join(dir, filepath.Base(name)))
	case "env":
		value := c.Getenv(name)
		if value == "" {
			return c.fromVariables(reference, name)
		}
		text = []byte(value)
	default:
		// What stands there may be a key: not quoted.
		return credentials{}, fmt.Errorf("want file:PATH, env:NAME or credential:NAME: %w", ErrReference)
	}
	if err != nil {
		return credentials{}, fmt.Errorf("%s: %w: %w", reference, err, ErrReference)
	}
	return parseConf(text, reference, endpoint)
}

func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxCredentials+1))
	if err == nil && len(text) > MaxCredentials {
		err = fmt.Errorf("more than %d bytes", MaxCredentials)
	}
	return text, err
}

func (c Config) fromVariables(reference, prefix string) (credentials, error) {
	var out credentials
	found := false
	for name, field := range out.fields() {
		*field = c.Getenv(prefix + "_" + strings.ToUpper(name))
		found = found || *field != ""
	}
	if !found {
		return out, fmt.Errorf("%s: neither %s nor %s_APPLICATION_KEY is set: %w", reference, prefix, prefix, ErrReference)
	}
	if err := out.check(); err != nil {
		return out, fmt.Errorf("%s: %w", reference, err)
	}
	return out, nil
}

func parseConf(text []byte, reference, endpoint string) (credentials, error) {
	var out credentials
	conf, err := ini.Load(text)
	if err != nil { // the parser's error quotes the line, which may hold a key
		return out, fmt.Errorf("%s: not an ini file: %w", reference, ErrCredentials)
	}
	if !conf.HasSection(endpoint) {
		return out, fmt.Errorf("%s: no section [%s]: %w", reference, endpoint, ErrCredentials)
	}
	section := conf.Section(endpoint)
	for name, field := range out.fields() {
		if section.HasKey(name) {
			*field = section.Key(name).String()
		}
	}
	if err := out.check(); err != nil {
		return out, fmt.Errorf("%s, section [%s]: %w", reference, endpoint, err)
	}
	return out, nil
}

// check wants exactly one way to log in, and all of it.
func (c credentials) check() error {
	ways := 0
	var problems []error
	if c.ApplicationKey != "" || c.ApplicationSecret != "" || c.ConsumerKey != "" {
		ways++
		for name, value := range map[string]string{
			"application_key": c.ApplicationKey, "application_secret": c.ApplicationSecret, "consumer_key": c.ConsumerKey,
		} {
			if value == "" {
				problems = append(problems, fmt.Errorf("no %s: %w", name, ErrCredentials))
			}
		}
	}
	if c.ClientID != "" || c.ClientSecret != "" {
		ways++
		if c.ClientID == "" || c.ClientSecret == "" {
			problems = append(problems, fmt.Errorf("client_id and client_secret belong together: %w", ErrCredentials))
		}
	}
	if c.AccessToken != "" {
		ways++
	}
	if ways != 1 {
		problems = append(problems, fmt.Errorf("want one of application_key, client_id and access_token, found %d: %w", ways, ErrCredentials))
	}
	return errors.Join(problems...)
}

// secrets lists what must never be shown. Client and application keys are not
// secret at OVH, but nobody needs them in a log either.
func (c credentials) secrets() []string {
	var out []string
	for _, field := range c.fields() {
		if *field != "" {
			out = append(out, *field)
		}
	}
	return out
}

// baseURL turns an endpoint's name into its URL, as OVH's own clients know them.
func baseURL(endpoint string) (string, bool) {
	if strings.Contains(endpoint, "/") {
		return endpoint, true
	}
	url, ok := ovh.Endpoints[endpoint]
	return url, ok
}
