//go:build !failpoints

package chaos

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// How a paused leader is read.
const (
	readers    = 16
	readWithin = 2 * time.Second // one read
	readOn     = 300 * time.Millisecond
	heartbeats = 120 * time.Millisecond // raft sends one each 40 to 80 ms; a lease lasts 350
	electOther = 20 * time.Second
	pauseKey   = "chaos/pause"
)

// TestPausedLeaderReads: no linearizable read through a leader that was stopped,
// and replaced meanwhile, returns less than what its successor had acknowledged
// when the read began. -chaos.pauses says how often, and the first stale one ends it; the readers are many, since
// a stale answer lives for a millisecond.
func TestPausedLeaderReads(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*flags.pauses)*30*time.Second+time.Minute)
	defer cancel()
	nodes, err := lab.StartNodes(ctx, lab.Options{Pointsman: filepath.Join(build(t, "", lab.Program), lab.Program)}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nodes.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &pauseReads{nodes: nodes}
	played := 0
	for n := 1; n <= *flags.pauses && p.stale.Load() == 0; n++ {
		played = n
		if err := p.once(ctx, uint64(n)); err != nil {
			t.Fatalf("pause %d: %v", n, err)
		}
	}
	text := fmt.Sprintf("pause-read: %d pauses, %d reads answered through the paused leader after it woke, %d refused, %d stale",
		played, p.answered.Load(), p.refused.Load(), p.stale.Load())
	fmt.Println(text)
	if p.stale.Load() > 0 || p.begun.Load() == 0 {
		t.Error(text)
	}
}

// pauseReads counts over all pauses.
type pauseReads struct {
	nodes                           *lab.Nodes
	acknowledged                    atomic.Uint64 // the newest value that a leader has acknowledged
	begun, answered, refused, stale atomic.Int64
}

// once pauses the leader, writes through the next one, and reads through the
// old one before, while and after it wakes.
func (p *pauseReads) once(ctx context.Context, n uint64) error {
	old, err := p.nodes.WaitLeader(ctx)
	if err != nil {
		return err
	}
	if err := p.write(ctx, old, 2*n-1); err != nil {
		return err
	}
	if err := p.still(ctx, old, n%2 == 0); err != nil {
		return err
	}
	next, err := p.next(ctx, old)
	if err != nil {
		return err
	}
	if err := p.write(ctx, next, 2*n); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var waiting atomic.Int64
	for range readers {
		wg.Go(func() {
			waiting.Add(1)
			for reading.Err() == nil {
				p.read(reading, old)
			}
		})
	}
	defer wg.Wait()
	err = lab.Until(ctx, readWithin, "readers", func(context.Context) error {
		if waiting.Load() < readers {
			return errors.New("some are missing")
		}
		return nil
	})
	if err = errors.Join(err, old.Resume()); err != nil {
		return err
	}
	err = rest(ctx, readOn)
	stop()
	return err
}

// still stops the leader. With late, the followers stand still before it does
// and go on after: their answers to its last heartbeats, which say that it leads,
// lie in its sockets until it wakes. Nobody elects another in so short a time.
func (p *pauseReads) still(ctx context.Context, leader *lab.Node, late bool) (err error) {
	if !late {
		return leader.Pause()
	}
	for _, n := range p.nodes.List() {
		if n != leader {
			err = errors.Join(err, n.Pause())
		}
	}
	err = errors.Join(err, rest(ctx, heartbeats), leader.Pause())
	for _, n := range p.nodes.List() {
		if n != leader && n.Paused() {
			err = errors.Join(err, n.Resume())
		}
	}
	return err
}

// next waits until another node leads.
func (p *pauseReads) next(ctx context.Context, old *lab.Node) (next *lab.Node, err error) {
	err = lab.Until(ctx, electOther, "another leader", func(ctx context.Context) error {
		next, err = p.nodes.Leader(ctx)
		if err == nil && next == old {
			err = errors.New("still the paused one")
		}
		return err
	})
	return next, err
}

func (p *pauseReads) write(ctx context.Context, n *lab.Node, value uint64) error {
	err := lab.Until(ctx, electOther, "a write", func(ctx context.Context) error {
		_, err := pointsmanv1.NewSettingServiceClient(n.Conn()).PutSetting(ctx, &pointsmanv1.PutSettingRequest{
			Key: pauseKey, Value: strconv.FormatUint(value, 10),
		})
		return err
	})
	if err == nil {
		p.acknowledged.Store(value)
	}
	return err
}

// read reads through one node and holds the answer against what had been
// acknowledged when the read began.
func (p *pauseReads) read(ctx context.Context, n *lab.Node) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	least := p.acknowledged.Load()
	p.begun.Add(1)
	answer, err := pointsmanv1.NewSettingServiceClient(n.Conn()).GetSetting(ctx, &pointsmanv1.GetSettingRequest{
		Key: pauseKey, Read: &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_LINEARIZABLE},
	})
	if err != nil {
		p.refused.Add(1)
		return
	}
	p.answered.Add(1)
	if got, err := strconv.ParseUint(answer.GetSetting().GetValue(), 10, 64); err != nil || got < least {
		p.stale.Add(1)
	}
}
