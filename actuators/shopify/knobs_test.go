package shopify_test

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

	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

// turned is one value of a knob and how a failover under it must end.
type turned struct {
	name    string
	set     func(*cloud.Knobs)
	ends    end    // within half an hour; "": done
	granted end    // with a token that is asked for, where that differs
	rotated end    // with a refresh token, where that differs from granted
	says    string // in the reason, where it does not end done
}

// table lists the values of every knob of the simulated shop. A knob that is
// missing fails TestEveryKnobIsInTheTable.
func table() map[string][]turned {
	type k = cloud.Knobs
	return map[string][]turned{
		"Delay": append(spans(func(k *k) *time.Duration { return &k.Delay }, 0, time.Second, 2*time.Second),
			turned{name: "6s", set: func(k *k) { k.Delay = 6 * time.Second }, ends: open, says: "deadline exceeded"}),
		"ReadLag": spans(func(k *k) *time.Duration { return &k.ReadLag }, time.Second, 10*time.Second, time.Minute),
		"Bucket": append(numbers(func(k *k) *int { return &k.Bucket }, 13, 30),
			turned{name: "too small", set: func(k *k) { k.Bucket = 2 }, ends: open, says: "THROTTLED"}),
		"Restore":   append(numbers(func(k *k) *int { return &k.Restore }, 1, 50, 2000), limited("with an empty bucket", func(*k) {})),
		"ReadCost":  numbers(func(k *k) *int { return &k.ReadCost }, 0, 3),
		"WriteCost": numbers(func(k *k) *int { return &k.WriteCost }, 0, 12),
		"TokenLife": append(spans(func(k *k) *time.Duration { return &k.TokenLife }, 15*time.Second, time.Minute, time.Hour),
			turned{name: "none", set: func(k *k) { k.TokenLife = 0 }, granted: stuck, rotated: done, says: "401"}),
		"ShortLife": append(spans(func(k *k) *time.Duration { return &k.ShortLife }, 15*time.Second, time.Minute, time.Hour),
			turned{name: "none", set: func(k *k) { k.ShortLife = 0 }, rotated: stuck, says: "401"}),
		"Oldest": words(func(k *k) *string { return &k.Oldest }, "2026-01", "2026-10", "2027-01", "2027-04"),
		"Throttle": {
			limited("200", func(k *k) { k.Throttle = cloud.ThrottleOK }), limited("429", func(k *k) { k.Throttle = cloud.ThrottleStatus }),
			limited("429 without body", func(k *k) { k.Throttle = cloud.ThrottleBare }),
		},
		"CostForm": {
			limited("full", func(k *k) { k.CostForm = cloud.CostFull }), limited("bare", func(k *k) { k.CostForm = cloud.CostBare }),
			limited("none", func(k *k) { k.CostForm = cloud.CostNone }),
		},
		"RetryAfter": {
			limited("", func(k *k) { k.RetryAfter = "" }), limited("0", func(k *k) { k.RetryAfter = "0" }), limited("0.5", func(k *k) { k.RetryAfter = "0.5" }),
			limited("7", func(k *k) { k.RetryAfter = "7" }), limited("soon", func(k *k) { k.RetryAfter = "soon" }), limited("-1", func(k *k) { k.RetryAfter = "-1" }),
			limited("date", func(k *k) { k.RetryAfter = "Sat, 01 Jan 2000 00:01:00 GMT" }), limited("NaN", func(k *k) { k.RetryAfter = "NaN" }),
		},
		"DigestForm":    words(func(k *k) *cloud.DigestForm { return &k.DigestForm }, cloud.DigestHex, cloud.DigestBase64, cloud.DigestWrite),
		"ValueForm":     words(func(k *k) *cloud.ValueForm { return &k.ValueForm }, cloud.ValueVerbatim, cloud.ValueSorted, cloud.ValueSpaced),
		"StaleCode":     words(func(k *k) *cloud.StaleCode { return &k.StaleCode }, cloud.StaleNamed, cloud.StaleNull, cloud.StaleOnce),
		"SetAnswer":     words(func(k *k) *cloud.SetAnswer { return &k.SetAnswer }, cloud.SetList, cloud.SetNull, cloud.SetEmpty),
		"RequestID":     words(func(k *k) *cloud.RequestID { return &k.RequestID }, cloud.RequestIDHeader, cloud.RequestIDNone),
		"VersionHeader": words(func(k *k) *cloud.VersionHeader { return &k.VersionHeader }, cloud.VersionTold, cloud.VersionUntold),
		"Unsupported": {
			{name: "forward", set: func(k *k) { k.Unsupported, k.Oldest = cloud.UnsupportedForward, "2027-01" }},
			{name: "404", set: func(k *k) { k.Unsupported, k.Oldest = cloud.UnsupportedNotFound, "2027-01" }, ends: stuck, says: "404"},
			{name: "400", set: func(k *k) { k.Unsupported, k.Oldest = cloud.UnsupportedBad, "2027-01" }, ends: stuck, says: "Invalid API version"},
		},
		"Frozen": {
			{name: "not", set: func(k *k) { k.Frozen = cloud.FrozenNot }},
			{name: "402", set: func(k *k) { k.Frozen = cloud.FrozenPayment }, ends: open, says: "frozen"},
			{name: "423", set: func(k *k) { k.Frozen = cloud.FrozenLocked }, ends: open, says: "frozen"},
			{name: "402 in html", set: func(k *k) { k.Frozen, k.ErrorsForm = cloud.FrozenPayment, cloud.ErrorsHTML }, ends: open, says: "frozen"},
			{name: "inactive", set: func(k *k) { k.Frozen = cloud.FrozenInactive }, ends: open, says: "not active"},
		},
		"ErrorsForm": {
			{name: "text", set: wrong(cloud.ErrorsText), ends: stuck, says: "Invalid API key"},
			{name: "list", set: wrong(cloud.ErrorsList), ends: stuck, says: "Invalid API key"},
			{name: "object", set: wrong(cloud.ErrorsObject), ends: stuck, says: "Invalid API key"},
			{name: "html", set: wrong(cloud.ErrorsHTML), ends: stuck, says: "401"},
		},
		"Scope": {
			{name: "granted", set: func(k *k) { k.Scope = cloud.ScopeGranted }},
			{name: "read", set: func(k *k) { k.Scope = cloud.ScopeRead }, ends: stuck, says: "required access: `write_app_metafields`"},
			{name: "write", set: func(k *k) { k.Scope = cloud.ScopeWrite }, ends: stuck, says: "required access: `write_app_metafields`"},
		},
		"ScopeForm": {
			{name: "error", set: func(k *k) { k.Scope, k.ScopeForm = cloud.ScopeWrite, cloud.ScopeError }, ends: stuck, says: "ACCESS_DENIED"},
			{name: "status", set: func(k *k) { k.Scope, k.ScopeForm = cloud.ScopeWrite, cloud.ScopeStatus }, ends: stuck, says: "write_app_metafields"},
			{name: "user", set: func(k *k) { k.Scope, k.ScopeForm = cloud.ScopeWrite, cloud.ScopeUser }, ends: stuck, says: "APP_NOT_AUTHORIZED"},
			{name: "status of a read", set: func(k *k) { k.Scope, k.ScopeForm = cloud.ScopeRead, cloud.ScopeStatus }, ends: stuck, says: "lacks a scope"},
		},
		"ExpiresIn": words(func(k *k) *cloud.ExpiresIn { return &k.ExpiresIn }, cloud.ExpiresNumber, cloud.ExpiresText, cloud.ExpiresNone),
		"GrantForm": {
			{name: "json", set: gone(cloud.GrantJSON), ends: stuck, granted: stuck, says: "401"},
			{name: "html", set: gone(cloud.GrantHTML), ends: stuck, granted: open, says: "401"},
		},
		"FormerRefresh": {
			former(cloud.FormerUntilUsed, cloud.RefreshAgainNew), former(cloud.FormerForAnHour, cloud.RefreshAgainNew), former(cloud.FormerVoid, cloud.RefreshAgainNew),
		},
		"RefreshAgain": {former(cloud.FormerUntilUsed, cloud.RefreshAgainNew), former(cloud.FormerUntilUsed, cloud.RefreshAgainSame)},
		"TokenTrouble": {
			{name: "good", set: func(k *k) { k.TokenTrouble = cloud.TokensGood }},
			{name: "revoked", set: func(k *k) { k.TokenTrouble = cloud.TokensRevoked }, ends: stuck, says: "401"},
			{name: "uninstalled", set: func(k *k) { k.TokenTrouble = cloud.TokensUninstalled }, ends: stuck, says: "401"},
		},
		"GoodErrors": words(func(k *k) *cloud.GoodErrors { return &k.GoodErrors }, cloud.GoodErrorsNone, cloud.GoodErrorsNull, cloud.GoodErrorsEmpty),
		"Maintenance": {
			{name: "off", set: func(k *k) { k.Maintenance = cloud.MaintenanceOff }},
			{name: "html", set: func(k *k) { k.Maintenance = cloud.MaintenanceHTML }, ends: open, says: "503"},
			{name: "json", set: func(k *k) { k.Maintenance = cloud.MaintenanceJSON }, ends: open, says: "503"},
		},
		"HookAgain":      words(func(k *k) *cloud.HookAgain { return &k.HookAgain }, cloud.HookAgainRefused, cloud.HookAgainAccepted), // of webhooks: hooks_test.go
		"HookLag":        spans(func(k *k) *time.Duration { return &k.HookLag }, time.Second),
		"HookPage":       numbers(func(k *k) *int { return &k.HookPage }, 1),
		"HookDrop":       numbers(func(k *k) *int { return &k.HookDrop }, 1),
		"Granted":        words(func(k *k) *string { return &k.Granted }, "", "read_orders"),
		"StrangerFields": {{name: "true", set: func(k *k) { k.StrangerFields = true }}},
	}
}

// limited turns a knob for a shop whose bucket is nearly empty after each write.
func limited(name string, set func(*cloud.Knobs)) turned {
	return turned{name: name, set: func(k *cloud.Knobs) {
		k.Bucket, k.Restore = 14, 1
		set(k)
	}}
}

func wrong(form cloud.ErrorsForm) func(*cloud.Knobs) {
	return func(k *cloud.Knobs) { k.ErrorsForm, k.TokenTrouble = form, cloud.TokensRevoked }
}

func gone(form cloud.GrantForm) func(*cloud.Knobs) {
	return func(k *cloud.Knobs) { k.GrantForm, k.TokenTrouble = form, cloud.TokensUninstalled }
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

// former turns the knobs of refresh tokens where some are used up in one failover.
func former(f cloud.FormerRefresh, again cloud.RefreshAgain) turned {
	return turned{name: string(f) + ", " + string(again), set: func(k *cloud.Knobs) {
		k.FormerRefresh, k.RefreshAgain, k.ShortLife = f, again, 15*time.Second
	}}
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
			k := cloud.DefaultKnobs()
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
	parsed, err := parser.ParseFile(token.NewFileSet(), "../../test/clouds/shopify/knobs.go", nil, 0)
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
	if len(out) < 45 {
		t.Fatalf("%d words found in the simulator's source", len(out))
	}
	return out
}

// beside is what happens besides.
func beside() map[string]func(*rig) {
	return map[string]func(*rig){
		"alone": func(*rig) {},
		"somebody edits as we write": func(r *rig) {
			r.add(cloud.Fault{Op: cloud.OpWrite, Do: cloud.DoEdit, Namespace: namespace, Key: otherKey, Text: `{"not":"ours"}`})
		},
		"answers get lost": func(r *rig) {
			r.add(cloud.Fault{Op: cloud.OpWrite, Do: cloud.DoDrop, When: cloud.After})
			r.add(cloud.Fault{Op: cloud.OpRead, Skip: 1, Do: cloud.DoDrop})
		},
	}
}

// TestEveryValueOfEveryKnob: under each a failover ends right, or where it says
// that it cannot; and right, once the shop is as it should be.
func TestEveryValueOfEveryKnob(t *testing.T) {
	logins := map[string]func(*lab, string){"token": static, "granted": granted, "rotated": refreshed}
	for knob, rows := range table() {
		for _, row := range rows {
			for how, happen := range beside() {
				for login, as := range logins {
					t.Run(knob+"/"+row.name+"/"+how+"/"+login, func(t *testing.T) {
						want := cmp.Or(row.ends, done)
						switch login {
						case "granted":
							want = cmp.Or(row.granted, want)
						case "rotated":
							want = cmp.Or(row.rotated, row.granted, want)
						}
						inBubble(t, as, func(r *rig) {
							happen(r)
							r.survives(want, row)
						}, row.set)
					})
				}
			}
		}
	}
}

func (r *rig) survives(want end, row turned) {
	r.t.Helper()
	ids := r.sim.Knobs().RequestID != cloud.RequestIDNone
	w, e := r.ride(1, patience)
	w.sound(e)
	if want != e {
		r.t.Fatalf("%s (%s), want %s", e, w.reason, want)
	}
	if e == done {
		return
	}
	granting := strings.Contains(w.reason, "get an access token") // in other words
	if !strings.Contains(w.reason, row.says) && !granting {
		r.t.Errorf("%s: %q, want %q in it", e, w.reason, row.says)
	}
	if e == stuck && len(w.ids) == 0 && ids {
		r.t.Error("stuck, without the id of an answer")
	}
	r.heal()
	w, e = r.ride(1, patience)
	w.sound(e)
	if e != done {
		r.t.Errorf("the shop is as it should be, and it is %s: %s", e, w.reason)
	}
}
