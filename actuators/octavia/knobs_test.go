package octavia_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	cloud "github.com/pointsman/pointsman/test/clouds/octavia"
)

// turned is one value of a knob and how a failover under it must end.
type turned struct {
	name string
	set  func(*cloud.Knobs)
	ends end    // within half an hour; "": done
	says string // in the reason, where it does not end done
}

// patience bounds a ride; a mended provider is given as much again.
const patience = 30 * time.Minute

// table lists the values of every knob of the simulated provider. A knob that
// is missing fails TestEveryKnobIsInTheTable.
func table() map[string][]turned {
	type k = cloud.Knobs
	return map[string][]turned{
		"Provision": append(spans(func(k *k) *time.Duration { return &k.Provision }, 0, time.Second, 30*time.Second, 10*time.Minute),
			turned{"20m", func(k *k) { k.Provision = 20 * time.Minute }, stuck, "has not ended"}),
		"Outcome": {
			{"active", func(k *k) { k.Outcome = cloud.OutcomeActive }, done, ""},
			{"listener", func(k *k) { k.Outcome = cloud.OutcomeListener }, open, "in ERROR"},
			{"loadbalancer", func(k *k) { k.Outcome = cloud.OutcomeBalancer }, stuck, "takes no change until its operator has acted"},
			{"stays", func(k *k) { k.Outcome = cloud.OutcomeStays }, stuck, "has not ended"},
		},
		"ErrorApplies": {
			{"alone", func(k *k) { k.ErrorApplies = true }, done, ""},
			{"listener", func(k *k) { k.ErrorApplies, k.Outcome = true, cloud.OutcomeListener }, open, "in ERROR"},
			{"loadbalancer", func(k *k) { k.ErrorApplies, k.Outcome = true, cloud.OutcomeBalancer }, stuck, "takes no change"},
		},
		"Shows":     words(func(k *k) *cloud.Shows { return &k.Shows }, cloud.ShowsAtOnce, cloud.ShowsActive),
		"ReadLag":   spans(func(k *k) *time.Duration { return &k.ReadLag }, time.Second, 9*time.Second, time.Minute),
		"PutAnswer": words(func(k *k) *cloud.PutAnswer { return &k.PutAnswer }, cloud.PutWhole, cloud.PutEmpty, cloud.PutOld),
		"NullText":  {{"true", func(k *k) { k.NullText = true }, done, ""}},
		"Operating": words(func(k *k) *string { return &k.Operating }, "", "ONLINE", "DRAINING", "OFFLINE", "DEGRADED", "ERROR", "NO_MONITOR"),
		"ErrorForm": words(func(k *k) *cloud.ErrorForm { return &k.ErrorForm }, cloud.FormFault, cloud.FormError, cloud.FormText),
		"NoRequestID": {
			{"true", func(k *k) { k.NoRequestID = true }, done, ""},
		},
		"Maintenance": {
			{"off", func(k *k) { k.Maintenance = cloud.MaintenanceOff }, done, ""},
			{"html", func(k *k) { k.Maintenance = cloud.MaintenanceHTML }, open, "503"},
			{"json", func(k *k) { k.Maintenance = cloud.MaintenanceJSON }, open, "503"},
		},
		"NotGranted": notGranted(),
		"RatePerMinute": {
			{"60", func(k *k) { k.RatePerMinute = 60 }, done, ""}, {"20", func(k *k) { k.RatePerMinute = 20 }, done, ""},
			{"8", func(k *k) { k.RatePerMinute = 8 }, done, ""}, {"1", func(k *k) { k.RatePerMinute = 1 }, open, "429"},
		},
		"RateStatus":     numbers(func(k *k) *int { return &k.RateStatus }, 429, 498, 503),
		"RateForm":       words(func(k *k) *cloud.RateForm { return &k.RateForm }, cloud.RateJSON, cloud.RateHTML, cloud.RateEmpty),
		"RateRetryAfter": words(func(k *k) *string { return &k.RateRetryAfter }, "", "0", "7", "soon", "Sat, 01 Jan 2000 00:01:00 GMT"),
		"Trouble": {
			{"none", func(k *k) { k.Trouble = cloud.TroubleNone }, done, ""},
			{"login", func(k *k) { k.Trouble = cloud.TroubleLogin }, stuck, "auth/tokens: 401"},
			{"project", func(k *k) { k.Trouble = cloud.TroubleProject }, stuck, "auth/tokens: 403"},
			{"tokens", func(k *k) { k.Trouble = cloud.TroubleTokens }, stuck, "401"},
			{"role", func(k *k) { k.Trouble = cloud.TroubleRole }, stuck, "Policy does not allow"},
		},
		"TokenTTL": spans(func(k *k) *time.Duration { return &k.TokenTTL }, time.Second, 10*time.Second, 48*time.Hour),
		"TokenForm": {
			{"plain", func(k *k) { k.TokenForm = cloud.TokenPlain }, done, ""},
			{"offset", func(k *k) { k.TokenForm = cloud.TokenOffset }, done, ""},
			{"no times", func(k *k) { k.TokenForm = cloud.TokenNoTimes }, done, ""},
			{"odd times", func(k *k) { k.TokenForm = cloud.TokenOddTimes }, done, ""},
			{"no times, short", func(k *k) { k.TokenForm, k.TokenTTL = cloud.TokenNoTimes, 3*time.Second }, done, ""},
			{"no header", func(k *k) { k.TokenForm = cloud.TokenNoHeader }, open, "X-Subject-Token"},
			{"no catalog", func(k *k) { k.TokenForm = cloud.TokenNoCatalog }, stuck, "no load balancer service"},
			{"elsewhere", func(k *k) { k.TokenForm = cloud.TokenElsewhere }, stuck, "GRA9"},
			{"html", func(k *k) { k.TokenForm = cloud.TokenHTML }, open, "not understood"},
		},
		"TokenDelay": append(spans(func(k *k) *time.Duration { return &k.TokenDelay }, time.Second, 3*time.Second),
			turned{"6s", func(k *k) { k.TokenDelay = 6 * time.Second }, open, "deadline exceeded"}),
		"TokenRate":    numbers(func(k *k) *int { return &k.TokenRate }, 1, 60),
		"ClockSkew":    spans(func(k *k) *time.Duration { return &k.ClockSkew }, -24*time.Hour, -time.Minute, time.Minute, 365*24*time.Hour),
		"EndpointForm": words(func(k *k) *cloud.EndpointForm { return &k.EndpointForm }, cloud.EndpointRoot, cloud.EndpointSlash, cloud.EndpointV2, cloud.EndpointV20, cloud.EndpointBelow),
	}
}

func words[T ~string](of func(*cloud.Knobs) *T, values ...T) (out []turned) {
	for _, v := range values {
		out = append(out, turned{name: strconv.Quote(string(v)), set: func(k *cloud.Knobs) { *of(k) = v }})
	}
	return out
}

func spans(of func(*cloud.Knobs) *time.Duration, values ...time.Duration) (out []turned) {
	for _, v := range values {
		out = append(out, turned{name: v.String(), set: func(k *cloud.Knobs) { *of(k) = v }})
	}
	return out
}

func numbers(of func(*cloud.Knobs) *int, values ...int) (out []turned) {
	for _, v := range values {
		out = append(out, turned{name: strconv.Itoa(v), set: func(k *cloud.Knobs) { *of(k) = v }})
	}
	return out
}

// calls are those that a failover makes of Octavia, each of which may be the
// one that a role may not.
func calls() []string {
	return []string{
		"GET /lbaas/loadbalancers/" + lbID, "GET /lbaas/listeners/" + listenerID, "GET /lbaas/pools/" + poolB,
		"GET /lbaas/pools/*/members", "PUT /lbaas/listeners/" + listenerID,
	}
}

func notGranted() []turned {
	var out []turned
	for _, c := range []string{"DELETE *", "POST *", "PUT /lbaas/pools/*", "GET /lbaas/loadbalancers"} {
		out = append(out, turned{name: c, set: func(k *cloud.Knobs) { k.NotGranted = c }})
	}
	for _, c := range calls() {
		out = append(out, turned{c, func(k *cloud.Knobs) { k.NotGranted = c }, stuck, "Policy does not allow"})
	}
	return out
}

func TestEveryKnobIsInTheTable(t *testing.T) {
	rows := table()
	knobs := reflect.TypeFor[cloud.Knobs]()
	met := map[string]bool{}
	for i := range knobs.NumField() {
		name := knobs.Field(i).Name
		if len(rows[name]) == 0 {
			t.Errorf("no value of the knob %s is in the table", name)
		}
		for _, row := range rows[name] {
			var k cloud.Knobs
			row.set(&k)
			if err := k.Validate(); err != nil {
				t.Errorf("%s %s: %v", name, row.name, err)
			}
			met[fmt.Sprintf("%s %v", knobs.Field(i).Type.Name(), reflect.ValueOf(k).Field(i))] = true
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("%s is in the table and no knob", name)
	}
	for _, word := range declaredWords(t, knobs) {
		if !met[word] {
			t.Errorf("the word %q is not in the table", word)
		}
	}
}

// declaredWords lists the constants of the knobs' own types, "Type value", out
// of the simulator's source.
func declaredWords(t *testing.T, knobs reflect.Type) (out []string) {
	t.Helper()
	types := map[string]bool{}
	for i := range knobs.NumField() {
		if f := knobs.Field(i).Type; f.Kind() == reflect.String && f.PkgPath() != "" {
			types[f.Name()] = true
		}
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), "../../test/clouds/octavia/knobs.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		of, _ := spec.Type.(*ast.Ident)
		text, _ := spec.Values[0].(*ast.BasicLit)
		if of != nil && text != nil && types[of.Name] {
			value, err := strconv.Unquote(text.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, of.Name+" "+value)
		}
		return true
	})
	if len(out) < 35 {
		t.Fatalf("%d words found in the simulator's source", len(out))
	}
	return out
}

// bases are what a value of a knob is turned on top of: knobs that only matter
// beside another one would show nothing else.
func bases() map[string]func(*cloud.Knobs) {
	return map[string]func(*cloud.Knobs){
		"alone": func(*cloud.Knobs) {},
		"slow and late": func(k *cloud.Knobs) {
			k.Provision, k.Shows, k.PutAnswer, k.NullText = time.Minute, cloud.ShowsActive, cloud.PutEmpty, true
		},
		"limited": func(k *cloud.Knobs) { k.RatePerMinute, k.TokenTTL, k.ErrorForm = 15, 20*time.Second, cloud.FormError },
	}
}

// TestEveryValueOfEveryKnob: under each a failover ends right, or where it says
// that it cannot; and right, once the provider is as it should be.
func TestEveryValueOfEveryKnob(t *testing.T) {
	for knob, rows := range table() {
		for _, row := range rows {
			for base, under := range bases() {
				t.Run(knob+"/"+row.name+"/"+base, func(t *testing.T) {
					inBubble(t, func(r *rig) { r.survives(row) }, under, row.set)
				})
			}
		}
	}
}

func (r *rig) survives(row turned) {
	r.t.Helper()
	w, e := r.ride(1, patience)
	w.sound(e, 0)
	if want := cmp.Or(row.ends, done); e != want {
		r.t.Fatalf("%s (%s), want %s", e, w.Reason, want)
	}
	if e == done {
		return
	}
	if !strings.Contains(w.Reason, row.says) && (e != open || !strings.Contains(w.Reason, "429")) {
		r.t.Errorf("%s: %q, want %q in it", e, w.Reason, row.says)
	}
	if e == stuck && len(w.IDs) == 0 {
		r.t.Error("stuck, without the id of an answer")
	}
	r.heal()
	w, e = r.ride(1, patience)
	w.sound(e, 0)
	if e != done {
		r.t.Errorf("the provider is as it should be, and it is %s: %s", e, w.Reason)
	}
}

// heal makes the provider as it should be; its operator frees what is in ERROR
// or pending for good.
func (r *rig) heal() {
	r.t.Helper()
	r.Mend()
	// Where the API is stays: whoever moves it restarts its users, too.
	r.must(r.sim.SetKnobs(cloud.Knobs{Provision: 2 * time.Second, EndpointForm: r.sim.Knobs().EndpointForm}))
	time.Sleep(20 * time.Minute)
	r.sim.Recover(lbID)
}
