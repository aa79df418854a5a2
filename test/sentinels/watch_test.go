package sentinels

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pointsman/pointsman/sentinel"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watch runs a Watcher for the length of the test.
func watch(t *testing.T, masters ...sentinel.Master) *sentinel.Watcher {
	t.Helper()
	w := sentinel.New(sentinel.Config{})
	run(t, w, masters...)
	return w
}

// until waits for a view that fulfils ok, and returns when it was seen.
func until(t *testing.T, w *sentinel.Watcher, id string, limit time.Duration, what string, ok func(sentinel.View) bool) (sentinel.View, time.Time) {
	t.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	for {
		v, changed := w.View(id)
		if ok(v) {
			return v, time.Now()
		}
		select {
		case <-changed:
		case <-end.C:
			t.Fatalf("%s: not within %v: %+v", what, limit, v)
		}
	}
}

// log plays the replicated log: it accepts every verdict and keeps them.
type log struct {
	w          *sentinel.Watcher
	id         string
	candidates []string
	memory     sentinel.Memory
	accepted   sentinel.Accepted
	verdicts   []sentinel.Verdict
	alerts     map[string]int
}

func newLog(w *sentinel.Watcher, m sentinel.Master) *log {
	return &log{w: w, id: m.ID, candidates: m.Candidates, alerts: map[string]int{}}
}

// until judges until stop says so; the last verdict is returned, with its time.
func (l *log) until(t *testing.T, limit time.Duration, what string, stop func(sentinel.Verdict) bool) (sentinel.Verdict, time.Time) {
	t.Helper()
	end := time.Now().Add(limit)
	for {
		view, changed := l.w.View(l.id)
		now := time.Now()
		var v sentinel.Verdict
		l.memory, v = sentinel.Judge(l.memory, view, l.accepted, l.candidates, now)
		for _, a := range v.Alerts {
			l.alerts[a.Reason]++
		}
		if v.Kind != sentinel.None {
			l.verdicts = append(l.verdicts, v)
			l.accepted = sentinel.Accepted{Known: true, Address: v.Address, Epoch: v.Epoch, Rebased: v.Kind == sentinel.Rebase}
		}
		if stop(v) {
			return v, now
		}
		if now.After(end) {
			t.Fatalf("%s: not within %v; last %+v of %+v, accepted %+v", what, limit, v, view, l.accepted)
		}
		again := time.NewTimer(min(v.Again, 100*time.Millisecond))
		select {
		case <-changed:
		case <-again.C:
		}
		again.Stop()
	}
}

// watchFor judges for a while and returns what was accepted in it.
func (l *log) watchFor(t *testing.T, d time.Duration) []sentinel.Verdict {
	t.Helper()
	n, end := len(l.verdicts), time.Now().Add(d)
	l.until(t, d+time.Second, "watch", func(sentinel.Verdict) bool { return time.Now().After(end) })
	return l.verdicts[n:]
}

func (l *log) kind(t *testing.T, limit time.Duration, k sentinel.Kind) (sentinel.Verdict, time.Time) {
	t.Helper()
	return l.until(t, limit, k.String(), func(v sentinel.Verdict) bool { return v.Kind == k })
}

func addresses(nodes []redislab.Node) []string {
	out := make([]string, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, n.Address)
	}
	return out
}

// declare makes the declaration of a lab's master.
func declare(l *redislab.Lab) sentinel.Master {
	return sentinel.Master{ID: "cache", Name: l.Name(), Sentinels: addresses(l.Sentinels()), Candidates: addresses(l.Redis())}
}

func fakes(t *testing.T, n int, role string) []*redislab.Fake {
	t.Helper()
	out := make([]*redislab.Fake, n)
	for i := range out {
		f, err := redislab.NewFake(role)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
		out[i] = f
	}
	return out
}

func fakeAddresses(list []*redislab.Fake) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.Address())
	}
	return out
}

func allSeen(v sentinel.View) bool {
	return len(v.Reports) > 0 && !slices.ContainsFunc(v.Reports, func(r sentinel.Report) bool { return !r.Seen })
}

// run is watch for a Watcher with its own Config.
func run(t *testing.T, w *sentinel.Watcher, masters ...sentinel.Master) {
	t.Helper()
	if err := w.SetMasters(masters); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// waitFor waits for a moment: a measurement lasts as long as it lasts.
func waitFor(t *testing.T, moment time.Time) {
	t.Helper()
	select {
	case <-time.After(time.Until(moment)):
	case <-t.Context().Done():
	}
}

func quantiles(spans []time.Duration) (median, most time.Duration) {
	s := slices.Sorted(slices.Values(spans))
	return s[len(s)/2], s[len(s)-1]
}
