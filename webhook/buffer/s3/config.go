package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer"
)

// Bounds of the connection to a store.
const (
	dialWithin   = 5 * time.Second
	tlsWithin    = 5 * time.Second
	answerWithin = 30 * time.Second // from the last byte of a request to the first of its answer
	idleFor      = 30 * time.Second
	maxConns     = 256
	maxHeader    = 64 << 10
	maxErrorBody = 64 << 10 // bytes of an answer that is no object and no list
	maxListBody  = 8 << 20  // 1000 keys of which each letter is escaped
)

// Config says where a bucket is and who asks.
type Config struct {
	// Endpoint is the store's address: https://HOST[:PORT], or http:// inside of
	// a network that is trusted with the bodies.
	Endpoint string
	// Region is what requests are signed for; empty: us-east-1, which stores
	// without regions take.
	Region string
	Bucket string
	// Prefix begins all keys; empty, or ending in a slash.
	Prefix string
	// PathStyle puts the bucket's name before the key, not before the host.
	PathStyle bool

	// AccessKey, SecretKey and SessionToken (may be empty) are references to
	// secrets, which Resolve reads. They are read anew every 30 s, and after the
	// store refused them.
	AccessKey, SecretKey, SessionToken string
	Resolve                            func(reference string) (string, error)

	// CA are PEM certificates that the store's own has to lead to; empty: the
	// machine's.
	CA []byte
	// Dial connects; nil: as the machine does, through the environment's proxy.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// ErrConfig is returned by Open for a configuration that cannot work.
var ErrConfig = errors.New("bucket is not configured")

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	regionName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
)

// Validate finds what is wrong. Its errors are ErrConfig and hold no secret.
func (c Config) Validate() error {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.TrimSuffix(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%w: endpoint must be https://HOST[:PORT]", ErrConfig)
	case !bucketName.MatchString(c.Bucket):
		return fmt.Errorf("%w: bucket %.80q is no name of one", ErrConfig, c.Bucket)
	case c.Region != "" && !regionName.MatchString(c.Region):
		return fmt.Errorf("%w: region %.80q is no name of one", ErrConfig, c.Region)
	case c.Prefix != "" && (!strings.HasSuffix(c.Prefix, "/") || buffer.ValidKey(strings.TrimSuffix(c.Prefix, "/")) != nil || len(c.Prefix) > maxPrefix):
		return fmt.Errorf("%w: prefix %.80q must be parts of letters, digits, dots, dashes and underscores, each ended by a slash, of %d bytes at most", ErrConfig, c.Prefix, maxPrefix)
	case c.AccessKey == "" || c.SecretKey == "" || c.Resolve == nil:
		return fmt.Errorf("%w: access_key and secret_key must be references", ErrConfig)
	case !c.PathStyle && net.ParseIP(u.Hostname()) != nil:
		return fmt.Errorf("%w: endpoint %s is an address, so the bucket's name cannot stand before it: set path_style", ErrConfig, u.Host)
	}
	return nil
}

// maxPrefix leaves room for the longest key within the 1024 bytes of S3.
const maxPrefix = 256

// Open makes a store of a configuration. It asks the store nothing.
func Open(c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	base, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("%w: endpoint: %w", ErrConfig, err)
	}
	base.Path = "/" + c.Bucket
	if !c.PathStyle {
		base.Host, base.Path = c.Bucket+"."+base.Host, ""
	}
	trust, err := c.trust()
	if err != nil {
		return nil, err
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	s := &Store{config: c, base: *base, client: client(trust, c.Dial)}
	_, err = s.keys.now(c)
	return s, err
}

func (c Config) trust() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(c.CA) > 0 {
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, fmt.Errorf("%w: ca holds no certificate", ErrConfig)
		}
	}
	return t, nil
}

// client speaks HTTP/1.1, where one slow answer holds up no other.
func client(trust *tls.Config, dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	proxy := http.ProxyFromEnvironment
	if dial != nil {
		proxy = nil
	} else {
		dial = (&net.Dialer{Timeout: dialWithin, KeepAlive: idleFor}).DialContext
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  proxy,
			DialContext:            dial,
			TLSClientConfig:        trust,
			TLSHandshakeTimeout:    tlsWithin,
			TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
			ResponseHeaderTimeout:  answerWithin,
			IdleConnTimeout:        idleFor,
			MaxIdleConns:           maxConns,
			MaxIdleConnsPerHost:    maxConns,
			MaxConnsPerHost:        maxConns,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true,
		},
	}
}
