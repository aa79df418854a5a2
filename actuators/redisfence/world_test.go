package redisfence

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "canary-fence"

// rights are those that the page and RedisFenceTarget's comment name.
const rights = "+multi +exec +discard +role +info +replicaof +client|kill"

// world is real Redis, whose Sentinels are dead: nobody but the test and the
// fence changes a role. a is the master, b and c are its replicas.
type world struct {
	*redislab.Lab
	t       *testing.T
	a, b, c fsm.Address
	tool    actuators.Actuator
}

func newWorld(t *testing.T, granted string) *world {
	t.Helper()
	l, err := redislab.Start(t.Context(), redislab.Options{
		RedisExtra: []string{"user fencer on >" + password + " -@all " + granted, "user blind on >" + password + " -@all"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Lab: l, t: t}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	master, err := l.Master(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range l.Sentinels() {
		if err := l.Kill(s.Address); err != nil {
			t.Fatal(err)
		}
	}
	w.a = fsm.Address(master)
	for _, n := range l.Redis() {
		switch {
		case n.Address == master:
		case w.b == "":
			w.b = fsm.Address(n.Address)
		default:
			w.c = fsm.Address(n.Address)
		}
	}
	w.tool = w.open("fencer", password)
	return w
}

func (w *world) open(user, secret string) actuators.Actuator {
	w.t.Helper()
	kind := New(Config{Getenv: func(string) string { return secret }})
	params, err := proto.Marshal(&pb.RedisFenceTarget{User: user, Password: "env:FENCE"})
	if err != nil {
		w.t.Fatal(err)
	}
	tool, err := kind.Open(fsm.TargetSpec{ID: "old", Kind: Name, Params: params}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return tool
}

// do is the administrator's word to a node.
func (w *world) do(at fsm.Address, args ...string) any {
	w.t.Helper()
	v, err := w.Do(w.t.Context(), string(at), args...)
	if err != nil {
		w.t.Fatalf("%s at %s: %v", args, at, err)
	}
	return v
}

// promote does what a Sentinel sends to the replica that it promotes.
func (w *world) promote(at fsm.Address) { w.do(at, "REPLICAOF", "NO", "ONE") }

func (w *world) role(at fsm.Address) string {
	w.t.Helper()
	words, _ := w.do(at, "ROLE").([]any)
	if len(words) == 0 {
		w.t.Fatalf("%s has no role", at)
	}
	role, _ := words[0].(string)
	return role
}

// linked waits until a replica is in step with its master.
func (w *world) linked(at fsm.Address) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if words, _ := w.do(at, "ROLE").([]any); len(words) > 3 && words[3] == "connected" {
			return
		}
	}
	w.t.Fatalf("%s does not get in step", at)
}

// action is failover n as its claim stands.
func (w *world) action(n fsm.Number, from, to fsm.Address, wait time.Duration) actuators.Work {
	w.t.Helper()
	params, err := proto.Marshal(&pb.RedisFenceStep{Wait: durationpb.New(wait)})
	if err != nil {
		w.t.Fatal(err)
	}
	step := fsm.Step{Name: "fence", Target: "old", Kind: Name, Object: "old/cache/fence", Class: fsm.Fenced, Params: params}
	id := fsm.FailoverID{Master: "cache", Number: n}
	v, err := New(Config{}).Render(step, actuators.Facts{Failover: id, From: from, To: to})
	if err != nil {
		w.t.Fatal(err)
	}
	return actuators.Work{Action: fsm.Action{ID: id.Action("fence"), For: id, Phase: fsm.Claimed, Step: step, Value: v.Value, Wanted: v.Wanted}}
}

// look reads and judges; the version it saw is what a claim would name.
func (w *world) look(work *actuators.Work) actuators.Sight {
	w.t.Helper()
	r, err := w.tool.Read(w.t.Context(), actuators.Subject{Step: work.Action.Step, Value: work.Action.Value})
	if err != nil {
		w.t.Fatal(err)
	}
	s := w.tool.Judge(r, *work)
	s.Reading, work.Action.Version = r, s.Version
	return s
}

func (w *world) wants(s actuators.Sight, v actuators.Verdict, words string) {
	w.t.Helper()
	if s.Verdict != v || !strings.Contains(s.Detail+" "+s.Warning, words) {
		w.t.Fatalf("%s: %q, %q; want %s with %q", s.Verdict, s.Detail, s.Warning, v, words)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
