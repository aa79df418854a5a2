package receive

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// Times of an answer. A shop waits 5 s for the whole of it.
// https://shopify.dev/docs/apps/build/webhooks/subscribe/https
const (
	answerWithin = 3500 * time.Millisecond // from the end of the headers to the answer
	commitWithin = 3300 * time.Millisecond // of which the store has this, from the same moment
	spillNeeds   = 800 * time.Millisecond  // what the store leaves of that for the spill
	firstTry     = 1200 * time.Millisecond // longest try of one write
)

// Config is what a receiver runs with.
type Config struct {
	Name    string // begins the name of its streams; see webhook.ValidStream
	Store   buffer.Store
	Apps    map[string][]Secret // by the name that ends their path
	Proxies []netip.Prefix      // whose X-Forwarded-For is believed, in logs only

	MaxBody       int64         // bytes
	Connections   int           // open ones
	Requests      int           // at once
	Bytes         int64         // of bodies in memory
	HeaderTimeout time.Duration // for a request's headers
	BodyTimeout   time.Duration // for its body
	Linger        time.Duration // of an event for others
	BatchEvents   int           // events of a segment
	Writes        int           // segments that are written at once
	Remember      int           // events that are known as stored, the newest
	Spill         Spill

	Log      *slog.Logger
	Registry prometheus.Registerer // nil: nothing is registered
}

// Spill is where events go that the store does not take.
type Spill struct {
	Dir       string // empty: there is none, nothing is shipped
	Take      bool   // new events go there; otherwise what lies there is shipped only
	MaxBytes  int64  // of files in it
	DiskFloor int64  // free bytes of its file system that are left alone
}

// Secret is one place where secrets of an app stand, one a line.
type Secret struct {
	From string                 // what it is called in logs
	Read func() (string, error) // called every few seconds
}

// DefaultConfig is a configuration without name, store and apps.
func DefaultConfig() Config {
	return Config{
		MaxBody: 8 << 20, Connections: 10000, Requests: 10000, Bytes: 256 << 20, HeaderTimeout: time.Second, BodyTimeout: 2 * time.Second,
		Linger: 5 * time.Millisecond, BatchEvents: 64, Writes: 4, Remember: 100000, Spill: Spill{MaxBytes: 1 << 30, DiskFloor: 256 << 20},
	}
}

// Validate says what cannot work.
func (c Config) Validate() error {
	var wrong []error
	tell := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	tell(!webhook.ValidStream(c.Name+"-000000000000-0000000000000000"), "name %.80q: must be 1 to 63 lower-case letters, digits and inner dashes", c.Name)
	tell(c.Store == nil, "no store")
	tell(len(c.Apps) == 0, "no apps: nobody's webhooks can be verified")
	tell(c.MaxBody < 1 || c.MaxBody > webhook.MaxBody, "largest body is %d, must be 1 to %d", c.MaxBody, webhook.MaxBody)
	tell(c.Bytes < 2*c.MaxBody, "bytes in memory are %d, must be twice the largest body, %d, at least", c.Bytes, c.MaxBody)
	tell(c.Connections < 1 || c.Requests < 1 || c.Writes < 1 || c.Remember < 1, "connections (%d), requests (%d), writes (%d) and remembered events (%d) must be 1 at least",
		c.Connections, c.Requests, c.Writes, c.Remember)
	tell(c.BatchEvents < 1 || c.BatchEvents > maxJoined, "events of a segment are %d, must be 1 to %d", c.BatchEvents, maxJoined)
	tell(c.Linger < 0 || c.Linger > 100*time.Millisecond, "linger is %s, must be 0s to 100ms", c.Linger)
	tell(c.HeaderTimeout <= 0 || c.BodyTimeout <= 0 || c.BodyTimeout > 3*time.Second, "time-outs of headers (%s) and body (%s) must be more than 0s, the body's at most 3s", c.HeaderTimeout, c.BodyTimeout)
	tell(c.Spill.Take && (c.Spill.Dir == "" || c.Spill.MaxBytes < 1), "spill has no folder or no bytes (%d)", c.Spill.MaxBytes)
	return errors.Join(wrong...)
}
