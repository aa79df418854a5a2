package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/grpc"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// refusedWithin is how long a node may take to find its store damaged and end.
const refusedWithin = 15 * time.Second

// storeFile is the name of the store in a data folder.
const storeFile = "raft.db"

// damage is what is done to a store while its node is dead.
type damage struct {
	name string
	do   func(store string) error
}

func damages() []damage {
	return []damage{
		{"emptied", func(store string) error { return os.Truncate(store, 0) }},
		{"removed", os.Remove},
		{"cut in half", cutInHalf},
		{"without a meta page", func(store string) error { return overwrite(store, int64(os.Getpagesize()), 128) }},
	}
}

// cutInHalf takes away half of the pages in use. The file is longer than they
// are, and whoever loses only the rest has lost nothing.
func cutInHalf(store string) (err error) {
	db, err := bbolt.Open(store, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	var used int64
	err = db.View(func(tx *bbolt.Tx) error {
		used = tx.Size()
		return nil
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	return os.Truncate(store, used/2)
}

// overwrite puts zeros over n bytes of a file.
func overwrite(file string, at int64, n int) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, n), at)
	return errors.Join(err, f.Close())
}

// storeDamaged: one node's store is damaged while it is dead. It refuses to
// start and says what to do; the others carry the failover; with the store that
// it had it returns.
func storeDamaged(ctx context.Context, r *run) error {
	victim, d := pick(r, r.l.Nodes.List()...), pick(r, damages()...)
	if err := r.kill(victim); err != nil {
		return err
	}
	whole := filepath.Join(r.dir(), "whole")
	if err := os.CopyFS(whole, os.DirFS(victim.DataDir())); err != nil {
		return err
	}
	defer os.RemoveAll(whole)
	r.say("store of %s %s", victim.ID(), d.name)
	if err := d.do(filepath.Join(victim.DataDir(), storeFile)); err != nil {
		return err
	}
	if err := r.refused(ctx, victim); err != nil {
		return err
	}
	s, err := r.one(ctx, byOrder, atOnce, func(context.Context) error { return nil })
	if err != nil {
		return err
	}
	r.say("store of %s restored", victim.ID())
	if err := errors.Join(os.RemoveAll(victim.DataDir()), os.CopyFS(victim.DataDir(), os.DirFS(whole))); err != nil {
		return err
	}
	if err := r.l.Nodes.Restart(victim); err != nil {
		return err
	}
	return r.carried(ctx, s)
}

// refused starts a node and waits until it has ended by itself, with a message
// that says what to do.
func (r *run) refused(ctx context.Context, n *lab.Node) error {
	if err := r.l.Nodes.Restart(n); err != nil {
		return err
	}
	err := lab.Until(ctx, refusedWithin, "the node to refuse its store", func(context.Context) error {
		if n.PID() != 0 {
			return errors.New("it runs")
		}
		return nil
	})
	if err != nil {
		return err
	}
	said := n.Log()
	last := said[strings.LastIndexByte(strings.TrimSpace(said), '\n')+1:]
	if !strings.Contains(last, "nodes replace "+n.ID()) || strings.Contains(said, "panic:") || strings.Contains(said, "goroutine ") {
		return fmt.Errorf("%s does not say what to do: %s", n.ID(), said)
	}
	r.say("%s refuses: %s", n.ID(), strings.TrimSpace(last))
	return nil
}

// The small disk, and how long a node may lead with a full one.
const (
	handsOverWithin = 20 * time.Second

	diskBytes  = 24 << 20
	floorBytes = 4 << 20
	pushBytes  = 60 << 10
	pushes     = 40
)

// diskFull: the leader's data lies on a small disk that is suddenly full. It
// stops leading, the others carry the failover, and with room it follows again.
func diskFull(ctx context.Context, r *run) error {
	victim := pick(r, r.l.Nodes.List()...)
	unmount, err := r.smallDisk(ctx, victim)
	if err != nil {
		return errors.Join(err, unmount())
	}
	err = r.filled(ctx, victim)
	return errors.Join(err, unmount())
}

func (r *run) filled(ctx context.Context, victim *lab.Node) error {
	if err := r.l.Nodes.Transfer(ctx, victim); err != nil {
		return err
	}
	stuffing := filepath.Join(victim.DataDir(), "stuffing")
	s, err := r.one(ctx, byOrder, pick(r, atOnce, atPromotion, atWrite), func(ctx context.Context) error {
		n, err := fill(stuffing)
		r.say("disk of leading coordinator %s full after %d KiB", victim.ID(), n>>10)
		return errors.Join(err, r.push(ctx))
	})
	if err != nil {
		return err
	}
	err = lab.Until(ctx, handsOverWithin, "another leader", func(ctx context.Context) error {
		leader, err := r.l.Nodes.Leader(ctx)
		if err == nil && leader == victim {
			err = fmt.Errorf("%s leads with a full disk", victim.ID())
		}
		return err
	})
	if err != nil {
		return err
	}
	r.say("another leads; %s runs: %t; room again", victim.ID(), victim.PID() != 0)
	if err := os.Remove(stuffing); err != nil {
		return err
	}
	if err := r.revived(ctx); err != nil {
		return err
	}
	return r.carried(ctx, s)
}

// revived waits until all nodes agree on a leader. One may still be about to
// end: each time it does it is started again, as by its supervisor.
func (r *run) revived(ctx context.Context) error {
	return lab.Until(ctx, healedWithin, "three nodes", func(ctx context.Context) error {
		for _, n := range r.l.Nodes.List() {
			if n.PID() != 0 {
				continue
			}
			r.say("start %s", n.ID())
			if err := r.l.Nodes.Restart(n); err != nil {
				return err
			}
		}
		_, err := r.l.Nodes.WaitLeader(ctx)
		return err
	})
}

// push writes to the log until the store has to grow, or for nothing: half of
// the runs leave it to the failover alone. Each write may fail.
func (r *run) push(ctx context.Context) error {
	if r.rng.IntN(2) == 0 {
		return nil
	}
	value, failed := strings.Repeat("x", pushBytes), 0
	for range pushes {
		err := r.l.Nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
			_, err := pointsmanv1.NewSettingServiceClient(c).PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: "chaos/disk", Value: value})
			return err
		})
		if err != nil {
			failed++
		}
	}
	r.say("%d entries of %d KiB pushed, %d failed", pushes, pushBytes>>10, failed)
	return ctx.Err()
}

// fill writes until there is no room, and says how much that was.
func fill(file string) (n int64, err error) {
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	for block := make([]byte, 64<<10); err == nil; {
		var k int
		k, err = f.Write(block)
		n += int64(k)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return n, errors.Join(err, f.Close())
}

// smallDisk moves a node's data to a small tmpfs of its own, with a disk floor
// to match.
func (r *run) smallDisk(ctx context.Context, n *lab.Node) (unmount func() error, err error) {
	return r.moved(ctx, n, fmt.Sprintf("disk_floor: %d\n", floorBytes), func(dir string) error {
		return syscall.Mount("chaos", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", diskBytes))
	})
}

// moved moves a node's data to a file system of its own, with a line more in
// its file. The returned function moves it back; the node is dead then.
func (r *run) moved(ctx context.Context, n *lab.Node, line string, mount func(dir string) error) (unmount func() error, err error) {
	unmount = func() error { return nil }
	file, err := os.ReadFile(n.Config())
	if err != nil {
		return unmount, err
	}
	if err := r.kill(n); err != nil {
		return unmount, err
	}
	dir, away := n.DataDir(), n.DataDir()+".away"
	if err := errors.Join(os.Rename(dir, away), os.Mkdir(dir, 0o700)); err != nil {
		return unmount, err
	}
	if err := mount(dir); err != nil {
		return unmount, fmt.Errorf("mount a disk: %w", err)
	}
	unmount = func() error {
		if n.PID() != 0 {
			if err := n.Kill(); err != nil {
				return err
			}
		}
		_ = os.Remove(filepath.Join(dir, "stuffing"))
		return errors.Join(os.RemoveAll(away), os.CopyFS(away, os.DirFS(dir)), syscall.Unmount(dir, 0),
			os.Remove(dir), os.Rename(away, dir), os.WriteFile(n.Config(), file, 0o600))
	}
	text := fmt.Sprintf("%s\n%s", file, line)
	if err := errors.Join(os.CopyFS(dir, os.DirFS(away)), os.WriteFile(n.Config(), []byte(text), 0o600)); err != nil {
		return unmount, err
	}
	if err := r.l.Nodes.Restart(n); err != nil {
		return unmount, err
	}
	_, err = r.l.Nodes.WaitLeader(ctx)
	return unmount, err
}

// dir is the lab's folder.
func (r *run) dir() string { return filepath.Dir(r.l.Spec) }
