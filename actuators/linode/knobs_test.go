package linode_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators/linode"
	cloud "github.com/pointsman/pointsman/test/clouds/linode"
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
		"ContentType": words(func(k *k) *cloud.ContentType { return &k.ContentType }, cloud.TypeExact, cloud.TypeCharset, cloud.TypeText),
		"ErrorField":  words(func(k *k) *cloud.ErrorField { return &k.ErrorField }, cloud.FieldAbsent, cloud.FieldNull, cloud.FieldEmpty),
		"RequestID":   yes(func(k *k) *bool { return &k.RequestID }),
		"NoDate":      yes(func(k *k) *bool { return &k.NoDate }),
		"ExtraFields": yes(func(k *k) *bool { return &k.ExtraFields }),
		"Latency": append(spans(func(k *k) *time.Duration { return &k.Latency }, time.Second, 4*time.Second),
			turned{"6s", func(k *k) { k.Latency = 6 * time.Second }, open, "deadline exceeded"}),
		"ReadLag":     spans(func(k *k) *time.Duration { return &k.ReadLag }, time.Second, 10*time.Second, time.Minute, 10*time.Minute),
		"ListLag":     spans(func(k *k) *time.Duration { return &k.ListLag }, time.Second, 10*time.Second, time.Minute, 10*time.Minute),
		"Propagation": spans(func(k *k) *time.Duration { return &k.Propagation }, 0, time.Second, time.Minute, 10*time.Minute),
		"PutReplaces": yes(func(k *k) *bool { return &k.PutReplaces }),
		"PutAnswer": words(func(k *k) *cloud.PutAnswer { return &k.PutAnswer },
			cloud.PutObject, cloud.PutEmpty, cloud.PutNull, cloud.PutOld),
		"LabelLower":  yes(func(k *k) *bool { return &k.LabelLower }),
		"NoSubnetPut": yes(func(k *k) *bool { return &k.NoSubnetPut }),
		"StatusWords": words(func(k *k) *cloud.Words { return &k.StatusWords },
			cloud.WordsUpper, cloud.WordsLower, cloud.WordsUnknown, cloud.WordsNone),
		"PageMost": numbers(func(k *k) *int { return &k.PageMost }, 1, 2, 25),
		"Order":    words(func(k *k) *cloud.Order { return &k.Order }, cloud.OrderID, cloud.OrderReverse, cloud.OrderShuffled),
		"BusyFor":  spans(func(k *k) *time.Duration { return &k.BusyFor }, time.Second, time.Minute, 10*time.Minute),
		"BusyForm": words(func(k *k) *cloud.BusyForm { return &k.BusyForm }, cloud.BusyLinode, cloud.BusyOwn, cloud.BusyPage),
		"Maintenance": {
			{"off", func(k *k) { k.Maintenance = cloud.MaintenanceOff }, done, ""},
			{"all", func(k *k) { k.Maintenance = cloud.MaintenanceAll }, open, "Linode is in maintenance"},
			{"writes", func(k *k) { k.Maintenance = cloud.MaintenanceWrites }, open, "Linode is in maintenance"},
			{"page", func(k *k) { k.Maintenance = cloud.MaintenancePage }, open, "502: Bad Gateway"},
		},
		"RatePerMinute": append(numbers(func(k *k) *int { return &k.RatePerMinute }, 1600, 60, 6, 2),
			turned{"1", func(k *k) { k.RatePerMinute = 1 }, open, "429"}),
		"ListRatePerMinute": numbers(func(k *k) *int { return &k.ListRatePerMinute }, 200, 2, 1),
		"RateForm":          words(func(k *k) *cloud.RateForm { return &k.RateForm }, cloud.RateJSON, cloud.RateHTML, cloud.RateEmpty),
		"RateRetryAfter":    words(func(k *k) *string { return &k.RateRetryAfter }, "", "0", "7", "soon", "Sat, 01 Jan 2000 00:01:00 GMT"),
		"RateHeaders": {
			{"true", func(k *k) { k.RateHeaders = true }, done, ""}, {"false", func(k *k) { k.RateHeaders = false }, done, ""},
		},
		"TokenTrouble": {
			{"fine", func(k *k) { k.TokenTrouble = cloud.TokenFine }, done, ""},
			{"unknown", func(k *k) { k.TokenTrouble = cloud.TokenUnknown }, stuck, "401: Invalid Token (the token needs the scope"},
			{"expired", func(k *k) { k.TokenTrouble = cloud.TokenExpired }, stuck, "401: Token has expired"},
			{"read only", func(k *k) { k.TokenTrouble = cloud.TokenReadOnly }, stuck, linode.Scope},
			{"other", func(k *k) { k.TokenTrouble = cloud.TokenOther }, stuck, linode.Scope},
			{"restricted", func(k *k) { k.TokenTrouble = cloud.TokenRestricted }, stuck, "its user the right to this NodeBalancer"},
			{"hidden", func(k *k) { k.TokenTrouble = cloud.TokenHidden }, stuck, "404: Not found"},
		},
		"ScopeStatus": {
			{"401", func(k *k) { k.ScopeStatus, k.TokenTrouble = 401, cloud.TokenReadOnly }, stuck, "PUT " + pathOfNode + ": 401"},
			{"403", func(k *k) { k.ScopeStatus, k.TokenTrouble = 403, cloud.TokenReadOnly }, stuck, linode.Scope},
		},
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

func yes(of func(*cloud.Knobs) *bool) []turned {
	return []turned{{name: "true", set: func(k *cloud.Knobs) { *of(k) = true }}}
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
	parsed, err := parser.ParseFile(gotoken.NewFileSet(), "../../test/clouds/linode/knobs.go", nil, 0)
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
	if len(out) < 30 {
		t.Fatalf("%d words found in the simulator's source", len(out))
	}
	return out
}

// base is what a value of a knob is turned on top of: knobs that only matter
// beside another one would show nothing else.
type base struct {
	where in
	set   func(*cloud.Knobs)
}

func bases() map[string]base {
	return map[string]base{
		"alone":            {privateNetwork, func(*cloud.Knobs) {}},
		"busy and limited": {privateNetwork, func(k *cloud.Knobs) { k.BusyFor, k.RatePerMinute = 5*time.Second, 6 }},
		"old, in a VPC": {vpc, func(k *cloud.Knobs) {
			k.ReadLag, k.Order, k.ListRatePerMinute = 2*time.Second, cloud.OrderShuffled, 20
		}},
	}
}

// TestEveryValueOfEveryKnob: under each a failover ends right, or where it says
// that it cannot; and right, once the provider is as it should be.
func TestEveryValueOfEveryKnob(t *testing.T) {
	for knob, rows := range table() {
		for _, row := range rows {
			for name, under := range bases() {
				t.Run(knob+"/"+row.name+"/"+name, func(t *testing.T) {
					inBubble(t, under.where, func(r *rig) { r.survives(row) }, under.set, row.set)
				})
			}
		}
	}
}

func (r *rig) survives(row turned) {
	r.t.Helper()
	r.must(r.sim.Put(nodeID, fmt.Sprintf(`{"weight":50,"subnet_id":%d}`, r.step.GetSubnet()))) // after which it is busy, where that is turned
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
	r.must(r.sim.SetKnobs(cloud.DefaultKnobs()))
	time.Sleep(time.Minute) // a rate's window has passed
	w, e = r.ride(1, patience)
	w.sound(e, 0)
	if e != done {
		r.t.Errorf("the provider is as it should be, and it is %s: %s", e, w.Reason)
	}
}
