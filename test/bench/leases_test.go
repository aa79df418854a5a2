package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// The part of leases with small numbers: a lease goes to the next both ways, all
// renewals are answered, and many are held.
func TestLeaseFigures(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), playWithin)
	defer cancel()
	c, err := newCluster(ctx, lab.Options{Pointsman: program(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	b := &bench{talk: io.Discard, began: time.Now()}
	l, err := b.move(ctx, c, leaseOptions{hands: 1, beats: 120, span: time.Second, leases: massEach + 10})
	if err != nil {
		t.Fatal(err)
	}
	if l.Silent.N != 1 || l.Silent.Min < millis(handTTL) || l.Graceful.N != 1 || l.Graceful.Min <= 0 {
		t.Errorf("hand-overs: silent %+v, graceful %+v; nobody is granted a silent worker's lease within its ttl", l.Silent, l.Graceful)
	}
	if l.Beats.Rate <= 0 || l.Beats.Delay.N < 120 || l.Beats.PerCPU <= 0 || l.Mass.RSS <= 0 || l.Mass.Granted <= 0 {
		t.Errorf("keepalives %+v, many %+v", l.Beats, l.Mass)
	}
	var out strings.Builder
	(&figures{Leases: &l}).markdown(&out)
	if !strings.Contains(out.String(), "4106 leases held") {
		t.Errorf("the table:\n%s", out.String())
	}
}
