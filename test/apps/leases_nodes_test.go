package apps

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLeaseSamplesGoOn: the first node that a worker is given finds no leader, the
// one that it asks after that is killed. It goes on under the same session.
func TestLeaseSamplesGoOn(t *testing.T) {
	interpreters(t)
	pointsman, _ := build(t, leaseSamples+"/worker.go")
	lost := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"code": 14, "message": "no leader"}`, http.StatusServiceUnavailable)
	}))
	t.Cleanup(lost.Close)
	for _, c := range []struct{ name, with string }{{"worker.py", "/usr/bin/python3"}, {"worker.php", "php"}} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), runWithin)
			defer cancel()
			nodes := coordinators(ctx, t, pointsman)
			q := newQueue(ctx, t)
			web := webs(nodes)
			a := &app{name: c.name, command: []string{c.with, leaseSamples + "/" + c.name, "orders"},
				env: surroundings(t, nodes, q.at, lost.URL+" "+strings.Join(web, ", "))}
			run, halt := context.WithCancel(ctx)
			var running sync.WaitGroup
			defer running.Wait()
			defer halt()
			running.Go(func() { q.feed(run) })
			running.Go(func() { a.run(run) })
			began := a.wait(t, time.Time{}, "applied", 30*time.Second)
			a.wait(t, time.Time{}, "asking "+web[0]+" next", time.Second)
			if err := nodes.List()[0].Kill(); err != nil {
				t.Fatal(err)
			}
			a.wait(t, began, "asking "+web[1]+" next", 30*time.Second)
			q.moves(ctx, "with the node dead that the worker asked")
			if at := a.first(time.Time{}, "no session"); !at.IsZero() || a.odd() != "" {
				t.Errorf("%s: %q\n%s", c.name, a.odd(), a.tail())
			}
		})
	}
}
