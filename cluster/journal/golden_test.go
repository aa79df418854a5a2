package journal

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pointsman/pointsman/fsm"
)

// update writes golden files that do not exist yet. It never changes one: bytes
// of a release decode for ever, and a release that must write others adds files
// under its own name.
var update = flag.Bool("update", false, "write golden files that are missing")

// release names the files: what the first release wrote.
const release = "r1"

// entries are fixed, written out, and never changed.
func entries() map[string]fsm.Entry {
	revision := uint64(41)
	commands := []fsm.Command{
		fsm.InitCluster{Cluster: "0123456789abcdef0123456789abcdef"},
		fsm.PutMember{Member: fsm.Member{
			Node: "n1", Zone: "eu-west-par-a", Store: "fedcba9876543210", Raft: "10.0.1.5:7800", GRPC: "10.0.1.5:7801",
			HTTP: "10.0.1.5:7802", Version: "1.0.0", Reads: []fsm.Kind{1, 2, 3},
		}},
		fsm.PutSpec{IfRevision: 2, Spec: goldenSpec()},
		fsm.Observe{
			Master: "cache", Base: 6, Revision: 3, Address: "10.0.2.20:6379", Epoch: 9, As: fsm.Advance, Evidence: []string{"2 of 3 Sentinels"}, Term: 4,
			Values: []fsm.Value{{Step: "lb", Value: []byte("12"), Wanted: "farm 12"}, {Step: "url", Value: []byte("redis://10.0.2.20:6379/0")}},
			Claims: []fsm.Ride{{Step: "lb", Act: 5 * time.Second, Version: "v7", Expired: []fsm.Token{70}}},
		},
		fsm.Claim{Action: "cache/7/lb", Term: 4, Act: 5 * time.Second, Version: "v8", Expired: []fsm.Token{70, 71}},
		fsm.Release{Object: "lb-par/frontend/4711", Token: 1<<48 + 100, Expired: true},
		fsm.Settle{
			Action: "cache/7/lb", Token: 1<<48 + 100, To: fsm.Waiting, Reason: "staged", Doubt: true, Checkpoint: []byte{0, 1, 255},
			Refresh: &fsm.Refresh{Kind: "ovh_iplb_refresh", Object: "lb-par/refresh", Act: time.Second}, Requests: []string{"EU.ext-1"},
		},
		fsm.Retry{Action: "cache/7/lb", Reason: "the provider is back"},
		fsm.Abandon{Action: "cache/7/lb", Reason: "replaced by hand"},
		fsm.PutSetting{Key: "redis/cache/url", Value: "redis://10.0.2.20:6379/0", IfRevision: &revision},
		fsm.DeleteSetting{Key: "redis/cache/url"},
		fsm.NoteDrift{Action: "cache/7/lb", Found: "frontend 4711 → farm 11", Repair: true},
		fsm.NoteState{Term: 4, Notes: []fsm.Note{
			{Master: "cache", Base: 7, Sight: fsm.SightComing, Reason: "the Sentinels vote"}, {Master: "queue", Sight: fsm.SightCalm},
		}},
		fsm.AskSwitchover{
			Master: "cache", Base: 7, Revision: 3, Term: 4, To: "10.0.1.20:6379", Named: true, Sentinel: "10.0.2.10:26379",
			Reason: "kernel update", Sender: "0123456789abcdef", Window: 20 * time.Second,
		},
		fsm.NoteSwitchover{Master: "cache", Token: 1<<48 + 120, To: fsm.SwitchoverRefused, Detail: "NOGOODSLAVE No suitable replica to promote"},
		fsm.NoteScore{Term: 4, Action: "cache/7/lb", Looks: 3, Held: "rate of lb-par", Look: fsm.Look{
			Clock: 77 * fsm.Clock(time.Second), After: 76 * fsm.Clock(time.Second), Shows: fsm.ShowsOther, At: "10.0.1.20:6379",
			Meets: fsm.MeetsAbsent, Found: "frontend 4711 → farm 11",
		}},
		fsm.OpenSession{Pool: "webhooks", Worker: "w1", Zone: "a", Capacity: 16, Key: "5e884898da28047151d0e56f8dc62927"},
		fsm.CloseSessions{Term: 4, How: fsm.LeftBehind, Sessions: []fsm.SessionID{1<<48 + 130, 1<<48 + 131}},
		fsm.GrantLeases{Term: 4, Pool: "webhooks", Grants: []fsm.Grant{{Number: 0, Session: 1<<48 + 130}, {Number: 63, Session: 1<<48 + 131}}},
		fsm.MoveLeases{
			Term: 4, Pool: "webhooks", Move: fsm.MoveRelease, Session: 1<<48 + 130, Reason: "released",
			Items: []fsm.LeaseItem{{Number: 0, Token: 1<<48 + 132}, {Number: 63, Token: 1<<48 + 133}},
		},
		fsm.SaveCheckpoint{
			Pool: "webhooks", Number: 63, Session: 1<<48 + 131, Token: 1<<48 + 133, Version: 7, Data: []byte{0, 1, 255},
		},
	}
	all := map[string]fsm.Entry{}
	for i, c := range commands {
		all[c.Kind().String()] = fsm.Entry{
			ID: fsm.CommandID("id-" + c.Kind().String()), Term: 4, Clock: fsm.Clock(i) * fsm.Clock(time.Second),
			Wall: time.Date(2026, 11, 22, 21, 0, i, 123456789, time.UTC), Node: "n1", Actor: "test", Command: c,
		}
	}
	return all
}

func goldenSpec() fsm.Spec {
	return fsm.Spec{
		Source:  []byte("masters: []\n"),
		Targets: []fsm.TargetSpec{{ID: "lb-par", Kind: "ovh_iplb", Params: []byte{1, 2}, Hold: 10 * time.Second, Rate: 60}},
		Masters: []fsm.MasterSpec{{
			ID:         "cache",
			Candidates: []fsm.Candidate{{Address: "10.0.1.20:6379", Zone: "a"}, {Address: "10.0.2.20:6379", Zone: "b"}},
			Plan: []fsm.Stage{{Name: "cutover", Steps: []fsm.Step{
				{Name: "lb", Target: "lb-par", Kind: "ovh_iplb", Object: "lb-par/frontend/4711", Class: fsm.Readable, Params: []byte("p"), Block: true, WriteOver: true, MaxAttempts: 5, Act: 5 * time.Second},
				{Name: "url", Kind: "setting", Object: "setting/redis/cache/url", Class: fsm.InLog},
			}}},
		}},
	}
}

// goldenState is what a few of the entries make, so that a snapshot of it is a
// thing that a cluster of that release really wrote.
func goldenState() fsm.State {
	s := fsm.New()
	index := uint64(2)
	apply := func(c fsm.Command) {
		index++
		s, _ = s.Apply(fsm.Entry{
			Index: index, Term: 4, ID: fsm.CommandID("id-" + c.Kind().String()), Clock: fsm.Clock(index) * fsm.Clock(time.Second),
			Wall: time.Date(2026, 11, 22, 21, 0, int(index), 0, time.UTC), Node: "n1", Actor: "test", Command: c,
		})
	}
	all := entries()
	apply(all["init_cluster"].Command)
	apply(all["member"].Command)
	apply(fsm.PutSpec{Spec: goldenSpec()})
	apply(fsm.Observe{Master: "cache", Revision: 1, Address: "10.0.1.20:6379", Epoch: 8, As: fsm.Seed})
	o := all["observe"].Command.(fsm.Observe)
	o.Base, o.Revision, o.Epoch = 0, 1, 9
	s, _ = s.Apply(fsm.Entry{Index: 9, Term: 4, ID: "id-switch", Clock: 9, Node: "n1", Command: o})
	apply(fsm.PutSetting{Key: "a/b", Value: "c"})
	return s
}

func golden(t *testing.T, name string, fresh []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", release, name)
	old, err := os.ReadFile(path)
	if os.IsNotExist(err) && *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, fresh, 0o644); err != nil {
			t.Fatal(err)
		}
		return fresh
	}
	if err != nil {
		t.Fatal(err)
	}
	return old
}

// TestGoldenEntries: bytes of the release decode to what was written, and the
// same value gives the same bytes, which equal hashes between releases need.
func TestGoldenEntries(t *testing.T) {
	for name, want := range entries() {
		fresh, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		old := golden(t, name+".entry", fresh)
		got, err := Decode(old)
		if err != nil {
			t.Errorf("%s of %s does not decode: %v", name, release, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s of %s decodes to something else: %s", name, release, diff)
		}
		if !bytes.Equal(old, fresh) {
			t.Errorf("%s is written in other bytes than %s wrote", name, release)
		}
	}
	if have, want := len(entries()), 21; have != want { // the kinds of this release
		t.Errorf("%d golden entries, want %d", have, want)
	}
}

func TestGoldenSnapshot(t *testing.T) {
	var fresh bytes.Buffer
	if _, err := WriteSnapshot(&fresh, goldenState()); err != nil {
		t.Fatal(err)
	}
	old := golden(t, "state.snapshot", fresh.Bytes())
	got, hash, err := ReadSnapshot(bytes.NewReader(old))
	if err != nil {
		t.Fatalf("snapshot of %s does not decode: %v", release, err)
	}
	if a, ok := got.Action("cache/1/lb"); !ok || a.Phase != fsm.Claimed || a.Version != "v7" {
		t.Errorf("action in the snapshot: %+v", a)
	}
	if got.Cluster() == "" || len(got.Members()) != 1 || len(got.Objects()) != 1 || len(got.Settings("")) != 1 || got.Index() == 0 {
		t.Errorf("snapshot of %s lacks pieces: %+v", release, got.Flatten())
	}
	if again, _ := HashOf(got); again != hash {
		t.Errorf("hash is %s, %s wrote %s", again, release, hash)
	}
}
