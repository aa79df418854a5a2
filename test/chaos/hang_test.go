package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// The disk that hangs, and how soon somebody else has to lead: the write
// deadline (5 s), an election, and a machine that is busy.
const (
	hangBytes   = 512 << 20 // above the disk floor; sparse
	leadsWithin = 15 * time.Second
	toolWithin  = 20 * time.Second
	endsWithin  = 20 * time.Second // after the disk is well
)

var errStillRuns = errors.New("it still runs")

// tool runs a program of the system.
func tool(ctx context.Context, command ...string) error {
	ctx, cancel := context.WithTimeout(ctx, toolWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// diskHangs: every write to the leader's disk waits, for longer than its
// deadline, while its process runs and its heartbeats go out. Another takes over
// and carries the failover; when the disk is well again the node is started, and
// follows. In a third of the runs it is a follower's disk.
func diskHangs(ctx context.Context, r *run) error {
	victim, leads := pick(r, r.l.Nodes.List()...), r.rng.IntN(3) > 0
	image := filepath.Join(r.dir(), "disk.img")
	unmount, err := r.moved(ctx, victim, "", func(dir string) error {
		f, err := os.Create(image)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(hangBytes), f.Close(), tool(ctx, "mkfs.ext4", "-q", "-F", image)); err != nil {
			return err
		}
		return tool(ctx, "mount", "-o", "loop", image, dir)
	})
	if err == nil {
		err = r.hung(ctx, victim, leads)
	}
	return errors.Join(err, unmount(), os.Remove(image))
}

func (r *run) hung(ctx context.Context, victim *lab.Node, leads bool) error {
	to := victim
	if others := r.l.Nodes.List(); !leads {
		to = others[(r.at(victim)+1)%len(others)]
	}
	if err := r.l.Nodes.Transfer(ctx, to); err != nil {
		return err
	}
	var froze time.Time
	thaw := func() error { return nil }
	s, err := r.one(ctx, byOrder, anyMoment(r), func(ctx context.Context) error {
		r.say("disk of %s hangs (leads: %t)", victim.ID(), leads)
		froze = time.Now()
		if err := tool(ctx, "fsfreeze", "-f", victim.DataDir()); err != nil {
			return err
		}
		thaw = func() error { return tool(context.WithoutCancel(ctx), "fsfreeze", "-u", victim.DataDir()) }
		if !leads {
			return nil
		}
		return r.deposed(ctx, victim, froze)
	})
	if err != nil {
		return errors.Join(err, thaw())
	}
	span := time.Since(froze)
	if err := errors.Join(rest(ctx, max(0, 6*time.Second-span)), thaw()); err != nil { // past its write deadline in any case
		return err
	}
	r.say("the disk is well after %.1f s", time.Since(froze).Seconds())
	if leads {
		if err := r.ended(ctx, victim); err != nil {
			return fmt.Errorf("%s led, and its disk hung for %.1f s: %w", victim.ID(), time.Since(froze).Seconds(), err)
		}
	} else if err := rest(ctx, time.Second); err != nil {
		return err
	}
	r.say("%s runs: %t", victim.ID(), victim.PID() != 0)
	return errors.Join(r.revived(ctx), r.carried(ctx, s))
}

// ended waits until a node that had to end itself is gone: what it still had to
// write, it could not before.
func (r *run) ended(ctx context.Context, victim *lab.Node) error {
	return lab.Until(ctx, endsWithin, "its own end", func(context.Context) error {
		if victim.PID() != 0 {
			return errStillRuns
		}
		return nil
	})
}

// deposed waits until another leads.
func (r *run) deposed(ctx context.Context, victim *lab.Node, since time.Time) error {
	err := lab.Until(ctx, leadsWithin, "another leader", func(ctx context.Context) error {
		leader, err := r.l.Nodes.Leader(ctx)
		if err == nil && leader == victim {
			err = fmt.Errorf("%s leads with a disk that hangs", victim.ID())
		}
		return err
	})
	if err == nil {
		r.say("another leads %.1f s after", time.Since(since).Seconds())
	}
	return err
}
