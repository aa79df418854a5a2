package cluster

import (
	"fmt"
	"testing"

	"github.com/pointsman/pointsman/fsm"
)

// TestCrashAtEveryWrite lets a node lose power at each write of its store in
// turn, once with that write on disk and once without, and brings it back: what
// was acknowledged is there, no state differs, and it starts at all.
func TestCrashAtEveryWrite(t *testing.T) {
	for _, lands := range []bool{false, true} {
		for at := 1; at <= 24; at++ {
			t.Run(fmt.Sprintf("write %d lands %v", at, lands), func(t *testing.T) { crashAt(t, at, lands) })
		}
	}
}

func crashAt(t *testing.T, at int, lands bool) {
	victim := &faulty{dieAt: at, lands: lands}
	tune := func(c *Config) {
		if c.NodeID == "n1" {
			c.Faults.Store = func(s Store) Store { victim.Store = s; return victim }
		}
	}
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start("n2", "n3")
		n1, err := Start(within10(t), l.cfgs["n1"])
		if err == nil {
			l.nodes["n1"] = n1
		} else if victim.count() < at {
			t.Fatalf("start: %v", err)
		}
		acked := 0
		for i := range 12 {
			n := l.nodes["n2"]
			if n1 != nil && n1.ctx.Err() == nil && i%2 == 0 {
				n = n1
			}
			if a, err := n.Propose(within10(t), fsm.PutSetting{Key: fmt.Sprintf("k/%d", i), Value: "v"}); err == nil && a.Err() == nil {
				acked++
			}
		}
		if n1 != nil {
			if victim.count() >= at {
				<-n1.Done()
			}
			l.kill("n1")
		}
		c := l.cfgs["n1"]
		c.Faults.Store = nil
		l.cfgs["n1"] = c
		l.start("n1")
		l.until("the crashed node to catch up", func() bool { return len(l.nodes["n1"].State().Settings("")) >= acked })
		l.settled()
		l.sameHashes()
	})
}
