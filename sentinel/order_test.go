package sentinel

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// desk prepares orders at one fake Sentinel.
func desk(t *testing.T, c Config, order *Access) (*redislab.Fake, func(context.Context) (*Order, error)) {
	t.Helper()
	f, err := redislab.NewFake("sentinel")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	if c.Timeout == 0 {
		c.Timeout = 300 * time.Millisecond
	}
	w := New(c)
	if err := w.SetMasters([]Master{{ID: "cache", Name: "mymaster", Sentinels: []string{f.Address()}, Candidates: []string{a}, Order: order}}); err != nil {
		t.Fatal(err)
	}
	return f, func(ctx context.Context) (*Order, error) { return w.Prepare(ctx, "cache", f.Address()) }
}

func prepared(t *testing.T, prepare func(context.Context) (*Order, error)) *Order {
	t.Helper()
	o, err := prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

// TestOrder: what each answer means, and that whatever it is the command is sent
// once: also when the answer is lost, and when Send is called again.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name, reply string
		want        error
		says        string
	}{
		{"begun", "+OK\r\n", nil, ""},
		{"no right", redislab.ErrorReply("NOPERM User default has no permissions to run the 'sentinel|failover' command"), ErrDenied, "ACL SETUSER default +sentinel|failover"},
		{"in progress", redislab.ErrorReply("INPROG Failover already in progress"), ErrDeclined, "INPROG Failover already in progress"},
		{"no replica", redislab.ErrorReply("NOGOODSLAVE No suitable replica to promote"), ErrDeclined, "NOGOODSLAVE"},
		{"lost", "", ErrUnanswered, ""},
		{"half an answer", "+O", ErrUnanswered, ""},
		{"another answer", "+QUEUED\r\n", ErrUnanswered, "QUEUED"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			f, prepare := desk(t, Config{}, nil)
			f.Script("SENTINEL FAILOVER", c.reply)
			o := prepared(t, prepare)
			if n := f.Count("SENTINEL FAILOVER"); n != 0 {
				t.Fatalf("sent %d times before it was to be", n)
			}
			err := o.Send(t.Context())
			if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v with %q", err, c.want, c.says)
			}
			if err := o.Send(t.Context()); !errors.Is(err, ErrSent) {
				t.Errorf("again: %v", err)
			}
			time.Sleep(20 * time.Millisecond) // a repeat would be on its way now
			if n := f.Count("SENTINEL FAILOVER"); n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

// TestOrder_Hangs: no answer in time is not known, not a no.
func TestOrder_Hangs(t *testing.T) {
	f, prepare := desk(t, Config{}, nil)
	o := prepared(t, prepare)
	f.Hang(true)
	began := time.Now()
	if err := o.Send(t.Context()); !errors.Is(err, ErrUnanswered) {
		t.Errorf("%v", err)
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("after %s", d)
	}
	f.Hang(false) // what is in its buffer is read now
	for end := time.Now().Add(2 * time.Second); f.Count("SENTINEL FAILOVER") == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := f.Count("SENTINEL FAILOVER"); n != 1 {
		t.Errorf("arrived %d times", n)
	}
}

// TestOrder_NotSent: over before it began; nothing is written, and it stays so.
func TestOrder_NotSent(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	for _, ctx := range []context.Context{cancelled, late} {
		f, prepare := desk(t, Config{}, nil)
		f.Script("SENTINEL FAILOVER", "+OK\r\n")
		o := prepared(t, prepare)
		if err := o.Send(ctx); !errors.Is(err, ErrNotSent) {
			t.Errorf("%v", err)
		}
		if err := o.Send(t.Context()); !errors.Is(err, ErrSent) {
			t.Errorf("again: %v", err)
		}
		if n := f.Count("SENTINEL FAILOVER"); n != 0 {
			t.Errorf("sent %d times", n)
		}
	}
}

// stopped is a connection whose process is held right before its next write.
type stopped struct {
	net.Conn
	hold *atomic.Int64
}

func (c stopped) Write(b []byte) (int, error) {
	time.Sleep(time.Duration(c.hold.Swap(0)))
	return c.Conn.Write(b)
}

// frozen is a context whose timer never fires, as in a process that was stopped.
type frozen struct {
	context.Context
	at time.Time
}

func (c frozen) Deadline() (time.Time, bool) { return c.at, true }

// TestOrder_PausedBeforeTheWrite: a process that is held between its last look
// and the write until after the deadline writes nothing.
func TestOrder_PausedBeforeTheWrite(t *testing.T) {
	hold := &atomic.Int64{}
	f, prepare := desk(t, Config{Timeout: 5 * time.Second, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return stopped{c, hold}, err
	}}, nil)
	f.Script("SENTINEL FAILOVER", "+OK\r\n")
	o := prepared(t, prepare)
	hold.Store(int64(150 * time.Millisecond))
	if err := o.Send(frozen{t.Context(), time.Now().Add(50 * time.Millisecond)}); !errors.Is(err, ErrUnanswered) {
		t.Errorf("%v", err)
	}
	time.Sleep(20 * time.Millisecond)
	if n := f.Count("SENTINEL FAILOVER"); n != 0 {
		t.Errorf("written %d times after its deadline", n)
	}
}

// TestOrder_OutlivesItsAsker: what is in the log is sent though whoever asked
// has gone away since.
func TestOrder_OutlivesItsAsker(t *testing.T) {
	f, prepare := desk(t, Config{}, nil)
	f.Script("SENTINEL FAILOVER", "+OK\r\n")
	ctx, cancel := context.WithCancel(t.Context())
	o, err := prepare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	cancel()
	time.Sleep(20 * time.Millisecond) // an end that follows the asker's would be done by now
	if err := o.Send(t.Context()); err != nil || f.Count("SENTINEL FAILOVER") != 1 {
		t.Errorf("%v, sent %d times", err, f.Count("SENTINEL FAILOVER"))
	}
}

// TestOrder_CutBefore: a connection that is lost before the command is not
// dialed again.
func TestOrder_CutBefore(t *testing.T) {
	var dials atomic.Int32
	f, prepare := desk(t, Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}, nil)
	f.Script("SENTINEL FAILOVER", "+OK\r\n")
	o := prepared(t, prepare)
	f.Cut()
	time.Sleep(20 * time.Millisecond)
	if err := o.Send(t.Context()); !errors.Is(err, ErrUnanswered) {
		t.Errorf("%v", err)
	}
	if n, d := f.Count("SENTINEL FAILOVER"), dials.Load(); n != 0 || d != 1 {
		t.Errorf("sent %d times over %d connections", n, d)
	}
}

// TestPrepare: a login that fails is known to have sent nothing; the credential
// is the switchover's own.
func TestPrepare(t *testing.T) {
	own := &Access{User: "switchover", Password: func() (string, error) { return "secret", nil }}
	f, prepare := desk(t, Config{}, own)
	f.Script("AUTH", redislab.ErrorReply("WRONGPASS invalid username-password pair or user is disabled."))
	if _, err := prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	f.Script("AUTH", "+OK\r\n")
	f.Script("SENTINEL FAILOVER", redislab.ErrorReply("NOPERM no"))
	o := prepared(t, prepare)
	if err := o.Send(t.Context()); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), `user "switchover" lacks`) {
		t.Errorf("%v", err)
	}
	w := New(Config{})
	if _, err := w.Prepare(t.Context(), "none", f.Address()); err == nil {
		t.Error("an order for a master that is not declared")
	}
	f.Close()
	if _, err := prepare(t.Context()); err == nil {
		t.Error("an order at a Sentinel that is away")
	}
}
