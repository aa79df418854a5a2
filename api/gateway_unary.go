package api

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// reply is a whole response before it is sent.
type reply struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *reply) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *reply) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
	}
}

// Write implements http.ResponseWriter.
func (a *reply) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// unchanged reports whether the caller has what this answer shows.
func (a *reply) unchanged(c *call) bool {
	return c.method == http.MethodGet && c.ifNoneMatch != "" && a.code == http.StatusOK && sameTag(c.ifNoneMatch, a.header.Get("ETag"))
}

// once makes the call and keeps its answer.
func once(r *http.Request, serve http.HandlerFunc) *reply {
	a := &reply{header: http.Header{}}
	serve(a, r)
	a.WriteHeader(http.StatusOK)
	return a
}

// unary answers one call, at once or when its answer differs from what the
// caller has.
func (g *jsonGateway) unary(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	c := callOf(r.Context())
	var span time.Duration
	if c.method == http.MethodGet {
		var err error
		if span, err = takeWait(c.query, g.s.limits.LongPoll); err != nil {
			g.fail(w, r, c, err)
			return
		}
		r.URL.RawQuery = c.query.Encode()
	}
	a := once(r, serve)
	if span > 0 && a.unchanged(c) {
		release, err := g.hold("poll")
		if err != nil {
			g.fail(w, r, c, err)
			return
		}
		a, err = g.await(r, serve, span)
		release()
		if err != nil {
			g.fail(w, r, c, err)
			return
		}
	}
	g.send(w, c, a)
}

// await asks again at each change of this node's state, until the answer is not
// what the caller has or the span is over. The cheap look is at this node's own
// state; only when that differs is the question asked at the level that the
// caller wants. The last word before a 304 is always at that level.
func (g *jsonGateway) await(r *http.Request, serve http.HandlerFunc, span time.Duration) (*reply, error) {
	c := callOf(r.Context())
	over := time.NewTimer(span)
	defer over.Stop()
	// What is not in the log, such as the Sentinels' words, wakes nobody.
	look := time.NewTicker(g.s.limits.Look)
	defer look.Stop()
	asked, begun := "", false
	for {
		_, changed := g.s.cfg.Log.Watch()
		near := once(c.near(r), serve)
		if tag := near.header.Get("ETag"); !near.unchanged(c) && (tag != asked || !begun) {
			asked, begun = tag, true
			if a := once(r, serve); !a.unchanged(c) {
				return a, nil
			}
		}
		select {
		case <-changed:
			if err := g.settle(r.Context()); err != nil {
				return nil, err
			}
		case <-look.C:
			begun = begun && c.level() != pointsmanv1.ReadLevel_READ_LEVEL_LEADER // another node's words: ask it
		case <-over.C:
			return once(r, serve), nil
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		case <-g.s.done:
			return nil, g.s.closing()
		}
	}
}

// settle waits a moment more, so that a burst of changes is looked at once.
func (g *jsonGateway) settle(ctx context.Context) error {
	pause := time.NewTimer(g.s.limits.Coalesce)
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-g.s.done:
		return g.s.closing()
	}
}

// level is the one that the query asks for.
func (c *call) level() pointsmanv1.ReadLevel {
	return pointsmanv1.ReadLevel(pointsmanv1.ReadLevel_value[c.query.Get(levelKey)])
}

// near is the same question to this node alone.
func (c *call) near(r *http.Request) *http.Request {
	query := url.Values{}
	for name, values := range c.query {
		query[name] = values
	}
	query.Set(levelKey, pointsmanv1.ReadLevel_READ_LEVEL_STALE.String())
	for _, name := range maxAgeKeys() {
		query.Del(name)
	}
	out := r.Clone(r.Context())
	out.URL.RawQuery, out.Form = query.Encode(), nil
	return out
}

// send writes an answer, or 304 in its place. net/http drops the body of HEAD.
func (g *jsonGateway) send(w http.ResponseWriter, c *call, a *reply) {
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	h.Set("Cache-Control", "no-store")
	if a.header.Get("ETag") != "" && c.method == http.MethodGet {
		h.Set("Cache-Control", "no-cache"+c.staleIfError()) // keep it, and ask each time whether it still holds
	}
	if c.settings {
		h.Set("Vary", "Accept")
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(g.s.limits.HTTPWrite))
	if a.unchanged(c) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(a.body.Len()))
	w.WriteHeader(a.code)
	_, _ = w.Write(a.body.Bytes())
}
