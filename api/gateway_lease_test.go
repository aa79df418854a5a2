package api

import (
	"fmt"
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/pointsman/pointsman/fsm"
)

// A worker in any language lives by plain requests: it joins, renews, releases
// and leaves; numbers of 64 bits are strings.
func TestGatewayLeases(t *testing.T) {
	w := newPool(t, 2, Limits{})
	b := w.web("n2") // a follower passes renewals on
	post := func(path, format string, args ...any) got {
		t.Helper()
		return b.do(http.MethodPost, path, fmt.Sprintf(format, args...), "Content-Type: application/json")
	}
	opened := post("/v1/sessions", `{"pool": "work", "worker": "php-1", "key": %q}`, keyOne)
	id, ok := opened.at(t, "session.id").(string)
	if !ok || opened.at(t, "ttl") != "7s" {
		t.Fatalf("opened: %d %s", opened.code, opened.body)
	}
	var session uint64
	if _, err := fmt.Sscan(id, &session); err != nil {
		t.Fatal(err)
	}
	token := fmt.Sprint(w.grant(session, 2))
	renewed := post("/v1/sessions/"+id+":renew", `{"key": %q, "held": [{"partition": 3, "token": "5"}]}`, keyOne)
	if renewed.at(t, "assignments.0.partition") != float64(2) || renewed.at(t, "assignments.0.token") != token || renewed.at(t, "assignments.0.validFor") != "7s" ||
		renewed.at(t, "refused.0.partition") != float64(3) {
		t.Errorf("renewed: %d %s", renewed.code, renewed.body)
	}
	if l := b.get("/v1/leases/work/2"); l.at(t, "lease.worker") != "php-1" || l.at(t, "lease.state") != "LEASE_STATE_HELD" {
		t.Errorf("lease: %d %s", l.code, l.body)
	}
	if c := b.get("/v1/leases/work/2:check?token=" + token); c.at(t, "lease.token") != token {
		t.Errorf("check: %d %s", c.code, c.body)
	}
	fenced := b.get("/v1/leases/work/2:check?token=1")
	wantStatus(t, fenced, http.StatusConflict, codes.Aborted, "LEASE_FENCED")
	if fenced.at(t, "details.0.metadata.current_token") != token {
		t.Errorf("fenced: %s", fenced.body)
	}
	wantStatus(t, post("/v1/sessions/"+id+":renew", `{"key": %q}`, keyTwo), http.StatusNotFound, codes.NotFound, ReasonNotFound)
	if r := post("/v1/leases/work/2:revoke", `{"reason": "by hand"}`); r.at(t, "lease.state") != "LEASE_STATE_DRAINING" {
		t.Errorf("revoked: %d %s", r.code, r.body)
	}
	if r := post("/v1/sessions/"+id+":release", `{"key": %q, "released": [{"partition": 2, "token": %q}]}`, keyOne, token); r.code != http.StatusOK {
		t.Errorf("released: %d %s", r.code, r.body)
	}
	if l, _ := w.now().Lease("work", 2); l.State != fsm.Free {
		t.Errorf("after its release: %+v", l)
	}
	if r := post("/v1/sessions/"+id+":close", `{"key": %q}`, keyOne); r.code != http.StatusOK || len(w.now().Sessions("work")) != 0 {
		t.Errorf("closed: %d %s", r.code, r.body)
	}
	if p := b.get("/v1/pools/work"); p.at(t, "pool.partitions") != float64(4) || p.at(t, "pool.free") != float64(4) {
		t.Errorf("pool: %d %s", p.code, p.body)
	}
	if l := b.get("/v1/leases?filter=pool%3Dwork&page_size=2"); l.at(t, "leases.1.id") != "work/1" || l.at(t, "nextPageToken") == "" {
		t.Errorf("leases: %d %s", l.code, l.body)
	}
}
