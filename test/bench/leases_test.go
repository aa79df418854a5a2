package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// etcdProgram is where `make bench` builds the member of etcd.
const etcdProgram = "../../bin/etcdpeer"

// The part of leases with small numbers: a lease goes to the next each way, all
// renewals are answered, and many are held; beside etcd where it was built.
func TestLeaseFigures(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), playWithin)
	defer cancel()
	c := config{hands: 1, beats: 120, rate: 200, reads: time.Second, leases: massEach + 10}
	if _, err := os.Stat(etcdProgram); err == nil {
		c.etcd = etcdProgram
	}
	b := &bench{config: c, talk: io.Discard, began: time.Now()}
	l, err := b.onLeases(ctx, lab.Options{Pointsman: program(t)})
	if err != nil {
		t.Fatal(err)
	}
	if l.Silent.N != 1 || l.Silent.Min < millis(handTTL) || l.Graceful.N != 1 || l.Graceful.Min <= 0 || l.Killed.Min <= 0 {
		t.Errorf("hand-overs: silent %+v, graceful %+v, killed %+v; nobody is granted a silent worker's lease within its ttl", l.Silent, l.Graceful, l.Killed)
	}
	sides := 1
	if c.etcd != "" {
		sides = 2
	}
	if len(l.Beats) != sides || len(l.Mass) != sides || (l.Left == "") != (sides == 2) {
		t.Fatalf("%d sides: %+v", sides, l)
	}
	for i := range sides {
		if k := l.Beats[i]; k.Offered.Delay.N == 0 || k.Most.Delay.N == 0 || k.Offered.PerCPU <= 0 || k.Back <= 0 {
			t.Errorf("keepalives %+v", k)
		}
		if m := l.Mass[i]; m.RSS <= 0 || m.Granted <= 0 {
			t.Errorf("many %+v", m)
		}
	}
	var out strings.Builder
	(&figures{Leases: l}).markdown(&out)
	if !strings.Contains(out.String(), "| leases held at once | 4106 |") {
		t.Errorf("the table:\n%s", out.String())
	}
}
