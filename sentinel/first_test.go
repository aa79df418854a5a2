package sentinel

import (
	"testing"
	"time"
)

// TestFirst: the promotion is the first report that named the new address, not
// the call that judged it, and not known where it was there before us.
func TestFirst(t *testing.T) {
	acc := Accepted{Known: true, Address: a}
	begin := epochStart()
	told := begin.Add(500 * time.Millisecond)
	now := told.Add(3 * time.Millisecond)
	one := viewOf(at{says: "a@0|a@0|b@1", roles: "-ss"}, now) // b is not master yet: no verdict
	one.Reports[2].At = told
	later := now.Add(800 * time.Millisecond)
	two := viewOf(at{says: "a@0|b@1|b@1", roles: "-ms"}, later)

	m, _ := Judge(Memory{}, viewOf(at{says: "a@0|a@0|a@0", roles: "mss"}, begin), acc, candidates(), begin)
	m, v := Judge(m, one, acc, candidates(), now)
	if v.Kind != None || !v.First.IsZero() {
		t.Fatalf("a replica is named: %+v", v)
	}
	for range 2 { // the verdict stays until it is accepted, and so does the moment
		if m, v = Judge(m, two, acc, candidates(), later); v.Kind != Advance || !v.First.Equal(told) {
			t.Fatalf("%s, first named at %s, want %s", v.Kind, v.First, told)
		}
		later = later.Add(100 * time.Millisecond)
		two = viewOf(at{says: "a@0|b@1|b@1", roles: "-ms"}, later)
	}

	if _, v = Judge(Memory{}, two, acc, candidates(), later); v.Kind != Advance || !v.First.IsZero() {
		t.Fatalf("there before us: %s, first named at %s", v.Kind, v.First)
	}
	if _, v = Judge(Memory{}, two, Accepted{}, candidates(), later); v.Kind != Seed || !v.First.IsZero() {
		t.Fatalf("a first view: %s, first named at %s", v.Kind, v.First)
	}
}
