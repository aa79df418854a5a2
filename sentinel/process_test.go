package sentinel

import (
	"fmt"
	"testing"
	"time"
)

// TestTakeFair: however slowly a Sentinel answers and however many masters are
// in trouble, every one is read in its turn, those at rest included.
func TestTakeFair(t *testing.T) {
	const n = 300
	w := New(Config{})
	var list []Master
	for i := range n {
		name := fmt.Sprintf("m%03d", i)
		list = append(list, Master{ID: name, Name: name, Sentinels: []string{"s:26379"}, Candidates: []string{a}})
	}
	if err := w.SetMasters(list); err != nil {
		t.Fatal(err)
	}
	p := w.processes[keyOf("s:26379", Access{})]
	now := time.Now().Add(time.Second)
	for i, m := range list {
		if i%10 != 0 {
			w.masters[m.ID].hot = now.Add(time.Hour)
		}
	}
	turns := map[string]int{}
	for range 100 {
		jobs, _ := w.take(p, now)
		if len(jobs) > 64 {
			t.Fatalf("%d reads in one batch", len(jobs))
		}
		for _, j := range jobs {
			turns[j.name]++
		}
		now = now.Add(50 * time.Millisecond) // a full batch is planned each 20 ms
	}
	for i, m := range list {
		if got := turns[m.Name]; got < 8 || (i%10 != 0 && got < 18) {
			t.Errorf("%s was read %d times in 5 s", m.Name, got)
		}
	}
}

// TestTakeBatches: at rest, masters whose turns are near each other go together.
func TestTakeBatches(t *testing.T) {
	w := New(Config{})
	var list []Master
	for i := range 2000 {
		name := fmt.Sprintf("m%04d", i)
		list = append(list, Master{ID: name, Name: name, Sentinels: []string{"s:26379"}, Candidates: []string{a}})
	}
	if err := w.SetMasters(list); err != nil {
		t.Fatal(err)
	}
	p := w.processes[keyOf("s:26379", Access{})]
	now := time.Now().Add(time.Second)
	for i, r := range p.refs { // as scattered as they can be
		r.due = now.Add(time.Duration(i) * time.Millisecond)
	}
	writes, reads := 0, 0
	for end := now.Add(20 * time.Second); now.Before(end); {
		jobs, wait := w.take(p, now)
		if len(jobs) == 0 {
			now = now.Add(wait)
			continue
		}
		writes, reads = writes+1, reads+len(jobs)
		now = now.Add(time.Millisecond)
	}
	t.Logf("20 s at rest: %d reads in %d writes", reads, writes)
	if perSecond := reads / 20; perSecond < 900 || perSecond > 1250 {
		t.Errorf("%d reads a second, want about 1000", perSecond)
	}
	if reads/writes < 32 {
		t.Errorf("%d reads in a write, want nearly full batches", reads/writes)
	}
}
