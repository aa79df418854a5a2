package leases

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// record keeps checkpoints, as the log does. A test says what goes wrong.
type record struct {
	saved  map[uint32]*pointsmanv1.Checkpoint
	ids    []string // of the requests that came in
	fails  []error  // what the next ones are answered; nil: done, and no answer
	hangs  int      // so many of the next are never answered
	passed int      // calls of either sort
}

// next says how a call goes: whether it is carried out, and what it is answered.
// hang: not at all.
func (f *fake) next() (do, hang bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.record.passed++
	if f.record.hangs > 0 {
		f.record.hangs--
		return false, true, nil
	}
	if len(f.record.fails) == 0 {
		return true, false, nil
	}
	err = f.record.fails[0]
	f.record.fails = f.record.fails[1:]
	if err == nil {
		return true, false, status.Error(codes.Unavailable, "the answer is lost")
	}
	return false, false, err
}

func (f *fake) SaveCheckpoint(ctx context.Context, r *pointsmanv1.SaveCheckpointRequest) (*pointsmanv1.SaveCheckpointResponse, error) {
	do, hang, err := f.next()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if do {
		if refused := f.save(r); refused != nil {
			return nil, refused
		}
	}
	return &pointsmanv1.SaveCheckpointResponse{}, err
}

func (f *fake) save(r *pointsmanv1.SaveCheckpointRequest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.record.ids = append(f.record.ids, r.GetRequestId())
	p, now := r.GetPartition(), f.record.saved[r.GetPartition()]
	switch {
	case r.GetSession() != f.session:
		return status.Error(codes.NotFound, "no such session")
	case f.granted[p].GetToken() != r.GetToken():
		return because(codes.Aborted, fenced)
	case now.GetVersion() == r.GetVersion() && now.GetToken() == r.GetToken() && bytes.Equal(now.GetData(), r.GetData()):
		return nil
	case r.GetVersion() != now.GetVersion()+1:
		return because(codes.FailedPrecondition, otherVersion)
	}
	if f.record.saved == nil {
		f.record.saved = map[uint32]*pointsmanv1.Checkpoint{}
	}
	f.record.saved[p] = &pointsmanv1.Checkpoint{Version: r.GetVersion(), Token: r.GetToken(), Data: r.GetData()}
	return nil
}

func (f *fake) GetLease(_ context.Context, r *pointsmanv1.GetLeaseRequest) (*pointsmanv1.GetLeaseResponse, error) {
	if _, _, err := f.next(); err != nil {
		return nil, err
	}
	var p uint32
	if _, err := fmt.Sscanf(r.GetId(), "jobs/%d", &p); err != nil || r.GetRead().GetLevel() != pointsmanv1.ReadLevel_READ_LEVEL_LINEARIZABLE {
		return nil, status.Error(codes.InvalidArgument, r.String())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	state := pointsmanv1.LeaseState_LEASE_STATE_FREE
	if a := f.granted[p]; a != nil {
		state = a.GetState()
	}
	return &pointsmanv1.GetLeaseResponse{Lease: &pointsmanv1.Lease{Token: f.newest[p], State: state, Checkpoint: f.record.saved[p]}}, nil
}

func TestCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		token := w.grant(3, "")
		w.pass(time.Second)
		l, ctx := w.one(t), t.Context()
		if c, err := l.Checkpoint(ctx); err != nil || c.Version != 0 || c.Token != 0 || c.Data != nil {
			t.Errorf("before any: %+v, %v", c, err)
		}
		if err := errors.Join(l.SaveCheckpoint(ctx, 1, []byte("a")), l.SaveCheckpoint(ctx, 2, []byte("b"))); err != nil {
			t.Fatal(err)
		}
		if c, err := l.Checkpoint(ctx); err != nil || c.Version != 2 || c.Token != token || string(c.Data) != "b" {
			t.Errorf("%+v, %v", c, err)
		}
		if err := l.SaveCheckpoint(ctx, 2, []byte("c")); !errors.Is(err, ErrVersion) || Lost(err) {
			t.Errorf("another of a version: %v", err)
		}
		w.drain(3, time.Minute)
		w.pass(time.Second)
		w.finish(t)
		if err := l.SaveCheckpoint(ctx, 3, nil); !Lost(err) {
			t.Errorf("after its end: %v", err)
		}
		if _, err := l.Checkpoint(ctx); !Lost(err) {
			t.Errorf("after its end: %v", err)
		}
		if n := w.record.passed; n != 5 {
			t.Errorf("%d calls: a lost lease asks nobody", n)
		}
	})
}

// While there is no leader, a node hangs or answers are lost, the same request is
// sent again, and saved once.
func TestCheckpointIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		w.grant(0, "")
		w.pass(time.Second)
		l := w.one(t)
		away := []error{because(codes.Unavailable, "NO_QUORUM"), nil, because(codes.FailedPrecondition, oldMember), nil}
		w.set(func() { w.record.fails, w.record.hangs = away, 1 })
		from := time.Now()
		if err := l.SaveCheckpoint(t.Context(), 1, []byte("a")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(from); took < tryTime || took > tryTime+8*retryDelay+time.Second {
			t.Errorf("took %s", took)
		}
		if ids := w.record.ids; len(ids) != 3 || ids[0] == "" || ids[0] != ids[1] || ids[1] != ids[2] {
			t.Errorf("sent %q", ids)
		}
		w.set(func() { w.record.fails = away[:1] })
		if c, err := l.Checkpoint(t.Context()); err != nil || c.Version != 1 {
			t.Errorf("%+v, %v", c, err)
		}
		w.set(func() { w.record.hangs = 1000 })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := l.SaveCheckpoint(ctx, 2, nil); !errors.Is(err, context.DeadlineExceeded) || Lost(err) {
			t.Errorf("its own time is over: %v", err)
		}
		w.set(func() { w.mute = true })
		if err := l.SaveCheckpoint(t.Context(), 2, nil); !Lost(err) {
			t.Errorf("nobody answers anything: %v", err)
		}
		w.set(func() { w.mute, w.record.hangs = false, 0 })
		w.finish(t)
	})
}

// What the cluster refuses is lost, though this process's clocks know nothing of it
// yet.
func TestCheckpointIsFenced(t *testing.T) {
	for name, take := range map[string]func(w *world){
		"granted anew": func(w *world) { w.fake.granted[0].Token++; w.fake.newest[0]++ },
		"locked":       func(w *world) { delete(w.fake.granted, 0) },
		"ended":        func(w *world) { w.fake.session = 0; delete(w.fake.granted, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := begin(t, nil)
				w.grant(0, "")
				w.pass(time.Second)
				l := w.one(t)
				w.fake.mu.Lock() // nobody is nudged
				take(w)
				w.fake.mu.Unlock()
				if err := l.Check(); err != nil {
					t.Fatal(err)
				}
				if err := l.SaveCheckpoint(t.Context(), 1, nil); !Lost(err) {
					t.Errorf("saved: %v", err)
				}
				if _, err := l.Checkpoint(t.Context()); !Lost(err) {
					t.Errorf("read: %v", err)
				}
				if len(w.record.saved) != 0 {
					t.Errorf("saved %v", w.record.saved)
				}
				w.finish(t)
			})
		})
	}
}
