package ovh

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators/ovhapi"
)

// api is a provider that answers what a test says, and notes what it got.
type api struct {
	*httptest.Server
	got []*http.Request
}

func newAPI(t *testing.T, answer http.HandlerFunc) *api {
	t.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.got = append(a.got, r)
		if strings.HasSuffix(r.URL.Path, "/auth/time") {
			fmt.Fprint(w, time.Now().Unix())
			return
		}
		answer(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *api) client(t *testing.T) *ovhapi.Client {
	t.Helper()
	creds := ovhapi.Credentials{ApplicationKey: "canary-ak", ApplicationSecret: "canary-as", ConsumerKey: "canary-ck"}
	c, err := ovhapi.New(ovhapi.Config{}, a.URL+"/1.0", creds, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
