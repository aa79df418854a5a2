package journal

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pointsman/pointsman/fsm"
)

// filler gives every field of a value something that is not zero and differs
// from its neighbours, so that a field which a conversion forgets is noticed.
type filler struct{ n int }

func (f *filler) fill(v reflect.Value) {
	f.n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1700000000, int64(f.n)).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("s%d", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(uint64(1 + f.n%200))
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	default:
		panic("the filler does not know " + v.Type().String())
	}
}

// blanks returns an empty command of each kind.
func blanks() map[fsm.Kind]fsm.Command {
	all := map[fsm.Kind]fsm.Command{}
	for _, c := range []fsm.Command{
		fsm.InitCluster{}, fsm.PutMember{}, fsm.PutSpec{}, fsm.Observe{}, fsm.Claim{}, fsm.Release{},
		fsm.Settle{}, fsm.Retry{}, fsm.Abandon{}, fsm.PutSetting{}, fsm.DeleteSetting{}, fsm.NoteDrift{}, fsm.NoteState{}, fsm.AskSwitchover{}, fsm.NoteSwitchover{}, fsm.NoteScore{},
		fsm.OpenSession{}, fsm.CloseSessions{}, fsm.GrantLeases{}, fsm.MoveLeases{}, fsm.SaveCheckpoint{},
	} {
		all[c.Kind()] = c
	}
	return all
}

// TestEveryFieldOfEveryCommand fails when fsm gains a kind or a field that the
// journal does not carry.
func TestEveryFieldOfEveryCommand(t *testing.T) {
	blank := blanks()
	for _, kind := range fsm.Kinds() {
		if blank[kind] == nil || readers()[kind] == nil {
			t.Errorf("kind %s has no reader, or no row here", kind)
			continue
		}
		for _, full := range []bool{false, true} {
			v := reflect.New(reflect.TypeOf(blank[kind])).Elem()
			if full {
				(&filler{}).fill(v)
			}
			want := fsm.Entry{ID: "id", Term: 3, Clock: 4, Wall: time.Unix(5, 6).UTC(), Node: "n1", Actor: "me", Command: v.Interface().(fsm.Command)}
			data, err := Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode(data)
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, full=%v: %s", kind, full, diff)
			}
		}
	}
}

// fullFlat is a state with every field set. Its ids are what fsm sorts by.
func fullFlat() fsm.Flat {
	var f fsm.Flat
	(&filler{}).fill(reflect.ValueOf(&f).Elem())
	return f
}

// TestEveryFieldOfTheState is the same for snapshots.
func TestEveryFieldOfTheState(t *testing.T) {
	want := fsm.Unflatten(fullFlat())
	var b bytes.Buffer
	wrote, err := WriteSnapshot(&b, want)
	if err != nil {
		t.Fatal(err)
	}
	got, read, err := ReadSnapshot(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Flatten(), got.Flatten()); diff != "" {
		t.Error(diff)
	}
	if hash, _ := HashOf(got); wrote != read || hash != wrote {
		t.Errorf("hashes: wrote %s, read %s, of what was read %s", wrote, read, hash)
	}
}

// TestEmptyState covers the state before the first entry.
func TestEmptyState(t *testing.T) {
	var b bytes.Buffer
	if _, err := WriteSnapshot(&b, fsm.New()); err != nil {
		t.Fatal(err)
	}
	got, _, err := ReadSnapshot(&b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fsm.New().Flatten(), got.Flatten()); diff != "" {
		t.Error(diff)
	}
}

// TestHashTellsStatesApart: one changed value, another hash.
func TestHashTellsStatesApart(t *testing.T) {
	a := fullFlat()
	b := fullFlat()
	b.Settings[1].Value += "x"
	ha, _ := HashOf(fsm.Unflatten(a))
	hb, _ := HashOf(fsm.Unflatten(b))
	if ha == hb {
		t.Error("two states, one hash")
	}
}

// TestCutText: a bound may cut a text inside a character; the state is still
// written, and hashes the same before and after.
func TestCutText(t *testing.T) {
	f := fullFlat()
	f.Actions[0].Reason = "é"[:1]
	f.Actions[0].History[1].Requests[0] = "\xff"
	f.Answers[1].Answer.Detail = "x\xe2\x82"
	s := fsm.Unflatten(f)
	var b bytes.Buffer
	hash, err := WriteSnapshot(&b, s)
	if err != nil {
		t.Fatal(err)
	}
	back, _, err := ReadSnapshot(&b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := HashOf(back); err != nil || again != hash {
		t.Errorf("hash %s became %s: %v", hash, again, err)
	}
}
