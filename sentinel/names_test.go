package sentinel

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1:6379":          "10.0.0.1:6379",
		"10.0.0.1:06379":         "10.0.0.1:6379",
		"Redis-A.Example.:6379":  "redis-a.example:6379",
		"[2001:DB8:0:0::1]:6379": "[2001:db8::1]:6379",
		"[::ffff:10.0.0.1]:6379": "10.0.0.1:6379",
		"no address":             "no address",
	} {
		if got := canonical(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// TestSpell: names and IPs that mean one node get the candidate's spelling.
func TestSpell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		table := map[string][]string{"redis-a": {"10.0.0.1"}, "redis-b": {"10.0.0.2", "::1"}, "both": {"10.0.0.1", "10.0.0.2"}}
		w := New(Config{Lookup: func(_ context.Context, host string) ([]string, error) {
			asked++
			if ips, ok := table[host]; ok {
				return ips, nil
			}
			return nil, errors.New("no such host")
		}})
		m := renew(nil, Master{ID: "m", Name: "m", Sentinels: []string{"s:1"}, Candidates: []string{"redis-a:6379", "10.0.0.2:6379"}})
		ctx, cancel := context.WithCancel(t.Context())
		go w.resolve(ctx)
		defer cancel()
		spell := func(address string) string {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.spell(m, address)
		}
		if got := spell("Redis-A:6379"); got != "redis-a:6379" || asked != 0 {
			t.Fatalf("%q after %d lookups: a literal match needs none", got, asked)
		}
		for in, want := range map[string]string{
			"10.0.0.1:6379": "redis-a:6379", "redis-b:6379": "10.0.0.2:6379",
			"redis-b:6380": "redis-b:6380", "both:6379": "both:6379", "stranger:6379": "stranger:6379",
		} {
			spell(in)
			synctest.Wait()
			if got := spell(in); got != want {
				t.Errorf("%q became %q, want %q", in, got, want)
			}
		}
		// A failing name service does not take away what was known.
		delete(table, "redis-b")
		time.Sleep(nameFor + time.Second)
		spell("redis-b:6379")
		synctest.Wait()
		if got := spell("redis-b:6379"); got != "10.0.0.2:6379" {
			t.Errorf("after the name service failed: %q", got)
		}
	})
}

func TestMasterOf(t *testing.T) {
	for _, c := range []struct{ channel, payload, want string }{
		{"+switch-master", "mymaster 10.0.0.1 6379 10.0.0.2 6379", "mymaster"},
		{"+odown", "master mymaster 10.0.0.1 6379 #quorum 2/2", "mymaster"},
		{"+promoted-slave", "slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379", "mymaster"},
		{"+config-update-from", "sentinel 0a1b 10.0.1.1 26379 @ mymaster 10.0.0.1 6379", "mymaster"},
		{"-role-change", "slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379 new reported role is master", "mymaster"},
		{"+vote-for-leader", "0a1b 7", ""},
		{"+new-epoch", "7", ""},
		{"+tilt", "#tilt mode entered", ""},
		{"+switch-master", "", ""},
	} {
		if got := masterOf(c.channel, c.payload); got != c.want {
			t.Errorf("%s %q is about %q, want %q", c.channel, c.payload, got, c.want)
		}
	}
}
