package leases

import (
	"fmt"
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// TestNamesDoNotCollide: two workers of one name are told apart by what no worker
// can be called, and the newest keeps the name alone, which its share goes by.
func TestNamesDoNotCollide(t *testing.T) {
	d := newDesk(t, 4)
	d.end()
	o := &office{greeted: map[fsm.SessionID]bool{}, heard: map[fsm.SessionID]time.Time{}}
	open := func(name string) fsm.SessionID {
		id := fsm.SessionID(d.do(fsm.OpenSession{Pool: "work", Worker: name, Key: fmt.Sprint(name, len(o.heard))}).Token)
		o.greeted[id], o.heard[id] = true, time.Now()
		return id
	}
	marks := []string{"#", "-", "/", ".", ":", "~"} // every printable one may be in a name
	first := open("w")
	for _, mark := range marks {
		open(fmt.Sprint("w", mark, uint64(first)))
	}
	second := open("w")
	s, _ := d.Watch()
	_, workers, sessions := o.scene(s, s.Spec().Pools[0], time.Now())
	known := map[string]bool{}
	for _, w := range workers {
		known[w.ID] = true
	}
	if len(o.heard) != 8 || len(known) != 8 || len(sessions) != 8 || sessions["w"] != second {
		t.Errorf("%d sessions, known as %v, of which %d lead back; w is %d", len(o.heard), known, len(sessions), sessions["w"])
	}
}
