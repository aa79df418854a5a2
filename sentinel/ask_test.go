package sentinel

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// TestAsk: every ask is a new connection, which ends with it, and a node that
// hangs or refuses is told in words that read the same each time.
func TestAsk(t *testing.T) {
	f, err := redislab.NewFake("master")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.SetID("run-1")
	var dialed []net.Conn
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		dialed = append(dialed, c)
		return c, err
	}
	for range 2 {
		got, err := Ask(t.Context(), dial, f.Address(), Access{}, time.Second)
		if err != nil || got != (Answer{Role: RoleMaster, RunID: "run-1"}) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if len(dialed) != 2 {
		t.Fatalf("%d connections for two asks", len(dialed))
	}
	for _, c := range dialed {
		if _, err := c.Write([]byte("x")); err == nil {
			t.Error("a connection is still open")
		}
	}
	f.SetRole("LOADING still")
	if _, err := Ask(t.Context(), nil, f.Address(), Access{}, time.Second); err == nil || !strings.Contains(err.Error(), "LOADING") {
		t.Errorf("loading: %v", err)
	}
	f.Hang(true)
	began := time.Now()
	if _, err := Ask(t.Context(), nil, f.Address(), Access{}, 100*time.Millisecond); err == nil || time.Since(began) > 2*time.Second {
		t.Errorf("a node that hangs: %v after %s", err, time.Since(began))
	} else if !strings.Contains(err.Error(), "no answer in time") {
		t.Error(err)
	}
	address := f.Address()
	f.Close()
	_, first := Ask(t.Context(), nil, address, Access{}, time.Second)
	_, again := Ask(t.Context(), nil, address, Access{}, time.Second)
	if first == nil || again == nil || first.Error() != again.Error() || !strings.Contains(first.Error(), "refused") {
		t.Errorf("%v, then %v", first, again)
	}
}
