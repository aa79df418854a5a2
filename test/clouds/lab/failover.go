package lab

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// Shot is what is done to the playground in one failover.
type Shot struct {
	// KillLeader holds the answer to the refresh once the provider has carried
	// it out, kills the leading coordinator, and drops the answer.
	KillLeader bool
	// PauseLeader does the same with SIGSTOP. Once the next leader has settled
	// everything, the paused one goes on, and gets its late answer.
	PauseLeader bool
	// Switch asks a Sentinel for a failover instead of killing the master: a
	// second instead of three, and nobody dies.
	Switch bool
}

// tale is what the lab knows of one failover.
type tale struct {
	id        string
	shot      Shot
	mark      int64 // in the provider's journal
	rule      int64 // that holds the refresh; 0: none
	old       string
	killed    time.Time
	promotion redis.Promotion
	seen      Seen
	request   time.Time
	applied   time.Time
	paused    *Node // the leader that the lab stopped
}

// Failover makes one failover from the kill to the last settled action, and
// revives what was killed. It waits until the playground is ready first. What
// was seen goes into the Report, after an error too.
func (l *Lab) Failover(ctx context.Context, shot Shot) error {
	t, err := l.aim(ctx, shot)
	if err != nil {
		return fmt.Errorf("before the next failover: %w", err)
	}
	err = l.play(ctx, t)
	l.tales = append(l.tales, *t)
	if err != nil {
		return fmt.Errorf("failover %s: %w", t.id, err)
	}
	return nil
}

func (l *Lab) aim(ctx context.Context, shot Shot) (*tale, error) {
	if err := l.WaitReady(ctx); err != nil {
		return nil, err
	}
	m, err := l.Master(ctx)
	if err != nil {
		return nil, err
	}
	t := &tale{id: fmt.Sprintf("%s/%d", l.master, m.Number+1), shot: shot, old: m.Address, mark: l.Cloud.Mark()}
	if shot.KillLeader || shot.PauseLeader {
		t.rule, err = l.Cloud.holdRefresh()
	}
	return t, err
}

func (l *Lab) play(ctx context.Context, t *tale) error {
	defer l.narrate(ctx, t)()
	defer l.release(t)
	if err := l.fire(ctx, t); err != nil {
		return err
	}
	if err := l.promoted(ctx, t); err != nil {
		return err
	}
	applied, stop := l.follow(ctx, t)
	defer stop()
	if err := l.logged(ctx, t); err != nil {
		return err
	}
	if err := applied(); err != nil {
		return err
	}
	var err error
	if t.request, err = l.Cloud.firstWrite(ctx, t.mark); err != nil {
		return fmt.Errorf("first request at the provider: %w", err)
	}
	if l.Crew != nil {
		if err := l.Crew.waitHeld(ctx, t.promotion.Address); err != nil {
			return err
		}
	}
	return l.revive(ctx, t)
}

func (l *Lab) promoted(ctx context.Context, t *tale) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, waitSwitch, fmt.Errorf("not within %s", waitSwitch))
	defer cancel()
	t.promotion, err = l.Recorder.WaitPromotion(ctx, t.old)
	return err
}

// logged waits for acceptance and for the last final state, and kills the
// leader in between if it is to be killed.
func (l *Lab) logged(ctx context.Context, t *tale) (err error) {
	if t.seen, err = l.Watch.wait(ctx, waitAccepted, t.id, "accepted", func(Seen) bool { return true }); err != nil {
		return errors.Join(err, l.logs())
	}
	if t.rule != 0 {
		if err := l.strike(ctx, t); err != nil {
			return errors.Join(err, l.logs())
		}
	}
	settled := func(s Seen) bool { return !s.Settled.IsZero() }
	if t.seen, err = l.Watch.wait(ctx, waitSettled, t.id, "settled", settled); err != nil {
		return errors.Join(err, l.logs())
	}
	return nil
}

// release takes the rule of this failover away, so that it cannot strike later.
func (l *Lab) release(t *tale) {
	if t.rule != 0 {
		_ = l.Cloud.Sim.RemoveFault(t.rule)
		l.Cloud.Sim.DropHeld()
	}
}

// fire kills the master, or asks a Sentinel to replace it.
func (l *Lab) fire(ctx context.Context, t *tale) error {
	if !t.shot.Switch {
		t.killed = time.Now()
		l.opt.Events(Event{At: t.killed, Who: ByLab, Text: "kill -9 redis master " + t.old, Zero: true})
		return l.Redis.Kill(t.old)
	}
	sentinel := l.Redis.Sentinels()[0].Address
	return Until(ctx, waitReady, "a sentinel to take the order", func(ctx context.Context) error {
		t.killed = time.Now()
		_, err := l.Redis.Do(ctx, sentinel, "SENTINEL", "FAILOVER", l.Redis.Name())
		if err == nil {
			l.opt.Events(Event{At: t.killed, Who: ByLab, Text: "ask sentinel " + sentinel + " to replace " + t.old, Zero: true})
		}
		return err
	})
}

// follow watches the load balancer from now on; wait waits for it to send to the
// new master, stop ends the watching.
func (l *Lab) follow(ctx context.Context, t *tale) (wait func() error, stop func()) {
	ctx, cancel := context.WithTimeoutCause(ctx, waitSettled, fmt.Errorf("not within %s", waitSettled))
	done := make(chan error, 1)
	go func() {
		at, err := l.Cloud.waitApplied(ctx, t.promotion.Address)
		if err == nil {
			t.applied = at
			l.opt.Events(Event{At: at, Who: ByProvider, Text: "traffic goes to " + t.promotion.Address})
		}
		done <- err
	}()
	wait = sync.OnceValue(func() error { return <-done })
	return wait, func() {
		cancel()
		_ = wait() // t is the caller's alone again
	}
}

// strike waits until the provider has carried out the refresh whose answer it
// holds, and kills the node that waits for the answer, or pauses it.
func (l *Lab) strike(ctx context.Context, t *tale) error {
	call, err := l.Cloud.waitHeld(ctx, t.mark)
	if err != nil {
		return err
	}
	at, err := l.Cloud.waitApplied(ctx, t.promotion.Address)
	if err != nil {
		return err
	}
	l.opt.Events(Event{At: at, Who: ByProvider, Text: fmt.Sprintf("task %d of the refresh is done, its answer is held", call.Refresh.Task)})
	leader, err := l.Nodes.Leader(ctx)
	if err != nil {
		return err
	}
	if t.shot.PauseLeader {
		l.say("pause leading coordinator " + leader.id)
		t.paused = leader
		return leader.Pause()
	}
	l.say(fmt.Sprintf("kill -9 leading coordinator %s, drop the answer", leader.id))
	if err := leader.Kill(); err != nil {
		return err
	}
	l.killed++
	l.Cloud.Sim.DropHeld(call.Seq) // 0 when the broken connection was noticed first
	return nil
}

// revive starts again what is dead, and lets go on what is paused.
func (l *Lab) revive(ctx context.Context, t *tale) error {
	if t.paused != nil {
		l.say("resume coordinator " + t.paused.id + " and release the answer")
		if err := t.paused.Resume(); err != nil {
			return err
		}
		l.Cloud.Sim.ReleaseHeld()
	}
	for _, node := range l.Nodes.all {
		if node.PID() == 0 {
			l.say("start coordinator " + node.id)
			if err := l.Nodes.Restart(node); err != nil && !errors.Is(err, ErrRunning) { // somebody else was quicker
				return err
			}
		}
	}
	if !t.shot.Switch {
		l.say("start redis " + t.old)
		if err := l.Redis.Restart(t.old); err != nil {
			return err
		}
	}
	if !l.opt.Rejoin && !t.shot.Switch {
		return nil
	}
	host, port, err := split(t.promotion.Address)
	if err != nil {
		return err
	}
	return Until(ctx, waitReady, "redis "+t.old+" to follow", func(ctx context.Context) error {
		_, err := l.Redis.Do(ctx, t.old, "REPLICAOF", host, port)
		return err
	})
}

func (l *Lab) say(text string) { l.opt.Events(Event{At: time.Now(), Who: ByLab, Text: text}) }

// logs is the ends of what the coordinators have said, as an error to join.
func (l *Lab) logs() error {
	var errs []error
	for _, n := range l.Nodes.all {
		errs = append(errs, fmt.Errorf("log of %s ends:\n%s", n.id, n.Log()))
	}
	return errors.Join(errs...)
}

// told is the failover as it goes into the report; f is its last state, nil when
// it was never accepted.
func (t *tale) told(f *pointsmanv1.Failover) Failover {
	out := Failover{
		ID: t.id, From: t.old, To: t.promotion.Address, SentinelEpoch: t.promotion.Epoch, Actions: actions(f),
		PhasesMS: Phases{
			Killed: since(t.killed, t.killed), Promoted: since(t.killed, t.promotion.At), Accepted: since(t.killed, t.seen.Accepted),
			FirstRequest: since(t.killed, t.request), Applied: since(t.killed, t.applied), Settled: since(t.killed, t.seen.Settled),
		},
	}
	if f != nil {
		out.From, out.To, out.SentinelEpoch = f.From, f.To, f.SentinelEpoch
	}
	return out
}
