package lab

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Hook is an endpoint of the kind "http", as its page asks for one: it checks
// signatures, knows the keys that it has seen, refuses what is older than what
// it holds, and says what that is.
type Hook struct {
	URL    string
	Secret string // path of the file that holds it

	server *http.Server
	secret []byte

	mu     sync.Mutex // guards what follows
	keys   map[string]bool
	value  string
	marker string
	number uint64
	deeds  []Deed
	forged int
	faults []Hurt
}

// hookSecretFile is in the lab's folder.
const hookSecretFile = "hook.secret"

const maxHookBody = 64 << 10

func startHook(dir string) (*Hook, error) {
	h := &Hook{Secret: filepath.Join(dir, hookSecretFile), secret: []byte(rand.Text()), keys: map[string]bool{}}
	if err := os.WriteFile(h.Secret, h.secret, 0o600); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h.URL = "http://" + l.Addr().String()
	h.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = h.server.Serve(l) }()
	return h, nil
}

func (h *Hook) close() error { return errors.Join(h.server.Close(), gone(os.Remove(h.Secret))) }

func (h *Hook) addition(rate int) addition {
	return addition{
		step:   `{name: hook, target: hook, http: {check: /current, value: "redis://{{.New}}/0"}}`,
		target: fmt.Sprintf(`hook: {rate: %d, http: {url: %q, secret: "file:%s", allow: ["127.0.0.0/8"]}}`, rate, h.URL, h.Secret),
	}
}

// Break says what goes wrong with the next events, one each.
func (h *Hook) Break(list ...Hurt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, list...)
}

func (h *Hook) mend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = nil
}

// Deeds are the events that it carried out, in order, and how many requests were
// not signed by who knows the secret.
func (h *Hook) Deeds() (list []Deed, forged int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.deeds), h.forged
}

// ServeHTTP implements http.Handler.
func (h *Hook) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxHookBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if q.Method == http.MethodHead {
		return // the probe of the target, which is not signed
	}
	hurt := HurtNone
	if q.Method == http.MethodPost && h.signed(q.Header, body) {
		hurt = h.hurt()
	}
	switch hurt {
	case HurtBefore:
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	case HurtCut:
		panic(http.ErrAbortHandler)
	case HurtDelay:
		time.Sleep(hurtDelay)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.signed(q.Header, body):
		h.forged++
		http.Error(w, "signature", http.StatusUnauthorized)
	case q.Method != http.MethodPost:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"value": h.value, "marker": h.marker})
	default:
		h.post(w, q.Header.Get("Idempotency-Key"), body, hurt)
	}
}

func (h *Hook) hurt() Hurt {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.faults) == 0 {
		return HurtNone
	}
	next := h.faults[0]
	h.faults = h.faults[1:]
	return next
}

// holds is the value that stands.
func (h *Hook) holds() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.value
}

func (h *Hook) signed(head http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, h.secret)
	fmt.Fprintf(mac, "%s.%s.%s", head.Get("Pointsman-Timestamp"), head.Get("Pointsman-Token"), body)
	return hmac.Equal([]byte("v1="+hex.EncodeToString(mac.Sum(nil))), []byte(head.Get("Pointsman-Signature")))
}

// post carries an event out. The caller holds mu.
func (h *Hook) post(w http.ResponseWriter, key string, body []byte, hurt Hurt) {
	var e struct {
		Action, Marker, Value string
		Number                uint64
	}
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	switch {
	case h.keys[key]:
	case e.Number < h.number:
		http.Error(w, "older than "+h.marker, http.StatusGone)
		return
	default:
		h.deeds = append(h.deeds, Deed{Action: e.Action, Before: h.value, After: e.Value})
		h.keys[key], h.value, h.marker, h.number = true, e.Value, e.Marker, e.Number
	}
	switch hurt {
	case HurtAfter:
		http.Error(w, "carried out, and this says otherwise", http.StatusInternalServerError)
	case HurtLost:
		panic(http.ErrAbortHandler)
	}
}
