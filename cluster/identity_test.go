package cluster

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/fsm"
)

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	s, id, err := openStore(storeConfig(dir, "n1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	if _, _, err := openStore(storeConfig(dir, "n2"), nil); !errors.Is(err, ErrOtherNode) || !strings.Contains(err.Error(), `"n1"`) || !strings.Contains(err.Error(), `"n2"`) {
		t.Errorf("another node's directory: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, identityFile)); err != nil {
		t.Fatal(err)
	}
	s, again, err := openStore(storeConfig(dir, "n1"), nil) // the store itself knows
	if err != nil || again.Store != id.Store {
		t.Fatalf("identity file lost: %+v, was %+v: %v", again, id, err)
	}
	s.close()
	if _, err := os.Stat(filepath.Join(dir, identityFile)); err != nil {
		t.Errorf("identity file was not written again: %v", err)
	}
}

// TestSwappedStore puts another directory's store in place.
func TestSwappedStore(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, two} {
		openTest(t, dir).close()
	}
	if err := os.Rename(filepath.Join(two, storeFile), filepath.Join(one, storeFile)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openStore(storeConfig(one, "n1"), nil); !errors.Is(err, ErrStoreGone) {
		t.Errorf("a swapped store: %v", err)
	}
}

// TestCutShortFirstStart: a crash while the store is made leaves a file that
// holds nothing, and no identity; the next start begins anew.
func TestCutShortFirstStart(t *testing.T) {
	for _, n := range []int{0, 100, os.Getpagesize() + 1} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, storeFile), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
		openTest(t, dir).close()
	}
}

// TestOtherCluster starts a node of one cluster among the peers of another.
func TestOtherCluster(t *testing.T) {
	one, two := newLab(t, 3, nil, nil), newLab(t, 3, nil, nil)
	defer one.stop()
	defer two.stop()
	one.start()
	two.start()
	one.leader()
	two.leader()
	one.settled()
	two.settled()
	one.kill("n1")
	two.kill("n1")
	c := two.cfgs["n1"]
	c.DataDir = one.cfgs["n1"].DataDir
	n, err := Start(context.Background(), c)
	if err == nil {
		_ = n.Close(context.Background())
	}
	if !errors.Is(err, ErrOtherCluster) {
		t.Errorf("a directory of another cluster: %v", err)
	}
}

// TestAmnesia empties a member's directory: it is refused at start while a peer
// answers, and it is kept out when it started alone.
func TestAmnesia(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		l.leader()
		l.settled()
		victim := l.follower().cfg.NodeID
		l.kill(victim)
		if err := os.RemoveAll(l.cfgs[victim].DataDir); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(context.Background(), l.cfgs[victim]); !errors.Is(err, ErrStoreReplaced) || !strings.Contains(err.Error(), "nodes replace") {
			t.Errorf("an emptied member: %v", err)
		}
		if err := os.RemoveAll(l.cfgs[victim].DataDir); err != nil {
			t.Fatal(err)
		}
		address := l.cfgs[victim].address(victim)
		l.net.isolate(address, true)
		l.start(victim) // nobody answers: it founds a cluster of its own, on paper
		l.net.isolate(address, false)
		leader := l.leader(victim)
		l.put(leader, "k", "v")
		if v := value(l.nodes[victim].State(), "k"); v != "" {
			t.Error("a node that forgot its votes takes part")
		}
		others := 0
		for id := range l.nodes {
			if id != victim && id != leader.cfg.NodeID {
				l.kill(id)
				others++
			}
		}
		ctx := shortly(t)
		if a, err := leader.Propose(ctx, fsm.PutSetting{Key: "k", Value: "w"}); err == nil {
			t.Errorf("a majority was made with a node that forgot its votes: %+v", a)
		}
		if others != 1 {
			t.Errorf("%d other nodes", others)
		}
	})
}

// TestLateFirstStart: the third node comes for the first time when the cluster
// has long been at work. It founds nothing and is let in.
func TestLateFirstStart(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start("n1", "n2")
		l.put(l.leader(), "k", "v")
		l.start("n3")
		if l.nodes["n3"].hasState.Load() {
			t.Error("the late node founded a cluster")
		}
		l.until("the late node to follow", func() bool { return value(l.nodes["n3"].State(), "k") == "v" })
		l.settled()
		l.sameHashes()
	})
}

// TestPortTaken says which port.
func TestPortTaken(t *testing.T) {
	l := newLab(t, 1, nil, nil)
	defer l.stop()
	l.start()
	c := l.cfgs["n1"]
	c.DataDir = t.TempDir()
	_, err := Start(context.Background(), c)
	if err == nil || !strings.Contains(err.Error(), c.Listen) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("port taken: %v", err)
	}
}

// TestStranger: a connection that is not one of ours gets no further than its
// hello.
func TestStranger(t *testing.T) {
	l := newLab(t, 1, nil, nil)
	defer l.stop()
	l.start()
	l.leader()
	for _, first := range []string{"GET / HTTP/1.1\r\n\r\n", "R\xff\xff\xff\xff", "R\x00\x00\x00\x02\xff\xff", "P\x00\x01\x00\x00"} {
		conn, err := (tcp{}).Dial(context.Background(), l.peers[0].Address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, first); err != nil {
			t.Fatal(err)
		}
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		if answer, _ := io.ReadAll(conn); len(answer) != 0 {
			t.Errorf("%q was answered with %q", first, answer)
		}
		conn.Close()
	}
}
