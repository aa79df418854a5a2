package shopify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/shopify"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

// TestWhatIsWritten: all values in one call, each under its digest, in words
// that an app can read and that never come back.
func TestWhatIsWritten(t *testing.T) {
	inBubble(t, static, func(r *rig) {
		for n, to := range []fsm.Address{addressB, addressA, addressB} { // A -> B -> A
			r.write(fsm.Number(n+1), to)
		}
		var writes []cloud.Call
		seen := map[string]bool{}
		for _, c := range r.sim.Journal(0).Calls {
			if !c.Write() {
				continue
			}
			writes = append(writes, c)
			form := cloud.CompareDigest
			if len(writes) == 1 {
				form = cloud.CompareNull
			}
			for _, set := range c.Sets {
				if set.Compare != form || seen[set.Key+set.After] {
					t.Errorf("write %d: %+v, want %s and a text that was never there", len(writes), set, form)
				}
				seen[set.Key+set.After] = true
			}
		}
		if len(writes) != 3 || len(writes[0].Sets) != 2 {
			t.Errorf("%d writes: %+v", len(writes), writes)
		}
		text, _ := r.sim.Value(namespace, key)
		want := fmt.Sprintf(`{"cluster":%q,"failover":"cache/3","action":"cache/3/shopify","value":"redis://%s/0?x=1&y=2"}`, cluster, addressB)
		if text != want {
			t.Errorf("stands %s\nwant   %s", text, want)
		}
	})
}

// TestStaleIsResolvedByReading: STALE_OBJECT stores nothing and settles
// nothing; a read tells whose words stand.
func TestStaleIsResolvedByReading(t *testing.T) {
	words := func(failover, action, value string) string {
		text, _ := json.Marshal(cloud.Words{Cluster: string(cluster), Failover: failover, Action: action, Value: value})
		return string(text)
	}
	ours := "redis://" + addressB + "/0?x=1&y=2"
	for name, c := range map[string]struct {
		key, other string
		want       actuators.Verdict
	}{
		"ours":       {words("cache/2", "cache/2/shopify", ours), words("cache/2", "cache/2/shopify", "z"), actuators.Applied},
		"newer":      {words("cache/3", "cache/3/shopify", "x"), words("cache/3", "cache/3/shopify", "z"), actuators.Newer},
		"older":      {words("cache/1", "cache/1/shopify~1", "x"), words("cache/1", "cache/1/shopify~1", "z"), actuators.Absent},
		"edited":     {words("cache/2", "cache/2/shopify", "x"), words("cache/2", "cache/2/shopify", "z"), actuators.Foreign},
		"nobody's":   {`{"a":1}`, `[1]`, actuators.Absent},
		"one newer":  {words("cache/1", "cache/1/shopify", "x"), words("cache/9", "cache/9/shopify", "z"), actuators.Newer},
		"one edited": {words("cache/2", "cache/2/shopify", ours), words("cache/2", "cache/2/shopify", "y"), actuators.Foreign},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, static, func(r *rig) {
				r.write(1, addressA)
				w := r.work(2, addressB)
				s := r.look(w)
				r.add(cloud.Fault{Op: cloud.OpWrite, Do: cloud.DoEdit, Namespace: namespace, Key: otherKey, Text: c.other})
				r.sim.Edit(namespace, key, c.key)
				_, err := r.act(w, s)
				x := actuators.Explain(err)
				if !errors.Is(err, shopify.ErrStale) || x.Doubt || x.Permanent || len(x.Requests) != 1 {
					t.Fatalf("%v: %+v", err, x)
				}
				if text, _ := r.sim.Value(namespace, key); text != c.key {
					t.Errorf("a refused write stored %s", text)
				}
				if s := r.look(w); s.Verdict != c.want {
					t.Errorf("a read finds %s, %s; want %s", s.Verdict, s.Detail, c.want)
				}
			})
		})
	}
}

// TestNothingIsSentUnderAnotherVersion: what stands must be what the claim names.
func TestNothingIsSentUnderAnotherVersion(t *testing.T) {
	inBubble(t, static, func(r *rig) {
		w := r.work(1, addressB)
		before := r.look(w)
		r.sim.Edit(namespace, key, `"somebody"`)
		now := r.look(w)
		for name, version := range map[string]string{"none": "", "older": before.Version, "odd": "v1", "of other keys": `{"a":null,"b":null}`} {
			now.Version = version
			if _, err := r.act(w, now); err == nil || actuators.Explain(err).Permanent || actuators.Explain(err).Doubt {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := r.Seen().Mutating; n != 0 {
			t.Errorf("%d writes were sent", n)
		}
	})
}

// TestPolicies: what stands there and is not ours, by policy and after the deed.
func TestPolicies(t *testing.T) {
	for _, c := range []struct {
		foreign    pb.Foreign
		phase      fsm.Phase
		mend       bool
		edit, drop bool
		want       actuators.Verdict
	}{
		{pb.Foreign_FOREIGN_ADOPT, fsm.Claimed, false, true, false, actuators.Absent},
		{pb.Foreign_FOREIGN_UNSPECIFIED, fsm.Claimed, false, true, false, actuators.Absent},
		{pb.Foreign_FOREIGN_STUCK, fsm.Claimed, false, true, false, actuators.Foreign},
		{pb.Foreign_FOREIGN_STUCK, fsm.Claimed, true, true, false, actuators.Absent},
		{pb.Foreign_FOREIGN_STUCK, fsm.Claimed, false, false, true, actuators.Absent},
		{pb.Foreign_FOREIGN_ADOPT, fsm.Done, false, true, false, actuators.Foreign},
		{pb.Foreign_FOREIGN_ADOPT, fsm.Done, false, false, true, actuators.Foreign},
		{pb.Foreign_FOREIGN_ADOPT, fsm.Done, false, false, false, actuators.Applied},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			inBubble(t, static, func(r *rig) {
				r.step.Foreign = c.foreign
				*r = *newRig(t, r.lab)
				r.write(1, addressB)
				switch {
				case c.edit:
					r.sim.Edit(namespace, key, "17")
				case c.drop:
					r.sim.Delete(namespace, key)
				}
				w := r.work(1, addressB)
				w.Action.Phase, w.Action.Mend = c.phase, c.mend
				if s := r.look(w); s.Verdict != c.want || s.Detail == "" {
					t.Errorf("%s, %q; want %s", s.Verdict, s.Detail, c.want)
				}
			})
		})
	}
}

// TestVersionFallsForward: the deed goes on, and everybody is told.
func TestVersionFallsForward(t *testing.T) {
	inBubble(t, static, func(r *rig) {
		r.write(1, addressB)
		if s := r.look(r.work(1, addressB)); s.Warning != "" || r.differs() != nil {
			t.Errorf("warned of %q, metric %v", s.Warning, r.differs())
		}
		k := r.sim.Knobs()
		k.Oldest = "2027-04"
		r.must(r.sim.SetKnobs(k))
		r.write(2, addressA)
		s := r.look(r.work(2, addressA))
		want := []string{"shop", "2026-10", "2027-04"}
		if !strings.Contains(s.Warning, "2027-04") || !strings.Contains(s.Detail, s.Warning) || !slices.Equal(r.differs(), want) {
			t.Errorf("warning %q, detail %q, metric %v", s.Warning, s.Detail, r.differs())
		}
	})
}

// TestWaits: how long to stay away, whichever way Shopify says it.
func TestWaits(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		fault cloud.Fault
		want  time.Duration
	}{
		{cloud.Fault{Status: 429}, 2 * time.Second},
		{cloud.Fault{Status: 429, RetryAfter: "0.25"}, 250 * ms},
		{cloud.Fault{Status: 429, RetryAfter: "2"}, 2 * time.Second},
		{cloud.Fault{Status: 429, RetryAfter: "1e9"}, 10 * time.Minute},
		{cloud.Fault{Status: 429, Body: `{"errors":"x","extensions":{"cost":{"requestedQueryCost":10,"throttleStatus":{"currentlyAvailable":0,"restoreRate":4}}}}`}, 2500 * ms},
		{cloud.Fault{Status: 200, Body: `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}]}`}, 2 * time.Second},
		{cloud.Fault{Status: 200, RetryAfter: "9", Body: `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}]}`}, 9 * time.Second},
		{cloud.Fault{Status: 402}, 5 * time.Minute},
		{cloud.Fault{Status: 423, RetryAfter: "600"}, 10 * time.Minute},
		{cloud.Fault{Do: cloud.DoError, Code: "SHOP_INACTIVE"}, 5 * time.Minute},
	} {
		inBubble(t, static, func(r *rig) {
			c.fault.Op = cloud.OpRead
			r.add(c.fault)
			_, err := r.see(r.work(1, addressB))
			if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt || x.After != c.want {
				t.Errorf("%+v: %v, after %s, want %s", c.fault, err, x.After, c.want)
			}
		})
	}
}

// TestShutShopIsLeftAlone: what one call has heard of the whole shop, all calls
// of the target heed; then one asks again.
func TestShutShopIsLeftAlone(t *testing.T) {
	for _, f := range []cloud.Fault{{Status: 402}, {Status: 423}, {Do: cloud.DoError, Code: "SHOP_INACTIVE"}} {
		inBubble(t, static, func(r *rig) {
			f.Count = 2
			r.add(f)
			_, err := r.see(r.work(1, addressB))
			if err == nil {
				t.Fatal("the shop answered")
			}
			heard := len(r.sim.Journal(0).Calls)
			time.Sleep(time.Minute)
			_, err = r.see(r.work(2, addressA))
			if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt || x.After != shopify.FrozenDelay-time.Minute || !strings.Contains(err.Error(), "nothing is carried out there") {
				t.Errorf("%+v: %v, after %s", f, err, x.After)
			}
			if n := len(r.sim.Journal(0).Calls); n != heard {
				t.Errorf("%+v: asked %d times while it was shut", f, n-heard)
			}
			time.Sleep(shopify.FrozenDelay)
			if _, err = r.see(r.work(2, addressA)); err == nil {
				t.Errorf("%+v: not asked again", f)
			}
			time.Sleep(shopify.FrozenDelay + time.Second)
			_, err = r.see(r.work(2, addressA))
			r.must(err)
		})
	}
}

func TestSending(t *testing.T) {
	inBubble(t, granted, func(r *rig) {
		left := 0
		ctx := actuators.WithSending(context.Background(), func() { left++ })
		w := r.work(1, addressB)
		reading, err := r.tool.Read(ctx, actuators.Subject{Step: w.Action.Step})
		r.must(err)
		if left != 0 {
			t.Errorf("a read and its token said %d times that they write", left)
		}
		s := r.tool.Judge(reading, w)
		w.Action.Version = s.Version
		_, err = r.tool.Act(ctx, w, s)
		r.must(err)
		if left != 1 {
			t.Errorf("one write, said %d times", left)
		}
	})
}
