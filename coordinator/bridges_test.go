package coordinator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// hook is an endpoint that does nothing for a key that it has seen.
type hook struct {
	mu    sync.Mutex // guards what follows
	value string
	keys  map[string]string // of each key, the body that it came with
	posts int
	next  func(http.ResponseWriter) // instead of the next answer, after the effect
	odd   []string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		return
	}
	body, _ := io.ReadAll(r.Body)
	var event struct{ Value string }
	err := json.Unmarshal(body, &event)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.posts++
	key := r.Header.Get("Idempotency-Key")
	if before, known := h.keys[key]; err != nil || key == "" || known && before != string(body) {
		h.odd = append(h.odd, fmt.Sprintf("%q with %s, before %s", key, body, before))
	} else if !known {
		h.keys[key], h.value = string(body), event.Value
	}
	if answer := h.next; answer != nil {
		h.next = nil
		answer(w)
	}
}

func (h *hook) fails(answer func(http.ResponseWriter)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = answer
}

// bridged adds a step of kind http and one of kind command, both keyed and with
// nothing that could be read back. The program does its deed once for each key,
// and breaks off after it at the first run of each odd failover. A lost answer
// keeps the next value waiting for the window, which is therefore short here.
func bridged(t *testing.T, spec *pointsmanv1.Spec) (h *hook, dir string) {
	t.Helper()
	h = &hook{keys: map[string]string{}}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	dir = t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := "file:" + write("secret", "0123456789abcdef-hook\n", 0o600)
	program := write("act", `#!/bin/sh
cd "${0%/*}" || exit 2
grep -qxF "$POINTSMAN_KEY" deeds 2>/dev/null && exit 0
echo "$6:$7" > value
echo "$POINTSMAN_KEY" >> deeds
[ $((POINTSMAN_NUMBER % 2)) = 0 ] || exit 22
`, 0o755)
	spec.Targets = map[string]*pointsmanv1.Target{
		"hook": {Rate: 6000, Hold: durationpb.New(time.Second), Kind: &pointsmanv1.Target_Http{Http: &pointsmanv1.HttpTarget{
			Url: server.URL + "/redis", Secret: secret, Allow: []string{"127.0.0.0/8"},
		}}},
		"script": {Rate: 6000, Hold: durationpb.New(time.Second), Kind: &pointsmanv1.Target_Command{Command: &pointsmanv1.CommandTarget{Program: program}}},
	}
	spec.Masters[0].Plan = append(spec.Masters[0].Plan, &pointsmanv1.Stage{Stage: "bridges", Steps: []*pointsmanv1.Step{
		{Name: "hook", Target: "hook", Timeout: durationpb.New(2 * time.Second), Kind: &pointsmanv1.Step_Http{Http: &pointsmanv1.HttpStep{Value: "redis://{{.New}}/0"}}},
		{Name: "script", Target: "script", Timeout: durationpb.New(2 * time.Second), Kind: &pointsmanv1.Step_Command{Command: &pointsmanv1.CommandStep{Repeat: pointsmanv1.Repeat_REPEAT_KEYED}}},
	}})
	return h, dir
}

// TestBridges takes an endpoint and a program through failovers with lost
// answers and a lost leader. Each action changes its world once, however often
// it was asked for, and is done by an answer.
func TestBridges(t *testing.T) {
	const failovers = 5
	s, tr := newSights(t), three(t)
	spec := s.spec()
	h, dir := bridged(t, spec)
	tr.apply(spec)
	for n := 1; n <= failovers; n++ {
		to := n % 2
		switch n {
		case 2:
			h.fails(func(http.ResponseWriter) { panic(http.ErrAbortHandler) })
		case 3:
			h.fails(func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) })
		case 4:
			h.fails(func(w http.ResponseWriter) { fmt.Fprint(w, `{"error":"try again"}`) })
		}
		s.promote(to, uint64(n+1))
		if n == failovers {
			gone := tr.leader()
			tr.stop(gone)
			tr.start(gone)
		}
		address := s.nodes[to].Address()
		eventually(t, fmt.Sprintf("failover %d", n), func(context.Context) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			value, _ := os.ReadFile(filepath.Join(dir, "value"))
			if h.value != "redis://"+address+"/0" || strings.TrimSpace(string(value)) != address {
				return fmt.Errorf("the hook was told %q, the program %q; want %s", h.value, value, address)
			}
			return nil
		})
		tr.master("settled", func(m *pointsmanv1.Master) bool { return m.GetOpenActions() == 0 })
	}
	deeds, err := os.ReadFile(filepath.Join(dir, "deeds"))
	if n := strings.Count(string(deeds), "\n"); err != nil || n != failovers {
		t.Errorf("%d deeds of the program by %d failovers: %s, %v", n, failovers, deeds, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.keys) != failovers || h.posts < failovers+3 || len(h.odd) > 0 {
		t.Errorf("%d keys in %d posts by %d failovers; odd: %q", len(h.keys), h.posts, failovers, h.odd)
	}
	tr.allChanged("http", "command")
}

// allChanged wants every action of some kinds done, with a change.
func (tr *trio) allChanged(kinds ...string) {
	tr.t.Helper()
	eventually(tr.t, "the log", func(ctx context.Context) error {
		list, err := pointsmanv1.NewActionServiceClient(tr.dial(tr.leader())).ListActions(ctx, &pointsmanv1.ListActionsRequest{PageSize: 100})
		if err != nil {
			return err
		}
		found := 0
		for _, a := range list.GetActions() {
			if !strings.Contains(" "+strings.Join(kinds, " ")+" ", " "+a.GetKind()+" ") {
				continue
			}
			found++
			if a.GetState() != pointsmanv1.ActionState_ACTION_STATE_DONE || a.GetEffect() != pointsmanv1.ActionEffect_ACTION_EFFECT_CHANGED {
				tr.t.Errorf("%s is %s, %s: %s", a.GetId(), a.GetState(), a.GetEffect(), a.GetReason())
			}
		}
		if found < 2*len(kinds) {
			tr.t.Errorf("%d actions of %q", found, kinds)
		}
		return nil
	})
}
