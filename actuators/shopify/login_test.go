package shopify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/shopify"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

// differs is what the metric says.
func (r *rig) differs() (labels []string) {
	r.t.Helper()
	out := make(chan prometheus.Metric, 10)
	r.kind.Collect(out)
	close(out)
	for m := range out {
		var told dto.Metric
		r.must(m.Write(&told))
		values := map[string]string{}
		for _, l := range told.GetLabel() {
			values[l.GetName()] = l.GetValue()
		}
		labels = append(labels, values["target"], values["asked"], values["answered"])
	}
	return labels
}

func (r *rig) grants() (n int) {
	for _, c := range r.sim.Journal(0).Calls {
		if c.Op == cloud.OpToken {
			n++
		}
	}
	return n
}

// TestGrantedTokenIsKeptAndReplacedInTime: one for a day, another in its last
// half hour, asked for by reads; a write uses what is there.
func TestGrantedTokenIsKeptAndReplacedInTime(t *testing.T) {
	inBubble(t, granted, func(r *rig) {
		w := r.work(1, addressB)
		wants := func(n int, what string) {
			t.Helper()
			if got := r.grants(); got != n {
				t.Errorf("%s: %d grants, want %d", what, got, n)
			}
		}
		for range 5 {
			r.look(w)
		}
		wants(1, "five reads")
		time.Sleep(23*time.Hour + 20*time.Minute)
		s := r.look(w)
		wants(1, "forty minutes before its end")
		time.Sleep(20 * time.Minute)
		_, err := r.act(w, s)
		r.must(err)
		wants(1, "a write twenty minutes before its end")
		r.look(w)
		wants(2, "a read then")
		r.add(cloud.Fault{Op: cloud.OpToken, Status: 503, Count: cloud.Unlimited})
		time.Sleep(23*time.Hour + 40*time.Minute)
		r.look(w) // the old one still does
		wants(3, "a grant that fails")
		r.Mend()
	})
}

// TestRevokedTokenCostsOneAttempt: a read gets another token at once, a write
// with its next attempt.
func TestRevokedTokenCostsOneAttempt(t *testing.T) {
	inBubble(t, granted, func(r *rig) {
		w := r.work(1, addressB)
		s := r.look(w)
		r.sim.Revoke()
		_, err := r.act(w, s)
		if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt || !strings.Contains(err.Error(), "401") {
			t.Errorf("%v: %+v", err, x)
		}
		r.write(1, addressB)
		r.sim.Revoke()
		r.look(w)
		if got := r.grants(); got != 3 {
			t.Errorf("%d grants, want 3", got)
		}
	})
	inBubble(t, static, func(r *rig) {
		r.sim.Revoke()
		if _, err := r.see(r.work(1, addressB)); !actuators.Explain(err).Permanent || !strings.Contains(err.Error(), "expired, revoked") {
			t.Errorf("static: %v", err)
		}
	})
}

// TestRefusedLogins: what cannot be a token is refused when it is opened, with
// the reason, and without a word of what it holds.
func TestRefusedLogins(t *testing.T) {
	for text, want := range map[string]string{
		"https://key:hunter2@example.myshopify.com": "private app", "a1b2:hunter2": "private app", "shppa_hunter2hunter2": "private app",
		"shpss_hunter2": "client secret", "shprt_hunter2": "refresh.refresh_token", "hunter2 two": "no header may", "": "is empty", "hunter2\x01x": "no header may",
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		params, err := proto.Marshal(&pb.ShopifyTarget{Shop: "example.myshopify.com", ApiVersion: "2026-10", Token: "file:" + path})
		if err != nil {
			t.Fatal(err)
		}
		_, err = shopify.New(shopify.Config{}).Open(fsm.TargetSpec{ID: "shop", Kind: shopify.TargetName, Params: params}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestProbe: nil means that Shopify itself answered and did not refuse this node.
func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		fault cloud.Fault
		down  bool
		ok    bool
	}{
		"well": {fault: cloud.Fault{Do: cloud.DoDelay}, ok: true},
		"busy": {fault: cloud.Fault{Status: 429}, ok: true}, "in trouble": {fault: cloud.Fault{Status: 503}, ok: true},
		"frozen": {fault: cloud.Fault{Status: 402}, ok: true}, "throttled": {fault: cloud.Fault{Do: cloud.DoError, Code: "THROTTLED"}, ok: true},
		"refused": {fault: cloud.Fault{Status: 401}}, "forbidden": {fault: cloud.Fault{Status: 403}}, "denied": {fault: cloud.Fault{Do: cloud.DoError, Code: "ACCESS_DENIED"}},
		"redirected": {fault: cloud.Fault{Status: 301, Location: "https://elsewhere.example"}}, "down": {fault: cloud.Fault{Do: cloud.DoDelay}, down: true}, "silent": {fault: cloud.Fault{Do: cloud.DoHang}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, static, func(r *rig) {
				c.fault.Op = cloud.OpRead
				r.add(c.fault)
				r.setDown(c.down)
				ctx, cancel := span()
				defer cancel()
				if err := r.tool.(actuators.Prober).Probe(ctx); (err == nil) != c.ok {
					t.Errorf("%v, want reached %t", err, c.ok)
				}
				if n := r.Seen(); n.Mutating != 0 || n.All > 1 {
					t.Errorf("a probe sent %+v", n)
				}
			})
		})
	}
}
