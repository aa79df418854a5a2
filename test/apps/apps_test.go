package apps

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

const (
	samples   = "../../deploy/samples/apps"
	stateKey  = "/v1/settings/redis/cache/state"
	runWithin = 4 * time.Minute
)

// TestSamplesThroughAFailover: the master is killed while every sample runs. Each
// tells its users or rests while the state says so, and goes on with the new
// master by itself. The state says so before anything is promoted.
func TestSamplesThroughAFailover(t *testing.T) {
	interpreters(t)
	pointsman, sample := build(t, samples+"/notice.go")
	ctx, cancel := context.WithTimeout(t.Context(), runWithin)
	defer cancel()
	l, err := lab.Start(ctx, lab.Options{Pointsman: pointsman, Quiet: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	places, leader := l.Addresses(ctx)
	web := "http://" + places.Coordinators[0].HTTP
	for _, c := range places.Coordinators {
		if c.ID != leader {
			web = "http://" + c.HTTP // any node will do
		}
	}
	states := &states{url: web + stateKey}
	apps := all(places, web, sample)
	stop := start(ctx, states, apps)
	defer stop()
	states.wait(t, "ok", time.Time{}, 30*time.Second)
	for _, a := range apps {
		a.wait(t, time.Time{}, normal(a), 30*time.Second)
	}

	old, err := l.Master(ctx)
	if err != nil {
		t.Fatal(err)
	}
	struck := time.Now()
	if err := l.Failover(ctx, lab.Shot{}); err != nil {
		t.Fatal(err)
	}
	promotion, err := l.Recorder.WaitPromotion(ctx, old.GetAddress())
	if err != nil {
		t.Fatal(err)
	}
	ended := states.wait(t, "ok", promotion.At, 30*time.Second)
	states.judge(t, struck, promotion.At, ended, promotion.Address)
	for _, a := range apps {
		judge(t, a, struck, ended, promotion.Address)
	}
	withoutQuorum(t, l, web)
}

// all lists the samples with what they are told of the playground.
func all(places lab.Addresses, web, sample string) []*app {
	var sentinels []string
	for _, s := range places.Sentinels {
		sentinels = append(sentinels, s.Address)
	}
	env := []string{"POINTSMAN=" + web, "REDIS=" + places.LoadBalancer, "SENTINELS=" + strings.Join(sentinels, ",")}
	file := func(name string) string { return samples + "/" + name }
	return []*app{
		{name: "storefront.php", command: []string{"php", file("storefront.php")}, env: env, page: true},
		{name: "storefront-sentinel.php", command: []string{"php", file("storefront-sentinel.php")}, env: env, page: true},
		{name: "worker.py", command: []string{"/usr/bin/python3", file("worker.py")}, env: env},
		{name: "worker-sentinel.py", command: []string{"/usr/bin/python3", file("worker-sentinel.py")}, env: env},
		{name: "notice.sh", command: []string{"sh", file("notice.sh")}, env: env},
		{name: "notice.go", command: []string{sample}, env: env},
	}
}

// normal is how a sample's lines begin while all is well.
func normal(a *app) string {
	switch a.name {
	case "notice.sh":
		return "notice off"
	case "notice.go":
		return "connect to redis://"
	case "worker.py", "worker-sentinel.py":
		return "job "
	default:
		return "cart "
	}
}

func start(ctx context.Context, s *states, apps []*app) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.follow(ctx) })
	for _, a := range apps {
		running.Go(func() { a.run(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// judge says whether a sample did what its first line promises: it told its
// users, or rested, and it went on with the new master.
func judge(t *testing.T, a *app, struck, ended time.Time, to string) {
	t.Helper()
	if text := a.odd(); text != "" {
		t.Errorf("%s: %s", a.name, text)
	}
	if a.name == "notice.go" {
		a.wait(t, struck, "connect to redis://"+to, 20*time.Second)
		return
	}
	on := a.first(struck, "notice")
	if a.name == "notice.sh" {
		on = a.first(struck, "notice on")
		ended = on // it speaks once
	}
	if on.IsZero() {
		t.Errorf("%s told nobody; it said\n%s", a.name, a.tail())
	}
	back := a.wait(t, ended, normal(a), 20*time.Second)
	t.Logf("%s: notice %s after the kill, at work again %s after it", a.name, on.Sub(struck).Round(time.Millisecond), back.Sub(struck).Round(time.Millisecond))
}

// states follows the built-in state over HTTP by long polls, as an app does.
type states struct {
	url string

	mu   sync.Mutex
	seen []seen
}

type seen struct {
	at    time.Time
	state string
	value map[string]any
}

func (s *states) follow(ctx context.Context) {
	for tag := `"none"`; ctx.Err() == nil; {
		code, header, body, err := ask(ctx, s.url+"?wait=20s", tag)
		if err != nil || code != http.StatusOK {
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
			continue
		}
		tag = header.Get("ETag")
		var answer struct {
			Setting struct{ Word, Value string }
		}
		v := seen{at: time.Now(), value: map[string]any{}}
		if json.Unmarshal(body, &answer) == nil && json.Unmarshal([]byte(answer.Setting.Value), &v.value) == nil {
			v.state = answer.Setting.Word
		}
		s.mu.Lock()
		s.seen = append(s.seen, v)
		s.mu.Unlock()
	}
}

func ask(ctx context.Context, url, tag string) (int, http.Header, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, body, err
}

func (s *states) wait(t *testing.T, state string, since time.Time, within time.Duration) time.Time {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		last := seen{}
		if len(s.seen) > 0 {
			last = s.seen[len(s.seen)-1]
		}
		s.mu.Unlock()
		if last.state == state && !last.at.Before(since) {
			return last.at
		}
	}
	t.Fatalf("the state is not %s within %s: %s", state, within, s)
	return time.Time{}
}

func (s *states) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	for _, v := range s.seen {
		fmt.Fprintf(&out, "%s %s %v\n", v.at.Format("15:04:05.000"), v.state, v.value)
	}
	return out.String()
}

// judge: failing_over from before the promotion on, then ok, and nothing else.
func (s *states) judge(t *testing.T, struck, promoted, ended time.Time, to string) {
	t.Helper()
	s.mu.Lock()
	var during []seen
	for _, v := range s.seen {
		if v.at.After(struck) {
			during = append(during, v)
		}
	}
	s.mu.Unlock()
	if len(during) < 2 {
		t.Fatalf("the state over the failover: %s", s)
	}
	first, last := during[0], during[len(during)-1]
	if first.state != "failing_over" || first.value["failover"] != "" || first.value["new"] != "" || !first.at.Before(promoted) {
		t.Errorf("first it was %s at %s, the new master was named at %s", first.state, first.at.Format("15:04:05.000"), promoted.Format("15:04:05.000"))
	}
	for _, v := range during[:len(during)-1] {
		if v.state != "failing_over" {
			t.Errorf("in between it was %s", v.state)
		}
	}
	if ms, ok := last.value["estimate_ms"].(float64); last.state != "ok" || last.value["new"] != to || !ok || ms <= 0 {
		t.Errorf("in the end it was %v", last.value)
	}
	t.Logf("killed; failing_over after %s, %s before a Sentinel named the new master; ok %s after the kill",
		first.at.Sub(struck).Round(time.Millisecond), promoted.Sub(first.at).Round(time.Millisecond), ended.Sub(struck).Round(time.Millisecond))
	if t.Failed() {
		t.Log(s)
	}
}

// withoutQuorum: two of three coordinators die; the third still tells what it
// has, and says that nobody has confirmed it.
func withoutQuorum(t *testing.T, l *lab.Lab, web string) {
	t.Helper()
	for _, n := range l.Nodes.List() {
		if at := place(t, l, n.ID()); "http://"+at != web {
			if err := n.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var header http.Header
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		code, h, body, err := ask(t.Context(), web+"/v1/settings/redis/cache/url:raw", "")
		if err == nil && code == http.StatusOK && h.Get("X-Pointsman-Stale") == "true" && strings.HasPrefix(string(body), "redis://") {
			header = h
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a node without a quorum answers %d %v %q, %v", code, h, body, err)
		}
	}
	if header.Get("Warning") == "" || header.Get("X-Pointsman-Age") == "" || header.Get("Cache-Control") != "no-cache, stale-if-error=86400" {
		t.Errorf("headers %v", header)
	}
	_, _, body, err := ask(t.Context(), web+stateKey, "")
	if err != nil || !strings.Contains(string(body), `"stale":true`) || !strings.Contains(string(body), `"word":"ok"`) {
		t.Errorf("the state without a quorum: %s %v", body, err)
	}
	if code, _, body, err := ask(t.Context(), web+stateKey+"?read.level=linearizable", ""); code != http.StatusServiceUnavailable {
		t.Errorf("a read that insists on a majority: %d %s %v", code, body, err)
	}
}

func place(t *testing.T, l *lab.Lab, id string) string {
	t.Helper()
	places, _ := l.Addresses(t.Context())
	for _, c := range places.Coordinators {
		if c.ID == id {
			return c.HTTP
		}
	}
	t.Fatalf("no coordinator %s", id)
	return ""
}
