package receive

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

// listen serves a receiver on a port of its own.
func listen(t *testing.T, r *Receiver) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.Serve(l, nil) }()
	t.Cleanup(func() {
		if err := r.Close(t.Context()); err == nil {
			<-served
		}
	})
	return l.Addr().String()
}

// head is a delivery's head that promises so many bytes.
func head(id string, promised int, mac string) string {
	return fmt.Sprintf("POST /webhooks/orders HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nX-Shopify-Topic: orders/create\r\nX-Shopify-Shop-Domain: a.myshopify.com\r\n"+
		"X-Shopify-Api-Version: 2026-10\r\nX-Shopify-Webhook-Id: %s\r\nX-Shopify-Hmac-Sha256: %s\r\n\r\n", promised, id, mac)
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// A body that comes too slowly is answered 408 on a connection that then ends;
// headers that do not come end it without an answer of ours.
func TestSlow(t *testing.T) {
	c := testConfig(&buffertest.Memory{})
	c.HeaderTimeout, c.BodyTimeout = 100*time.Millisecond, 200*time.Millisecond
	r := open(t, c)
	addr := listen(t, r)
	body := dial(t, addr)
	_, _ = io.WriteString(body, head("1", 100, sign(testSecret, ""))+"only a part")
	resp, err := http.ReadResponse(bufio.NewReader(body), nil)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout || !resp.Close {
		t.Errorf("%v %v", resp, err)
	}
	headers := dial(t, addr)
	_, _ = io.WriteString(headers, "POST /webhooks/orders HTTP/1.1\r\n")
	if rest, err := io.ReadAll(headers); err != nil || strings.Contains(string(rest), "200") {
		t.Errorf("%q %v", rest, err)
	}
	if r.memory.used() != 0 {
		t.Errorf("%d bytes in memory", r.memory.used())
	}
}

// Many slow clients that promise large bodies take the memory of what they have
// sent, and quick ones are served meanwhile.
func TestSlowClients(t *testing.T) {
	store := &buffertest.Memory{}
	c := testConfig(store)
	c.BodyTimeout = 3 * time.Second
	r := open(t, c)
	addr := listen(t, r)
	const slow = 300
	for i := range slow {
		_, _ = io.WriteString(dial(t, addr), head(fmt.Sprint(i), 8<<20, sign(testSecret, ""))+"x")
	}
	for r.slots.used() < slow {
		time.Sleep(time.Millisecond)
	}
	if n := r.memory.used(); n > slow*firstRoom {
		t.Errorf("%d clients take %d bytes", slow, n)
	}
	quick := dial(t, addr)
	_, _ = io.WriteString(quick, head("quick", 2, sign(testSecret, "{}"))+"{}")
	resp, err := http.ReadResponse(bufio.NewReader(quick), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%v %v", resp, err)
	}
}

// Beyond the bounds the answer is 503, at once.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buffertest.NewFaulty(&buffertest.Memory{}, 1)
		c := testConfig(store)
		c.MaxBody, c.Bytes, c.Requests = 10<<10, 20<<10, 3
		r := open(t, c)
		store.Break(buffertest.Hang)
		var all sync.WaitGroup
		for i := range 2 {
			all.Go(func() { status(r, request(fmt.Sprint(i), strings.Repeat("x", 8<<10))) })
		}
		synctest.Wait()
		if code, text := status(r, request("bytes", strings.Repeat("x", 8<<10))); code != 503 || !strings.Contains(text, "memory") {
			t.Errorf("%d %s", code, text)
		}
		all.Go(func() { status(r, request("small", "x")) })
		synctest.Wait()
		if code, text := status(r, request("requests", "x")); code != 503 || !strings.Contains(text, "requests") {
			t.Errorf("%d %s", code, text)
		}
		all.Wait()
		if r.memory.used() != 0 || r.slots.used() != 0 {
			t.Errorf("in flight: %d bytes, %d requests", r.memory.used(), r.slots.used())
		}
	})
}

// A connection beyond the bound is closed at once, and others go on.
func TestConnections(t *testing.T) {
	c := testConfig(&buffertest.Memory{})
	c.Connections = 2
	r := open(t, c)
	addr := listen(t, r)
	first, second := dial(t, addr), dial(t, addr)
	for r.connections.used() < 2 {
		time.Sleep(time.Millisecond)
	}
	if _, err := dial(t, addr).Read(make([]byte, 1)); err == nil {
		t.Error("a third connection is served")
	}
	second.Close()
	_, _ = io.WriteString(first, head("1", 2, sign(testSecret, "{}"))+"{}")
	resp, err := http.ReadResponse(bufio.NewReader(first), nil)
	if err != nil || resp.StatusCode != http.StatusOK || value(t, r.meters.refused) != 1 {
		t.Errorf("%v %v", resp, err)
	}
}

// A header that is too long is refused before anything of ours is asked.
func TestLongHeaders(t *testing.T) {
	addr := listen(t, open(t, testConfig(&buffertest.Memory{})))
	conn := dial(t, addr)
	_, _ = io.WriteString(conn, "POST /webhooks/orders HTTP/1.1\r\nHost: h\r\nX-Long: "+strings.Repeat("x", 64<<10))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%v %v", resp, err)
	}
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buffertest.NewFaulty(&buffertest.Memory{}, 1)
		store.Break(buffertest.Fail)
		r := openOnly(t, testConfig(store))
		for path, want := range map[string]int{"/livez": 200, "/readyz": 503} {
			if code, text := status(r, httptest.NewRequest(http.MethodGet, path, nil)); code != want {
				t.Errorf("%s: %d %s", path, code, text)
			}
		}
	})
}

// The address in logs: X-Forwarded-For counts as far as proxies are trusted.
func TestFrom(t *testing.T) {
	c := testConfig(&buffertest.Memory{})
	c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	r := open(t, c)
	for _, row := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:1", "198.51.100.1", "192.0.2.1"},
		{"10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "203.0.113.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1:1", "nonsense", "10.0.0.1"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", "2001:db8::1", "2001:db8::1"},
	} {
		req := &http.Request{RemoteAddr: row.remote, Header: http.Header{"X-Forwarded-For": {row.forwarded}}}
		if have := r.from(req); have != row.want {
			t.Errorf("%s by %q: %s, want %s", row.remote, row.forwarded, have, row.want)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := testConfig(&buffertest.Memory{}).Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"name":   func(c *Config) { c.Name = "A_B" },
		"store":  func(c *Config) { c.Store = nil },
		"apps":   func(c *Config) { c.Apps = nil },
		"body":   func(c *Config) { c.MaxBody = 1 << 40 },
		"bytes":  func(c *Config) { c.Bytes = c.MaxBody },
		"writes": func(c *Config) { c.Writes = 0 },
		"events": func(c *Config) { c.BatchEvents = maxJoined + 1 },
		"linger": func(c *Config) { c.Linger = time.Second },
		"times":  func(c *Config) { c.BodyTimeout = 5 * time.Second },
		"spill":  func(c *Config) { c.Spill.Take = true },
	} {
		c := testConfig(&buffertest.Memory{})
		change(&c)
		if _, err := Open(c); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
	c := testConfig(&buffertest.Memory{})
	c.Apps["orders"] = []Secret{fixed("\n \n")}
	if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "orders") {
		t.Errorf("an app without a secret: %v", err)
	}
}
