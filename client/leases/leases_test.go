package leases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ttl = 10 * time.Second

// job is a handler that writes down what it sees.
type job struct {
	mu      sync.Mutex
	begun   []*Lease
	ended   []string       // "token: cause"
	active  map[uint32]int // handlers that run, by partition
	most    int            // of one partition at once
	deafFor time.Duration  // how long it ignores its context and Draining
	asked   []time.Time    // when Draining was seen
}

func newJob() *job { return &job{active: map[uint32]int{}} }

func (j *job) work(ctx context.Context, l *Lease) error {
	j.mu.Lock()
	j.begun = append(j.begun, l)
	j.active[l.Partition]++
	j.most = max(j.most, j.active[l.Partition])
	deaf := j.deafFor
	j.mu.Unlock()
	cause := "drained"
	select {
	case <-ctx.Done():
		cause = context.Cause(ctx).Error()
	case <-l.Draining():
		j.mu.Lock()
		j.asked = append(j.asked, time.Now())
		j.mu.Unlock()
	}
	time.Sleep(deaf)
	if ctx.Err() != nil {
		cause = context.Cause(ctx).Error()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.active[l.Partition]--
	j.ended = append(j.ended, fmt.Sprintf("%d: %s", l.Token, cause))
	return nil
}

func (j *job) leases() []*Lease {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.begun)
}

func (j *job) ends() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.ended)
}

// world is one worker and the fake that it talks to.
type world struct {
	*fake
	*job
	stop context.CancelFunc
	done chan error
	mu   sync.Mutex
	jump time.Duration // of the boot clock
}

// begin runs a worker inside of a bubble. The test ends it with finish.
func begin(t *testing.T, change func(*Config, *fake)) *world {
	w := &world{fake: newFake(t, ttl), job: newJob(), done: make(chan error, 1)}
	start := time.Now()
	cfg := Config{Pool: "jobs", Worker: "w1", boot: func() time.Duration {
		w.mu.Lock()
		defer w.mu.Unlock()
		return time.Since(start) + w.jump
	}}
	if change != nil {
		change(&cfg, w.fake)
	}
	var ctx context.Context
	ctx, w.stop = context.WithCancel(t.Context())
	conn := w.dial()
	go func() { w.done <- Run(ctx, conn, cfg, w.work) }()
	w.pass(100 * time.Millisecond)
	return w
}

// pass lets time go by and everybody come to rest.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// suspend is what the boot clock sees of a machine that sleeps.
func (w *world) suspend(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jump += d
}

func (w *world) finish(t *testing.T) {
	t.Helper()
	w.stop()
	if err := <-w.done; err != nil {
		t.Errorf("run: %v", err)
	}
}

func (w *world) one(t *testing.T) *Lease {
	t.Helper()
	all := w.leases()
	if len(all) == 0 {
		t.Fatal("nothing was granted")
	}
	return all[len(all)-1]
}

func TestHoldsRenewsAndLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		token := w.grant(3, "10.0.0.1:6379")
		w.pass(time.Second)
		l := w.one(t)
		if l.ID() != "jobs/3" || l.Token != token || l.Address != "10.0.0.1:6379" || l.Check() != nil {
			t.Errorf("granted %s token %d at %q: %v", l.ID(), l.Token, l.Address, l.Check())
		}
		w.pass(time.Hour)
		if err := l.Check(); err != nil || len(w.leases()) != 1 {
			t.Errorf("after an hour: %v, %d grants", err, len(w.leases()))
		}
		if n := len(w.renewals); n < 1400 || n > 1500 { // every 2.5 s
			t.Errorf("%d renewals in an hour", n)
		}
		w.finish(t)
		if got := w.ends(); !slices.Equal(got, []string{fmt.Sprintf("%d: drained", token)}) || w.closed != 1 {
			t.Errorf("ended %q, %d sessions closed", got, w.closed)
		}
	})
}

// Whatever keeps answers away, each lease is lost 0.9 ttl - margin after the
// last renewal was sent that was answered, and not later.
func TestLostInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		w.grant(0, "")
		w.pass(time.Second)
		l := w.one(t)
		w.fake.mu.Lock()
		last := w.renewals[len(w.renewals)-1]
		w.mute = true
		w.fake.mu.Unlock()
		want := scale(ttl, 0.9) - DefaultMargin
		w.pass(time.Until(last.Add(want)) - 10*time.Millisecond)
		if err := l.Check(); err != nil || len(w.ends()) != 0 {
			t.Fatalf("too early: %v, %q", err, w.ends())
		}
		w.pass(10 * time.Millisecond)
		if err := l.Check(); !errors.Is(err, ErrLost) || l.Left() != 0 {
			t.Errorf("%v, %s left", err, l.Left())
		}
		w.pass(time.Millisecond)
		if got := w.ends(); len(got) != 1 {
			t.Errorf("ended %q", got)
		}
		w.finish(t)
	})
}

// The time that an answer was on its way is not gained.
func TestCountsFromBeforeSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, func(_ *Config, f *fake) { f.delay = 2 * time.Second })
		w.grant(0, "")
		for range 200 {
			w.pass(50 * time.Millisecond)
			if len(w.leases()) == 0 {
				continue
			}
			if left := w.one(t).Left(); left > scale(ttl, 0.9)-DefaultMargin-2*time.Second {
				t.Fatalf("%s left, though the answer took 2 s", left)
			}
		}
		if err := w.one(t).Check(); err != nil {
			t.Errorf("lost though answers come: %v", err)
		}
		w.finish(t)
	})
}

// What a suspended machine believes: its monotonic clock stood still, the boot
// clock did not.
func TestSuspendedMachine(t *testing.T) {
	for _, span := range []time.Duration{3 * ttl, time.Hour, 9 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := begin(t, nil)
			token := w.grant(0, "")
			w.pass(time.Second)
			l := w.one(t)
			w.suspend(span)
			if err := l.Check(); !errors.Is(err, ErrLost) {
				t.Errorf("suspended for %s: %v", span, err)
			}
			w.pass(look)
			if got := w.ends(); len(got) != 1 {
				t.Errorf("suspended for %s: ended %q", span, got)
			}
			w.pass(ttl)
			if slices.Index(w.released, token) < 0 {
				t.Errorf("suspended for %s: token %d is not released (%d)", span, token, w.released)
			}
			w.finish(t)
		})
	}
}

// A lease that is lost by the clock stays so, though the cluster would have
// kept it: it is given back and comes again under a higher token.
func TestLostStaysLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		old := w.grant(0, "")
		w.pass(time.Second)
		l := w.one(t)
		w.set(func() { w.mute = true })
		w.pass(2 * ttl)
		w.set(func() { w.mute = false })
		w.pass(ttl)
		if l.Check() == nil || len(w.leases()) != 1 || !slices.Contains(w.released, old) {
			t.Fatalf("%v, %d grants, released %d", l.Check(), len(w.leases()), w.released)
		}
		again := w.grant(0, "")
		w.pass(time.Second)
		if n := w.one(t); n.Token != again || n.Check() != nil || l.Check() == nil {
			t.Errorf("granted %d: %v, the old one %v", n.Token, n.Check(), l.Check())
		}
		w.finish(t)
	})
}

// The same while its handler has not noticed: an answer that comes too late
// brings nothing back.
func TestLateAnswerBringsNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		w.job.mu.Lock()
		w.deafFor = 5 * ttl
		w.job.mu.Unlock()
		w.grant(0, "")
		w.pass(time.Second)
		l := w.one(t)
		w.set(func() { w.mute = true })
		w.pass(ttl)
		w.set(func() { w.mute = false })
		w.pass(ttl)
		if err := l.Check(); !errors.Is(err, ErrLost) || len(w.released) != 0 {
			t.Errorf("%v, released %d", err, w.released)
		}
		w.finish(t)
	})
}

// An answer that was given before a release was heard of names the grant once
// more: its token is not handled again. It is given back again only when the
// renewal was sent after the release, which then cannot have come in.
func TestATokenIsHandledOnce(t *testing.T) {
	w := &worker{cfg: Config{Pool: "jobs"}.withDefaults(), session: &session{ttl: ttl}, held: map[uint32]*holding{},
		handle: func(context.Context, *Lease) error { t.Error("handled again"); return nil }, values: t.Context()}
	a := &pointsmanv1.Assignment{Partition: 2, Token: 101, State: pointsmanv1.LeaseState_LEASE_STATE_HELD, ValidFor: durationpb.New(ttl)}
	w.past = map[uint32]past{2: {token: 101, given: time.Now().Add(time.Second)}}
	w.assigned(a, w.cfg.now())
	if h := w.held[2]; h != nil {
		t.Errorf("an old answer: %+v", h)
	}
	w.past[2] = past{token: 101, given: time.Now().Add(-time.Second)}
	w.assigned(a, w.cfg.now())
	w.goes.Wait()
	if h := w.held[2]; h == nil || !h.ended {
		t.Errorf("not to be given back: %+v", h)
	}
}

// A stream that is half open is given up in time to keep the lease: from the
// start, and in mid-life.
func TestHalfOpenStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, func(_ *Config, f *fake) { f.deafTo = 1 })
		w.grant(0, "")
		for n := 2; n < 10; n++ {
			w.pass(ttl)
			if err := w.one(t).Check(); err != nil || len(w.leases()) != 1 || w.streams != n {
				t.Fatalf("%v, %d grants, %d streams", err, len(w.leases()), w.streams)
			}
			w.set(func() { w.deafTo = n })
		}
		w.finish(t)
	})
}

func TestAskedToFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		token := w.grant(0, "")
		w.pass(time.Second)
		at := time.Now()
		w.drain(0, 5*time.Second)
		w.pass(time.Second)
		if len(w.asked) != 1 || w.asked[0].Sub(at) > 10*time.Millisecond || !slices.Equal(w.released, []uint64{token}) {
			t.Errorf("asked %v after %v, released %d", w.asked, at, w.released)
		}
		if err := w.one(t).Check(); !errors.Is(err, ErrLost) {
			t.Errorf("given back, and yet %v", err)
		}
		next := w.grant(0, "")
		w.pass(time.Second)
		if l := w.one(t); l.Token != next || l.Check() != nil {
			t.Errorf("granted %d, %v", l.Token, l.Check())
		}
		w.finish(t)
	})
}

// A handler that ignores everything: its context ends with the drain time, its
// partition is not given back before it returns, and nothing else starts on it.
func TestHandlerThatIgnoresItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		w.job.mu.Lock()
		w.deafFor = 8 * time.Second
		w.job.mu.Unlock()
		token := w.grant(0, "")
		w.pass(time.Second)
		l := w.one(t)
		w.drain(0, 2*time.Second)
		w.pass(2 * time.Second)
		if l.Check() == nil || len(w.released) != 0 {
			t.Errorf("after the drain time: %v, released %d", l.Check(), w.released)
		}
		next := w.grant(0, "") // the cluster has waited long enough
		w.pass(4 * time.Second)
		if len(w.leases()) != 1 {
			t.Error("a second handler began beside the first")
		}
		w.pass(4 * time.Second)
		if got := w.one(t); got.Token != next || slices.Contains(w.released, next) || w.most != 1 {
			t.Errorf("granted %d after %d, released %d, %d at once", got.Token, token, w.released, w.most)
		}
		w.finish(t)
	})
}

func TestRevokedAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		first := w.grant(0, "10.0.0.1:6379")
		w.pass(time.Second)
		l := w.one(t)
		w.revoke(0) // a failover: locked until its worker says that it stopped
		w.pass(100 * time.Millisecond)
		if l.Check() == nil || !slices.Equal(w.released, []uint64{first}) {
			t.Errorf("%v, released %d", l.Check(), w.released)
		}
		second := w.grant(0, "10.0.0.2:6379")
		w.pass(100 * time.Millisecond)
		if l := w.one(t); l.Token != second || l.Address != "10.0.0.2:6379" {
			t.Errorf("granted %d at %s", l.Token, l.Address)
		}
		third := w.grant(0, "10.0.0.3:6379") // before it was heard that the second is over
		w.pass(100 * time.Millisecond)
		if l := w.one(t); l.Token != third || w.most != 1 || slices.Contains(w.released, second) {
			t.Errorf("granted %d, %d at once, released %d", l.Token, w.most, w.released)
		}
		w.finish(t)
	})
}

func TestSessionHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		w.grant(0, "")
		w.pass(time.Second)
		l := w.one(t)
		w.end()
		w.pass(ttl / renewPart)
		if l.Check() == nil || w.opens != 2 || len(w.released) != 0 {
			t.Errorf("%v, %d sessions, released %d", l.Check(), w.opens, w.released)
		}
		w.grant(0, "")
		w.pass(time.Second)
		if n := w.one(t); n == l || n.Check() != nil {
			t.Errorf("the new session: %v", n.Check())
		}
		w.finish(t)
	})
}

// A node that does not lead serves no stream; calls are forwarded by it.
func TestThroughAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, func(_ *Config, f *fake) { f.follows = true })
		w.grant(0, "")
		w.pass(ttl / renewPart)
		l := w.one(t)
		w.pass(10 * ttl)
		if err := l.Check(); err != nil || w.streams != 0 {
			t.Errorf("%v, %d streams", err, w.streams)
		}
		w.drain(0, ttl)
		w.pass(ttl / renewPart)
		if len(w.asked) != 1 {
			t.Error("was not asked to finish")
		}
		w.finish(t)
	})
}

// An answer is to the renewal that it answers, though the next is under way when
// the worker hears of it: else the time that it counts from would be too late.
func TestAnswersOfCallsKeepTheirNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, ttl)
		f.session = 1
		w := &worker{cfg: Config{Pool: "jobs"}.withDefaults(), calls: pointsmanv1.NewLeaseServiceClient(f.dial()), base: t.Context(), events: make(chan func()), session: &session{id: 1, ttl: ttl}}
		w.sent = []sending{{1, w.cfg.now()}, {2, w.cfg.now()}}
		renewal := func(n uint64) *pointsmanv1.KeepAliveRequest {
			return &pointsmanv1.KeepAliveRequest{Sequence: n, Renewal: &pointsmanv1.RenewRequest{Session: 1}}
		}
		w.link = &link{w: w, out: make(chan *pointsmanv1.KeepAliveRequest, unsent), last: renewal(1)}
		w.link.ctx, w.link.cancel = context.WithCancel(t.Context())
		w.link.out <- renewal(2)
		done := make(chan error, 1)
		go func() { done <- w.link.calls() }()
		first, second := <-w.events, <-w.events
		first()
		if len(w.sent) != 1 || w.sent[0].sequence != 2 {
			t.Errorf("after the first answer %+v wait for theirs", w.sent)
		}
		second()
		if len(w.sent) != 0 {
			t.Errorf("after both %+v wait for theirs", w.sent)
		}
		w.link.cancel()
		<-done
	})
}

func TestHandlerThatReturnsEndsTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, ttl)
		conn, broken := f.dial(), errors.New("broken")
		done := make(chan error, 1)
		others := newJob()
		go func() {
			done <- Run(t.Context(), conn, Config{Pool: "jobs", Worker: "w1"}, func(ctx context.Context, l *Lease) error {
				if l.Partition == 1 {
					time.Sleep(time.Second)
					return broken
				}
				return others.work(ctx, l)
			})
		}()
		f.grant(0, "")
		f.grant(1, "")
		if err := <-done; !errors.Is(err, broken) {
			t.Errorf("run: %v", err)
		}
		if got := others.ends(); !slices.Equal(got, []string{"101: drained"}) || f.closed != 1 {
			t.Errorf("others %q, %d closed", got, f.closed)
		}
	})
}

// A sink may know of a newer grant before this worker does: a handler that
// returns with that ends its lease, not the worker. Where a sink refuses every
// token it is tried again, but not as fast as the log can be written.
func TestHandlerThatGivesUpItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, ttl)
		conn := f.dial()
		ctx, cancel := context.WithCancel(t.Context())
		done, begun := make(chan error, 1), make(chan *Lease, 100)
		go func() {
			done <- Run(ctx, conn, Config{Pool: "jobs", Worker: "w1"}, func(ctx context.Context, l *Lease) error {
				begun <- l
				return fmt.Errorf("write: %w", ErrLost)
			})
		}()
		f.mu.Lock()
		f.again = true
		f.mu.Unlock()
		f.grant(0, "")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(begun); n < 10 || n > 25 {
			t.Errorf("%d grants in 10 s", n)
		}
		if l := <-begun; !errors.Is(l.Check(), ErrLost) {
			t.Errorf("given up, and yet %v", l.Check())
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// A worker that waits for a handler past its time to finish does not spin.
func TestWaitIsNoSpin(t *testing.T) {
	w := &worker{cfg: Config{Pool: "jobs"}.withDefaults(), session: &session{ttl: ttl}, stopping: true, stopAt: time.Now()}
	if got := w.wait(); got != look {
		t.Errorf("past the time to finish: looks again in %s", got)
	}
	w.session, w.stopAt = nil, time.Now().Add(time.Minute)
	if got := w.wait(); got != look {
		t.Errorf("without a session, finishing: looks again in %s", got)
	}
}

// A worker that stops waits for its handlers; after the time to finish their
// contexts end, and it renews no more.
func TestStopTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, func(c *Config, _ *fake) { c.Stop = 4 * time.Second })
		w.job.mu.Lock()
		w.deafFor = time.Minute
		w.job.mu.Unlock()
		token := w.grant(0, "")
		w.pass(time.Second)
		l := w.one(t)
		w.stop()
		w.pass(3900 * time.Millisecond)
		if err := l.Check(); err != nil {
			t.Errorf("still finishing: %v", err)
		}
		w.pass(ttl)
		w.fake.mu.Lock()
		n := len(w.renewals)
		w.fake.mu.Unlock()
		if l.Check() == nil {
			t.Error("believes in its lease for ever")
		}
		w.finish(t)
		if len(w.renewals) != n || !slices.Equal(w.ends(), []string{fmt.Sprintf("%d: %s", token, ErrStopped)}) || w.closed != 1 {
			t.Errorf("%d renewals after %d, ended %q, %d closed", len(w.renewals), n, w.ends(), w.closed)
		}
	})
}

// A coordinator that has just been started has not announced yet what it reads:
// a worker waits for that.
func TestCoordinatorsThatCannotReadItYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, func(_ *Config, f *fake) { f.refuse = because(codes.FailedPrecondition, oldMember) })
		w.pass(10 * time.Second)
		w.set(func() { w.refuse = nil })
		w.grant(0, "")
		w.pass(2 * time.Second)
		if err := w.one(t).Check(); err != nil || w.opens != 1 {
			t.Errorf("%v, %d sessions", err, w.opens)
		}
		w.finish(t)
	})
}

// What is somebody else's by now cannot be given back, and that is not tried
// again: each try is an entry of the log.
func TestFencedIsNotReleasedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		w.grant(0, "")
		w.pass(time.Second)
		w.set(func() { w.refuse = because(codes.Aborted, fenced) })
		w.revoke(0)
		w.pass(ttl)
		w.fake.mu.Lock()
		asked := w.releases
		w.fake.mu.Unlock()
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		w.finish(t)
	})
}

// What cannot be sent now is sent again: a release that fails would leave a
// partition with nobody.
func TestReleaseIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		token := w.grant(0, "")
		w.pass(time.Second)
		w.set(func() { w.refuse = status.Error(codes.Unavailable, "no leader") })
		w.drain(0, ttl)
		w.pass(8 * time.Second)
		if len(w.asked) != 1 || len(w.released) != 0 {
			t.Fatalf("asked %d times, released %d", len(w.asked), w.released)
		}
		w.set(func() { w.refuse = nil })
		w.pass(8 * time.Second)
		if !slices.Equal(w.released, []uint64{token}) || len(w.leases()) != 1 {
			t.Errorf("released %d, %d grants", w.released, len(w.leases()))
		}
		w.finish(t)
	})
}

func TestRunRefuses(t *testing.T) {
	for _, cfg := range []Config{{}, {Pool: "p"}, {Pool: "p", Worker: "w", Capacity: -1}, {Pool: "p", Worker: "w", Capacity: 5000}, {Pool: "p", Worker: "w", Margin: -1}} {
		if err := Run(t.Context(), nil, cfg, nil); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, ttl)
		f.refuse = status.Error(codes.NotFound, "no such pool")
		if err := Run(t.Context(), f.dial(), Config{Pool: "jobs", Worker: "w1"}, newJob().work); status.Code(err) != codes.NotFound {
			t.Errorf("run: %v", err)
		}
	})
}
