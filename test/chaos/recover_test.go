//go:build !failpoints

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// recoverWithin bounds TestRecovered.
const recoverWithin = 3 * time.Minute

// TestRecovered: all three coordinators are put back to what they were before the
// last grants, while workers hold leases and one of them is stopped. One node is
// recovered, by a command that is killed some times first, the others come back
// empty. Every counter stays exact: tokens rise over the recovery, work goes on
// everywhere, and the sink refuses whoever comes late.
func TestRecovered(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), recoverWithin)
	defer cancel()
	d := newDays(ctx, t, fmt.Sprintf("pools:\n  %s: {partitions: %d, ttl: %s, drain: 1s, lock_delay: 500ms}\n", countPool, countParts, countTTL))
	c := newCrew(ctx, t, d.nodes.Endpoints(), fencedRedis(ctx, t))
	defer c.stop()
	c.everywhere(ctx, "before the copy")
	copies := d.copied(ctx, t)
	for i := range countInside / 2 { // what these had is granted anew, after the copy
		c.inside[i].stop()
		c.inside[i] = c.begin(ctx, fmt.Sprint("inside-", i))
	}
	c.everywhere(ctx, "after the copy")
	sleeper := c.asides[0]
	told := sleeper.told.Load()
	d.until(ctx, t, "the worker to work that is to sleep", func(context.Context) error {
		if n := sleeper.told.Load(); n == told {
			return fmt.Errorf("it stands at %d", n)
		}
		return nil
	})
	if err := sleeper.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	asleep := time.Now()
	d.putBack(ctx, t, copies)
	c.everywhere(ctx, "after the recovery")
	if err := rest(ctx, time.Until(asleep.Add(3*countTTL))); err != nil {
		t.Fatal(err)
	}
	if err := sleeper.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	d.until(ctx, t, "the worker that slept to come late", func(context.Context) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.late == 0 {
			return errors.New("nobody has")
		}
		return nil
	})
	d.generationRose(ctx, t)
	c.stop()
	c.judge(ctx)
}

// copied stops the coordinators, copies their data directories, and starts them.
func (d *days) copied(ctx context.Context, t *testing.T) string {
	t.Helper()
	copies := t.TempDir()
	d.killAll(t)
	for _, n := range d.nodes.List() {
		if err := os.CopyFS(filepath.Join(copies, n.ID()), os.DirFS(n.DataDir())); err != nil {
			t.Fatal(err)
		}
	}
	d.restart(ctx, t, d.nodes.List()...)
	return copies
}

func (d *days) killAll(t *testing.T) {
	t.Helper()
	for _, n := range d.nodes.List() {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}

// putBack puts the copies in place, recovers the first node, and starts the others
// with empty directories.
func (d *days) putBack(ctx context.Context, t *testing.T, copies string) {
	t.Helper()
	d.killAll(t)
	all := d.nodes.List()
	for _, n := range all {
		if err := os.RemoveAll(n.DataDir()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(all[0].DataDir(), os.DirFS(filepath.Join(copies, all[0].ID()))); err != nil {
		t.Fatal(err)
	}
	for i := range 4 { // at whatever it is doing by then
		killed, stop := context.WithTimeout(ctx, time.Duration(10+15*i)*time.Millisecond)
		_ = d.recover(killed, all[0]).Run()
		stop()
	}
	if out, err := d.recover(ctx, all[0]).CombinedOutput(); err != nil {
		t.Fatalf("recover: %v\n%s", err, out)
	}
	if err := d.nodes.Restart(all[0]); err != nil {
		t.Fatal(err)
	}
	d.until(ctx, t, "the recovered node to lead", func(ctx context.Context) error {
		_, err := d.nodes.Leader(ctx)
		return err
	})
	d.restart(ctx, t, all[1:]...)
}

func (d *days) recover(ctx context.Context, n *lab.Node) *exec.Cmd {
	return exec.CommandContext(ctx, d.program, "recover", "--config", n.Config(), "--yes")
}

// generationRose looks at the tokens of the leases that are held.
func (d *days) generationRose(ctx context.Context, t *testing.T) {
	t.Helper()
	d.until(ctx, t, "tokens of a higher generation", func(ctx context.Context) error {
		return d.nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
			resp, err := pointsmanv1.NewLeaseServiceClient(c).ListLeases(ctx, &pointsmanv1.ListLeasesRequest{PageSize: countParts})
			if err == nil && len(resp.GetLeases()) != countParts {
				err = errors.New("not all leases were told")
			}
			for _, l := range resp.GetLeases() {
				if l.GetToken() < uint64(fsm.TokenOf(1, 0)) {
					return fmt.Errorf("%s has token %d", l.GetId(), l.GetToken())
				}
			}
			return err
		})
	})
}

// applyPools applies a spec of pools alone.
func (d *days) applyPools(ctx context.Context, t *testing.T, text string) {
	t.Helper()
	spec, _, err := config.ParseSpec("spec.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	d.until(ctx, t, "the spec to be applied", func(ctx context.Context) error {
		return d.nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
			_, err := pointsmanv1.NewSpecServiceClient(c).ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: spec, Source: text})
			return err
		})
	})
}
