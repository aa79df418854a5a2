package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Pages of any size put together are the whole list, and what is added between
// two pages neither repeats nor hides what was there before.
func TestPagesMakeTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c/]{1,6}`), 0, 60, rapid.ID).Draw(t, "keys")
		size := rapid.Int32Range(1, 12).Draw(t, "size")
		later := rapid.SliceOfN(rapid.StringMatching(`[a-c/]{1,6}`), 0, 8).Draw(t, "later")
		live := slices.Clone(keys)
		var got []string
		for token := ""; ; {
			var items []ranked[string]
			for _, k := range live {
				items = append(items, ranked[string]{k, k})
			}
			cut, next, err := page(items, &pointsmanv1.ListActionsRequest{PageSize: size, PageToken: token}, "scope")
			if err != nil {
				t.Fatal(err)
			}
			if len(cut) > int(size) || next != "" && len(cut) != int(size) {
				t.Fatalf("page of %d, size %d, next %q", len(cut), size, next)
			}
			if got = append(got, cut...); len(got) > 100 {
				t.Fatalf("pages without end: %q", got)
			}
			if next == "" {
				break
			}
			if token = next; len(later) > 0 && !slices.Contains(live, later[0]) {
				live = append(live, later[0])
				later = later[1:]
			}
		}
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Fatalf("not in order or repeated: %q", got)
		}
		for _, k := range keys {
			if !slices.Contains(got, k) {
				t.Fatalf("%q is missing in %q", k, got)
			}
		}
	})
}

func TestListFailoversAndActions(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache", "queue")
	w.seed("cache", "queue")
	for range 12 {
		w.failover("cache")
	}
	last := w.failover("queue")
	w.finish(last, "url")
	c, ctx := w.at("n1"), context.Background()

	var ids []string
	for token := ""; ; {
		resp, err := c.Failovers().ListFailovers(ctx, &pointsmanv1.ListFailoversRequest{PageSize: 5, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range resp.GetFailovers() {
			ids = append(ids, f.GetId())
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(ids) != 13 || ids[0] != "queue/1" || ids[1] != "cache/12" || ids[12] != "cache/1" {
		t.Errorf("failovers %q", ids)
	}
	resp, err := c.Actions().ListActions(ctx, &pointsmanv1.ListActionsRequest{PageSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	var first []string
	for _, a := range resp.GetActions() {
		first = append(first, a.GetId())
	}
	if got := strings.Join(first, " "); got != "queue/1/url queue/1/a queue/1/b cache/12/url" {
		t.Errorf("actions begin with %s", got)
	}
	filtered(t, c)
}

func filtered(t *testing.T, c *client.Client) {
	t.Helper()
	for filter, want := range map[string]int{
		"":                               39,
		"master=cache":                   36,
		"failover=cache/12":              3,
		"state=superseded":               33,
		"state=ACTION_STATE_DONE":        1,
		"master=queue  state=pending":    2,
		"kind=setting object=setting/x":  0,
		"object=setting/redis/cache/url": 12,
		"target=lb-par":                  0,
	} {
		resp, err := c.Actions().ListActions(context.Background(), &pointsmanv1.ListActionsRequest{Filter: filter})
		if err != nil || len(resp.GetActions()) != want {
			t.Errorf("filter %q: %d actions, want %d (%v)", filter, len(resp.GetActions()), want, err)
		}
	}
}

func TestBadLists(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache")
	for i := range 1001 {
		w.apply(putSetting(fmt.Sprintf("k/%04d", i), "v"), "", "test")
	}
	c, ctx := w.at("n1"), context.Background()
	list := func(size int32, token, filter string) (*pointsmanv1.ListSettingsResponse, error) {
		return c.Settings().ListSettings(ctx, &pointsmanv1.ListSettingsRequest{PageSize: size, PageToken: token, Filter: filter})
	}
	if resp, err := list(5000, "", ""); err != nil || len(resp.GetSettings()) != 1000 {
		t.Errorf("too large a page: %d settings, %v", len(resp.GetSettings()), err)
	}
	resp, err := list(0, "", "")
	if err != nil || len(resp.GetSettings()) != 100 {
		t.Errorf("default page: %d settings, %v", len(resp.GetSettings()), err)
	}
	_, err = list(-1, "", "")
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	_, err = list(0, "!", "")
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	_, err = list(0, resp.GetNextPageToken(), "source=x")
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	_, err = list(0, "", "state=done")
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	if v := client.Violations(err); len(v) != 1 || v[0].Field != "filter" || !strings.Contains(v[0].Description, `"state"`) {
		t.Errorf("violations %v", v)
	}
	for _, filter := range []string{"state=dnoe", "state", "state=done state=done", "=x"} {
		_, err = c.Actions().ListActions(ctx, &pointsmanv1.ListActionsRequest{Filter: filter})
		wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	}
}
