package ovh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func addFault(t *testing.T, s *Sim, f Fault) int64 {
	t.Helper()
	id, err := s.AddFault(f)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

const put = `{"defaultFarmId":12,"displayName":"cache [pm 1a2b3c4d cache/1]"}`

func stagedFarm(t *testing.T, s *Sim) int64 {
	t.Helper()
	f, err := s.Staged(testFrontend)
	if err != nil {
		t.Fatal(err)
	}
	return value(f.DefaultFarmID)
}

// TestFaultsOnBothSides sends one PUT into each fault, before and after its effect.
func TestFaultsOnBothSides(t *testing.T) {
	for _, row := range []struct {
		fault  Fault
		status int // 0: no answer
		body   string
		header string // Retry-After
	}{
		{Fault{Status: 500}, 500, `"class":"Server::InternalServerError"`, ""},
		{Fault{Status: 500, OldForm: true}, 500, `"httpCode":"500 Internal Server Error"`, ""},
		{Fault{Status: 502, HTML: true}, 502, "<html>", ""},
		{Fault{Status: 503, HTML: true}, 503, "<html>", ""},
		{Fault{Status: 503, Message: "later"}, 503, `"message":"later"`, ""},
		{Fault{Status: 408, HTML: true}, 408, "408 Request Time-out", ""},
		{Fault{Status: 429}, 429, "TooManyRequests", ""},
		{Fault{Status: 429, RetryAfter: "3"}, 429, "TooManyRequests", "3"},
		{Fault{Status: 460}, 460, "This Service is expired", ""},
		{Fault{Status: 409, Code: new(7)}, 409, `"code":7`, ""},
		{Fault{Status: 400, Body: "nonsense"}, 400, "nonsense", ""},
		{Fault{Do: DoEmpty}, 200, "", ""},
		{Fault{Do: DoDrop}, 0, "", ""},
		{Fault{Do: DoReset}, 0, "", ""},
		{Fault{Do: DoHang}, 0, "", ""},
	} {
		for when, farm := range map[When]int64{Before: farmA, After: farmB} {
			bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
				f := row.fault
				f.Method, f.Path, f.When = "PUT", base+"/tcp/frontend/*", when
				addFault(t, s, f)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				got := c.do(ctx, "PUT", frontURL, put)
				if got.status != row.status || (got.err == nil) != (row.status != 0) {
					t.Errorf("%+v: %d %v", f, got.status, got.err)
				}
				if !strings.Contains(string(got.body), row.body) || got.header.Get("Retry-After") != row.header {
					t.Errorf("%+v: %s %v", f, got.body, got.header)
				}
				synctest.Wait()
				if staged := stagedFarm(t, s); staged != farm {
					t.Errorf("%+v: farm %d, want %d", f, staged, farm)
				}
				calls := s.Journal(0).Calls
				last := calls[len(calls)-1]
				if last.Fault == "" || last.Accepted != (when == After) || last.Status != row.status || last.Effect.IsZero() == (when == After) {
					t.Errorf("journal %+v", last)
				}
				c.want(200, "GET", frontURL, "") // another method is not struck
				c.want(200, "PUT", frontURL, put)
			})
		}
	}
}

func TestSpoiledBodies(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		addFault(t, s, Fault{Method: "GET", Path: frontURL, When: After, Do: DoTruncate})
		addFault(t, s, Fault{Method: "GET", Path: frontURL, When: After, Do: DoCut})
		if got := c.want(200, "GET", frontURL, ""); json.Valid(got.body) || !bytes.HasPrefix(got.body, []byte("{")) {
			t.Errorf("truncated: %s", got.body)
		}
		if got := c.send("GET", frontURL, ""); !errors.Is(got.err, io.ErrUnexpectedEOF) || len(got.body) == 0 {
			t.Errorf("cut: %v %s", got.err, got.body)
		}
		if got := c.want(200, "GET", frontURL, ""); !json.Valid(got.body) {
			t.Errorf("after the faults: %s", got.body)
		}
	})
}

func TestFaultCounts(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		id := addFault(t, s, Fault{Path: frontURL, Skip: 1, Count: 2, Status: 500})
		addFault(t, s, Fault{Path: frontURL, Skip: 1, Status: 503})
		var got []int
		for range 6 {
			got = append(got, c.send("GET", frontURL, "").status)
		}
		// The second rule sees only what the first lets through: calls 1, 4, 5 and 6.
		if want := []int{200, 500, 500, 503, 200, 200}; !slices.Equal(got, want) {
			t.Errorf("statuses %v, want %v", got, want)
		}
		if rules := s.Faults(); rules[0].Hits != 2 || rules[1].Hits != 1 {
			t.Errorf("rules %+v", rules)
		}
		if err := s.RemoveFault(id); err != nil {
			t.Error(err)
		}
		if err := s.RemoveFault(id); !errors.Is(err, ErrUnknown) {
			t.Errorf("removed twice: %v", err)
		}
		addFault(t, s, Fault{Count: Unlimited, Status: 500})
		for range 3 {
			c.want(500, "GET", frontURL, "")
		}
		s.ClearFaults()
		c.want(200, "GET", frontURL, "")
	})
}

func TestBadFaults(t *testing.T) {
	s := seeded(t, Config{})
	for _, f := range []Fault{
		{}, {Do: "explode"}, {Status: 500, When: "during"}, {Do: DoTruncate}, {Do: DoCut}, {Status: 500, Skip: -1},
		{Status: 500, Count: -2}, {Do: DoDelay, Delay: -1}, {Status: 99},
	} {
		if _, err := s.AddFault(f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

// TestHeldAnswer is the demo's case: the refresh is carried out, its answer held, the caller dies, the answer dropped.
func TestHeldAnswer(t *testing.T) {
	held := func(c Call) bool { return c.Method == http.MethodPost && c.Phase == PhaseHeld }
	for _, release := range []bool{true, false} {
		bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
			c.swing(farmB, "x")
			addFault(t, s, Fault{Method: "POST", Path: base + "/refresh", When: After, Do: DoHold})
			answer := make(chan result, 1)
			go func() { answer <- c.send("POST", base+"/refresh", "") }()
			call, err := s.WaitFor(t.Context(), held)
			if err != nil || !call.Accepted || call.Refresh == nil {
				t.Fatalf("%+v %v", call, err)
			}
			time.Sleep(time.Minute) // the task runs meanwhile
			if got := appliedFarm(t, s, "gra"); got != farmB || !slices.Equal(s.Held(), []int64{call.Seq}) {
				t.Errorf("applied %d, held %v", got, s.Held())
			}
			if release {
				if n := s.ReleaseHeld(call.Seq); n != 1 {
					t.Errorf("released %d", n)
				}
			} else if n := s.DropHeld(); n != 1 {
				t.Errorf("dropped %d", n)
			}
			got := <-answer
			if (got.err == nil) != release {
				t.Errorf("answer %d %v", got.status, got.err)
			}
			synctest.Wait()
			if n := s.DropHeld(); n != 0 || len(s.Held()) != 0 {
				t.Errorf("%d still held", n)
			}
		})
	}
}

// TestLateDelivery holds a PUT before its effect, lets its sender go, and delivers it after a newer one.
func TestLateDelivery(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		addFault(t, s, Fault{Method: "PUT", Path: frontURL, Do: DoHold})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if got := c.do(ctx, "PUT", frontURL, `{"defaultFarmId":12,"displayName":"[pm 1a2b3c4d cache/1]"}`); got.err == nil {
			t.Fatal("a held request was answered")
		}
		if stagedFarm(t, s) != farmA || len(s.Held()) != 1 {
			t.Fatal("not held before its effect")
		}
		c.swing(farmA, "[pm 1a2b3c4d cache/2]")
		s.ReleaseHeld()
		synctest.Wait()
		if got := stagedFarm(t, s); got != farmB {
			t.Errorf("farm %d: the late request never landed", got)
		}
		claims := []LoggedAction{
			{ID: "cache/1/lb", Object: "lb/frontend/4711", Farm: farmB, Claims: 1},
			{ID: "cache/2/lb", Object: "lb/frontend/4711", Farm: farmA, Claims: 1, State: "done", Effect: "already"},
		}
		if p := s.Prove(claims); p.Stale != 1 || p.Orphans != 0 || p.Lost != 0 {
			t.Errorf("proof %+v", p)
		}
	})
}

func TestHeldRequestDropped(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		addFault(t, s, Fault{Method: "PUT", Do: DoHold})
		answer := make(chan result, 1)
		go func() { answer <- c.send("PUT", frontURL, put) }()
		synctest.Wait()
		s.DropHeld()
		if got := <-answer; got.err == nil || stagedFarm(t, s) != farmA {
			t.Errorf("%d %v, farm %d", got.status, got.err, stagedFarm(t, s))
		}
	})
}

func TestDelay(t *testing.T) {
	for when, farm := range map[When]int64{Before: farmA, After: farmB} {
		bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
			addFault(t, s, Fault{Method: "PUT", When: when, Do: DoDelay, Delay: 30 * time.Second})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if got := c.do(ctx, "PUT", frontURL, put); !errors.Is(got.err, context.DeadlineExceeded) {
				t.Errorf("%v", got.err)
			}
			synctest.Wait()
			if got := stagedFarm(t, s); got != farm {
				t.Errorf("%s: farm %d at the deadline", when, got)
			}
			time.Sleep(time.Minute)
			if got := stagedFarm(t, s); got != farmB {
				t.Errorf("%s: farm %d in the end", when, got)
			}
		})
	}
}

// TestResetOnTheWire needs real sockets: a pipe knows no reset.
func TestResetOnTheWire(t *testing.T) {
	s := seeded(t, fast())
	c := plainClient(t, s, testCK)
	if err := c.Get(frontURL, nil); err != nil {
		t.Fatal(err)
	}
	addFault(t, s, Fault{Method: "PUT", When: After, Do: DoReset})
	err := c.Put(frontURL, map[string]any{"defaultFarmId": farmB}, nil)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	if got := stagedFarm(t, s); got != farmB {
		t.Errorf("farm %d", got)
	}
}
