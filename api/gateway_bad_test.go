package api

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

func TestGatewayRefuses(t *testing.T) {
	w := newWorld(t, 1, Limits{HTTPBody: 2000})
	w.putSpec("cache")
	b := w.web("n1")
	const bad, invalidCode = http.StatusBadRequest, codes.InvalidArgument
	for _, row := range []struct {
		request, body string
		http          int
		code          codes.Code
		reason        string
		says          string
	}{
		{"GET /v1", "", 404, codes.NotFound, ReasonNotFound, `there is no path \"/v1\"`},
		{"GET /v1/", "", 404, codes.NotFound, ReasonNotFound, ""},
		{"GET /v1/nothing", "", 404, codes.NotFound, ReasonNotFound, "/v1/nothing"},
		{"GET /v1/masters//", "", 404, codes.NotFound, ReasonNotFound, ""},
		{"GET /v1/failovers/cache", "", 404, codes.NotFound, ReasonNotFound, ""},
		{"GET /v1/masters/nobody", "", 404, codes.NotFound, ReasonNotFound, "nobody"},
		{"GET /v1/failovers/cache/x", "", bad, invalidCode, ReasonInvalid, "is not master/number"},
		{"GET /v1/masters?pageSize=many", "", bad, invalidCode, ReasonInvalid, `"field":"page_size"`},
		{"GET /v1/masters?pageSize=-1", "", bad, invalidCode, ReasonInvalid, "page_size"},
		{"GET /v1/masters?pagesize=1", "", bad, invalidCode, ReasonInvalid, `did you mean \"pageSize\"?`},
		{"GET /v1/masters?colour=red", "", bad, invalidCode, ReasonInvalid, "there are read, pageSize"},
		{"GET /v1/masters?read.levle=stale", "", bad, invalidCode, ReasonInvalid, `did you mean \"level\"?`},
		{"GET /v1/masters?pageSize.x=1", "", bad, invalidCode, ReasonInvalid, "is not a message"},
		{"GET /v1/masters?read.level=fresh", "", bad, invalidCode, ReasonInvalid, "READ_LEVEL_FRESH"},
		{"GET /v1/masters?read.level=stale&read.maxAge=soon", "", bad, invalidCode, ReasonInvalid, "soon"},
		{"GET /v1/masters?wait=soon", "", bad, invalidCode, ReasonInvalid, `"field":"wait"`},
		{"GET /v1/masters?wait=-1s", "", bad, invalidCode, ReasonInvalid, `"field":"wait"`},
		{"GET /v1/actions:watch?wait=1s", "", bad, invalidCode, ReasonInvalid, `"field":"wait"`},
		{"GET /v1/actions:watch?filtre=x", "", bad, invalidCode, ReasonInvalid, `did you mean \"filter\"?`},
		{"GET /v1/masters/cache?id=queue", "", bad, invalidCode, ReasonInvalid, "stands in the path"},
		{"GET /v1/masters", "{}", bad, invalidCode, ReasonInvalid, "GET takes none"},
		{"DELETE /v1/settings/a", `{"expectedRevision":1}`, bad, invalidCode, ReasonInvalid, "DELETE takes none"},
		{"PUT /v1/settings/a?validateOnly=true", `{"value":"1"}`, bad, invalidCode, ReasonInvalid, "in the body"},
		{"PUT /v1/settings/a", `{"valeu":"1"}`, bad, invalidCode, ReasonInvalid, `"field":"valeu","description":"unknown field; did you mean \"value\"?"`},
		{"PUT /v1/settings/a", `{"value":1}`, bad, invalidCode, ReasonInvalid, `"field":"value"`},
		{"PUT /v1/settings/a", `{"value":"1","expectedRevision":"one"}`, bad, invalidCode, ReasonInvalid, `"field":"expectedRevision"`},
		{"PUT /v1/settings/a", `{"value":"1","expectedRevision":-1}`, bad, invalidCode, ReasonInvalid, `"field":"expectedRevision"`},
		{"PUT /v1/settings/a", `{"value":`, bad, invalidCode, ReasonInvalid, `"field":"body"`},
		{"PUT /v1/settings/a", `[]`, bad, invalidCode, ReasonInvalid, `"field":"body"`},
		{"PUT /v1/settings/a", `{"value":"1"} {}`, bad, invalidCode, ReasonInvalid, `"field":"body"`},
		{"PUT /v1/settings/a", `value=1`, bad, invalidCode, ReasonInvalid, `"field":"body"`},
		{"POST /v1/cluster:notify", `{"kind":"RECONF"}`, bad, invalidCode, ReasonInvalid, `"field":"kind"`},
		{"POST /v1/cluster:notify", `{"kind":1,"args":"mymaster"}`, bad, invalidCode, ReasonInvalid, `"field":"args","description":"must be a list"`},
		{"POST /v1/cluster:notify", `{"kind":1,"args":["a",2]}`, bad, invalidCode, ReasonInvalid, `"field":"args[1]"`},
		{"PUT /v1/spec", `{"spec":{"targets":{"lb":{"hold":"5x"}}}}`, bad, invalidCode, ReasonInvalid, `"field":"spec.targets[\"lb\"].hold"`},
		{"PUT /v1/spec", `{"spec":[]}`, bad, invalidCode, ReasonInvalid, `"field":"spec","description":"must be an object"`},
		{"POST /v1/actions/cache/1/url:abandon", "", bad, invalidCode, ReasonInvalid, "reason"},
		{"PUT /v1/settings/a", `{"value":"` + strings.Repeat("x", 2000) + `"}`, 413, invalidCode, ReasonTooLarge, "2000"},
	} {
		method, path, _ := strings.Cut(row.request, " ")
		g := b.do(method, path, row.body)
		wantStatus(t, g, row.http, row.code, row.reason)
		if !strings.Contains(g.body, row.says) {
			t.Errorf("%s %s: %s does not say %s", row.request, row.body, g.body, row.says)
		}
		if strings.Contains(g.body, "proto:") || strings.Contains(g.body, "\u00a0") {
			t.Errorf("%s %s: names a library: %s", row.request, row.body, g.body)
		}
	}
}

func TestGatewayMethods(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	b := w.web("n1")
	for _, row := range []struct{ request, allow string }{
		{"POST /v1/masters", "GET, HEAD"},
		{"PATCH /v1/settings/a/b", "DELETE, GET, HEAD, PUT"},
		{"GET /v1/cluster:notify", "POST"},
		{"HEAD /v1/actions:watch", "GET"},
		{"DELETE /v1/spec", "GET, HEAD, PUT"},
		{"POST /v1/openapi.json", "GET, HEAD"},
	} {
		method, path, _ := strings.Cut(row.request, " ")
		g := b.do(method, path, "", "Content-Type: application/x-www-form-urlencoded")
		if g.code != http.StatusMethodNotAllowed || g.header.Get("Allow") != row.allow {
			t.Errorf("%s: %d, Allow %q, want %q", row.request, g.code, g.header.Get("Allow"), row.allow)
		}
		if method != http.MethodHead {
			wantStatus(t, g, http.StatusMethodNotAllowed, codes.Unimplemented, ReasonMethod)
		}
	}
	// A header does not change the method.
	if g := b.do(http.MethodPost, "/v1/masters", "", "X-HTTP-Method-Override: GET", "Content-Type: application/x-www-form-urlencoded"); g.code != http.StatusMethodNotAllowed {
		t.Errorf("override: %d", g.code)
	}
}

// A page of another site cannot use a browser that reaches this port.
func TestGatewayCrossOrigin(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	b := w.web("n1")
	g := b.do(http.MethodPost, "/v1/cluster:notify", `{"kind":1}`, "Origin: https://elsewhere.example", "Content-Type: text/plain")
	wantStatus(t, g, http.StatusForbidden, codes.PermissionDenied, ReasonOrigin)
	wantStatus(t, b.do(http.MethodPut, "/v1/settings/a", `{"value":"1"}`, "Sec-Fetch-Site: cross-site"), http.StatusForbidden, codes.PermissionDenied, ReasonOrigin)
	if g := b.do(http.MethodPut, "/v1/settings/a", `{"value":"1"}`, "Sec-Fetch-Site: same-origin"); g.code != http.StatusOK {
		t.Errorf("same origin: %d %s", g.code, g.body)
	}
}

func TestHTTPBounds(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	b := w.web("n1")
	if g := b.get("/v1/masters", "X-Long: "+strings.Repeat("x", maxHTTPHeaders)); g.code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header beyond the bound: %d", g.code)
	}
	if g := b.get("/v1/masters", "X-Long: "+strings.Repeat("x", maxHTTPHeaders-2000)); g.code != http.StatusOK {
		t.Errorf("a header within the bound: %d %s", g.code, g.body)
	}
	if g := b.do(http.MethodPut, "/v1/settings/a", `{"value":"`+strings.Repeat("x", 1<<20)+`"}`); g.code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body beyond the bound: %d", g.code)
	}
	s := w.nodes["n1"].server.NewHTTPServer()
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 {
		t.Error("a time-out is missing")
	}
}
