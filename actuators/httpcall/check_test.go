package httpcall_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/httpcall"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestCheck: what a HEAD tells beforehand. Nothing but HEAD is sent.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		answer  func(http.ResponseWriter)
		now     func(*httptest.Server) time.Time // this node's clock
		missing []string                         // words of each
	}{
		"fine":            {answer: func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }},
		"takes POST only": {answer: func(w http.ResponseWriter) { w.WriteHeader(http.StatusMethodNotAllowed) }},
		"wants a login":   {answer: func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) }},
		"moved": {answer: func(w http.ResponseWriter) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusMovedPermanently)
		}, missing: []string{"a redirect (301 to a HEAD)"}},
		"clock": {now: func(*httptest.Server) time.Time { return time.Now().Add(time.Hour) }, missing: []string{"ahead of the endpoint's: it may refuse"}},
		"certificate": {now: func(s *httptest.Server) time.Time { return s.Certificate().NotAfter.Add(-time.Hour) },
			missing: []string{"certificate ends at", "ahead of the endpoint's"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodHead || r.Header.Get(httpcall.HeaderSignature) == "" {
					t.Errorf("%s, signed %q", r.Method, r.Header.Get(httpcall.HeaderSignature))
				}
				if c.answer != nil {
					c.answer(w)
				}
			}))
			defer server.Close()
			now := time.Now
			if c.now != nil {
				now = func() time.Time { return c.now(server) }
			}
			missing, err := checkerOf(t, server, now).Check(t.Context(), actuators.Subject{})
			if err != nil || len(missing) != len(c.missing) {
				t.Fatalf("%q, %v; want %q", missing, err, c.missing)
			}
			for i, word := range c.missing {
				if !strings.Contains(missing[i], word) {
					t.Errorf("%q, want %q", missing[i], word)
				}
			}
		})
	}
}

// TestCheckNotAsked: who cannot be reached, or is not who he should be, is an
// error that says so.
func TestCheckNotAsked(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	checker := checkerOf(t, server, time.Now)
	server.Close()
	if missing, err := checker.Check(t.Context(), actuators.Subject{}); err == nil || len(missing) > 0 {
		t.Errorf("%q, %v", missing, err)
	}
}

func checkerOf(t *testing.T, server *httptest.Server, now func() time.Time) actuators.Checker {
	t.Helper()
	env := map[string]string{"HOOK": secret, "CA": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))}
	target := &pb.HttpTarget{Url: server.URL, Secret: "env:HOOK", Ca: "env:CA", Allow: []string{"127.0.0.0/8"}}
	kind := httpcall.New(httpcall.Config{Getenv: func(name string) string { return env[name] }, Now: now})
	tool, err := kind.Open(fsm.TargetSpec{ID: "hook", Kind: httpcall.Name, Params: encode(t, target)}, free{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tool.(interface{ Close() error }).Close(); err != nil {
			t.Error(err)
		}
	})
	return tool.(actuators.Checker)
}
