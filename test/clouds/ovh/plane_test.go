package ovh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// echo is a farm server that answers each line with its name.
func echo(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				lines := bufio.NewScanner(c)
				for lines.Scan() {
					fmt.Fprintln(c, name)
				}
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// balanced is a seeded simulator whose two farm servers are real.
func balanced(t *testing.T, c Config) *Sim {
	t.Helper()
	at := map[string]string{"10.0.1.20:6379": echo(t, "a"), "10.0.2.20:6379": echo(t, "b")}
	c.DataPlane = true
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, at[address])
	}
	return seeded(t, c)
}

func dialZone(t *testing.T, s *Sim, zone string) net.Conn {
	t.Helper()
	address, err := s.DataAddr(testFrontend, zone)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// who asks the server behind a connection for its name; empty if the connection ended.
func who(t *testing.T, c net.Conn) string {
	t.Helper()
	if _, err := fmt.Fprintln(c, "who"); err != nil {
		return ""
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Fatal("no answer and no end of the connection")
	}
	return line
}

// eventually polls until a condition holds or ten seconds have passed.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func TestTrafficFollowsAppliedState(t *testing.T) {
	s := balanced(t, knobs(func(k *Knobs) { k.TaskTodo, k.TaskDoing = 0, 0 }))
	gra, sbg := dialZone(t, s, "gra"), dialZone(t, s, "sbg")
	if a, b := who(t, gra), who(t, sbg); a != "a\n" || b != "a\n" {
		t.Fatalf("zones reach %q and %q", a, b)
	}
	if err := s.ForeignPut(testFrontend, map[string]any{"defaultFarmId": farmB}); err != nil {
		t.Fatal(err)
	}
	if got := who(t, dialZone(t, s, "gra")); got != "a\n" {
		t.Errorf("staged state moved traffic to %q", got)
	}
	if _, err := s.ForeignRefresh(testService, "gra"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "gra applied", func() bool { return appliedFarm(t, s, "gra") == farmB })
	if a, b := who(t, dialZone(t, s, "gra")), who(t, dialZone(t, s, "sbg")); a != "b\n" || b != "a\n" {
		t.Errorf("new connections reach %q and %q", a, b)
	}
	if got := who(t, gra); got != "a\n" {
		t.Errorf("the open connection was moved to %q", got)
	}
}

func TestNoBackend(t *testing.T) {
	s := balanced(t, knobs(func(k *Knobs) { k.TaskTodo, k.TaskDoing = 0, 0 }))
	for _, fields := range []map[string]any{{"defaultFarmId": nil}, {"defaultFarmId": farmA, "disabled": true}} {
		if err := s.ForeignPut(testFrontend, fields); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ForeignRefresh(testService, ""); err != nil {
			t.Fatal(err)
		}
		eventually(t, "applied", func() bool {
			pending := s.State().Services[testService].Pending
			f, err := s.Applied(testFrontend, "gra")
			staged, _ := s.Staged(testFrontend)
			return err == nil && pending["gra"] == 0 && f.Disabled == staged.Disabled && value(f.DefaultFarmID) == value(staged.DefaultFarmID)
		})
		if got := who(t, dialZone(t, s, "gra")); got != "" {
			t.Errorf("%v: reached %q", fields, got)
		}
	}
}

func TestServerChoice(t *testing.T) {
	front := Frontend{Port: "6379", DefaultFarmID: new(int64(1))}
	server := func(id int64, change func(*Server)) Server {
		s := Server{ServerID: id, Address: fmt.Sprintf("10.0.0.%d", id), Status: "active"}
		change(&s)
		return s
	}
	none := func(*Server) {}
	inactive := func(s *Server) { s.Status = "inactive" }
	backup := func(s *Server) { s.Backup = true }
	for _, row := range []struct {
		farm    Farm
		servers []Server
		want    []string // over two turns; nil: none
	}{
		{Farm{}, nil, nil},
		{Farm{}, []Server{server(1, inactive)}, nil},
		{Farm{}, []Server{server(1, none)}, []string{"10.0.0.1:6379", "10.0.0.1:6379"}},
		{Farm{Port: new(int64(7))}, []Server{server(1, none)}, []string{"10.0.0.1:7", "10.0.0.1:7"}},
		{Farm{Port: new(int64(7))}, []Server{server(1, func(s *Server) { s.Port = new(int64(8)) })}, []string{"10.0.0.1:8", "10.0.0.1:8"}},
		{Farm{}, []Server{server(1, none), server(2, none), server(3, inactive), server(4, backup)}, []string{"10.0.0.1:6379", "10.0.0.2:6379"}},
		{Farm{}, []Server{server(1, inactive), server(4, backup)}, []string{"10.0.0.4:6379", "10.0.0.4:6379"}},
	} {
		l := newLayout()
		l.farms[1], l.servers[1] = row.farm, map[int64]Server{}
		for _, s := range row.servers {
			l.servers[1][s.ServerID] = s
		}
		for turn := range uint64(2) {
			got, ok := l.server(front, turn)
			if ok != (row.want != nil) || ok && got != row.want[turn] {
				t.Errorf("%+v turn %d: %q %t", row, turn, got, ok)
			}
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s := balanced(t, Config{MaxConns: 2})
	first, second := dialZone(t, s, "gra"), dialZone(t, s, "sbg")
	if who(t, first) == "" || who(t, second) == "" {
		t.Fatal("connections within the bound are refused")
	}
	if got := who(t, dialZone(t, s, "gra")); got != "" {
		t.Errorf("a connection above the bound reached %q", got)
	}
	if open, refused := s.plane.figures(); open != 2 || refused != 1 {
		t.Errorf("open %d, refused %d", open, refused)
	}
	_ = first.Close()
	eventually(t, "a place free", func() bool { open, _ := s.plane.figures(); return open == 1 })
	if got := who(t, dialZone(t, s, "gra")); got != "a\n" {
		t.Errorf("after one left: %q", got)
	}
}

func TestHalfClose(t *testing.T) {
	s := balanced(t, Config{})
	c := dialZone(t, s, "gra")
	fmt.Fprintln(c, "who")
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "a\n" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestListenersComeAndGo(t *testing.T) {
	s := balanced(t, fast())
	c := plainClient(t, s, testCK)
	var front Frontend
	if err := c.Post(base+"/tcp/frontend", map[string]any{"zone": "gra", "port": "6380", "defaultFarmId": farmB}, &front); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DataAddr(front.FrontendID, "gra"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a staged frontend listens: %v", err)
	}
	if err := c.Post(base+"/refresh", nil, nil); err != nil {
		t.Fatal(err)
	}
	var address string
	eventually(t, "listener", func() bool {
		var err error
		address, err = s.DataAddr(front.FrontendID, "gra")
		return err == nil
	})
	if _, err := s.DataAddr(front.FrontendID, "sbg"); err == nil {
		t.Error("a frontend of gra listens in sbg")
	}
	if err := c.Delete(fmt.Sprintf("%s/tcp/frontend/%d", base, front.FrontendID), nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Post(base+"/refresh", nil, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "refused", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if got := who(t, dialZone(t, s, "gra")); got != "a\n" {
		t.Errorf("another frontend now reaches %q", got)
	}
}
