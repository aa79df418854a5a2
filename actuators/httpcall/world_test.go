package httpcall_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/httpcall"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/pipe"
)

const (
	addressA = "10.0.1.20:6379"
	addressB = "10.0.2.20:6379"
	secret   = "0123456789abcdef-hook"
)

// endpoint is a receiver of events with one object.
type endpoint struct {
	net    *pipe.Net
	form   string // of the check's answer: marked, json or text
	keyed  bool   // it does nothing for a key that it has seen
	strict bool   // it refuses a timestamp that is five minutes off

	mu     sync.Mutex    // guards what follows
	skew   time.Duration // of the sender's clock
	value  string
	marker string
	keys   map[string]string // of each key, the body that it came with
	seen   actuatortest.Requests
	fault  actuatortest.Fault
	answer func(http.ResponseWriter) // instead of the effect, once
	lose   bool                      // end the connection instead of an answer
	hold   bool
	held   func()
	faults []string // what was wrong with the requests
	posts  []post
}

// post is what came with an event.
type post struct {
	key, token, stamp, signature string
	body                         []byte
}

func newEndpoint(t testing.TB) *endpoint {
	t.Helper()
	e := &endpoint{net: pipe.New(), form: "marked", value: "10.0.9.9:6379", keys: map[string]string{}}
	server := &http.Server{Handler: e, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(e.net)
	}()
	t.Cleanup(func() {
		_ = e.net.Close()
		_ = server.Close()
		<-done
		if len(e.faults) > 0 {
			t.Errorf("requests: %q", e.faults)
		}
	})
	return e
}

func (e *endpoint) Value() fsm.Address {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fsm.Address(e.value)
}

func (e *endpoint) Seen() actuatortest.Requests {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen
}

func (e *endpoint) Break(f actuatortest.Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fault = f
	e.net.SetDown(f == actuatortest.Unreachable)
}

func (e *endpoint) Mend() { e.Break(0) }

func (e *endpoint) HoldNext() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hold = true
}

func (e *endpoint) Deliver() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held()
}

// ServeHTTP judges the signature by the words of the documentation alone.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	e.seen.All++
	w.Header().Set("X-Request-Id", fmt.Sprintf("req-%d", e.seen.All))
	p := post{r.Header.Get("Idempotency-Key"), r.Header.Get("Pointsman-Token"), r.Header.Get("Pointsman-Timestamp"), r.Header.Get("Pointsman-Signature"), body}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(p.stamp + "." + p.token + "." + string(body)))
	if p.signature != "v1="+hex.EncodeToString(mac.Sum(nil)) {
		e.faults = append(e.faults, "signature "+p.signature)
	}
	if e.old(p) {
		defer e.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"timestamp of %s is not of this moment"}`, secret)
		return
	}
	if r.Method != http.MethodPost {
		defer e.mu.Unlock()
		e.get(w)
		return
	}
	e.seen.Mutating++
	e.posts = append(e.posts, p)
	silent := e.event(w, p)
	lose := e.lose
	e.lose = false
	e.mu.Unlock()
	if silent && !lose {
		<-r.Context().Done()
	}
	if silent {
		panic(http.ErrAbortHandler)
	}
}

// theirs is the sender's clock.
func (e *endpoint) theirs() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Now().Add(e.skew)
}

// old reports a timestamp that the endpoint refuses.
func (e *endpoint) old(p post) bool {
	stamp, err := strconv.ParseInt(p.stamp, 10, 64)
	return e.strict && (err != nil || time.Since(time.Unix(stamp, 0)).Abs() > 5*time.Minute)
}

func (e *endpoint) get(w http.ResponseWriter) {
	switch {
	case e.fault == actuatortest.FailRead:
		e.fault = 0
		http.Error(w, "secret is "+secret, http.StatusBadGateway)
	case e.form == "text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, e.value)
	default:
		marker := e.marker
		if e.form == "json" {
			marker = ""
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"value": e.value, "marker": marker})
	}
}

// event is the effect and the answer of a post; silent: none.
func (e *endpoint) event(w http.ResponseWriter, p post) (silent bool) {
	f, answer := e.fault, e.answer
	e.fault, e.answer = 0, nil
	effect := func() { e.take(p) }
	switch {
	case e.hold:
		e.hold, e.held = false, effect
		return true
	case answer != nil:
		answer(w)
		return false
	}
	switch f {
	case actuatortest.FailBefore:
		http.Error(w, "no", http.StatusBadGateway)
	case actuatortest.FailAfter:
		effect()
		http.Error(w, "no", http.StatusServiceUnavailable)
	case actuatortest.LoseAfter:
		effect()
		e.lose = true
		return true
	case actuatortest.LoseBefore:
		e.lose = true
		return true
	case actuatortest.HangAfter:
		effect()
		return true
	case actuatortest.Hang:
		return true
	case actuatortest.Garble:
		effect()
		fmt.Fprint(w, "<html>")
	case actuatortest.Refuse:
		http.Error(w, "bad signature of "+secret, http.StatusForbidden)
	case actuatortest.TooMany:
		w.Header().Set("Retry-After", strconv.Itoa(int(actuatortest.RetryAfter.Seconds())))
		http.Error(w, "slow down", http.StatusTooManyRequests)
	default:
		effect()
		w.WriteHeader(http.StatusNoContent)
	}
	return false
}

func (e *endpoint) take(p post) {
	var body struct{ Value, Marker string }
	if err := json.Unmarshal(p.body, &body); err != nil {
		e.faults = append(e.faults, err.Error())
	}
	if before, known := e.keys[p.key]; known {
		if before != string(p.body) {
			e.faults = append(e.faults, "another body for key "+p.key)
		}
		if e.keyed {
			return
		}
	}
	e.keys[p.key] = string(p.body)
	if e.value != body.Value {
		e.seen.Changes++
	}
	e.value, e.marker = body.Value, body.Marker
}

func encode(t testing.TB, msg proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

type free struct{}

func (free) Wait(ctx context.Context) error { return ctx.Err() }

// world is an endpoint and its kind, for a step with the given word and check.
func world(t testing.TB, repeat pb.Repeat, check string) actuatortest.World {
	e := newEndpoint(t)
	e.keyed = repeat != pb.Repeat_REPEAT_READABLE && repeat != pb.Repeat_REPEAT_BLIND
	target := &pb.HttpTarget{Url: "http://hooks.example.net/redis", Secret: "env:HOOK", Allow: []string{"10.0.0.0/8"}}
	return actuatortest.World{
		Kind: httpcall.New(httpcall.Config{Dial: e.net.Dial, Getenv: func(string) string { return secret }}),
		Name: httpcall.Name, Target: fsm.TargetSpec{ID: "hook", Kind: httpcall.Name, Params: encode(t, target)},
		Message: &pb.HttpStep{Repeat: repeat, Check: check}, TargetOf: target, A: addressA, B: addressB,
		Secrets: []string{secret}, Outside: e, Late: e, Unread: check == "",
	}
}
