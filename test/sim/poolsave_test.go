package sim

import (
	"bytes"
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	workers "github.com/pointsman/pointsman/client/leases"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// saving is a checkpoint that a worker read, and the next one that it tried to save.
type saving struct {
	worker      string
	partition   uint32
	token       uint64 // of its grant
	read        workers.Checkpoint
	call, ended time.Time
	err         error
}

// wire is a worker's connection. What saves a checkpoint waits on it while the worker
// is paused, or is held on its way: after the last look at the lease. It arrives,
// whatever has become of the call meanwhile.
type wire struct {
	workers.Connection
	c *crew
	w *laborer
}

func (x wire) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if method != pointsmanv1.LeaseService_SaveCheckpoint_FullMethodName {
		return x.Connection.Invoke(ctx, method, args, reply, opts...)
	}
	if held := x.c.held(x.c.stale, x.w.name); held > 0 {
		x.c.r.graves.Go(func() {
			time.Sleep(held)
			_ = x.arrive(ctx, args, &pointsmanv1.SaveCheckpointResponse{}, opts...) // nobody waits for the answer
		})
		<-ctx.Done()
		return ctx.Err()
	}
	x.c.rest(ctx, x.w)
	return x.arrive(ctx, args, reply, opts...)
}

// arrive sends it though its time is over.
func (x wire) arrive(ctx context.Context, args, reply any, opts ...grpc.CallOption) error {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
	}
	return x.Connection.Invoke(ctx, pointsmanv1.LeaseService_SaveCheckpoint_FullMethodName, args, reply, opts...)
}

// save reads the partition's checkpoint and saves the next one.
func (c *crew) save(ctx context.Context, w *laborer, l *workers.Lease) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	s := saving{worker: w.name, partition: l.Partition, token: l.Token, call: time.Now()}
	var err error
	if s.read, err = l.Checkpoint(ctx); err != nil {
		return
	}
	s.err = l.SaveCheckpoint(ctx, s.read.Version+1, []byte(w.name))
	s.ended = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.savings = append(c.savings, s)
}

// saved judges checkpoints: one changes by the word of whoever has the partition,
// under its token, from a version to the next; what was told to be saved is in the
// log, and whoever is granted the partition reads it, or a later one.
func (r *run) saved(log []decided, all []saving) {
	history := map[uint32][]fsm.Checkpoint{} // by partition, the first version first
	for _, d := range log {
		if d.Command.Kind() == fsm.KindSaveCheckpoint && errors.Is(d.answer.Err(), fsm.ErrFenced) {
			r.figures.SavesFenced++
		}
		for n := range r.crew.plan.Partitions {
			was, _ := d.before.Checkpoint(poolName, n)
			is, _ := d.after.Checkpoint(poolName, n)
			if is.Index == was.Index {
				continue
			}
			l, _ := d.before.Lease(poolName, n)
			save, ok := d.Command.(fsm.SaveCheckpoint)
			switch {
			case !ok || save.Number != n || is.Version != was.Version+1 || !bytes.Equal(is.Data, save.Data):
				r.fail("checkpoint", "entry %d, %s, turns %+v into %+v", d.Index, d.Command.Kind(), was, is)
			case is.Token != l.Token || save.Session != l.Session || !l.State.Owned():
				r.fail("checkpoint of another", "entry %d saves %+v of %s/%d, which is %s under %d", d.Index, is, poolName, n, l.State, l.Token)
			}
			history[uint32(n)] = append(history[uint32(n)], is)
			r.figures.Saves++
		}
	}
	for _, s := range all {
		r.toldOf(s, history[s.partition], all)
	}
}

// toldOf holds what one worker was told against the log, and against what others had
// been told before it asked.
func (r *run) toldOf(s saving, history []fsm.Checkpoint, all []saving) {
	in := func(version, token uint64, data []byte) bool {
		return version <= uint64(len(history)) && uint64(history[version-1].Token) == token && bytes.Equal(history[version-1].Data, data)
	}
	if v := s.read.Version; v > 0 && (!in(v, s.read.Token, s.read.Data) || s.read.Token > s.token) {
		r.fail("checkpoint read", "%s under %d read %+v of partition %d, the log has %+v", s.worker, s.token, s.read, s.partition, history)
	}
	if s.err != nil {
		return
	}
	if !in(s.read.Version+1, s.token, []byte(s.worker)) {
		r.fail("checkpoint lost", "%s under %d was told that %d of partition %d is saved, the log has %+v", s.worker, s.token, s.read.Version+1, s.partition, history)
	}
	for _, later := range all {
		if later.partition == s.partition && later.call.After(s.ended) && later.read.Version <= s.read.Version {
			r.fail("checkpoint read", "%s read %d of partition %d after %s had saved %d", later.worker, later.read.Version, s.partition, s.worker, s.read.Version+1)
		}
	}
}
