package shopify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// login knows the token that requests carry. Its methods may be called
// concurrently.
type login interface {
	// token gives one, and may ask Shopify for it under ctx; early: also when
	// the one that is there still has a while to live.
	token(ctx context.Context, early bool) (string, error)
	// forget drops a token that was refused; false when another cannot be got.
	forget() bool
	// secrets are what must never be shown.
	secrets() []string
}

// login picks the way that the target calls for.
func (k *Kind) login(target fsm.TargetID, t *pb.ShopifyTarget, client *client) (login, error) {
	c := k.config
	if refresh := t.GetRefresh(); refresh != nil {
		return k.rotated(target, refresh, client)
	}
	grant := t.GetClientCredentials()
	if grant == nil {
		text, err := wire.Secret(t.GetToken(), c.Getenv)
		if err != nil {
			return nil, err
		}
		if err := checkToken(text); err != nil {
			return nil, fmt.Errorf("%s: %w", t.GetToken(), err)
		}
		return static(text), nil
	}
	text, err := wire.Secret(grant.GetClientSecret(), c.Getenv)
	if err != nil {
		return nil, err
	}
	return &granted{id: grant.GetClientId(), secret: text, client: client, lock: make(chan struct{}, 1)}, nil
}

func (k *Kind) rotated(target fsm.TargetID, t *pb.ShopifyRefresh, client *client) (login, error) {
	text, err := wire.Secret(t.GetClientSecret(), k.config.Getenv)
	if err != nil {
		return nil, err
	}
	r := &rotated{
		id: t.GetClientId(), secret: text, target: target, vault: k.vault, client: client, from: t.GetRefreshToken(), lock: make(chan struct{}, 1),
		seed: func() (string, error) { return wire.Secret(t.GetRefreshToken(), k.config.Getenv) },
	}
	seed, err := r.seed()
	if err != nil {
		return nil, err
	}
	r.hide(seed)
	return r, nil
}

// checkToken refuses what cannot be an access token, by its form alone. The
// text is never quoted.
func checkToken(text string) error {
	switch {
	case strings.Contains(text, "://") || strings.ContainsAny(text, ":@"):
		return fmt.Errorf("%s: %w", privateApp, ErrToken)
	case strings.HasPrefix(text, "shppa_"):
		return fmt.Errorf("the password of a private app; %s: %w", privateApp, ErrToken)
	case strings.HasPrefix(text, "shpss_"):
		return fmt.Errorf("an app's client secret: name it as client_credentials.client_secret, with the client id: %w", ErrToken)
	case strings.HasPrefix(text, "shprt_"):
		return fmt.Errorf("a refresh token: name it as refresh.refresh_token, with the client id and secret: %w", ErrToken)
	}
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("holds spaces or signs that no header may: %w", ErrToken)
		}
	}
	return nil
}

// static is a token given by the user.
type static string

func (s static) token(context.Context, bool) (string, error) { return string(s), nil }

func (static) forget() bool { return false }

func (s static) secrets() []string { return []string{string(s)} }

// granted gets tokens for an app's client id and secret. A token lives for a
// day, any node may ask for one of its own, and asking does no harm to those of
// the others: that is why nothing of it stands in the log.
type granted struct {
	id, secret string
	client     *client
	lock       chan struct{} // holds one; a channel, so that who waits can leave with its context

	mu      sync.Mutex // guards what follows
	current string
	renew   time.Time // from then on a read gets another one
	until   time.Time // with its monotonic part, as renew
	past    string    // the one before, to be hidden too
}

func (g *granted) secrets() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return []string{g.secret, g.current, g.past}
}

func (g *granted) forget() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = time.Time{}
	return true
}

// good is the token, whether it will be taken, and whether it is still young.
func (g *granted) good() (token string, taken, young bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current, time.Until(g.until) > minLife, time.Now().Before(g.renew)
}

func (g *granted) token(ctx context.Context, early bool) (string, error) {
	if t, taken, young := g.good(); taken && (young || !early) {
		return t, nil
	}
	select {
	case g.lock <- struct{}{}:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { <-g.lock }()
	t, taken, young := g.good()
	if taken && (young || !early) {
		return t, nil // somebody else was quicker
	}
	fresh, err := g.ask(ctx)
	if err != nil && taken { // the old one still does
		return t, nil //nolint:nilerr // asked again at the next read
	}
	return fresh, err
}

func (g *granted) ask(ctx context.Context) (string, error) {
	began := time.Now()
	given, err := g.client.grant(ctx, url.Values{"grant_type": {"client_credentials"}, "client_id": {g.id}, "client_secret": {g.secret}})
	if err != nil {
		return "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.past, g.current, g.until = g.current, given.Token, began.Add(given.life)
	g.renew = g.until.Add(-min(refreshBefore, given.life/4))
	return given.Token, nil
}

// ungranted explains a refusal of the token endpoint. Nothing was changed at the
// shop, whatever it says.
func (c *client) ungranted(a *wire.Answer) error {
	var oauth struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(a.Body, &oauth) // a page of HTML says nothing that we quote
	text := c.quote(strings.TrimSpace(oauth.Error + " " + oauth.Description))
	out := &actuators.Error{
		Err: &statusError{call: "get an access token", status: a.Status, message: text}, After: retryAfter(a.Header), Requests: nonempty(c.quote(a.ID)),
	}
	switch status := a.Status; {
	case status == http.StatusTooManyRequests:
		out.After = max(out.After, throttledDelay)
	case status == http.StatusPaymentRequired, status == http.StatusLocked:
		out.After = max(out.After, FrozenDelay)
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && oauth.Error != "":
		out.Permanent = true
		out.Err = &oauthError{code: oauth.Error, cause: fmt.Errorf("%w (client id or secret are wrong, or the app is not installed in this shop)", out.Err)}
	}
	return out
}
