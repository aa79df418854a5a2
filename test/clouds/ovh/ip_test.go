package ovh

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

const (
	testBlock = "203.0.113.9/32"
	ipURL     = "/ip/203.0.113.9%2F32"
)

// withIP is a bubble with one IP at "a" that may go to "b".
func withIP(t *testing.T, turn func(*IPKnobs), run func(*testing.T, *Sim, *caller)) {
	t.Helper()
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		k := DefaultIPKnobs()
		turn(&k)
		if err := s.SetIPKnobs(k); err != nil {
			t.Fatal(err)
		}
		if err := s.AddIP(IP{Block: testBlock, Service: "a", Destinations: []string{"a", "b"}}); err != nil {
			t.Fatal(err)
		}
		run(t, s, c)
	})
}

type ipTaskAnswer struct {
	TaskID      int64  `json:"taskId"`
	Function    string `json:"function"`
	Status      string `json:"status"`
	Comment     *string
	Destination struct{ ServiceName string }
}

func (c *caller) move(to string) (t ipTaskAnswer) {
	c.t.Helper()
	c.want(200, "POST", ipURL+"/move", fmt.Sprintf(`{"to":%q}`, to)).decode(c.t, &t)
	return t
}

func (c *caller) ipTask(id int64) (t ipTaskAnswer) {
	c.t.Helper()
	c.want(200, "GET", fmt.Sprintf("%s/task/%d", ipURL, id), "").decode(c.t, &t)
	return t
}

// routed is where a read says that the IP is.
func (c *caller) routed() string {
	c.t.Helper()
	var i struct {
		RoutedTo struct{ ServiceName string }
	}
	c.want(200, "GET", ipURL, "").decode(c.t, &i)
	return i.RoutedTo.ServiceName
}

// TestMove: its task passes its stages, and only its end moves the IP.
func TestMove(t *testing.T) {
	withIP(t, func(*IPKnobs) {}, func(t *testing.T, s *Sim, c *caller) {
		made := c.move("b")
		if made.Status != ipTodo || made.Function != ipMove || made.Destination.ServiceName != "b" {
			t.Errorf("made %+v", made)
		}
		for _, want := range []struct {
			after          time.Duration
			status, routed string
		}{{4 * time.Second, ipTodo, "a"}, {2 * time.Second, ipDoing, "a"}, {20 * time.Second, ipDoing, "a"}, {5 * time.Second, ipDone, "b"}} {
			time.Sleep(want.after)
			if task, at := c.ipTask(made.TaskID), c.routed(); task.Status != want.status || at != want.routed {
				t.Errorf("%s at %s, want %s at %s", task.Status, at, want.status, want.routed)
			}
			var ids []int64
			c.want(200, "GET", ipURL+"/task?function="+ipMove+"&status="+want.status, "").decode(t, &ids)
			if !slices.Equal(ids, []int64{made.TaskID}) {
				t.Errorf("%s: listed %v", want.status, ids)
			}
		}
		if moves := s.IPMoves(); len(moves) != 1 || moves[0].From != "a" || moves[0].To != "b" || moves[0].Seq == 0 {
			t.Errorf("moves %+v", moves)
		}
	})
}

// TestMoveIsSigned: as every other call, with the slash of a block escaped.
func TestMoveIsSigned(t *testing.T) {
	withIP(t, func(*IPKnobs) {}, func(t *testing.T, s *Sim, c *caller) {
		c.edit = func(r *http.Request) { r.Header.Set("X-Ovh-Signature", "$1$00") }
		c.want(400, "POST", ipURL+"/move", `{"to":"b"}`)
		c.want(400, "PUT", ipURL, `{"description":"x"}`)
		c.edit = nil
		if i, err := s.IP(testBlock); err != nil || i.Description != "" || len(s.IPMoves()) != 0 {
			t.Errorf("%+v, %v", i, err)
		}
	})
}

// TestMoveRefused without a task.
func TestMoveRefused(t *testing.T) {
	for _, r := range []struct {
		turn   func(*IPKnobs)
		first  string // asked for before
		body   string
		status int
	}{
		{func(*IPKnobs) {}, "", `{"to":"c"}`, 400},
		{func(*IPKnobs) {}, "", `{}`, 400},
		{func(*IPKnobs) {}, "", `[`, 400},
		{func(*IPKnobs) {}, "", `{"to":"a"}`, 200},
		{func(k *IPKnobs) { k.Same = IPSameRefuse }, "", `{"to":"a"}`, 400},
		{func(*IPKnobs) {}, "b", `{"to":"a"}`, 200},
		{func(k *IPKnobs) { k.Second = IPSecondConflict }, "b", `{"to":"a"}`, 409},
		{func(k *IPKnobs) { k.Second = IPSecondRefuse }, "b", `{"to":"a"}`, 400},
	} {
		withIP(t, r.turn, func(t *testing.T, _ *Sim, c *caller) {
			if r.first != "" {
				c.move(r.first)
			}
			c.want(r.status, "POST", ipURL+"/move", r.body)
		})
	}
	withIP(t, func(*IPKnobs) {}, func(_ *testing.T, _ *Sim, c *caller) { c.want(404, "GET", "/ip/203.0.113.10%2F32", "") })
}

// TestMovesOfOneIPQueue: the second begins when the first has ended.
func TestMovesOfOneIPQueue(t *testing.T) {
	withIP(t, func(*IPKnobs) {}, func(t *testing.T, _ *Sim, c *caller) {
		one, two := c.move("b"), c.move("a")
		time.Sleep(31 * time.Second)
		if at := c.routed(); at != "b" || c.ipTask(one.TaskID).Status != ipDone || c.ipTask(two.TaskID).Status != ipTodo {
			t.Errorf("at %s, %+v", at, c.ipTask(two.TaskID))
		}
		time.Sleep(30 * time.Second)
		if at := c.routed(); at != "a" {
			t.Errorf("at %s", at)
		}
	})
}

// TestIPKnobs: each does what it says.
func TestIPKnobs(t *testing.T) {
	withIP(t, func(k *IPKnobs) { k.Outcome, k.Moved = ipCustomerError, true }, func(t *testing.T, _ *Sim, c *caller) {
		made := c.move("b")
		time.Sleep(time.Minute)
		if task := c.ipTask(made.TaskID); task.Status != ipCustomerError || task.Comment == nil || c.routed() != "b" {
			t.Errorf("%+v", task)
		}
	})
	withIP(t, func(k *IPKnobs) { k.Early = true }, func(t *testing.T, _ *Sim, c *caller) {
		c.move("b")
		time.Sleep(6 * time.Second)
		if at := c.routed(); at != "b" {
			t.Errorf("at %s", at)
		}
	})
	withIP(t, func(k *IPKnobs) {
		k.TaskLag, k.ListLag, k.ReadLag, k.TTL = time.Second, 2*time.Second, 3*time.Second, time.Minute
	}, func(t *testing.T, _ *Sim, c *caller) {
		made := c.move("b")
		one := fmt.Sprintf("%s/task/%d", ipURL, made.TaskID)
		c.want(404, "GET", one, "")
		time.Sleep(time.Second)
		c.want(200, "GET", one, "")
		if got := string(c.want(200, "GET", ipURL+"/task", "").body); got != "[]" {
			t.Errorf("listed %s", got)
		}
		time.Sleep(time.Second)
		if got := string(c.want(200, "GET", ipURL+"/task", "").body); got != fmt.Sprintf("[%d]", made.TaskID) {
			t.Errorf("listed %s", got)
		}
		time.Sleep(29 * time.Second)
		if at := c.routed(); at != "a" {
			t.Errorf("at %s, a read lags", at)
		}
		time.Sleep(3 * time.Second)
		if at := c.routed(); at != "b" {
			t.Errorf("at %s", at)
		}
		time.Sleep(time.Minute)
		c.want(404, "GET", one, "")
	})
	if err := (IPKnobs{Outcome: "well"}).Validate(); err == nil {
		t.Error("an unknown word passed")
	}
}
