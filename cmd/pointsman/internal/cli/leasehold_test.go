package cli

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client/leases"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/guarded"
)

// TestHowARunEnds: whatever has gone wrong is told, beside the command's own code.
func TestHowARunEnds(t *testing.T) {
	refused := status.Error(codes.PermissionDenied, "not for you")
	for name, c := range map[string]struct {
		r    *holdRun
		told bool
		err  error
		code fault.Code
		says string // the error, and what was said before it
	}{
		"by itself":           {r: &holdRun{end: guarded.End{Code: 7}}, code: 7},
		"well":                {r: &holdRun{}, code: 0},
		"told to":             {r: &holdRun{end: guarded.End{Code: 143, Cut: guarded.ErrHandover}}, told: true, code: 143},
		"lost":                {r: &holdRun{end: guarded.End{Code: 143, Cut: leases.ErrLost}}, code: fault.TryLater, says: "lease is lost"},
		"not started":         {r: &holdRun{err: syscall.ENOEXEC}, code: fault.Failed, says: "exec format error"},
		"lost, and no other":  {r: &holdRun{again: true, end: guarded.End{Code: 143, Cut: leases.ErrLost}}, err: refused, code: fault.Failed, says: "not for you"},
		"by itself, and more": {r: &holdRun{end: guarded.End{Code: 7}}, err: refused, code: 7, says: "not for you"},
	} {
		var out bytes.Buffer
		c.r.app, c.r.pool, c.r.args = &App{Err: &out}, "jobs", []string{"work"}
		code := fault.OK
		if err := c.r.afterwards(c.told, c.err); err != nil {
			e := fault.Explain(err)
			e.Print(&out)
			code = e.Code
		}
		if code != c.code || !bytes.Contains(out.Bytes(), []byte(c.says)) || (c.says == "") != (out.Len() == 0) {
			t.Errorf("%s: code %d, said %q; want %d and %q", name, code, out.String(), c.code, c.says)
		}
	}
}

// TestComplaintsAreToldOnce: a cluster that is away is told once, not each second.
func TestComplaintsAreToldOnce(t *testing.T) {
	var out bytes.Buffer
	r := &holdRun{app: &App{Err: &out}, pool: "jobs"}
	log := slog.New(complaints{run: r}).With("pool", "jobs")
	log.Info("session opened")
	for range 3 {
		log.Warn("no session could be opened", "worker", "w1", "error", errors.New("nobody there"))
	}
	log.Warn("session has ended")
	if got, want := out.String(), "pool jobs: no session could be opened: nobody there\npool jobs: session has ended\n"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

// TestSignals: the first asks, the second hurries, the third is the system's.
func TestSignals(t *testing.T) {
	var out bytes.Buffer
	var cause error
	released := 0
	r := &holdRun{app: &App{Err: &out}, hurry: make(chan struct{}), stop: func(err error) { cause = err }}
	for times := range 2 {
		r.told(os.Interrupt, times+1, func() { released++ })
		hurried := false
		select {
		case <-r.hurry:
			hurried = true
		default:
		}
		if !errors.Is(cause, errTold) || hurried != (times == 1) || released != times {
			t.Errorf("after %d: stopped for %v, hurried %t, released %d", times+1, cause, hurried, released)
		}
	}
}
