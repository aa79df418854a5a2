package ovh

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	goovh "github.com/ovh/go-ovh/ovh"
)

func TestJournalTellsWhatHappened(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		time.Sleep(time.Second)
		c.want(200, "PUT", frontURL, put)
		c.want(200, "PUT", frontURL, put)
		c.want(400, "PUT", frontURL, `{"port":1}`)
		task := c.refresh()
		time.Sleep(time.Second)
		c.want(200, "GET", base+"/pendingChanges?x=y", "")
		if err := s.ForeignPut(testFrontend, map[string]any{"displayName": "mine"}); err != nil {
			t.Fatal(err)
		}
		j := s.Journal(1) // the first is the seed
		if len(j.Calls) != 6 || j.DroppedReads+j.DroppedWrites != 0 {
			t.Fatalf("journal %+v", j)
		}
		first, again, bad, refresh, read, foreign := j.Calls[0], j.Calls[1], j.Calls[2], j.Calls[3], j.Calls[4], j.Calls[5]
		want := FrontendWrite{ID: testFrontend, FarmBefore: farmA, FarmAfter: farmB, NameBefore: "cache", NameAfter: "cache [pm 1a2b3c4d cache/1]"}
		if !first.Accepted || !first.Changed || *first.Frontend != want || first.Consumer != testCK || first.Phase != PhaseAnswered ||
			first.Status != 200 || first.EffectNS != int64(time.Second) || first.Order == 0 || first.Path != frontURL {
			t.Errorf("first PUT %+v %+v", first, first.Frontend)
		}
		if !again.Accepted || again.Changed || again.Order != first.Order+1 {
			t.Errorf("second PUT %+v", again)
		}
		if bad.Accepted || bad.Frontend != nil || bad.Status != 400 || bad.Order != 0 || !bad.Effect.IsZero() {
			t.Errorf("refused PUT %+v", bad)
		}
		if r := refresh.Refresh; r == nil || r.Task != task.ID || !r.Taken || r.Pending != 2 || r.Merged || len(r.Zones) != 2 {
			t.Errorf("refresh %+v", r)
		}
		if read.Write() || read.Accepted || read.Query != "x=y" || read.Status != 200 || read.ReceivedNS != int64(2*time.Second) {
			t.Errorf("read %+v", read)
		}
		if !foreign.Foreign || !foreign.Accepted || foreign.Consumer != "" || foreign.Phase != PhaseAnswered {
			t.Errorf("foreign PUT %+v", foreign)
		}
		if err := s.ForeignPut(testFrontend, map[string]any{"port": 1}); err == nil {
			t.Error("a foreign edit is not validated")
		}
		if refused := s.Journal(7).Calls; len(refused) != 1 || refused[0].Status != 400 || refused[0].Accepted {
			t.Errorf("refused foreign PUT %+v", refused)
		}
		for i, call := range j.Calls {
			if call.Seq != int64(i+2) {
				t.Errorf("sequence %d at %d", call.Seq, i)
			}
		}
	})
}

func TestJournalIsBounded(t *testing.T) {
	bubble(t, Config{JournalReads: 3, JournalWrites: 2}, func(t *testing.T, s *Sim, c *caller) {
		for range 5 {
			c.want(200, "GET", frontURL, "")
		}
		for range 4 {
			c.want(200, "PUT", frontURL, put)
		}
		j := s.Journal(0)
		if len(j.Calls) != 5 || j.DroppedReads != 2 || j.DroppedWrites != 3 { // the seed is a write
			t.Errorf("%d calls, dropped %d reads and %d writes", len(j.Calls), j.DroppedReads, j.DroppedWrites)
		}
		if p := s.Prove(nil); p.Dropped != 3 {
			t.Errorf("a proof over part of the journal does not say so: %+v", p)
		}
	})
}

func TestWaitFor(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		answered := func(method string) func(Call) bool {
			return func(c Call) bool { return c.Method == method && c.Phase == PhaseAnswered }
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := s.WaitFor(ctx, answered("PUT")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waited in vain: %v", err)
		}
		found := make(chan Call, 1)
		go func() {
			call, err := s.WaitFor(context.Background(), answered("PUT"))
			if err != nil {
				t.Error(err)
			}
			found <- call
		}()
		synctest.Wait()
		c.want(200, "GET", frontURL, "")
		c.want(200, "PUT", frontURL, put)
		if call := <-found; call.Method != http.MethodPut || call.Status != 200 {
			t.Errorf("found %+v", call)
		}
		c.want(200, "PUT", frontURL, put)
		if call, err := s.WaitFor(t.Context(), answered("PUT")); err != nil || call.Seq != 3 {
			t.Errorf("the first one in the journal: %+v %v", call, err)
		}
		gone := make(chan error, 1)
		go func() {
			_, err := s.WaitFor(context.Background(), func(Call) bool { return false })
			gone <- err
		}()
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-gone; !errors.Is(err, ErrClosed) {
			t.Errorf("waiting over Close: %v", err)
		}
	})
}

// TestCloseLeavesNothing closes in the middle of everything; TestMain looks for goroutines that are left.
func TestCloseLeavesNothing(t *testing.T) {
	s := balanced(t, knobs(func(k *Knobs) { k.TaskDoing = time.Hour }))
	c := plainClient(t, s, testCK)
	control, err := s.StartControl("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	traffic := dialZone(t, s, "gra")
	if who(t, traffic) == "" {
		t.Fatal("no traffic")
	}
	if err := c.Post(base+"/refresh", nil, nil); err != nil {
		t.Fatal(err)
	}
	addFault(t, s, Fault{Method: "PUT", Do: DoHang})
	addFault(t, s, Fault{Method: "PUT", Do: DoHold})
	addFault(t, s, Fault{Method: "PUT", Do: DoDelay, Delay: time.Hour})
	ended := threePuts(c)
	held := func() bool {
		n := 0
		for _, call := range s.Journal(0).Calls {
			if call.Phase == PhaseHeld {
				n++
			}
		}
		return n == 3
	}
	eventually(t, "three calls stopped", held)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-ended; err == nil {
			t.Error("a stopped call was answered on Close")
		}
	}
	if got := who(t, traffic); got != "" {
		t.Errorf("traffic after Close: %q", got)
	}
	if conn, err := net.Dial("tcp", control[len("http://"):]); err == nil {
		_ = conn.Close()
		t.Error("the control endpoint listens after Close")
	}
	if _, err := s.Start("127.0.0.1:0"); !errors.Is(err, ErrClosed) {
		t.Errorf("started after Close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// threePuts sends three requests at once and tells how each ended.
func threePuts(c *goovh.Client) <-chan error {
	ended := make(chan error, 3)
	for range 3 {
		go func() {
			r, err := http.NewRequest(http.MethodPut, c.Endpoint()+frontURL, http.NoBody)
			if err == nil {
				var resp *http.Response
				if resp, err = c.Client.Do(r); err == nil {
					_ = resp.Body.Close()
				}
			}
			ended <- err
		}()
	}
	return ended
}

func TestBadConfig(t *testing.T) {
	bad := []Config{{Scheme: "ftp"}, {JournalReads: -1}, {MaxConns: -1}}
	for _, change := range []func(*Knobs){
		func(k *Knobs) { k.SecondRefresh = "both" },
		func(k *Knobs) { k.TaskOutcome = TaskDoing },
		func(k *Knobs) { k.TaskDoing = -1 },
		func(k *Knobs) { k.RatePerMinute = -1 },
		func(k *Knobs) { k.ZoneDelay = map[string]time.Duration{"gra": -1} },
	} {
		bad = append(bad, knobs(change))
	}
	for _, c := range bad {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	s := seeded(t, Config{})
	if err := s.SetKnobs(Knobs{}); err == nil {
		t.Error("empty knobs were taken")
	}
	if err := s.AddService(testService, "gra"); !errors.Is(err, ErrState) {
		t.Errorf("a service twice: %v", err)
	}
	for _, err := range []error{
		second(s.AddFarm("other", Farm{})), second(s.AddFarm(testService, Farm{FarmID: farmA})), second(s.AddFarm(testService, Farm{Zone: "rbx"})),
		second(s.AddServer(99, Server{Address: "10.0.0.1"})), second(s.AddServer(farmA, Server{Address: "::1"})),
		second(s.AddFrontend(testService, Frontend{})), second(s.AddFrontend(testService, Frontend{Port: "1", FrontendID: testFrontend})),
		second(s.AddFrontend(testService, Frontend{Port: "1", DefaultFarmID: new(int64(99))})),
	} {
		if err == nil {
			t.Error("a bad seed was taken")
		}
	}
}

func second(_ int64, err error) error { return err }
