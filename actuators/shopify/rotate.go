package shopify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
)

// rotated uses tokens that live for an hour and come with a refresh token, which
// Shopify replaces at every use. The pair is one for the whole cluster:
//
//   - Only the leader replaces it. It writes that it is about to ask into the vault,
//     asks, and uses the new pair only when the vault has it on a majority of disks.
//   - Shopify honours the former refresh token until the new one is used, for thirty
//     days at most (shopify.dev/changelog/more-resilient-refreshes-for-expiring-offline-access-tokens;
//     before that it was an hour). So after a lost answer, a crash, or two leaders at a
//     time, the same token is sent again. The one before is kept too: when two answers
//     were given and the wrong one was kept, it still opens the door.
//   - The vault remembers which refresh token the reference held at first. Another one
//     there means that the app was installed anew: it is taken up by itself.
type rotated struct {
	id, secret string
	seed       func() (string, error)
	from       string // the seed's reference, for people
	target     fsm.TargetID
	vault      actuators.Vault // nil: none
	client     *client
	lock       chan struct{} // holds one: one replacement at a time

	mu      sync.Mutex // guards what follows
	refused string     // an access token that Shopify did not take
	hidden  []string   // the newest tokens, never to be shown
}

// pair is what the vault holds. Until is by the wall clock of the node that asked:
// where another's differs, a token is refused or replaced too early, no more.
type pair struct {
	Seed    string    `json:"seed"` // digest of the refresh token that this chain began with
	Access  string    `json:"access,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Renew   time.Time `json:"renew,omitzero"` // from then on the leader replaces it
	Refresh string    `json:"refresh"`
	Former  string    `json:"former,omitempty"`
}

// hiddenTokens bounds the tokens that are remembered to be hidden.
const hiddenTokens = 12

func (r *rotated) secrets() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{r.secret}, r.hidden...)
}

func (r *rotated) hide(tokens ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range tokens {
		if t != "" && !slices.Contains(r.hidden, t) {
			r.hidden = append(r.hidden, t)
		}
	}
	if over := len(r.hidden) - hiddenTokens; over > 0 {
		r.hidden = r.hidden[over:]
	}
}

func (r *rotated) forget() bool {
	p, _, err := r.load()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = p.Access
	return err == nil
}

// load returns the pair that stands, or the beginning of a chain.
func (r *rotated) load() (p pair, revision uint64, err error) {
	if r.vault == nil {
		return p, 0, errors.New("no vault for tokens that rotate")
	}
	seed, err := r.seed()
	if err != nil {
		return p, 0, err
	}
	sum := sha256.Sum256([]byte(seed))
	first := pair{Seed: hex.EncodeToString(sum[:]), Refresh: seed}
	data, revision, err := r.vault.Load(r.target)
	if err != nil {
		return p, 0, actuators.Permanent(err)
	}
	if len(data) == 0 || json.Unmarshal(data, &p) != nil || p.Seed != first.Seed {
		p = first
	}
	r.hide(p.Access, p.Refresh, p.Former)
	return p, revision, nil
}

// good says whether the access token will be taken, and whether it is still young.
func (r *rotated) good(p pair) (taken, young bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	return p.Access != "" && p.Access != r.refused && p.Until.Sub(now) > minLife, now.Before(p.Renew)
}

func (r *rotated) token(ctx context.Context, early bool) (string, error) {
	p, _, err := r.load()
	if err != nil {
		return "", err
	}
	taken, young := r.good(p)
	if taken && (young || !early) {
		return p.Access, nil
	}
	select {
	case r.lock <- struct{}{}:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { <-r.lock }()
	fresh, err := r.replace(ctx)
	if err != nil && taken { // the old one still does
		return p.Access, nil //nolint:nilerr // asked again at the next read
	}
	return fresh, err
}

// replace asks for another pair, unless somebody else was quicker.
func (r *rotated) replace(ctx context.Context) (string, error) {
	p, revision, err := r.load()
	if err != nil {
		return "", err
	}
	if taken, young := r.good(p); taken && young {
		return p.Access, nil
	}
	// The same pair once more: the entry says that its refresh token may be used from here on.
	if revision, err = r.store(ctx, revision, p); err != nil {
		return "", err
	}
	next, err := r.ask(ctx, p, p.Refresh)
	if errors.Is(err, errSpent) && p.Former != "" {
		next, err = r.ask(ctx, p, p.Former)
	}
	if err != nil {
		return "", err
	}
	r.hide(next.Access, next.Refresh)
	if _, err := r.store(ctx, revision, next); err != nil {
		return "", err // nobody has used it: the former one is asked with again
	}
	return next.Access, nil
}

func (r *rotated) store(ctx context.Context, revision uint64, p pair) (uint64, error) {
	data, err := encode(p)
	if err != nil {
		return 0, err
	}
	next, err := r.vault.Store(ctx, r.target, revision, data)
	if err != nil {
		e := actuators.Explain(fmt.Errorf("replace the access token: %w", err))
		e.After, e.Permanent = vaultDelay, errors.Is(err, actuators.ErrSealed)
		return 0, &e
	}
	return next, nil
}

// errSpent is Shopify's clear refusal of a refresh token.
var errSpent = errors.New("the refresh token was refused")

func (r *rotated) ask(ctx context.Context, p pair, refresh string) (pair, error) {
	began := time.Now().Round(0)
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {r.id}, "client_secret": {r.secret}, "refresh_token": {refresh}}
	g, err := r.client.grant(ctx, form)
	if oauth := new(oauthError); errors.As(err, &oauth) && oauth.code == "invalid_grant" {
		e := actuators.Explain(fmt.Errorf("%w: %w: install the app anew in the shop, and put the refresh token that it gets to %s", errSpent, err, r.from))
		e.Permanent = true
		return pair{}, &e
	}
	if err != nil {
		return pair{}, err
	}
	next := pair{Seed: p.Seed, Access: g.Token, Until: began.Add(g.life), Refresh: refresh, Former: p.Former}
	if g.Refresh != "" && g.Refresh != refresh {
		next.Refresh, next.Former = g.Refresh, refresh
	}
	next.Renew = next.Until.Add(-min(refreshBefore, g.life/4))
	return next, nil
}

// grantAnswer is what the token endpoint gives.
type grantAnswer struct {
	Token   string   `json:"access_token"`
	Refresh string   `json:"refresh_token"`
	Seconds *float64 `json:"expires_in"`
	life    time.Duration
}

// grant asks the token endpoint. It changes no metafield, whatever becomes of it.
func (c *client) grant(ctx context.Context, form url.Values) (g grantAnswer, err error) {
	a, err := c.wire.Send(ctx, wire.Call{
		Method: http.MethodPost, Path: "/admin/oauth/access_token", Body: form.Encode(), ReadOnly: true,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	})
	if err != nil {
		return g, fmt.Errorf("get an access token: %w", err)
	}
	if !a.OK() {
		return g, c.ungranted(a)
	}
	_ = json.Unmarshal(a.Body, &g) // what is not as described is missing
	if g.Token == "" || len(g.Token) > MaxToken || len(g.Refresh) > MaxToken || checkToken(g.Token) != nil {
		e := actuators.Explain(fmt.Errorf("get an access token: none is given: %w", wire.ErrAnswer))
		e.Requests = nonempty(c.quote(a.ID))
		return g, &e
	}
	g.life = tokenLife
	if g.Seconds != nil {
		g.life = min(time.Duration(max(0, *g.Seconds))*time.Second, 48*time.Hour)
	}
	return g, nil
}

// oauthError is the endpoint's own code.
type oauthError struct {
	code  string
	cause error
}

func (e *oauthError) Error() string { return e.cause.Error() }

func (e *oauthError) Unwrap() error { return e.cause }
