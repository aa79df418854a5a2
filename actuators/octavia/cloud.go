package octavia

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pointsman/pointsman/actuators/wire"
)

// cloud is what a clouds.yaml, or the variables of an openrc file, say of one cloud.
type cloud struct {
	auth     map[string]string // by the names that stand below auth
	region   string
	face     string // interface of the endpoint
	endpoint string // instead of the catalogue's; empty: that
	tls      *tls.Config
}

// authWords are what may stand below auth, of that which is used here.
func authWords() []string {
	return []string{
		"auth_url", "username", "user_id", "password", "user_domain_id", "user_domain_name", "project_id", "project_name",
		"project_domain_id", "project_domain_name", "application_credential_id", "application_credential_secret",
	}
}

// resolve reads the credentials that a reference names:
//
//	file:PATH, credential:NAME  a clouds.yaml
//	env:NAME                    the same text in a variable; if that is not set, the
//	                            variables NAME_AUTH_URL, NAME_USERNAME, ... (env:OS
//	                            are those of an openrc file)
func (c Config) resolve(reference, name string) (cloud, error) {
	prefix, isEnv := strings.CutPrefix(reference, "env:")
	if isEnv && wire.IsReference(reference) && c.Getenv(prefix) == "" {
		out, err := c.fromVariables(prefix)
		if err != nil {
			return cloud{}, fmt.Errorf("%s: %w", reference, err)
		}
		return out, nil
	}
	text, err := wire.Secret(reference, c.Getenv)
	if err != nil {
		return cloud{}, err
	}
	out, err := parseClouds([]byte(text), name)
	if err != nil {
		return cloud{}, fmt.Errorf("%s: %w", reference, err)
	}
	return out, nil
}

func (c Config) fromVariables(prefix string) (cloud, error) {
	out := cloud{auth: map[string]string{}}
	for _, word := range authWords() {
		out.auth[word] = c.Getenv(prefix + "_" + strings.ToUpper(word))
	}
	if out.auth["auth_url"] == "" {
		return out, fmt.Errorf("neither %s nor %s_AUTH_URL is set: %w", prefix, prefix, wire.ErrReference)
	}
	out.region, out.face = c.Getenv(prefix+"_REGION_NAME"), c.Getenv(prefix+"_INTERFACE")
	return out.complete(c.Getenv(prefix+"_CACERT"), true)
}

// parseClouds reads one cloud of a clouds.yaml. The parser's errors are not
// quoted: they hold parts of the text.
func parseClouds(text []byte, name string) (cloud, error) {
	var file struct {
		Clouds map[string]struct {
			Auth      map[string]yaml.Node `yaml:"auth"`
			Region    string               `yaml:"region_name"`
			Interface string               `yaml:"interface"`
			CA        string               `yaml:"cacert"`
			Verify    *bool                `yaml:"verify"`
		} `yaml:"clouds"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return cloud{}, fmt.Errorf("not a clouds.yaml: %w", ErrCredentials)
	}
	names := slices.Sorted(maps.Keys(file.Clouds))
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	found, ok := file.Clouds[name]
	if !ok {
		return cloud{}, fmt.Errorf("holds the clouds %q, want %q: %w", names, name, ErrCredentials)
	}
	out := cloud{auth: map[string]string{}, region: found.Region, face: found.Interface}
	for _, word := range authWords() {
		if node, ok := found.Auth[word]; ok && node.Kind == yaml.ScalarNode && node.Tag != "!!null" {
			out.auth[word] = node.Value // as it is written: 0123 is no number here
		}
	}
	out, err := out.complete(found.CA, found.Verify == nil || *found.Verify)
	if err != nil {
		return out, fmt.Errorf("cloud %s: %w", name, err)
	}
	return out, nil
}

// complete wants one way to log in, and all of it.
func (c cloud) complete(ca string, verify bool) (cloud, error) {
	var problems []error
	need := func(words ...string) {
		for _, word := range words {
			if c.auth[word] == "" {
				problems = append(problems, fmt.Errorf("no %s: %w", word, ErrCredentials))
			}
		}
	}
	if why := checkURL(c.auth["auth_url"]); why != "" {
		problems = append(problems, fmt.Errorf("auth_url: %s: %w", why, ErrCredentials))
	}
	if c.auth["application_credential_id"] != "" || c.auth["application_credential_secret"] != "" {
		need("application_credential_id", "application_credential_secret")
	} else {
		need("password")
		if c.auth["username"] == "" && c.auth["user_id"] == "" {
			problems = append(problems, fmt.Errorf("neither username nor application_credential_id: %w", ErrCredentials))
		}
		if c.auth["project_id"] == "" && c.auth["project_name"] == "" {
			problems = append(problems, fmt.Errorf("neither project_id nor project_name: %w", ErrCredentials))
		}
	}
	if !verify {
		problems = append(problems, fmt.Errorf("verify: false is not supported, name the authority with cacert: %w", ErrCredentials))
	}
	if c.face == "" {
		c.face = "public"
	}
	c.face = strings.TrimSuffix(c.face, "URL") // publicURL is the older spelling
	if ca != "" {
		roots, err := readRoots(ca)
		problems = append(problems, err)
		c.tls = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return c, errors.Join(problems...)
}

func readRoots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cacert: %w: %w", err, ErrCredentials)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cacert %s: holds no certificate: %w", path, ErrCredentials)
	}
	return roots, nil
}

// secrets lists what must never be shown.
func (c cloud) secrets() []string {
	return []string{c.auth["password"], c.auth["application_credential_secret"]}
}

// tokensURL is where tokens are made.
func (c cloud) tokensURL() string {
	base := strings.TrimRight(c.auth["auth_url"], "/")
	if !strings.HasSuffix(base, "/v3") {
		base = strings.TrimSuffix(base, "/v2.0") + "/v3"
	}
	return base + "/auth/tokens"
}

// login is the body that asks for a token.
func (c cloud) login() any {
	type object = map[string]any
	if id := c.auth["application_credential_id"]; id != "" {
		return object{"auth": object{"identity": object{
			"methods":                []string{"application_credential"},
			"application_credential": object{"id": id, "secret": c.auth["application_credential_secret"]},
		}}}
	}
	domain := func(of string) object {
		if id := c.auth[of+"_domain_id"]; id != "" {
			return object{"id": id}
		}
		if name := c.auth[of+"_domain_name"]; name != "" {
			return object{"name": name}
		}
		return object{"id": "default"}
	}
	user := object{"password": c.auth["password"]}
	if id := c.auth["user_id"]; id != "" {
		user["id"] = id
	} else {
		user["name"], user["domain"] = c.auth["username"], domain("user")
	}
	project := object{"id": c.auth["project_id"]}
	if c.auth["project_id"] == "" {
		project = object{"name": c.auth["project_name"], "domain": domain("project")}
	}
	return object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": user}},
		"scope":    object{"project": project},
	}}
}
