package octavia

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// session is a token and where it is good for.
type session struct {
	token    string
	base     string      // URL of Octavia's /lbaas
	second   bool        // the one before was refused without an answer
	made     time.Time   // before it was asked for
	renew    time.Time   // by our monotonic clock, as the one above
	answered atomic.Bool // with anything but 401
	user     string      // id; empty: not told
	roles    []string    // in the project; nil: not told
}

// refusedForGood reports what a refusal of the token means: it cannot have
// expired, nothing was answered under it, nor under the one before. Another one
// would be refused too.
func (s *session) refusedForGood() bool {
	return s.second && !s.answered.Load() && time.Since(s.made) < MaxFresh
}

// login makes sessions. One is made at a time: Keystone allows some 60 tokens
// a minute and user, and every user of the account counts.
type login struct {
	cloud cloud
	http  *wire.Client
	lock  chan struct{} // holds one; a channel, so that who waits can leave with its context
	now   *session      // nil: none; guarded by lock, as the next
	bad   bool          // the last one was refused without an answer
}

// session gives the one there is, or asks for one. Its error says what it means.
func (l *login) session(ctx context.Context) (*session, []string, error) {
	select {
	case l.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	defer func() { <-l.lock }()
	if l.now != nil && time.Now().Before(l.now.renew) {
		return l.now, nil, nil
	}
	if l.now != nil { // it was good to its end
		l.bad = false
	}
	s, ids, err := l.open(ctx)
	if err != nil {
		return nil, ids, err
	}
	s.second, l.now = l.bad, s
	return s, ids, nil
}

// forget drops a session that was refused.
func (l *login) forget(s *session) {
	l.lock <- struct{}{}
	if l.now == s {
		l.now, l.bad = nil, !s.answered.Load()
	}
	<-l.lock
}

// issued is what Keystone says of a token.
type issued struct {
	Token struct {
		Issued  json.RawMessage `json:"issued_at"`
		Expires json.RawMessage `json:"expires_at"`
		Catalog []service       `json:"catalog"`
		User    json.RawMessage `json:"user"`
		Roles   json.RawMessage `json:"roles"`
	} `json:"token"`
}

type service struct {
	Type      string `json:"type"`
	Endpoints []struct {
		Interface string `json:"interface"`
		Region    string `json:"region"`
		RegionID  string `json:"region_id"`
		URL       string `json:"url"`
	} `json:"endpoints"`
}

func (l *login) open(ctx context.Context) (*session, []string, error) {
	// A token changes nothing that an action is about: a read, however it is spelt.
	call := wire.Call{Method: http.MethodPost, Path: l.cloud.tokensURL(), Body: l.cloud.login(), ReadOnly: true}
	asked := time.Now()
	a, err := l.http.Send(ctx, call)
	if err != nil {
		return nil, nil, err
	}
	if !a.OK() {
		e := refusalOf(l.http, call, a, "")
		return nil, a.IDs(), a.Refusal(call, e, e.own)
	}
	var body issued
	if err := l.http.Decode(call, a, &body); err != nil {
		return nil, a.IDs(), err
	}
	s := &session{token: a.Header.Get("X-Subject-Token"), made: asked, renew: asked.Add(usable(body))}
	if s.token == "" {
		return nil, a.IDs(), fmt.Errorf("%s: no X-Subject-Token: %w", call, ErrAnswer)
	}
	at := l.cloud.endpoint
	if at == "" {
		if at, err = l.cloud.find(body.Token.Catalog); err != nil {
			e := actuators.Explain(actuators.Permanent(err))
			e.Requests = a.IDs()
			return nil, a.IDs(), &e
		}
	}
	s.base = lbaas(at)
	s.user, s.roles = body.who()
	return s, a.IDs(), nil
}

// who is the user and its roles; what is not as described is not told.
func (b issued) who() (id string, roles []string) {
	var user struct {
		ID string `json:"id"`
	}
	var list []struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(b.Token.User, &user)
	_ = json.Unmarshal(b.Token.Roles, &list)
	for _, r := range list {
		roles = append(roles, strings.ToLower(r.Name))
	}
	return user.ID, roles
}

// usable is how long a token is used: the span between the provider's two
// times, so that its clock and ours need not agree.
func usable(body issued) time.Duration {
	at := func(raw json.RawMessage) (t time.Time, ok bool) {
		err := json.Unmarshal(raw, &t)
		return t, err == nil && !t.IsZero()
	}
	life := DefaultLifetime
	from, ok1 := at(body.Token.Issued)
	to, ok2 := at(body.Token.Expires)
	if ok1 && ok2 && to.After(from) {
		life = min(to.Sub(from), MaxLifetime)
	}
	return life - min(RenewBefore, life/4)
}

// find is the load balancer endpoint of the region. Without a region, the only one.
func (c cloud) find(catalogue []service) (string, error) {
	var regions, found []string
	for _, s := range catalogue {
		if s.Type != "load-balancer" {
			continue
		}
		for _, e := range s.Endpoints {
			if e.Interface != c.face {
				continue
			}
			regions = append(regions, e.RegionID)
			if c.region == "" || strings.EqualFold(c.region, e.RegionID) || strings.EqualFold(c.region, e.Region) {
				found = append(found, e.URL)
			}
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	switch {
	case len(found) == 1 && checkURL(found[0]) == "":
		return found[0], nil
	case len(found) == 1:
		return "", fmt.Errorf("region %q: its endpoint is no URL: %w", c.region, ErrCatalogue)
	}
	return "", fmt.Errorf("region %q, %s endpoints of type load-balancer: the catalogue has the regions %q: %w", c.region, c.face, regions, ErrCatalogue)
}

// lbaas is where the API's objects are, below an endpoint with or without its version.
func lbaas(endpoint string) string {
	base := strings.TrimRight(endpoint, "/")
	if !regexp.MustCompile(`/v2(\.[0-9]+)?$`).MatchString(base) {
		base += "/v2.0"
	}
	return base + "/lbaas"
}
