package ovhapi

import (
	"context"
	"crypto/sha1" //nolint:gosec // OVH's signature is SHA-1
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// login signs requests. Its methods may be called concurrently.
type login interface {
	// sign adds what proves whose request it is. It may ask the provider first, under ctx.
	sign(ctx context.Context, r *http.Request, body []byte) error
	// stale reports whether a refusal means that what sign keeps is out of date.
	stale(e *APIError) bool
	// forget drops it.
	forget()
}

// newLogin picks the way that the credentials call for.
func newLogin(c Credentials, base string, client *Client) (login, error) {
	switch {
	case c.AccessToken != "":
		return bearer(c.AccessToken), nil
	case c.ClientID != "":
		// No token URL is known for a custom endpoint; go-ovh refuses it too.
		tokens := map[string]string{
			"https://eu.api.ovh.com/1.0":      "https://www.ovh.com/auth/oauth2/token",
			"https://ca.api.ovh.com/1.0":      "https://ca.ovh.com/auth/oauth2/token",
			"https://api.us.ovhcloud.com/1.0": "https://us.ovhcloud.com/auth/oauth2/token",
		}
		url, ok := tokens[base]
		if !ok {
			return nil, fmt.Errorf("endpoint %s has no known token URL for client_id: %w", base, ErrCredentials)
		}
		return newTokens(c, url, client), nil
	}
	return newSignature(c, client), nil
}

// signature is OVH's own scheme: SHA-1 over secret, keys, request and time.
type signature struct {
	Credentials
	client *Client
	lock   chan struct{} // holds one; a channel, so that who waits for the clock can leave with its context
	clock  *clock        // nil: not known; guarded by lock
}

// clock is the provider's time at a moment of ours. The span since then is
// monotonic, so a step of this machine's clock does no harm; go-ovh keeps a
// difference of wall clocks for the client's life.
type clock struct {
	theirs time.Time
	ours   time.Time
}

func newSignature(c Credentials, client *Client) *signature {
	return &signature{Credentials: c, client: client, lock: make(chan struct{}, 1)}
}

func (s *signature) sign(ctx context.Context, r *http.Request, body []byte) error {
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	at := strconv.FormatInt(now.Unix(), 10)
	r.Header.Set("X-Ovh-Application", s.ApplicationKey)
	r.Header.Set("X-Ovh-Consumer", s.ConsumerKey)
	r.Header.Set("X-Ovh-Timestamp", at)
	parts := []string{s.ApplicationSecret, s.ConsumerKey, r.Method, r.URL.String(), string(body), at}
	sum := sha1.Sum([]byte(strings.Join(parts, "+"))) //nolint:gosec // as above
	r.Header.Set("X-Ovh-Signature", "$1$"+hex.EncodeToString(sum[:]))
	return nil
}

// now asks the provider for its time once. go-ovh does so without the caller's
// context, with a limit of 180 s.
func (s *signature) now(ctx context.Context) (time.Time, error) {
	select {
	case s.lock <- struct{}{}:
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
	defer func() { <-s.lock }()
	if s.clock == nil {
		var seconds int64
		asked := time.Now()
		if _, err := s.client.once(ctx, Call{Method: http.MethodGet, Path: "/auth/time", Out: &seconds, open: true}); err != nil {
			return time.Time{}, fmt.Errorf("ask for the provider's time: %w", err)
		}
		s.clock = &clock{theirs: time.Unix(seconds, 0), ours: asked}
	}
	return s.clock.theirs.Add(time.Since(s.clock.ours)), nil
}

func (s *signature) stale(e *APIError) bool {
	return e.code == "QUERY_TIME_OUT" || strings.Contains(strings.ToLower(e.message), "out of time")
}

func (s *signature) forget() {
	s.lock <- struct{}{}
	s.clock = nil
	<-s.lock
}

// bearer is a token given in the credentials.
type bearer string

func (b bearer) sign(_ context.Context, r *http.Request, _ []byte) error {
	r.Header.Set("Authorization", "Bearer "+string(b))
	return nil
}

func (bearer) stale(*APIError) bool { return false }

func (bearer) forget() {}

// tokens gets short-lived tokens for an OAuth2 client.
type tokens struct {
	config clientcredentials.Config
	client *Client
	lock   chan struct{} // holds one
	token  *oauth2.Token // guarded by lock
}

func newTokens(c Credentials, url string, client *Client) *tokens {
	return &tokens{
		config: clientcredentials.Config{ClientID: c.ClientID, ClientSecret: c.ClientSecret, TokenURL: url, Scopes: []string{"all"}},
		client: client, lock: make(chan struct{}, 1),
	}
}

func (t *tokens) sign(ctx context.Context, r *http.Request, _ []byte) error {
	select {
	case t.lock <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t.lock }()
	if !t.token.Valid() {
		if err := t.client.pace(ctx); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, t.client.http), RequestTimeout)
		defer cancel()
		token, err := t.config.Token(ctx)
		if err != nil {
			return fmt.Errorf("get an access token: %s", t.client.quote(err.Error()))
		}
		t.token = token
	}
	t.token.SetAuthHeader(r)
	return nil
}

func (*tokens) stale(e *APIError) bool { return e.Status == http.StatusUnauthorized }

func (t *tokens) forget() {
	t.lock <- struct{}{}
	t.token = nil
	<-t.lock
}
