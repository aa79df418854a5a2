package chaos

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// asking is a lab whose masters are moved by hand.
type asking struct {
	*testing.T
	l      *lab.Lab
	points string
}

// TestSwitchover: real Redis, three Sentinels with the sample's ACL, three
// coordinators. What is counted is how often a Sentinel executed a FAILOVER that
// somebody asked for, by its own log.
func TestSwitchover(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	a := &asking{T: t, points: t.TempDir()}
	var err error
	a.l, err = lab.Start(ctx, lab.Options{
		Pointsman: filepath.Join(build(t, "failpoints", lab.Program), lab.Program), Quiet: true, Hold: 500 * time.Millisecond, Rejoin: true,
		Env: []string{"POINTSMAN_FAILPOINTS_DIR=" + a.points},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.l.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, story := range []struct {
		name string
		tell func(context.Context, *asking)
	}{
		{"two humans", twoHumans}, {"lagging", lagging}, {"leader dies after the commit", leaderDies},
		{"leader is stopped after the commit", leaderStops}, {"during a failover", duringFailover},
	} {
		if !t.Run(story.name, func(t *testing.T) { story.tell(ctx, &asking{T: t, l: a.l, points: a.points}) }) {
			for _, n := range a.l.Nodes.List() {
				t.Logf("%s: %s", n.ID(), n.Log())
			}
			return
		}
	}
}

func (a *asking) ask(ctx context.Context, node *lab.Node, req *pointsmanv1.SwitchoverRequest) (*pointsmanv1.SwitchoverResponse, error) {
	ctx, cancel := context.WithTimeout(client.AsActor(ctx, "ann@"+node.ID()), 20*time.Second)
	defer cancel()
	req.Master = "cache"
	if req.GetRequestId() == "" && !req.GetValidateOnly() {
		req.RequestId = rand.Text()
	}
	return pointsmanv1.NewMasterServiceClient(node.Conn()).Switchover(ctx, req)
}

func (a *asking) node(ctx context.Context, leads bool) *lab.Node {
	a.Helper()
	leader, err := a.l.Nodes.WaitLeader(ctx)
	if err != nil {
		a.Fatal(err)
	}
	for _, n := range a.l.Nodes.List() {
		if n.PID() != 0 && (n.ID() == leader.ID()) == leads {
			return n
		}
	}
	a.Fatal("no such node")
	return nil
}

// executed counts the FAILOVERs that Sentinels were asked for and began.
func (a *asking) executed() (n int) {
	a.Helper()
	err := filepath.WalkDir(a.l.Redis.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		n += strings.Count(string(text), "Executing user requested FAILOVER")
		return err
	})
	if err != nil {
		a.Fatal(err)
	}
	return n
}

func (a *asking) refused(err error, reasons ...string) {
	a.Helper()
	if status.Code(err) != codes.FailedPrecondition || !slices.Contains(reasons, client.Reason(err)) {
		a.Fatalf("got %s %q: %v, want one of %v", status.Code(err), client.Reason(err), err, reasons)
	}
}

func (a *asking) master(ctx context.Context) *pointsmanv1.Master {
	a.Helper()
	m, err := a.l.Master(ctx)
	if err != nil {
		a.Fatal(err)
	}
	return m
}

// ready waits until a switchover would be taken too: the Sentinels tell of a link
// that was broken in the story before for some seconds more.
func (a *asking) ready(ctx context.Context) {
	a.Helper()
	if err := a.l.WaitReady(ctx); err != nil {
		a.Fatal(err)
	}
	leader := a.node(ctx, true)
	err := lab.Until(ctx, 30*time.Second, "a dry run to be accepted", func(ctx context.Context) error {
		_, err := a.ask(ctx, leader, &pointsmanv1.SwitchoverRequest{ValidateOnly: true})
		return err
	})
	if err != nil {
		a.Fatal(err)
	}
}

// twoHumans: a name that Sentinel would not choose is refused with the command
// that changes it; after that command two ask at once, and one is refused.
func twoHumans(ctx context.Context, a *asking) {
	a.ready(ctx)
	follower, before := a.node(ctx, false), a.executed()
	dry, err := a.ask(ctx, follower, &pointsmanv1.SwitchoverRequest{ValidateOnly: true})
	if err != nil || dry.GetSwitchover().GetCertain() || len(dry.GetPlan()) != 2 || dry.GetPlan()[0].GetFound() == "" || dry.GetPlan()[0].GetProblem() != "" {
		a.Fatalf("dry run: %v, %v", dry, err)
	}
	to := dry.GetReplicas()[1].GetAddress()
	_, err = a.ask(ctx, follower, &pointsmanv1.SwitchoverRequest{To: to})
	a.refused(err, "NOT_THE_PICK")
	if _, port, _ := strings.Cut(to, ":"); !strings.Contains(err.Error(), "redis-cli -h 127.0.0.1 -p "+port+" CONFIG SET replica-priority 99") {
		a.Fatalf("no remedy: %v", err)
	}
	if _, err := a.l.Redis.Do(ctx, to, "CONFIG", "SET", "replica-priority", "99"); err != nil {
		a.Fatal(err)
	}
	err = lab.Until(ctx, 20*time.Second, "the Sentinels to read the priority", func(ctx context.Context) error {
		_, err := a.ask(ctx, follower, &pointsmanv1.SwitchoverRequest{To: to, ValidateOnly: true})
		return err
	})
	if err != nil {
		a.Fatal(err)
	}
	if n := a.executed(); n != before {
		a.Fatalf("%d FAILOVERs before anybody asked", n-before)
	}
	began := time.Now()
	errs := make([]error, 2)
	var both sync.WaitGroup
	for i, n := range []*lab.Node{a.node(ctx, true), follower} {
		both.Go(func() {
			_, errs[i] = a.ask(ctx, n, &pointsmanv1.SwitchoverRequest{To: to, Reason: "kernel update"})
		})
	}
	both.Wait()
	answered := time.Since(began)
	if (errs[0] == nil) == (errs[1] == nil) {
		a.Fatalf("one of two is to be refused: %v; %v", errs[0], errs[1])
	}
	for _, err := range errs {
		if err != nil {
			a.refused(err, "SWITCHOVER_RUNNING", "FAILOVER_RUNNING", "OPEN_ACTIONS", "SENTINELS_DISAGREE")
		}
	}
	f := a.settled(ctx, "cache/1")
	a.Logf("switchover: asked → Sentinel answered %d ms → everything settled %d ms (log clock: asked → accepted %d ms)", answered.Milliseconds(),
		time.Since(began).Milliseconds(), (f.GetAcceptedAt().AsDuration() - f.GetAsked().GetAskedAt().AsDuration()).Milliseconds())
	if asked := f.GetAsked(); f.GetTo() != to || asked.GetExpected() != to || !strings.HasPrefix(asked.GetActor(), "ann@") || asked.GetReason() != "kernel update" {
		a.Errorf("failover %v", f)
	}
	if n := a.executed() - before; n != 1 {
		a.Errorf("%d FAILOVERs were executed, want 1", n)
	}
	if m := a.master(ctx); m.GetNumber() != 1 || m.GetSwitchover().GetState() != pointsmanv1.SwitchoverState_SWITCHOVER_STATE_LED {
		a.Errorf("master %v", m)
	}
}

func (a *asking) settled(ctx context.Context, id string) (f *pointsmanv1.Failover) {
	a.Helper()
	err := lab.Until(ctx, time.Minute, id+" to be settled", func(ctx context.Context) error {
		list, err := a.l.Failovers(ctx)
		for _, one := range list {
			if one.GetId() == id {
				f = one
			}
		}
		if err == nil && f.GetSettledAt() == nil {
			err = fmt.Errorf("it is %v", f)
		}
		return err
	})
	if err != nil {
		a.Fatal(err)
	}
	return f
}

// lagging: while the master takes much, its replicas are behind; what is allowed
// is named by the human.
func lagging(ctx context.Context, a *asking) {
	a.ready(ctx)
	master, before := a.master(ctx).GetAddress(), a.executed()
	ctx, cancel := context.WithCancel(ctx)
	var writes sync.WaitGroup
	value := strings.Repeat("x", 256<<10)
	for range 2 {
		writes.Go(func() {
			for ctx.Err() == nil {
				_, _ = a.l.Redis.Do(ctx, master, "SET", "load", value)
			}
		})
	}
	defer writes.Wait()
	defer cancel()
	none := int64(0)
	err := lab.Until(ctx, 30*time.Second, "a replica to be behind", func(ctx context.Context) error {
		_, err := a.ask(ctx, a.node(ctx, true), &pointsmanv1.SwitchoverRequest{MaxLagBytes: &none, ValidateOnly: true})
		if client.Reason(err) != "REPLICA_LAGS" {
			return fmt.Errorf("got %w", err)
		}
		a.Log(status.Convert(err).Message())
		return nil
	})
	if err != nil {
		a.Error(err)
	}
	if n := a.executed() - before; n != 0 {
		a.Errorf("%d FAILOVERs were executed", n)
	}
}

// leaderDies right after the commit, before it could send: the caller's repeat
// reaches the next leader and is told how the request stands; nobody sends it,
// another one is refused meanwhile, and it ends by the log clock.
func leaderDies(ctx context.Context, a *asking) {
	a.ready(ctx)
	number, before := a.master(ctx).GetNumber(), a.executed()
	follower, leader := a.node(ctx, false), a.node(ctx, true)
	if err := os.WriteFile(filepath.Join(a.points, "switchover.asked"), nil, 0o600); err != nil {
		a.Fatal(err)
	}
	req := &pointsmanv1.SwitchoverRequest{Reason: "first", RequestId: "one"}
	_, err := a.ask(ctx, follower, req)
	if left := files(a.T, a.points); len(left) > 0 {
		a.Fatalf("nobody died: %v", err)
	}
	var again *pointsmanv1.SwitchoverResponse
	err = lab.Until(ctx, 20*time.Second, "the repeat to be answered", func(ctx context.Context) (err error) {
		again, err = a.ask(ctx, follower, req)
		return err
	})
	if err != nil || again.GetSwitchover().GetState() != pointsmanv1.SwitchoverState_SWITCHOVER_STATE_ASKED {
		a.Fatalf("repeat: %v, %v", again, err)
	}
	_, err = a.ask(ctx, follower, &pointsmanv1.SwitchoverRequest{Reason: "second"})
	a.refused(err, "SWITCHOVER_RUNNING")
	if err := a.l.Nodes.Restart(leader); err != nil {
		a.Fatal(err)
	}
	a.unseen(ctx, number, before)
	if _, err = a.ask(ctx, follower, &pointsmanv1.SwitchoverRequest{ValidateOnly: true}); err != nil {
		a.Errorf("after its end: %v", err)
	}
}

// leaderStops right after the commit and wakes up when its time to send is over
// and another leads: it sends nothing.
func leaderStops(ctx context.Context, a *asking) {
	a.ready(ctx)
	number, before := a.master(ctx).GetNumber(), a.executed()
	follower, leader := a.node(ctx, false), a.node(ctx, true)
	if err := os.WriteFile(filepath.Join(a.points, "switchover.asked"), []byte("stop"), 0o600); err != nil {
		a.Fatal(err)
	}
	req := &pointsmanv1.SwitchoverRequest{Reason: "first", RequestId: "stopped"}
	began := time.Now()
	short, cancel := context.WithTimeout(ctx, 3*time.Second)
	_, err := a.ask(short, follower, req)
	cancel()
	if left := files(a.T, a.points); err == nil || len(left) > 0 {
		a.Fatalf("nobody stopped: %v", err)
	}
	if err := leader.Pause(); err != nil { // so that the lab knows
		a.Fatal(err)
	}
	err = lab.Until(ctx, 20*time.Second, "the repeat to be answered", func(ctx context.Context) error {
		again, err := a.ask(ctx, follower, req)
		if err == nil && again.GetSwitchover().GetState() != pointsmanv1.SwitchoverState_SWITCHOVER_STATE_ASKED {
			a.Errorf("repeat: %v", again)
		}
		if err == nil && time.Since(began) < 6*time.Second {
			err = errors.New("its time to send is not over yet")
		}
		return err
	})
	if err := errors.Join(err, leader.Resume()); err != nil {
		a.Fatal(err)
	}
	a.unseen(ctx, number, before)
}

// unseen waits for a request's end of which nothing came.
func (a *asking) unseen(ctx context.Context, number uint64, before int) {
	a.Helper()
	err := lab.Until(ctx, 2*time.Minute, "the request to end", func(ctx context.Context) error {
		m, err := a.l.Master(ctx)
		if err == nil && m.GetSwitchover().GetDetail() == "" {
			err = fmt.Errorf("it is %v", m.GetSwitchover())
		}
		return err
	})
	if err != nil {
		a.Fatal(err)
	}
	if m := a.master(ctx); m.GetSwitchover().GetState() != pointsmanv1.SwitchoverState_SWITCHOVER_STATE_UNSEEN || m.GetNumber() != number {
		a.Errorf("master %v", m)
	}
	if n := a.executed() - before; n != 0 {
		a.Errorf("%d FAILOVERs were executed, want none", n)
	}
}

// duringFailover: from the master's death to the last settled action every
// request is refused, and the failover is nobody's.
func duringFailover(ctx context.Context, a *asking) {
	a.ready(ctx)
	m, before := a.master(ctx), a.executed()
	id := fmt.Sprintf("cache/%d", m.GetNumber()+1)
	if err := a.l.Redis.Kill(m.GetAddress()); err != nil {
		a.Fatal(err)
	}
	seen := map[string]int{}
	for range 2000 {
		_, err := a.ask(ctx, a.node(ctx, true), &pointsmanv1.SwitchoverRequest{ValidateOnly: true})
		now := a.master(ctx)
		if now.GetNumber() > m.GetNumber() && now.GetOpenActions() == 0 {
			break // settled meanwhile: the request may be fine
		}
		a.refused(err, "MASTER_DOWN", "FAILOVER_RUNNING", "SENTINELS_DISAGREE", "OPEN_ACTIONS", "NO_SENTINEL_MAJORITY")
		seen[client.Reason(err)]++
	}
	a.Logf("refused with %v", seen)
	if f := a.settled(ctx, id); f.GetAsked() != nil || len(seen) == 0 {
		a.Errorf("failover %v after %v", f.GetAsked(), seen)
	}
	if n := a.executed() - before; n != 0 {
		a.Errorf("%d FAILOVERs were executed", n)
	}
}
