package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/pointsman/pointsman/fsm"
)

// web is one node's HTTP port, with the bounds that it has in a node.
type web struct {
	t    *testing.T
	url  string
	http *http.Client
}

func (w *tape) web(id fsm.NodeID, tweak ...func(*http.Server)) *web {
	w.t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = w.nodes[id].server.NewHTTPServer()
	for _, f := range tweak {
		f(s.Config)
	}
	s.Start()
	w.t.Cleanup(s.Close)
	return &web{t: w.t, url: s.URL, http: s.Client()}
}

// got is a response.
type got struct {
	code   int
	header http.Header
	body   string
}

// request makes a request with headers "Name: value".
func (b *web) request(ctx context.Context, method, path, body string, headers ...string) *http.Response {
	b.t.Helper()
	q, err := http.NewRequestWithContext(ctx, method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		q.Header.Add(name, value)
	}
	r, err := b.http.Do(q)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	b.t.Cleanup(func() { _ = r.Body.Close() })
	return r
}

func (b *web) do(method, path, body string, headers ...string) got {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := b.request(ctx, method, path, body, headers...)
	text, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got{r.StatusCode, r.Header, string(text)}
}

func (b *web) get(path string, headers ...string) got {
	b.t.Helper()
	return b.do(http.MethodGet, path, "", headers...)
}

// at digs a value out of JSON by a path such as "failover.actions.0.id".
func (g got) at(t *testing.T, path string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(g.body), &v); err != nil {
		t.Fatalf("%d %q: %v", g.code, g.body, err)
	}
	return dig(v, path)
}

func dig(v any, path string) any {
	for word := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[word]
		case []any:
			i := int(word[0] - '0')
			if i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// wantStatus checks that an answer is a google.rpc.Status.
func wantStatus(t *testing.T, g got, httpCode int, code codes.Code, reason string) {
	t.Helper()
	if g.code != httpCode || g.at(t, "code") != float64(code) || g.at(t, "details.0.reason") != reason || g.at(t, "details.0.domain") != Domain || g.at(t, "message") == "" {
		t.Errorf("got %d %s, want %d %s %s", g.code, g.body, httpCode, code, reason)
	}
	if kind := g.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("content type %q", kind)
	}
}

func TestGatewayReads(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	f := w.failover("cache")
	w.finish(f, "url")
	w.stick(f, "a")
	for _, id := range []fsm.NodeID{"n1", "n2"} {
		b := w.web(id)
		for _, row := range []struct{ path, at, want string }{
			{"/v1/masters", "masters.0.id", "cache"},
			{"/v1/masters/cache", "master.address", "10.0.1.20:6379"},
			{"/v1/failovers?filter=master%3Dcache", "failovers.0.id", "cache/1"},
			{"/v1/failovers/cache/1", "failover.state", "FAILOVER_STATE_STUCK"},
			{"/v1/failovers/cache%2F1", "failover.id", "cache/1"},
			{"/v1/actions?pageSize=1", "actions.0.id", "cache/1/url"},
			{"/v1/actions?page_size=1&filter=state%3Dstuck", "actions.0.id", "cache/1/a"},
			{"/v1/actions/cache/1/url", "action.effect", "ACTION_EFFECT_CHANGED"},
			{"/v1/settings?prefix=redis/", "settings.0.key", "redis/cache/url"},
			{"/v1/settings/redis/cache/url", "setting.value", "cache/1"},
			{"/v1/spec", "revision.spec.masters.0.id", "cache"},
			{"/v1/spec/revisions/1", "revision.revision", "1"},
			{"/v1/cluster", "cluster.leaderId", "n1"},
			{"/v1/nodes", "nodes.0.zone", "zone-n1"},
			{"/v1/masters/cache?read.level=leader", "header.nodeId", "n1"},
			{"/v1/masters/cache?read.level=READ_LEVEL_STALE", "header.nodeId", string(id)},
			{"/v1/openapi.json", "info.title", "Pointsman"},
		} {
			g := b.get(row.path)
			if g.code != http.StatusOK || g.at(t, row.at) != row.want || g.header.Get("ETag") == "" {
				t.Errorf("%s%s: %d %s", id, row.path, g.code, g.body)
			}
		}
	}
}

func TestGatewayHeaders(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.must(putSetting("a", "1"))
	b := w.web("n2")
	g := b.get("/v1/settings/a?read.level=stale")
	if g.header.Get("X-Pointsman-Node") != "n2" || g.header.Get("X-Pointsman-Leader") != "n1" || g.header.Get("X-Pointsman-Stale") != "true" ||
		g.header.Get("X-Pointsman-Age") != "0.040" || !strings.HasPrefix(g.header.Get("Warning"), "110 n2 ") {
		t.Errorf("stale: %v", g.header)
	}
	g = b.get("/v1/settings/a")
	if g.header.Get("X-Pointsman-Stale") != "" || g.header.Get("Warning") != "" || g.header.Get("X-Pointsman-Term") == "" || g.header.Get("Cache-Control") != "no-cache, stale-if-error=86400" {
		t.Errorf("linearizable: %v", g.header)
	}
	h := b.do(http.MethodHead, "/v1/settings/a", "")
	if h.code != http.StatusOK || h.body != "" || h.header.Get("ETag") != g.header.Get("ETag") || h.header.Get("Content-Length") != g.header.Get("Content-Length") {
		t.Errorf("HEAD: %d %v", h.code, h.header)
	}
}

// Without a quorum a read that insists on one is refused; one of settings that
// names no level is answered, and marked.
func TestGatewayWithoutQuorum(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.must(putSetting("a", "1"))
	w.setLead("")
	b := w.web("n2")
	g := b.get("/v1/settings/a?read.level=linearizable")
	wantStatus(t, g, http.StatusServiceUnavailable, codes.Unavailable, ReasonNoQuorum)
	if g.header.Get("Retry-After") != "1" {
		t.Errorf("headers %v", g.header)
	}
	wantStatus(t, b.do(http.MethodPut, "/v1/settings/a", `{"value":"2"}`), http.StatusServiceUnavailable, codes.Unavailable, ReasonNoQuorum)
	for _, path := range []string{"/v1/settings/a?read.level=stale", "/v1/settings/a"} {
		g = b.get(path)
		if g.code != http.StatusOK || g.at(t, "setting.value") != "1" || g.at(t, "header.stale") != true || g.header.Get("X-Pointsman-Stale") != "true" {
			t.Errorf("%s: %d %s", path, g.code, g.body)
		}
	}
	if g = b.get("/v1/settings?prefix=a"); g.code != http.StatusOK || g.at(t, "settings.0.value") != "1" || g.header.Get("X-Pointsman-Stale") != "true" {
		t.Errorf("list: %d %s", g.code, g.body)
	}
	wantStatus(t, b.get("/v1/cluster"), http.StatusServiceUnavailable, codes.Unavailable, ReasonNoQuorum)
	wantStatus(t, b.get("/v1/settings/a?read.maxAge=1s"), http.StatusServiceUnavailable, codes.Unavailable, ReasonStale)
	wantStatus(t, b.get("/v1/settings/a?read.level=stale&read.maxAge=1s"), http.StatusServiceUnavailable, codes.Unavailable, ReasonStale)
}

// A node that is wrong about the leader says where the leader is.
func TestGatewayNotLeader(t *testing.T) {
	w := newWorld(t, 3, Limits{})
	w.nodes["n2"].thinks, w.nodes["n3"].thinks = "n3", "n2"
	g := w.web("n2").get("/v1/cluster?read.level=leader")
	wantStatus(t, g, http.StatusServiceUnavailable, codes.Unavailable, ReasonNotLeader)
	if g.at(t, "details.0.metadata.leader_address") != "n2:7801" || g.at(t, "details.0.metadata.leader_http_address") != "n3:7802" {
		t.Errorf("details %s", g.body)
	}
}

// listening notes who proposed last.
type listening struct {
	*node
	actor string
}

func (l *listening) Propose(ctx context.Context, cmd fsm.Command, id fsm.CommandID, actor string) (fsm.Answer, error) {
	l.actor = actor
	return l.node.Propose(ctx, cmd, id, actor)
}

func TestGatewayChanges(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	f := w.failover("cache")
	w.stick(f, "url")
	log := &listening{node: w.nodes["n2"]}
	w.nodes["n2"].server.cfg.Log = log
	b := w.web("n2")
	post := func(path, body string) got { return b.do(http.MethodPost, path, body, "Pointsman-Actor: anna") }
	g := b.do(http.MethodPut, "/v1/settings/app/mode", `{"value":"on","requestId":"r1"}`)
	if g.code != http.StatusOK || g.at(t, "setting.value") != "on" || g.header.Get("ETag") != `"`+g.at(t, "setting.etag").(string)+`"` {
		t.Fatalf("put: %d %s %v", g.code, g.body, g.header)
	}
	if again := b.do(http.MethodPut, "/v1/settings/app/mode", `{"value":"on","requestId":"r1"}`); again.at(t, "setting.revision") != g.at(t, "setting.revision") {
		t.Errorf("repeated: %s", again.body)
	}
	if g := b.do(http.MethodDelete, "/v1/settings/app/mode?validateOnly=true", ""); g.code != http.StatusOK || b.get("/v1/settings/app/mode").code != http.StatusOK {
		t.Errorf("validate only: %d %s", g.code, g.body)
	}
	if g := b.do(http.MethodDelete, "/v1/settings/app/mode", ""); g.code != http.StatusOK || b.get("/v1/settings/app/mode").code != http.StatusNotFound {
		t.Errorf("delete: %d %s", g.code, g.body)
	}
	if g := post("/v1/actions/cache/1/url:retry", ""); g.code != http.StatusOK || g.at(t, "action.state") != "ACTION_STATE_PENDING" {
		t.Errorf("retry: %d %s", g.code, g.body)
	}
	if g := post("/v1/actions/cache/1/url:abandon", `{"reason":"by hand"}`); g.code != http.StatusOK || log.actor != "anna" {
		t.Errorf("abandon: %d %s", g.code, g.body)
	}
	wantStatus(t, post("/v1/actions/cache/1/url:abandon", `{"reason":"again"}`), http.StatusConflict, codes.FailedPrecondition, fsm.ErrPhase.Reason())
	if g := post("/v1/cluster:notify", `{"kind":"NOTIFY_KIND_RECONFIG","args":["mymaster"]}`); g.code != http.StatusOK || g.at(t, "masters.0") != "cache" {
		t.Errorf("notify: %d %s", g.code, g.body)
	}
	if g := post("/v1/node:verify", ""); g.code != http.StatusOK || g.at(t, "header.nodeId") != "n2" {
		t.Errorf("verify: %d %s", g.code, g.body)
	}
	if g := post("/v1/cluster:transferLeadership", `{"to":"n2"}`); g.code != http.StatusOK || g.at(t, "leaderId") != "n2" {
		t.Errorf("transfer: %d %s", g.code, g.body)
	}
	// Roles and hops are not for HTTP callers to claim.
	g = b.do(http.MethodPost, "/v1/masters:reportView", `{"nodeId":"n1","runId":"r"}`, "Grpc-Metadata-Pointsman-Role: peer", "Pointsman-Role: peer")
	wantStatus(t, g, http.StatusForbidden, codes.PermissionDenied, ReasonPeerOnly)
}

func TestGatewaySpec(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	b := w.web("n1")
	const spec = `{"spec":{"masters":[{"id":"cache","sentinel":{"name":"mymaster","addresses":["10.0.1.10:26379"]},
		"candidates":[{"address":"10.0.1.20:6379","zone":"a"}],
		"plan":[{"stage":"cutover","steps":[{"name":"url","setting":{"key":"redis/cache/url","value":"redis://{{.New}}"}}]}]}]}}`
	g := b.do(http.MethodPut, "/v1/spec", spec)
	if g.code != http.StatusOK || g.at(t, "changed") != true || g.header.Get("ETag") != `"1"` {
		t.Fatalf("apply: %d %s %v", g.code, g.body, g.header)
	}
	g = b.do(http.MethodPut, "/v1/spec", strings.Replace(spec, "cutover", "first", 1), `If-Match: "7"`)
	wantStatus(t, g, http.StatusPreconditionFailed, codes.Aborted, fsm.ErrRevision.Reason())
	g = b.do(http.MethodPut, "/v1/spec", strings.Replace(spec, "cutover", "first", 1), `If-Match: "1"`)
	if g.code != http.StatusOK || g.header.Get("ETag") != `"2"` {
		t.Errorf("apply with If-Match: %d %s", g.code, g.body)
	}
	bad := strings.NewReplacer(`"candidates"`, `"candidate"`, `"stage":"cutover"`, `"stage":7`).Replace(spec)
	g = b.do(http.MethodPut, "/v1/spec", bad)
	wantStatus(t, g, http.StatusBadRequest, codes.InvalidArgument, ReasonInvalid)
	for i, want := range []string{"spec.masters[0].candidate", "spec.masters[0].plan[0].stage"} {
		if field := dig(g.at(t, "details.1.fieldViolations"), string(rune('0'+i))+".field"); field != want {
			t.Errorf("violation %d is of %v, want %s: %s", i, field, want, g.body)
		}
	}
	if !strings.Contains(g.body, `did you mean \"candidates\"?`) {
		t.Errorf("no hint: %s", g.body)
	}
}

func TestGatewayPreconditions(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	b := w.web("n1")
	put := func(value string, headers ...string) got {
		return b.do(http.MethodPut, "/v1/settings/k", `{"value":"`+value+`"}`, headers...)
	}
	first := put("1", "If-None-Match: *")
	if first.code != http.StatusOK {
		t.Fatalf("create: %d %s", first.code, first.body)
	}
	wantStatus(t, put("2", "If-None-Match: *"), http.StatusPreconditionFailed, codes.Aborted, fsm.ErrRevision.Reason())
	second := put("2", "If-Match: "+first.header.Get("ETag"))
	if second.code != http.StatusOK {
		t.Errorf("change: %d %s", second.code, second.body)
	}
	wantStatus(t, put("3", "If-Match: "+first.header.Get("ETag")), http.StatusPreconditionFailed, codes.Aborted, fsm.ErrRevision.Reason())
	// Without the header the same refusal is a conflict.
	wantStatus(t, b.do(http.MethodPut, "/v1/settings/k", `{"value":"3","expectedRevision":"1"}`), http.StatusConflict, codes.Aborted, fsm.ErrRevision.Reason())
	// What cannot be kept is refused, not passed over.
	for _, h := range []string{"If-Match: *", `If-Match: "1", "2"`, `If-Match: W/"1"`, `If-Match: "x"`, `If-None-Match: "1"`} {
		wantStatus(t, put("3", h), http.StatusBadRequest, codes.InvalidArgument, ReasonInvalid)
	}
	wantStatus(t, b.do(http.MethodPost, "/v1/node:verify", "", `If-Match: "1"`), http.StatusBadRequest, codes.InvalidArgument, ReasonInvalid)
	if g := b.do(http.MethodDelete, "/v1/settings/k", "", "If-Match: "+second.header.Get("ETag")); g.code != http.StatusOK {
		t.Errorf("delete: %d %s", g.code, g.body)
	}
}

// A call over HTTP is a call over gRPC: its panics, its metrics, its rules.
func TestGatewayKeepsInterceptors(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache")
	b := w.web("n1")
	wantStatus(t, b.do(http.MethodPut, "/v1/settings/a%20b", `{"value":"1"}`), http.StatusBadRequest, codes.InvalidArgument, ReasonInvalid)
	w.nodes["n1"].server.cfg.Sights = panics{w.nodes["n1"]}
	wantStatus(t, b.get("/v1/masters/cache"), http.StatusInternalServerError, codes.Internal, ReasonInternal)
	_, text := w.nodes["n1"].get("/metrics")
	for _, line := range []string{
		`pointsman_grpc_requests_total{code="InvalidArgument",method="/pointsman.v1.SettingService/PutSetting"} 1`,
		`pointsman_http_requests_total{code="500",method="GET",route="/v1/masters/{id=*}"} 1`,
		`pointsman_http_requests_total{code="400",method="PUT",route="/v1/settings/{key=**}"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("metrics lack %s:\n%s", line, text)
		}
	}
}

// Close ends what is under way and answers what comes after.
func TestGatewayCloses(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.must(putSetting("a", "1"))
	b := w.web("n1")
	tag := b.get("/v1/settings/a").header.Get("ETag")
	waited := make(chan got, 1)
	go func() { waited <- b.get("/v1/settings/a?wait=30s", "If-None-Match: "+tag) }()
	waitFor(t, func() bool { return w.nodes["n1"].server.gateway.waiting.Load() == 1 })
	begin := time.Now()
	w.nodes["n1"].server.Close()
	wantStatus(t, <-waited, http.StatusServiceUnavailable, codes.Unavailable, ReasonClosing)
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("took %s", took)
	}
	wantStatus(t, b.get("/v1/settings/a"), http.StatusServiceUnavailable, codes.Unavailable, ReasonClosing)
	wantStatus(t, w.web("n1").get("/v1/masters"), http.StatusServiceUnavailable, codes.Unavailable, ReasonClosing)
}
