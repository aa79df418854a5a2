package ovh_test

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

	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
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
		"ClockSkew":  spans(func(k *k) *time.Duration { return &k.ClockSkew }, -24*time.Hour, -time.Second, time.Second, time.Hour, 365*24*time.Hour),
		"TimeWindow": spans(func(k *k) *time.Duration { return &k.TimeWindow }, 0, time.Second, time.Hour),
		"ErrorForm":  words(func(k *k) *cloud.ErrorForm { return &k.ErrorForm }, cloud.FormMixed, cloud.FormNew, cloud.FormOld, cloud.FormBare),
		"VoidBody":   words(func(k *k) *cloud.VoidBody { return &k.VoidBody }, cloud.VoidNull, cloud.VoidEmpty),
		"ReadOnly":   words(func(k *k) *cloud.Strictness { return &k.ReadOnly }, cloud.Ignore, cloud.Refuse),
		"Unknown":    words(func(k *k) *cloud.Strictness { return &k.Unknown }, cloud.Ignore, cloud.Refuse),
		"DeleteInUse": words(func(k *k) *cloud.InUse { return &k.DeleteInUse },
			cloud.InUseRefuse, cloud.InUseConflict, cloud.InUseAllow),
		"Maintenance": {
			{"off", func(k *k) { k.Maintenance = cloud.MaintenanceOff }, done, ""},
			{"html", func(k *k) { k.Maintenance = cloud.MaintenanceHTML }, open, "503"},
			{"json", func(k *k) { k.Maintenance = cloud.MaintenanceJSON }, open, "503"},
		},
		"PendingLag":      spans(func(k *k) *time.Duration { return &k.PendingLag }, time.Second, 4*time.Second, time.Minute),
		"PendingClears":   words(func(k *k) *cloud.Clears { return &k.PendingClears }, cloud.ClearsDone, cloud.ClearsSnapshot),
		"HideNameEdits":   {{"true", func(k *k) { k.HideNameEdits = true }, done, ""}},
		"CreateLag":       spans(func(k *k) *time.Duration { return &k.CreateLag }, time.Second, time.Hour),
		"SecondRefresh":   words(func(k *k) *cloud.Second { return &k.SecondRefresh }, cloud.SecondQueue, cloud.SecondMerge, cloud.SecondRefuse),
		"RefreshSnapshot": words(func(k *k) *cloud.Snapshot { return &k.RefreshSnapshot }, cloud.SnapshotStart, cloud.SnapshotPost),
		"TaskTodo":        spans(func(k *k) *time.Duration { return &k.TaskTodo }, 0, time.Second, 5*time.Minute),
		"TaskDoing":       spans(func(k *k) *time.Duration { return &k.TaskDoing }, 0, time.Second, 10*time.Minute),
		"ZoneDelay": {
			{"sbg late", func(k *k) { k.ZoneDelay = map[string]time.Duration{"sbg": 2 * time.Minute} }, done, ""},
			{"both", func(k *k) { k.ZoneDelay = map[string]time.Duration{"gra": time.Minute, "sbg": 3 * time.Second} }, done, ""},
		},
		"TaskOutcome": {
			{"done", func(k *k) { k.TaskOutcome = cloud.TaskDone }, done, ""},
			{"error", func(k *k) { k.TaskOutcome = cloud.TaskError }, open, "ended: error"},
			{"cancelled", func(k *k) { k.TaskOutcome = cloud.TaskCancelled }, open, "ended: cancelled"},
			{"blocked", func(k *k) { k.TaskOutcome = cloud.TaskBlocked }, stuck, "blocked at OVH"},
		},
		"TaskListLag": spans(func(k *k) *time.Duration { return &k.TaskListLag }, time.Second, time.Minute),
		"TaskTTL":     spans(func(k *k) *time.Duration { return &k.TaskTTL }, time.Nanosecond, time.Second),
		"RatePerMinute": {
			{"60", func(k *k) { k.RatePerMinute = 60 }, done, ""}, {"20", func(k *k) { k.RatePerMinute = 20 }, done, ""},
			{"6", func(k *k) { k.RatePerMinute = 6 }, done, ""}, {"1", func(k *k) { k.RatePerMinute = 1 }, open, "429"},
		},
		"TimeDelay": append(spans(func(k *k) *time.Duration { return &k.TimeDelay }, time.Second, 4*time.Second),
			turned{"6s", func(k *k) { k.TimeDelay = 6 * time.Second }, open, "deadline exceeded"}),
		"TimeForm": {
			{"number", func(k *k) { k.TimeForm = cloud.TimeNumber }, done, ""},
			{"html", func(k *k) { k.TimeForm = cloud.TimeHTML }, open, "provider's time"},
			{"empty", func(k *k) { k.TimeForm = cloud.TimeEmpty }, open, "provider's time"},
			{"text", func(k *k) { k.TimeForm = cloud.TimeText }, open, "provider's time"},
		},
		"TimeOutStatus": numbers(func(k *k) *int { return &k.TimeOutStatus }, 400, 401, 403, 408),
		"KeyTrouble": {
			{"own", func(k *k) { k.KeyTrouble = cloud.KeyOwn }, done, ""},
			{"unknown", func(k *k) { k.KeyTrouble = cloud.KeyUnknown }, stuck, "application key is invalid"},
			{"pending", func(k *k) { k.KeyTrouble = cloud.KeyNotYet }, stuck, "INVALID_CREDENTIAL"},
			{"refused", func(k *k) { k.KeyTrouble = cloud.KeyTurnedDown }, stuck, "INVALID_CREDENTIAL"},
			{"expired", func(k *k) { k.KeyTrouble = cloud.KeyOver }, stuck, "INVALID_CREDENTIAL"},
			{"ip", func(k *k) { k.KeyTrouble = cloud.KeyFromHere }, stuck, "FORBIDDEN"},
			{"signature", func(k *k) { k.KeyTrouble = cloud.KeySignatureNo }, stuck, "INVALID_SIGNATURE"},
		},
		"NotGranted":    notGranted(),
		"NarrowRules":   {{"true", func(k *k) { k.NarrowRules = true }, done, ""}},
		"Details":       words(func(k *k) *cloud.Details { return &k.Details }, cloud.DetailsNone, cloud.DetailsText, cloud.DetailsOdd),
		"NumericCode":   numbers(func(k *k) *int { return &k.NumericCode }, 7, 200, 404),
		"QueryID":       words(func(k *k) *cloud.QueryIDForm { return &k.QueryID }, cloud.QueryIDNew, cloud.QueryIDOld, cloud.QueryIDNone),
		"PutReplaces":   {{"true", func(k *k) { k.PutReplaces = true }, done, ""}},
		"ReadLag":       spans(func(k *k) *time.Duration { return &k.ReadLag }, time.Second, 10*time.Second, time.Minute),
		"ShuffleFields": {{"true", func(k *k) { k.ShuffleFields = true }, done, ""}},
		"PendingCounts": words(func(k *k) *cloud.Counting { return &k.PendingCounts }, cloud.CountEdits, cloud.CountObjects, cloud.CountNet),
		"PendingZones":  words(func(k *k) *cloud.PendingZones { return &k.PendingZones }, cloud.PendingSome, cloud.PendingEvery, cloud.PendingAll),
		"TaskLag":       spans(func(k *k) *time.Duration { return &k.TaskLag }, 300*time.Millisecond, 3*time.Second, 8*time.Second),
		"SecondStatus":  numbers(func(k *k) *int { return &k.SecondStatus }, 400, 403, 409, 423),
		"RefreshZones": words(func(k *k) *cloud.RefreshZones { return &k.RefreshZones },
			cloud.RefreshEvery, cloud.RefreshAsAll, cloud.RefreshUnlisted, cloud.RefreshFirst),
		"RateFirst":      words(func(k *k) *cloud.RateFirst { return &k.RateFirst }, cloud.RateAtOnce, cloud.RateStall, cloud.RateReset),
		"RateForm":       words(func(k *k) *cloud.RateForm { return &k.RateForm }, cloud.RateJSON, cloud.RateHTML, cloud.RateEmpty),
		"RateRetryAfter": words(func(k *k) *string { return &k.RateRetryAfter }, "", "0", "7", "soon", "Sat, 01 Jan 2000 00:01:00 GMT"),
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

// calls are those that a failover makes, each of which may be the one that a
// key has no right to.
func calls() []string {
	const base = " /ipLoadbalancing/" + service
	return []string{
		"GET" + base + "/pendingChanges", "GET" + base + "/task", "GET" + base + "/task/*", "GET" + base + "/tcp/frontend/4711",
		"GET" + base + "/tcp/farm/12", "GET" + base + "/tcp/farm/12/server", "GET" + base + "/tcp/farm/12/server/*",
		"PUT" + base + "/tcp/frontend/4711", "POST" + base + "/refresh",
	}
}

func notGranted() []turned {
	var out []turned
	for _, c := range []string{"DELETE *", "GET */zone", "GET /auth/currentCredential"} { // may be asked, need not be granted
		out = append(out, turned{name: c, set: func(k *cloud.Knobs) { k.NotGranted = c }})
	}
	for _, c := range calls() {
		out = append(out, turned{c, func(k *cloud.Knobs) { k.NotGranted = c }, stuck, "NOT_GRANTED_CALL"})
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
	types := map[string]bool{"TaskStatus": false} // todo and doing are no outcomes
	for i := range knobs.NumField() {
		if f := knobs.Field(i).Type; f.Kind() == reflect.String && f.PkgPath() != "" && f.Name() != "TaskStatus" {
			types[f.Name()] = true
		}
	}
	for _, file := range []string{"knobs.go", "unsettled.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), "../../test/clouds/ovh/"+file, nil, 0)
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
	}
	if len(out) < 40 {
		t.Fatalf("%d words found in the simulator's source", len(out))
	}
	return out
}

// bases are what a value of a knob is turned on top of: knobs that only matter
// beside another one would show nothing else.
func bases() map[string]func(*cloud.Knobs) {
	return map[string]func(*cloud.Knobs){
		"alone":             func(*cloud.Knobs) {},
		"early and refused": func(k *cloud.Knobs) { k.PendingClears, k.SecondRefresh = cloud.ClearsSnapshot, cloud.SecondRefuse },
		"slow and limited":  func(k *cloud.Knobs) { k.TaskDoing, k.RatePerMinute, k.TimeWindow = time.Minute, 30, 5*time.Second },
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
		r.t.Fatalf("%s (%s), want %s", e, w.reason, want)
	}
	if e == done {
		return
	}
	if !strings.Contains(w.reason, row.says) && (e != open || !strings.Contains(w.reason, "429")) {
		r.t.Errorf("%s: %q, want %q in it", e, w.reason, row.says)
	}
	if e == stuck && len(w.ids) == 0 {
		r.t.Error("stuck, without the id of an answer")
	}
	r.heal()
	w, e = r.ride(1, patience)
	w.sound(e, 0)
	if e != done {
		r.t.Errorf("the provider is as it should be, and it is %s: %s", e, w.reason)
	}
}

// heal makes the provider as it should be; a human frees what is blocked.
func (r *rig) heal() {
	r.t.Helper()
	r.Mend()
	r.must(r.sim.SetKnobs(cloud.DefaultKnobs()))
	for range 3 { // those behind it were made under the old knobs, and may be blocked as well
		for _, c := range r.sim.Journal(0).Calls {
			if c.Refresh != nil {
				_ = r.sim.FinishTask(c.Refresh.Task, cloud.TaskError) // only if it is blocked
			}
		}
		time.Sleep(20 * time.Minute)
	}
}
