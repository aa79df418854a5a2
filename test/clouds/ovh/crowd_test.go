package ovh

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	goovh "github.com/ovh/go-ovh/ovh"
)

// TestCrowd has plain clients, humans and onlookers at one simulator at once, then compares the counts with what
// each client did. Under the race detector it is the test of the one mutex.
func TestCrowd(t *testing.T) {
	const clients, rounds = 4, 25
	s := seeded(t, fast())
	url, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for id := range clients {
		work.Go(func() { clientRounds(t, url, id, rounds) })
	}
	work.Go(func() {
		for i := range rounds {
			if err := s.ForeignPut(testFrontend, map[string]any{"disabled": i%2 == 0}); err != nil {
				t.Error(err)
			}
			if err := s.SetKnobs(s.Knobs()); err != nil {
				t.Error(err)
			}
			_, _, _ = s.State(), s.Prove(nil), s.Faults()
		}
	})
	work.Wait()
	j, p := s.Journal(0), s.Prove(nil)
	puts, orders := 0, map[int64]bool{}
	for _, c := range j.Calls {
		if c.Accepted {
			orders[c.Order] = true
		}
		if c.Method == http.MethodPut && !c.Foreign && c.Accepted {
			puts++
		}
	}
	if puts != clients*rounds || p.Refreshes != clients || p.Orphans != clients*rounds+clients {
		t.Errorf("%d PUTs, proof %+v", puts, p)
	}
	if want := 1 + clients*rounds + clients + rounds; len(orders) != want { // the seed is one
		t.Errorf("%d effects, want %d", len(orders), want)
	}
}

func clientRounds(t *testing.T, url string, id, rounds int) {
	c, err := goovh.NewClient(url, testAK, testAS, testCK)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Client.CloseIdleConnections()
	for i := range rounds {
		body := map[string]any{"defaultFarmId": farmA + i%2, "displayName": fmt.Sprintf("[pm 1a2b3c4d m%d/%d]", id, i+1)}
		if err := c.Put(frontURL, body, nil); err != nil {
			t.Error(err)
		}
		if err := c.Get(base+"/pendingChanges", nil); err != nil {
			t.Error(err)
		}
	}
	if err := c.Post(base+"/refresh", nil, nil); err != nil {
		t.Error(err)
	}
}
