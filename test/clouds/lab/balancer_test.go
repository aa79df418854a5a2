package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// say sends a line as a coordinator does.
func say(t *testing.T, b *Balancer, line string) string {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(b.Runtime, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func order(number, port int) string {
	return fmt.Sprintf(`set server redis/master addr 127.0.0.1 port %d; experimental-mode on; set var proc.pm_redis__master fmt [pm\ 1f2e3d4c\ cache/%d]; show info`, port, number)
}

// TestBalancer: the relay writes down what HAProxy was told, with what stood
// before and after it, whatever is said of it.
func TestBalancer(t *testing.T) {
	b, err := startBalancer(t.Context(), "127.0.0.1:7001")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	want := []Deed{}
	at := "127.0.0.1:7001"
	for i, hurt := range append(Hurts(), HurtNone) {
		b.Break(hurt)
		port := 7002 + i
		text := say(t, b, order(i, port))
		if (strings.Contains(text, "\nPid: ")) != (hurt == HurtNone || hurt == HurtDelay) || (text == "") != (hurt == HurtCut || hurt == HurtLost) {
			t.Errorf("%q: answer %q", hurt, text)
		}
		if hurt != HurtBefore && hurt != HurtCut {
			next := fmt.Sprintf("127.0.0.1:%d", port)
			want = append(want, Deed{Action: fmt.Sprintf("cache/%d/haproxy", i), Before: at, After: next})
			at = next
		}
		if now, err := b.holds(t.Context()); err != nil || now != at {
			t.Errorf("%q: at %s (%v), want %s", hurt, now, err, at)
		}
	}
	if text := say(t, b, "show info"); !strings.Contains(text, "\nPid: ") {
		t.Errorf("a question is answered with %q", text)
	}
	if text := say(t, b, "set server redis/master addr 127.0.0.1 port 1"); text == "" {
		t.Error("no answer")
	}
	want = append(want, Deed{Before: at, After: "127.0.0.1:1"})
	if got, err := b.Deeds(); err != nil || !slices.Equal(got, want) {
		t.Errorf("deeds %+v (%v), want %+v", got, err, want)
	}
}

// TestBalancerGone: what could not be written down is said.
func TestBalancerGone(t *testing.T) {
	b, err := startBalancer(context.Background(), "127.0.0.1:7001")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.close() })
	if err := b.process.Kill(); err != nil {
		t.Fatal(err)
	}
	say(t, b, order(1, 7002))
	if _, err := b.Deeds(); err == nil {
		t.Error("an order that nobody saw is not told")
	}
}

// TestShared: each claimed repair takes one change, and nothing takes more.
func TestShared(t *testing.T) {
	log := []*pointsmanv1.Action{{Id: "cache/1/haproxy", Attempts: 1}, {Id: "cache/1/haproxy~1", Attempts: 1}, {Id: "cache/1/haproxy~2"}}
	deed := Deed{Action: "cache/1/haproxy", Before: "a", After: "b"}
	same := Deed{Action: "cache/1/haproxy", Before: "b", After: "b"}
	var got []string
	for _, d := range shared([]Deed{deed, same, deed, deed}, log) {
		got = append(got, d.Action)
	}
	if want := []string{"cache/1/haproxy", "cache/1/haproxy", "cache/1/haproxy~1", "cache/1/haproxy"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
