package sentinels

import (
	"testing"
	"time"

	"github.com/pointsman/pointsman/sentinel"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// TestDetail: what people ask of a view beside who is master: does each
// Sentinel's event stream reach us, when does it take the master for down, and
// how do the replicas follow.
func TestDetail(t *testing.T) {
	p := start(t, redislab.Options{DownAfter: 3 * time.Second}, nil)
	v, _ := until(t, p.w, "cache", 10*time.Second, "events and links", func(v sentinel.View) bool {
		for _, r := range v.Reports {
			if !r.Subscribed || r.DownAfter != 3*time.Second {
				return false
			}
		}
		for _, r := range v.Roles {
			if r.Role == sentinel.RoleSlave && (r.Link != "connected" || r.Master != p.old || r.Offset == 0) {
				return false
			}
		}
		return allSeen(v)
	})
	if v.Roles[0].Role != sentinel.RoleMaster || v.Roles[0].Offset == 0 || v.Roles[0].Link != "" || v.Roles[0].Master != "" {
		t.Errorf("the master's own role: %+v", v.Roles[0])
	}
}

// TestSubscribedIsOfTheEvents: a Sentinel whose connections are gone is not
// heard, though its last word stays until a read of it has failed too, which may
// be at the same moment; and it is heard again when it is back.
func TestSubscribedIsOfTheEvents(t *testing.T) {
	s := newStage(t)
	w := watch(t, s.master)
	heard := func(v sentinel.View) bool { return v.Reports[0].Subscribed }
	until(t, w, "cache", 2*time.Second, "subscribed", heard)
	s.sentinels[0].Hang(true)
	v, _ := until(t, w, "cache", 4*time.Second, "silent", func(v sentinel.View) bool { return !heard(v) })
	if r := v.Reports[0]; r.Seen && r.Address != s.nodes[0].Address() || !v.Reports[1].Subscribed {
		t.Errorf("reports %+v", v.Reports)
	}
	s.sentinels[0].Hang(false)
	until(t, w, "cache", 4*time.Second, "subscribed again", heard)
}
