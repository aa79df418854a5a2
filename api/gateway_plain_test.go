package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/fsm"
)

// note makes the built-in state of the world's master.
func (w *tape) note(sight fsm.Sight) {
	m, _ := w.now().Master("cache")
	w.must(fsm.NoteState{Term: w.term, Notes: []fsm.Note{{Master: "cache", Base: m.Number, Sight: sight, Reason: "seen"}}})
}

func TestPlainForm(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.must(putSetting("app/mode", "on\n"))
	b := w.web("n2")
	json := b.get("/v1/settings/app/mode")
	for name, g := range map[string]got{
		"path":               b.get("/v1/settings/app/mode:raw"),
		"accept":             b.get("/v1/settings/app/mode", "Accept: text/plain"),
		"accept with a rest": b.get("/v1/settings/app/mode", "Accept: text/plain;q=0.9, */*"),
	} {
		if g.code != http.StatusOK || g.body != "on\n" || g.header.Get("Content-Type") != "text/plain; charset=utf-8" || g.header.Get("ETag") != json.header.Get("ETag") || g.header.Get("Vary") != "Accept" {
			t.Errorf("%s: %d %q %v", name, g.code, g.body, g.header)
		}
	}
	for _, accept := range []string{"*/*", "application/json, text/plain, */*", "text/html"} {
		if g := b.get("/v1/settings/app/mode", "Accept: "+accept); g.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s gets %s", accept, g.header.Get("Content-Type"))
		}
	}
	tag := json.header.Get("ETag")
	if g := b.get("/v1/settings/app/mode:raw?wait=50ms", "If-None-Match: "+tag); g.code != http.StatusNotModified || g.body != "" {
		t.Errorf("unchanged: %d %q", g.code, g.body)
	}
	answered := b.await("/v1/settings/app/mode:raw?wait=20s", "If-None-Match: "+tag)
	w.must(putSetting("app/mode", "off"))
	if g := <-answered; g.code != http.StatusOK || g.body != "off" {
		t.Errorf("long poll: %d %q", g.code, g.body)
	}
	if g := b.get("/v1/settings/app/none:raw"); g.code != http.StatusNotFound || !strings.HasPrefix(g.body, "NOT_FOUND: ") || strings.Contains(g.body, "{") {
		t.Errorf("missing: %d %q", g.code, g.body)
	}
	if g := b.do(http.MethodHead, "/v1/settings/app/mode:raw", ""); g.code != http.StatusOK || g.header.Get("Content-Length") != "3" {
		t.Errorf("HEAD: %d %v", g.code, g.header)
	}
	if g := b.do(http.MethodPut, "/v1/settings/app/mode:raw", `{"value": "x"}`); g.code == http.StatusOK {
		t.Error("the plain form was written")
	}
}

func TestBuiltInState(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	w.note(fsm.SightCalm)
	b := w.web("n1")
	const path = "/v1/settings/redis/cache/state"
	if g := b.get(path + ":raw"); g.code != http.StatusOK || g.body != "ok" {
		t.Fatalf("%d %q", g.code, g.body)
	}
	w.note(fsm.SightComing)
	g := b.get(path)
	if g.at(t, "setting.word") != "failing_over" || g.at(t, "setting.source") != "built-in" || g.header.Get("Cache-Control") != "no-cache, stale-if-error=60" {
		t.Errorf("%s %v", g.body, g.header)
	}
	value, _ := g.at(t, "setting.value").(string)
	for _, part := range []string{`"state":"failing_over"`, `"master":"cache"`, `"since":"`, `"estimate_ms":null`, `"failover":""`, `"new":""`, `"reason":"seen"`} {
		if !strings.Contains(value, part) {
			t.Errorf("%s lacks %s", value, part)
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		body := map[string]string{http.MethodPut: `{"value": "ok"}`}[method]
		if g := b.do(method, path, body); g.code != http.StatusConflict || g.at(t, "details.0.reason") != "OWNED_BY_PLAN" || g.at(t, "details.0.metadata.master") != "cache" {
			t.Errorf("%s: %d %s", method, g.code, g.body)
		}
	}
	owned := b.do(http.MethodPut, "/v1/settings/redis/cache/url", `{"value": "x"}`)
	if owned.code != http.StatusConflict || owned.at(t, "details.0.metadata.master") != "cache" || owned.at(t, "details.0.metadata.step") != "url" {
		t.Errorf("a plan's key: %d %s", owned.code, owned.body)
	}
}
