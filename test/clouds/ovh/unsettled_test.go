package ovh

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTroublesOfAKey(t *testing.T) {
	for trouble, want := range map[KeyTrouble]struct {
		status int
		text   string
	}{
		KeyOwn: {200, ""}, KeyUnknown: {403, "application key is invalid"}, KeyNotYet: {403, "INVALID_CREDENTIAL"},
		KeyTurnedDown: {403, "INVALID_CREDENTIAL"}, KeyOver: {403, "INVALID_CREDENTIAL"}, KeyFromHere: {403, "FORBIDDEN"},
		KeySignatureNo: {400, "INVALID_SIGNATURE"},
	} {
		bubble(t, knobs(func(k *Knobs) { k.KeyTrouble = trouble }), func(t *testing.T, _ *Sim, c *caller) {
			if r := c.want(want.status, "GET", frontURL, ""); !strings.Contains(string(r.body), want.text) {
				t.Errorf("%s: %s", trouble, r.body)
			}
			c.want(200, "GET", "/auth/time", "")
		})
	}
}

func TestOneCallNotGranted(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.NotGranted = "POST */refresh" }), func(t *testing.T, s *Sim, c *caller) {
		c.want(200, "GET", frontURL, "")
		if r := c.want(403, "POST", base+"/refresh", ""); !strings.Contains(string(r.body), "NOT_GRANTED_CALL") {
			t.Errorf("%s", r.body)
		}
		if _, err := s.ForeignRefresh(testService, ""); err != nil {
			t.Errorf("somebody else's: %v", err)
		}
	})
}

func TestNarrowRules(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.NarrowRules = true }), func(_ *testing.T, s *Sim, c *caller) {
		s.AddCredential(Credential{ApplicationKey: testAK, ApplicationSecret: testAS, ConsumerKey: testCK, Rules: []AccessRule{{"GET", base + "/tcp/farm/*"}}})
		c.want(200, "GET", base+"/tcp/farm/11", "")
		c.want(403, "GET", base+"/tcp/farm/11/server", "")
		s.AddCredential(Credential{ApplicationKey: testAK, ApplicationSecret: testAS, ConsumerKey: testCK, Rules: []AccessRule{{"GET", "/*"}}})
		c.want(200, "GET", base+"/tcp/farm/11/server", "")
	})
}

func TestTimeOfTheProvider(t *testing.T) {
	for form, want := range map[TimeForm]string{TimeHTML: "<html>", TimeEmpty: "", TimeText: `"`} {
		bubble(t, knobs(func(k *Knobs) { k.TimeForm, k.TimeDelay = form, 7*time.Second }), func(t *testing.T, _ *Sim, c *caller) {
			began := time.Now()
			r := c.want(200, "GET", "/auth/time", "")
			if !strings.HasPrefix(string(r.body), want) || (want == "") != (len(r.body) == 0) {
				t.Errorf("%s: %q", form, r.body)
			}
			if took := time.Since(began); took != 7*time.Second {
				t.Errorf("took %s", took)
			}
			c.want(200, "GET", frontURL, "") // at once
			if took := time.Since(began); took != 7*time.Second {
				t.Errorf("another call took %s", took)
			}
		})
	}
}

func TestQueryTimeOutUnderAnotherStatus(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.TimeOutStatus = 401 }), func(t *testing.T, _ *Sim, c *caller) {
		c.skew = time.Hour
		if r := c.want(401, "GET", frontURL, ""); !strings.Contains(string(r.body), "QUERY_TIME_OUT") {
			t.Errorf("%s", r.body)
		}
	})
}

func TestErrorBodies(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.ErrorForm, k.NumericCode, k.QueryID = FormBare, 7, QueryIDNone }), func(t *testing.T, _ *Sim, c *caller) {
		r := c.want(404, "GET", base+"/tcp/frontend/1", "")
		var body map[string]any
		r.decode(t, &body)
		if len(body) != 2 || body["code"] != 7.0 || body["message"] == "" || r.header.Get("X-Ovh-Queryid") != "" {
			t.Errorf("%s, %v", r.body, r.header)
		}
	})
	bubble(t, knobs(func(k *Knobs) { k.ErrorForm, k.Details, k.QueryID = FormNew, DetailsOdd, QueryIDOld }), func(t *testing.T, _ *Sim, c *caller) {
		r := c.want(404, "GET", base+"/tcp/frontend/1", "")
		var body struct{ Details map[string]any }
		r.decode(t, &body)
		if body.Details["attempt"] != 1.0 || !strings.HasPrefix(r.header.Get("X-Ovh-Queryid"), "FR.ws-8.") {
			t.Errorf("%s, %v", r.body, r.header)
		}
	})
}

func TestPutThatReplaces(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.PutReplaces = true }), func(t *testing.T, s *Sim, c *caller) {
		c.swing(farmB, "new")
		f, err := s.Staged(testFrontend)
		if err != nil || value(f.DefaultFarmID) != farmB || f.AllowedSource != nil || f.Port != "6379" || f.Zone != AllZones {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

func TestOldReads(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.ReadLag, k.ShuffleFields = 3*time.Second, true }), func(t *testing.T, _ *Sim, c *caller) {
		name := func() string {
			var f Frontend
			c.want(200, "GET", frontURL, "").decode(t, &f)
			return value(f.DisplayName)
		}
		c.swing(farmB, "one")
		time.Sleep(time.Second)
		c.swing(farmA, "two")
		for _, want := range []string{"cache", "cache", "one", "two"} {
			if got := name(); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestWhatPendingChangesCounts(t *testing.T) {
	for _, row := range []struct {
		counts      Counting
		zones       PendingZones
		there, back string
	}{
		{CountEdits, PendingSome, "map[gra:2 sbg:2]", "map[gra:3 sbg:3]"},
		{CountObjects, PendingEvery, "map[gra:1 sbg:1]", "map[gra:1 sbg:1]"},
		{CountNet, PendingEvery, "map[gra:1 sbg:1]", "map[gra:0 sbg:0]"},
		{CountNet, PendingAll, "map[all:1]", "map[]"},
	} {
		bubble(t, knobs(func(k *Knobs) { k.PendingCounts, k.PendingZones = row.counts, row.zones }), func(t *testing.T, _ *Sim, c *caller) {
			c.swing(farmB, "other")
			c.swing(farmB, "another")
			if got := fmt.Sprint(c.pending()); got != row.there {
				t.Errorf("%+v: %s", row, got)
			}
			c.swing(farmA, "cache")
			if got := fmt.Sprint(c.pending()); got != row.back {
				t.Errorf("%+v: back again %s", row, got)
			}
		})
	}
}

func TestRefreshThatCoversOneZone(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.RefreshZones, k.TaskLag = RefreshFirst, 2*time.Second }), func(t *testing.T, s *Sim, c *caller) {
		c.swing(farmB, "new")
		task := c.refresh()
		if !slices.Equal(task.Zones, []string{"gra"}) {
			t.Errorf("%+v", task)
		}
		c.want(404, "GET", fmt.Sprintf("%s/task/%d", base, task.ID), "")
		time.Sleep(time.Minute)
		if task = c.task(task.ID); task.Status != TaskDone || appliedFarm(t, s, "gra") != farmB || appliedFarm(t, s, "sbg") != farmA {
			t.Errorf("%+v", task)
		}
	})
	for covers, want := range map[RefreshZones]string{RefreshAsAll: "[all]", RefreshUnlisted: "[]", RefreshEvery: "[gra sbg]"} {
		bubble(t, knobs(func(k *Knobs) { k.RefreshZones = covers }), func(t *testing.T, s *Sim, c *caller) {
			c.swing(farmB, "new")
			if task := c.refresh(); fmt.Sprint(task.Zones) != want {
				t.Errorf("%s: %+v", covers, task)
			}
			time.Sleep(time.Minute)
			if appliedFarm(t, s, "sbg") != farmB {
				t.Errorf("%s: not applied everywhere", covers)
			}
		})
	}
}

func TestSecondRefreshUnderAnotherStatus(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.SecondRefresh, k.SecondStatus = SecondRefuse, 400 }), func(_ *testing.T, _ *Sim, c *caller) {
		c.refresh()
		c.want(400, "POST", base+"/refresh", "")
	})
}

func TestRateThatStallsFirst(t *testing.T) {
	for first, check := range map[RateFirst]func(result) bool{
		RateStall: func(r result) bool { return r.status == 408 && strings.HasPrefix(string(r.body), "<html>") },
		RateReset: func(r result) bool { return r.err != nil },
	} {
		bubble(t, knobs(func(k *Knobs) {
			k.RatePerMinute, k.RateFirst, k.RateForm, k.RateRetryAfter = 3, first, RateHTML, "9"
		}), func(t *testing.T, _ *Sim, c *caller) {
			c.client.Transport.(*http.Transport).DisableKeepAlives = true // else it asks again by itself after a reset
			for range 3 {
				c.want(200, "GET", frontURL, "")
			}
			for range RateGrace - 1 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if r := c.do(ctx, "GET", frontURL, ""); r.err == nil {
					t.Errorf("%s: answered %d", first, r.status)
				}
			}
			if r := c.send("GET", frontURL, ""); !check(r) {
				t.Errorf("%s: %+v", first, r)
			}
			r := c.want(429, "GET", frontURL, "")
			if r.header.Get("Retry-After") != "9" || !strings.HasPrefix(string(r.body), "<html>") {
				t.Errorf("%s: %+v", first, r)
			}
			time.Sleep(time.Minute)
			c.want(200, "GET", frontURL, "")
		})
	}
}

func TestSecondWriterAtAnInstant(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		addFault(t, s, Fault{Method: "PUT", When: After, Do: DoTerraform, Frontend: testFrontend, Edit: `{"defaultFarmId":11,"displayName":"as code"}`})
		addFault(t, s, Fault{Method: "GET", Path: frontURL, Skip: 1, Do: DoEdit, Frontend: testFrontend, Edit: `{"displayName":"human"}`})
		c.swing(farmB, "ours")
		var f Frontend
		c.want(200, "GET", frontURL, "").decode(t, &f)
		if value(f.DefaultFarmID) != farmA || value(f.DisplayName) != "as code" {
			t.Errorf("%+v", f)
		}
		time.Sleep(time.Minute)
		if applied, err := s.Applied(testFrontend, "gra"); err != nil || value(applied.DisplayName) != "as code" {
			t.Errorf("%+v, %v", applied, err)
		}
		c.want(200, "GET", frontURL, "").decode(t, &f)
		if value(f.DisplayName) != "human" {
			t.Errorf("%+v", f)
		}
	})
	if err := (Fault{Do: DoEdit, Edit: "[]"}).Validate(); err == nil {
		t.Error("an edit that is no object passed")
	}
}

func TestHugeAndRedirectedAnswers(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		addFault(t, s, Fault{Status: 200, Size: 3 << 20})
		addFault(t, s, Fault{Status: http.StatusTemporaryRedirect, Location: "http://elsewhere.example/1.0/"})
		if r := c.want(200, "GET", frontURL, ""); len(r.body) != 3<<20 {
			t.Errorf("%d bytes", len(r.body))
		}
		c.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if r := c.want(307, "GET", frontURL, ""); r.header.Get("Location") != "http://elsewhere.example/1.0/" {
			t.Errorf("%v", r.header)
		}
	})
	if n, err := io.CopyN(io.Discard, filler{}, 5); n != 5 || err != nil {
		t.Error(n, err)
	}
}

func TestUnsettledKnobsAsText(t *testing.T) {
	k := DefaultKnobs()
	if err := json.Unmarshal([]byte(`{"read_lag":"2s","task_lag":"3s","time_delay":"1s","key_trouble":"ip"}`), &k); err != nil {
		t.Fatal(err)
	}
	if k.ReadLag != 2*time.Second || k.TaskLag != 3*time.Second || k.TimeDelay != time.Second || k.KeyTrouble != KeyFromHere || k.TaskDoing == 0 {
		t.Errorf("%+v", k)
	}
	for _, bad := range []func(*Knobs){
		func(k *Knobs) { k.TimeForm = "x" }, func(k *Knobs) { k.SecondStatus = 500 }, func(k *Knobs) { k.NotGranted = "PUT" },
		func(k *Knobs) { k.ReadLag = -1 }, func(k *Knobs) { k.RateFirst = "x" },
	} {
		k := DefaultKnobs()
		if bad(&k); k.Validate() == nil {
			t.Errorf("passed: %+v", k)
		}
	}
}
