package shopify

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// client sends GraphQL requests to one shop. It may be used concurrently.
type client struct {
	wire     *wire.Client
	version  string // of the API that is asked for
	login    login
	answered func(version string) // told which version has answered
	readCost atomic.Int64         // points that the last read took; 0: not known

	mu     sync.Mutex
	shut   error     // what the shop said when it was frozen, locked or closed; under mu
	closed time.Time // until when it is left alone; under mu
}

// leave has every call of this target wait: it is the shop that is shut, not
// one of its objects.
func (c *client) leave(why error, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shut, c.closed = why, time.Now().Add(d)
}

// left is the reason not to call now; nil: there is none.
func (c *client) left(r call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := time.Until(c.closed); d > 0 {
		return &actuators.Error{Err: fmt.Errorf("%s: not sent: %w", r.name, c.shut), After: d}
	}
	return nil
}

// call is one request.
type call struct {
	name      string // for people
	query     string
	variables any
	out       any // of data
	mutates   bool
}

// said is what an answer holds besides data.
type said struct {
	ids     []string
	warning string
	cost    cost
}

// do sends a call. A refusal because of a token that may be too old drops it; a
// read is then sent once more, a write is left to its next attempt, so that no
// Act sends two.
func (c *client) do(ctx context.Context, r call) (said, error) {
	if err := c.left(r); err != nil {
		return said{}, err
	}
	first, err := c.once(ctx, r, !r.mutates)
	if !unauthorized(err) || !c.login.forget() {
		return first, err
	}
	if r.mutates {
		e := actuators.Explain(fmt.Errorf("%w; the next attempt gets a new token", err))
		e.Permanent = false
		return first, &e
	}
	second, err := c.once(ctx, r, true)
	second.ids = append(first.ids, second.ids...)
	return second, err
}

// once sends a call; early: it may get a new token though the old one lives on.
// Its error says what it means for the object.
func (c *client) once(ctx context.Context, r call, early bool) (said, error) {
	token, err := c.login.token(ctx, early)
	if err != nil {
		return said{}, fmt.Errorf("%s: not sent: %w", r.name, err)
	}
	body, err := encode(struct {
		Query     string `json:"query"`
		Variables any    `json:"variables,omitempty"`
	}{r.query, r.variables})
	if err != nil {
		return said{}, fmt.Errorf("%s: not sent: %w", r.name, err)
	}
	a, err := c.wire.Send(ctx, wire.Call{
		Method: http.MethodPost, Path: "/admin/api/" + c.version + "/graphql.json", Body: body, ReadOnly: !r.mutates,
		Header: http.Header{"X-Shopify-Access-Token": {token}},
	})
	if err != nil {
		return said{}, fmt.Errorf("%s: %w", r.name, err)
	}
	return c.understand(r, a)
}
