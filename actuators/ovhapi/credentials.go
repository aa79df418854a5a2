package ovhapi

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ovh/go-ovh/ovh"
	"gopkg.in/ini.v1"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// Credentials are one of the three ways to log in that OVH's clients know.
type Credentials struct {
	ApplicationKey, ApplicationSecret, ConsumerKey string
	ClientID, ClientSecret                         string
	AccessToken                                    string
}

// fields lists name and value in OVH's own spelling.
func (c *Credentials) fields() map[string]*string {
	return map[string]*string{
		"application_key": &c.ApplicationKey, "application_secret": &c.ApplicationSecret, "consumer_key": &c.ConsumerKey,
		"client_id": &c.ClientID, "client_secret": &c.ClientSecret, "access_token": &c.AccessToken,
	}
}

// Resolve reads the credentials that a reference names, for one endpoint:
//
//	file:PATH, credential:NAME  an ovh.conf; its section named like the endpoint counts
//	env:NAME                    the same text in a variable; if that is not set, the
//	                            variables NAME_APPLICATION_KEY, NAME_CONSUMER_KEY, ...
//	                            (env:OVH are those of OVH's own clients)
//
// The parser and the format are go-ovh's. Its loader is not used: it reads
// fixed paths only, and mixes variables of the environment into them, so two
// targets with keys of their own could not be told apart.
func (c Config) Resolve(reference, endpoint string) (Credentials, error) {
	c = c.withDefaults()
	how, name, _ := strings.Cut(reference, ":")
	var text []byte
	var err error
	switch how {
	case "file":
		text, err = readSecret(name)
	case "credential":
		dir := c.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return Credentials{}, fmt.Errorf("%s: CREDENTIALS_DIRECTORY is not set: %w", reference, ErrReference)
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
		return Credentials{}, fmt.Errorf("want file:PATH, env:NAME or credential:NAME: %w", ErrReference)
	}
	if err != nil {
		return Credentials{}, fmt.Errorf("%s: %w: %w", reference, err, ErrReference)
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

func (c Config) fromVariables(reference, prefix string) (Credentials, error) {
	var out Credentials
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

func parseConf(text []byte, reference, endpoint string) (Credentials, error) {
	var out Credentials
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
func (c Credentials) check() error {
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
func (c Credentials) secrets() []string {
	var out []string
	for _, field := range c.fields() {
		if *field != "" {
			out = append(out, *field)
		}
	}
	return out
}

// BaseURL turns an endpoint's name into its URL, as OVH's own clients know them.
func BaseURL(endpoint string) (string, bool) {
	if strings.Contains(endpoint, "/") {
		return endpoint, true
	}
	base, ok := ovh.Endpoints[endpoint]
	return base, ok
}

// CheckAccess finds what is wrong with the fields endpoint and credentials of a
// target's message.
func CheckAccess(endpoint, credentials string) (problems []actuators.Problem) {
	add := func(path, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if base, ok := BaseURL(endpoint); !ok {
		add("endpoint", "neither a region of OVH, such as ovh-eu, nor a URL") // not quoted: a password may stand in it
	} else if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		add("endpoint", "not an http(s) URL")
	} else if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		add("endpoint", "a URL without user, query and fragment is wanted")
	}
	if !wire.IsReference(credentials) {
		add("credentials", "want file:/PATH, env:NAME or credential:NAME") // what stands there may be a key: not quoted
	}
	return problems
}

// Open makes a client for what a target's message says of its access.
func (c Config) Open(endpoint, reference string, budget actuators.Budget) (*Client, error) {
	base, ok := BaseURL(endpoint)
	if !ok {
		return nil, errors.New("endpoint: neither a region of OVH nor a URL")
	}
	creds, err := c.Resolve(reference, endpoint)
	if err != nil {
		return nil, err
	}
	return New(c, base, creds, budget)
}
