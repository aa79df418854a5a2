package shopify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

type shop struct {
	*Sim
	t *testing.T
}

func newShop(t *testing.T, turn ...func(*Knobs)) *shop {
	t.Helper()
	k := DefaultKnobs()
	for _, f := range turn {
		f(&k)
	}
	s, err := New(Config{Knobs: &k})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	s.AddToken("t")
	return &shop{s, t}
}

// ask sends one GraphQL request; the answer as JSON, and its status.
func (s *shop) ask(version, query string, variables any) (map[string]any, *http.Response) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/admin/api/"+version+"/graphql.json", bytes.NewReader(body))
	r.Header.Set("X-Shopify-Access-Token", "t")
	return s.send(r)
}

func (s *shop) send(r *http.Request) (map[string]any, *http.Response) {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	resp := w.Result()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(text, &out) // a page of HTML
	return out, resp
}

const set = `mutation M($metafields: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $metafields) { metafields { key value compareDigest } userErrors { code field message elementIndex } } }`

// write sends metafieldsSet and gives the codes of the user errors.
func (s *shop) write(fields ...map[string]any) (codes []string) {
	s.t.Helper()
	for _, f := range fields {
		for name, v := range map[string]any{"ownerId": ownerID, "namespace": "pointsman", "type": "json"} {
			if _, given := f[name]; !given {
				f[name] = v
			}
		}
	}
	out, _ := s.ask("2026-10", set, map[string]any{"metafields": fields})
	data, _ := out["data"].(map[string]any)
	if data == nil {
		s.t.Fatalf("no data: %v", out)
	}
	for _, e := range data["metafieldsSet"].(map[string]any)["userErrors"].([]any) {
		codes = append(codes, fmt.Sprint(e.(map[string]any)["code"]))
	}
	return codes
}

func (s *shop) digest(key string) any {
	s.t.Helper()
	out, _ := s.ask("2026-10", `query($k: String!) { currentAppInstallation { metafield(namespace: "pointsman", key: $k) { compareDigest } } }`, map[string]any{"k": key})
	m, _ := out["data"].(map[string]any)["currentAppInstallation"].(map[string]any)["metafield"].(map[string]any)
	return m["compareDigest"]
}

type f = map[string]any

// TestThreeForms: a digest, null and nothing are three different wishes, and a
// call is carried out as a whole or not at all.
func TestThreeForms(t *testing.T) {
	s := newShop(t)
	stands := func(key, want string) {
		t.Helper()
		if got, _ := s.Value("pointsman", key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	said := func(want string, got []string) {
		t.Helper()
		if g := strings.Join(got, " "); g != want {
			t.Errorf("user errors %q, want %q", g, want)
		}
	}
	said("STALE_OBJECT", s.write(f{"key": "aa", "value": "1", "compareDigest": "x"}))
	said("", s.write(f{"key": "aa", "value": "1", "compareDigest": nil}))
	said("STALE_OBJECT", s.write(f{"key": "aa", "value": "2", "compareDigest": nil}))
	first := s.digest("aa")
	said("", s.write(f{"key": "aa", "value": "2", "compareDigest": first}))
	said("STALE_OBJECT", s.write(f{"key": "aa", "value": "3", "compareDigest": first}, f{"key": "bb", "value": "3"}))
	stands("aa", "2")
	stands("bb", "")
	said("", s.write(f{"key": "aa", "value": "1"}, f{"key": "bb", "value": "3"}))
	stands("aa", "1")
	if s.digest("aa") != first {
		t.Error("a digest stands for the value: the same one has another") // A -> B -> A
	}
	var forms []Compare
	for _, c := range s.Journal(0).Calls {
		if c.Write() {
			forms = append(forms, c.Sets[0].Compare)
		}
	}
	if got := fmt.Sprint(forms); got != "[digest null null digest digest absent]" {
		t.Errorf("forms on the wire %s", got)
	}
}

func TestUserErrors(t *testing.T) {
	s := newShop(t)
	many := make([]map[string]any, 26)
	for i := range many {
		many[i] = f{"key": fmt.Sprint("key", i), "value": "1"}
	}
	for want, fields := range map[string][]map[string]any{
		"INVALID": {{"key": "aa", "value": "1", "ownerId": "gid://shopify/Shop/1"}}, "TOO_SHORT": {{"key": "a", "value": "1"}},
		"TOO_LONG": {{"key": "aa", "value": `"` + strings.Repeat("x", MaxValue) + `"`}}, "BLANK": {{"key": "aa", "value": "1", "type": nil}},
		"INCLUSION": {{"key": "aa", "value": "1", "type": "jsn"}}, "INVALID_VALUE": {{"key": "aa", "value": "{"}},
		"INVALID_COMPARE_DIGEST": {{"key": "aa", "value": "1", "compareDigest": ""}}, "TAKEN": {{"key": "aa", "value": "1"}, {"key": "aa", "value": "2"}},
		"LESS_THAN_OR_EQUAL_TO": many,
	} {
		if got := s.write(fields...); len(got) != 1 || got[0] != want {
			t.Errorf("user errors %q, want %s", got, want)
		}
	}
	for _, c := range s.Journal(0).Calls {
		if c.Accepted || c.Order != 0 {
			t.Errorf("stored: %+v", c)
		}
	}
}

// TestTypesDecide: what Shopify would refuse is refused, before any effect.
func TestTypesDecide(t *testing.T) {
	s := newShop(t)
	for query, want := range map[string]string{
		`{ appSettings { id } }`:                                                   "undefinedField",
		`mutation { appSettingsUpdate(x: 1) { id } }`:                              "undefinedField",
		`{ currentAppInstallation { metafield(namespace: "pm") { id } } }`:         "missingRequiredArguments",
		`{ currentAppInstallation { metafield(name: "x", key: "k") { id } } }`:     "argumentNotAccepted",
		`{ currentAppInstallation }`:                                               "selectionMismatch",
		`{ currentAppInstallation { metafield(key: 7) { id } } }`:                  "argumentLiteralsIncompatible",
		`query($k: Int!) { currentAppInstallation { metafield(key: $k) { id } } }`: "variableMismatch",
		set: "INVALID_VARIABLE",
		`mutation { metafieldsSet(metafields: []) { userErrors { nope } } }`: "undefinedField",
		`{`: "",
	} {
		out, resp := s.ask("2026-10", query, f{"metafields": []any{f{"key": "aa"}}})
		list, _ := out["errors"].([]any)
		if resp.StatusCode != http.StatusOK || len(list) == 0 || out["data"] != nil {
			t.Errorf("%s: %d %v", query, resp.StatusCode, out)
			continue
		}
		code, _ := list[0].(map[string]any)["extensions"].(map[string]any)["code"].(string)
		if code != want {
			t.Errorf("%s: %q, want %q: %v", query, code, want, list[0])
		}
	}
}

// TestEveryFieldHasAValue asks for all that the types have.
func TestEveryFieldHasAValue(t *testing.T) {
	s := newShop(t)
	s.Edit("pointsman", "aa", `{"a":1}`)
	s.AddHook(Hook{Topic: "ORDERS_CREATE", URI: "https://hooks.example.com/x", Name: "orders", Filter: "id:1", Fields: []string{"id"}})
	types := s.schemas.of("2026-10")
	var all func(name string, depth int) string
	all = func(name string, depth int) string {
		var b strings.Builder
		for _, field := range types.Types[name].Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			of := types.Types[field.Type.Name()]
			b.WriteString(" " + field.Name)
			if field.Name == "metafield" {
				b.WriteString(`(namespace: "pointsman", key: "aa")`)
			}
			if of.Kind == ast.Object {
				b.WriteString(" {" + all(of.Name, depth+1) + "}")
			}
		}
		return b.String()
	}
	query := "{" + all("QueryRoot", 0) + "}"
	out, _ := s.ask("2026-10", query, nil)
	text := fmt.Sprint(out["data"])
	if out["errors"] != nil || !strings.Contains(text, "sizeInBytes:7") || !strings.Contains(text, "jsonValue:map[a:1]") || strings.Contains(text, "<nil>") {
		t.Errorf("%s: %v", query, out)
	}
	if out, _ := s.ask("2026-04", query, nil); out["errors"] == nil {
		t.Error("2026-04 has a field of 2026-07")
	}
	const named = "{ webhookSubscriptions(first: 1) { nodes { name } } }"
	for version, wrong := range map[string]bool{"2026-01": true, "2026-04": false} {
		if out, _ := s.ask(version, named, nil); (out["errors"] != nil) != wrong {
			t.Errorf("%s: names of webhook subscriptions: %v", version, out)
		}
	}
}

func TestVersions(t *testing.T) {
	s := newShop(t, func(k *Knobs) { k.Oldest = "2026-04" })
	for asked, want := range map[string]string{"2025-10": "2026-04", "2026-04": "2026-04", "2027-01": "2027-01"} {
		if _, resp := s.ask(asked, "{ shop { id } }", nil); resp.Header.Get("X-Shopify-Api-Version") != want {
			t.Errorf("%s is answered by %v, want %s", asked, resp.Header, want)
		}
	}
	if _, resp := s.ask("x/y", "{ shop { id } }", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another path: %d", resp.StatusCode)
	}
}

// TestBucket: what is spent comes back with time, and no faster.
func TestBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, func(k *Knobs) { k.Bucket, k.Restore = 25, 5 })
		throttled := func() bool {
			t.Helper()
			out, _ := s.ask("2026-10", set, f{"metafields": []any{f{"key": "aa", "value": "1", "type": "json", "ownerId": ownerID}}})
			cost := out["extensions"].(map[string]any)["cost"].(map[string]any)
			if is := out["errors"] != nil; is != (cost["actualQueryCost"] == nil) {
				t.Errorf("%v", out)
			}
			return out["errors"] != nil
		}
		first, second, third := throttled(), throttled(), throttled()
		if first || second || !third {
			t.Error("a bucket of 25 takes two writes of 10")
		}
		time.Sleep(900 * time.Millisecond)
		if !throttled() {
			t.Error("5 left and 4.5 came back")
		}
		time.Sleep(200 * time.Millisecond)
		if throttled() {
			t.Error("10 are there")
		}
	})
}

// TestTokens: a granted one ends with its life, none is taken that is unknown.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.AddApp("app", "secret")
		grant := func(secret string) map[string]any {
			form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {secret}}
			out, _ := s.send(httptest.NewRequest(http.MethodPost, "/admin/oauth/access_token", strings.NewReader(form.Encode())))
			return out
		}
		use := func(token string) int {
			r := httptest.NewRequest(http.MethodPost, "/admin/api/2026-10/graphql.json", strings.NewReader(`{"query":"{shop{id}}"}`))
			r.Header.Set("X-Shopify-Access-Token", token)
			_, resp := s.send(r)
			return resp.StatusCode
		}
		if out := grant("wrong"); out["error"] != "invalid_client" {
			t.Errorf("%v", out)
		}
		out := grant("secret")
		token := fmt.Sprint(out["access_token"])
		if out["expires_in"] != 86400.0 || use(token) != 200 || use("other") != 401 || use("") != 401 {
			t.Errorf("%v", out)
		}
		time.Sleep(24 * time.Hour)
		if use(token) != 401 || use("t") != 200 {
			t.Error("a day is over for the granted one only")
		}
	})
}

// TestProofFinds what must never be.
func TestProofFinds(t *testing.T) {
	words := func(n int, action, value string) string {
		text, _ := json.Marshal(Words{Cluster: "c", Failover: fmt.Sprint("cache/", n), Action: action, Value: value})
		return string(text)
	}
	s := newShop(t)
	put := func(n int, action, value string) {
		t.Helper()
		w := f{"key": "aa", "value": words(n, action, value), "compareDigest": s.digest("aa")}
		if codes := s.write(w); len(codes) > 0 {
			t.Fatal(codes)
		}
	}
	log := []LoggedAction{
		{ID: "cache/1/x", State: "done", Effect: "changed", Claims: 1}, {ID: "cache/2/x", State: "done", Effect: "changed", Claims: 2},
	}
	put(1, "cache/1/x", "a")
	put(2, "cache/2/x", "b")
	if p := s.Prove(log); !p.Sound() || p.Changes != 2 {
		t.Errorf("sound: %+v", p)
	}
	put(2, "cache/2/x", "b")
	put(2, "cache/2/x", "c")
	put(1, "cache/1/x~1", "a")
	s.write(f{"key": "aa", "value": words(3, "cache/3/x", "d")}, f{"key": "bb", "value": `1`})
	p := s.Prove(append(log, LoggedAction{ID: "cache/4/x", State: "done", Effect: "changed", Claims: 1}))
	p.Details, p.Dropped = nil, 0
	want := Proof{Changes: 5, Repeats: 1, Duplicates: 1, Stale: 1, Torn: 1, Unfenced: 2, Lost: 1, Orphans: 2}
	if fmt.Sprint(p) != fmt.Sprint(want) {
		t.Errorf("%+v\nwant %+v", p, want)
	}
}

func TestFaultsAndKnobsAreChecked(t *testing.T) {
	s := newShop(t)
	for _, bad := range []Fault{{}, {Do: "nope"}, {Do: DoHang, When: "later"}, {Do: DoHang, Op: OpOther}, {Do: DoCut}, {Do: DoDelay, Delay: -1}, {Do: DoHang, Count: -2}} {
		if _, err := s.AddFault(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	for _, change := range []func(*Knobs){func(k *Knobs) { k.Delay = -1 }, func(k *Knobs) { k.Bucket = -1 }, func(k *Knobs) { k.Frozen = "a bit" }, func(k *Knobs) { k.ReadLag = -1 }} {
		k := DefaultKnobs()
		change(&k)
		if s.SetKnobs(k) == nil {
			t.Errorf("%+v was taken", k)
		}
	}
}
