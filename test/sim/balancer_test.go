package sim

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestBalancerWrites: what the judge is told of an HAProxy is what it was told to do.
func TestBalancerWrites(t *testing.T) {
	p := &plan{Masters: []masterPlan{{ID: "cache", Candidates: []string{"10.0.1.20:6379", "10.0.2.20:6379"}}}}
	s := balancerSide(rand.New(rand.NewPCG(1, 1)), p)
	b := s.line.(*balancer)
	b.restart = 3
	look := "get var proc.pm_redis_2dcache__master; show servers state redis-cache; get var proc.pm_redis_2dcache__master; show info"
	order := `set server redis-cache/master addr 10.0.2.20 port 6379; experimental-mode on; set var proc.pm_redis_2dcache__master fmt [pm\ 1f2e3d4c\ cache/7]; set server redis-cache/master health up; show info`
	if text := b.carry(order); !strings.Contains(text, "IP changed from") || !strings.Contains(text, "\nPid: 4711\n") {
		t.Errorf("%q", text)
	}
	if text := b.carry(look); strings.Count(text, "value=<[pm 1f2e3d4c cache/7]>") != 2 || !strings.Contains(text, " 10.0.2.20 ") {
		t.Errorf("%q", text)
	}
	w := s.writes()
	if len(w) != 1 || w[0].of.String() != "cache/7" || w[0].before != "10.0.1.20:6379" || w[0].after != "10.0.2.20:6379" || len(s.forgot("cache")) != 0 {
		t.Fatalf("%+v, forgot %v", w, s.forgot("cache"))
	}
	if text := b.carry(look); strings.Contains(text, "pm 1f2e") || s.value(0, p.Masters[0]) != "10.0.1.20:6379" || len(s.forgot("cache")) != 1 {
		t.Errorf("after a restart: %q, %s", text, s.value(0, p.Masters[0]))
	}
}
