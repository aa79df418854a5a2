package sentinels

import (
	"slices"
	"testing"
	"time"

	"github.com/pointsman/pointsman/sentinel"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// TestG10_OnlyReadsReachRedisAndSentinel: through rest, votes, an abort and a
// switch, all that a watcher ever sends is on the list of what only reads. The
// ACL user of deploy/samples may do no more; TestSecure runs with its like.
func TestG10_OnlyReadsReachRedisAndSentinel(t *testing.T) {
	reads := []string{
		"HELLO", "AUTH", "PING", "CLIENT", "ROLE", "SUBSCRIBE", "UNSUBSCRIBE",
		"SENTINEL MYID", "SENTINEL MASTER", "SENTINEL GET-MASTER-ADDR-BY-NAME",
	}
	s := newStage(t)
	w := watch(t, s.master)
	until(t, w, "cache", 2*time.Second, "all seen", allSeen)
	subscribed(t, s.sentinels[0], "+selected-slave")
	s.sentinels[0].Publish("+selected-slave", "slave 127.0.0.1:2 127.0.0.1 2 @ mymaster 127.0.0.1 1")
	until(t, w, "cache", time.Second, "switching", func(v sentinel.View) bool { return v.Switching })
	s.nodes[0].SetRole("slave")
	s.nodes[1].SetRole("master")
	for _, f := range s.sentinels {
		f.Say("mymaster", redislab.Claim{Address: s.nodes[1].Address(), Epoch: 1, OtherSentinels: 2})
	}
	until(t, w, "cache", 3*time.Second, "the switch and its ROLE", func(v sentinel.View) bool {
		return allSeen(v) && v.Reports[0].Epoch == 1 && v.Roles[1].Role == sentinel.RoleMaster
	})
	all := slices.Concat(s.sentinels, s.nodes)
	until(t, w, "cache", 5*time.Second, "everybody asked", func(sentinel.View) bool {
		for _, f := range all {
			if got := f.Commands(); got["ROLE"]+got["SENTINEL MASTER"] == 0 {
				return false
			}
		}
		return true
	})
	for _, f := range all {
		got := f.Commands()
		for name, n := range got {
			if !slices.Contains(reads, name) {
				t.Errorf("%s got %d times %s", f.Address(), n, name)
			}
		}
	}
}
