package redisfence

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// client is a connection of an app to a node.
func (w *world) client(at fsm.Address) net.Conn {
	w.t.Helper()
	c, err := net.Dial("tcp", string(at))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// set writes one value as an app does, and returns the node's word.
func set(c net.Conn) string {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := fmt.Fprint(c, "SET k v\r\n"); err != nil {
		return err.Error()
	}
	buffer := make([]byte, 128)
	n, err := c.Read(buffer)
	if err != nil {
		return err.Error()
	}
	return string(buffer[:n])
}

// TestFence: the old master of a switch is made a replica and its clients'
// connections end; doing it again changes nothing; promoted again by a later
// failover, it is out of reach of every request of the earlier one.
func TestFence(t *testing.T) {
	w := newWorld(t, rights)
	app := w.client(w.a)
	if got := set(app); !strings.HasPrefix(got, "+OK") {
		t.Fatalf("before: %q", got)
	}
	work := w.action(1, w.a, w.b, time.Second)
	w.wants(w.look(&work), actuators.Busy, "is none yet")
	w.promote(w.b)
	seen := w.look(&work)
	w.wants(seen, actuators.Absent, "is still a master")
	if seen.Version == "" {
		t.Fatal("no version to claim by")
	}
	if _, err := w.tool.Act(canceled(), work, seen); err == nil || w.role(w.a) != "master" {
		t.Fatalf("a claim whose time is over was acted on: %v", err)
	}
	out, err := w.tool.Act(t.Context(), work, seen)
	if err != nil || len(out.Requests) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	if got := set(app); strings.HasPrefix(got, "+OK") {
		t.Errorf("an app's connection outlived the fence: %q", got)
	}
	if got := set(w.client(w.a)); !strings.HasPrefix(got, "-READONLY") {
		t.Errorf("a new connection writes: %q", got)
	}
	stale := work
	w.wants(w.look(&work), actuators.Applied, "is a replica of "+string(w.b))
	if _, err := w.tool.Act(t.Context(), stale, seen); !errors.Is(err, ErrMoved) || actuators.Explain(err).Doubt {
		t.Errorf("again: %v", err)
	}

	w.linked(w.a)
	w.promote(w.a) // failover 2 brings it back
	late := w.action(1, w.a, w.b, time.Second)
	w.wants(w.look(&late), actuators.Applied, "left alone")
	if _, err := w.tool.Act(t.Context(), stale, seen); !errors.Is(err, ErrMoved) {
		t.Errorf("a late act of the earlier failover: %v", err)
	}
	if w.role(w.a) != "master" {
		t.Error("the master of a later failover was fenced by the earlier one")
	}
	back := w.action(2, w.b, w.a, time.Second)
	seen = w.look(&back)
	w.wants(seen, actuators.Absent, "is still a master")
	if _, err := w.tool.Act(t.Context(), back, seen); err != nil || w.role(w.b) != "slave" {
		t.Errorf("back: %v, %s is %s", err, w.b, w.role(w.b))
	}
}

// TestLateTransaction: what was asked on a connection is worth nothing once the
// node was made a replica and promoted again, because Sentinel's own
// transactions end every connection. The order arrives nowhere.
func TestLateTransaction(t *testing.T) {
	w := newWorld(t, rights)
	w.promote(w.b)
	c, err := w.tool.(*actuator).open(t.Context(), w.a)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if n, err := c.look(t.Context(), w.a); err != nil || n.role != "master" {
		t.Fatalf("%+v, %v", n, err)
	}
	host, port := hostPort(w.b)
	w.do(w.a, "REPLICAOF", host, port)
	w.do(w.a, "CLIENT", "KILL", "TYPE", "normal") // sentinelSendSlaveOf, both in one transaction there
	w.linked(w.a)
	w.promote(w.a)
	if _, err := c.fence(t.Context(), w.b); !actuators.Explain(err).Doubt {
		t.Errorf("%v; want doubt, for whoever reads next", err)
	}
	if w.role(w.a) != "master" {
		t.Error("a late order has fenced the master of today")
	}
}

// TestRestartedOldMaster: it comes back as a master with an id of its own, and
// its former one in second place, if it had saved that.
func TestRestartedOldMaster(t *testing.T) {
	w := newWorld(t, rights)
	w.do(w.a, "SET", "k", "v")
	w.promote(w.b)
	w.do(w.a, "SAVE")
	if err := w.Restart(string(w.a)); err != nil {
		t.Fatal(err)
	}
	work := w.action(1, w.a, w.b, 5*time.Second)
	seen := w.look(&work)
	w.wants(seen, actuators.Absent, "is still a master")
	if _, err := w.tool.Act(t.Context(), work, seen); err != nil || w.role(w.a) != "slave" {
		t.Errorf("%v, %s is %s", err, w.a, w.role(w.a))
	}
}

// TestOldMasterThatDoesNotAnswer is left to Sentinel, after wait and not later.
func TestOldMasterThatDoesNotAnswer(t *testing.T) {
	for name, end := range map[string]func(*world) error{
		"dead":    func(w *world) error { return w.Kill(string(w.a)) },
		"stopped": func(w *world) error { return w.Pause(string(w.a)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, rights)
			w.promote(w.b)
			if err := end(w); err != nil {
				t.Fatal(err)
			}
			work := w.action(1, w.a, w.b, 800*time.Millisecond)
			began := time.Now()
			seen := w.look(&work)
			w.wants(seen, actuators.Applied, "was not fenced, it does not answer")
			if took := time.Since(began); took < 500*time.Millisecond || took > 4*time.Second {
				t.Errorf("looked for %s", took)
			}
			if _, err := w.tool.Act(t.Context(), work, seen); !errors.Is(err, ErrNotDue) {
				t.Errorf("acted: %v", err)
			}
			if name == "stopped" {
				if err := w.Resume(string(w.a)); err != nil {
					t.Fatal(err)
				}
				w.wants(w.look(&work), actuators.Absent, "is still a master") // a look for drift finds it
			}
		})
	}
}

// TestRights: what the user may not do is told beforehand and is a human's to
// mend; nothing of the transaction is done then. Check itself changes nothing.
func TestRights(t *testing.T) {
	w := newWorld(t, strings.Replace(rights, "+replicaof ", "", 1))
	w.promote(w.b)
	app := w.client(w.a)
	set(app)
	subject := actuators.Subject{Candidates: []fsm.Address{w.a, w.b}}
	missing, err := w.tool.(actuators.Checker).Check(t.Context(), subject)
	if err != nil || len(missing) != 2 || !strings.Contains(missing[0], "REPLICAOF: redis says: NOPERM") {
		t.Errorf("%q, %v", missing, err)
	}
	work := w.action(1, w.a, w.b, time.Second)
	seen := w.look(&work)
	_, err = w.tool.Act(t.Context(), work, seen)
	if x := actuators.Explain(err); !x.Permanent || x.Doubt || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("%v", err)
	}
	if got := set(app); !strings.HasPrefix(got, "+OK") || w.role(w.a) != "master" {
		t.Errorf("a part of it was done: %q, %s", got, w.role(w.a))
	}
	for name, tool := range map[string]actuators.Actuator{
		"wrong password": w.open("fencer", password+"x"), "no rights": w.open("blind", password), "no such user": w.open("nobody", password),
	} {
		_, err := tool.Read(t.Context(), actuators.Subject{Step: work.Action.Step, Value: work.Action.Value})
		if !actuators.Explain(err).Permanent || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := newWorld(t, rights)
	missing, err = full.tool.(actuators.Checker).Check(t.Context(), actuators.Subject{Candidates: []fsm.Address{full.a, full.b, full.c}})
	if err != nil || len(missing) > 0 || full.role(full.a) != "master" || full.role(full.b) != "slave" {
		t.Errorf("with all rights: %q, %v", missing, err)
	}
}
