package work

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pointsman/pointsman/webhook/ledger"
	"github.com/pointsman/pointsman/webhook/tend"
)

// ended takes in what came of one go at a shop's first task.
func (p *partition) ended(r result) error {
	now, sh := time.Now(), r.shop
	p.running--
	sh.under = false
	t := sh.queue[0]
	switch r.fate {
	case fateDone:
		p.finish(sh, now, ledger.Done, "done")
	case fateRedacted:
		p.finish(sh, now, ledger.Done, "redacted")
	case fateBuried:
		p.w.cfg.Log.Error("event is a dead letter", "partition", p.lease.Partition, "shop", t.event.Shop, "event", t.event.ID, "attempts", t.attempts, "reason", t.told)
		p.finish(sh, now, ledger.Dead, "dead")
	case fateShelved:
		p.w.cfg.Log.Error("delivery has the id of a finished event and another body, it stands in quarantine", "partition", p.lease.Partition, "shop", t.event.Shop, "event", t.event.ID)
		p.w.m.skipped.WithLabelValues("quarantine").Inc()
		p.drop(sh, now)
	case fateFailed:
		return p.failed(r, t, now)
	case fateStore:
		p.w.m.failed("read")
		p.w.cfg.Log.Warn("event cannot be read or put aside", "partition", p.lease.Partition, "event", t.event.ID, "error", r.err)
		if lasting(r.err) {
			sh.failures++
			if t.lost.IsZero() {
				t.lost = now
			}
		}
		p.later(sh, now, p.backoff(sh))
	case fateLost:
		return r.err
	}
	return nil
}

// finish notes that a shop's first task has ended.
func (p *partition) finish(sh *shop, now time.Time, o ledger.Outcome, outcome string) {
	t := sh.queue[0]
	if o == ledger.Done {
		sh.failures, sh.paused = 0, time.Time{}
	}
	p.ledger.Finish(t.event.Event, o)
	if tend.Asks(t.event.Event) {
		p.tending.soon(now)
	}
	p.w.m.finished(outcome, t.event.Arrived)
	p.commit.note(now)
	p.drop(sh, now)
}

// failed decides what follows from a handler's error.
func (p *partition) failed(r result, t *task, now time.Time) error {
	sh := r.shop
	switch r.answer.kind {
	case kindFenced:
		return p.lost(fmt.Errorf("the handler's sink refuses it: %w", quiet{r.err}))
	case kindPause:
		p.pause(r, t, now)
		return nil
	case kindPermanent:
		p.bury(sh, t, now, "permanent", r.err)
		return nil
	case kindAgain, kindUnavailable:
	}
	sh.failures++
	sh.paused = time.Time{}
	if r.answer.kind == kindAgain && !r.probe { // while the handler fails everybody, it is not this event's fault
		t.attempts++
	}
	switch age := now.Sub(t.first); {
	case t.attempts >= p.w.cfg.Attempts:
		p.bury(sh, t, now, fmt.Sprintf("%d attempts failed, the last", t.attempts), r.err)
	case age >= p.w.cfg.RetryFor:
		p.bury(sh, t, now, fmt.Sprintf("failed for %s, the last", age.Round(time.Second)), r.err)
	default:
		p.w.m.retries.Inc()
		p.later(sh, now, max(r.answer.after, p.backoff(sh)))
	}
	return nil
}

// pause leaves a shop alone that is closed. One that stays closed for RetryFor
// loses the events that are as old to the dead letters.
func (p *partition) pause(r result, t *task, now time.Time) {
	sh := r.shop
	if sh.paused.IsZero() {
		sh.paused = now
	}
	since := sh.paused
	if t.event.Arrived.After(since) {
		since = t.event.Arrived
	}
	if closed := max(now.Sub(since), now.Sub(t.first)); closed >= p.w.cfg.RetryFor {
		p.bury(sh, t, now, fmt.Sprintf("its shop is closed for %s, the last", closed.Round(time.Second)), r.err)
		return
	}
	wait := r.answer.after
	if wait == 0 {
		wait = p.w.cfg.Pause
	}
	p.w.cfg.Log.Warn("shop is paused", "partition", p.lease.Partition, "shop", t.event.Shop, "pause", wait, "error", quiet{r.err})
	p.later(sh, now, wait)
}

// bury has a shop's first task put among the dead letters next.
func (p *partition) bury(sh *shop, t *task, now time.Time, reason string, err error) {
	t.dead = fmt.Sprintf("%s: %v", reason, err)
	t.told = fmt.Sprintf("%s: %v", reason, quiet{err})
	p.later(sh, now, 0)
}

// later tries a shop again after a wait.
func (p *partition) later(sh *shop, now time.Time, wait time.Duration) {
	sh.until = now.Add(wait)
	p.shops.settle(sh, now)
}

// backoff is a random delay below a bound that doubles with each failure in a row
// of the shop, whichever of its events failed.
func (p *partition) backoff(sh *shop) time.Duration {
	most := p.w.cfg.MaxBackoff
	if n := max(sh.failures-1, 0); n < 32 {
		most = min(most, p.w.cfg.Backoff<<n)
	}
	if most <= 0 {
		return p.w.cfg.MaxBackoff
	}
	return rand.N(most) + time.Millisecond //nolint:gosec // spreads, guards nothing
}

// How commits are paced.
const (
	commitEvery = 100 * time.Millisecond
	commitAt    = 256 // finished events that do not wait for that
	commitPart  = 4   // times as long as a commit took none is begun, so that at most a fifth of the time goes to them
	commitMost  = 2 * time.Second
	movedEvery  = 30 * time.Second // where nothing was finished and streams have moved
	movedAt     = 4096             // segments
	commitTime  = 30 * time.Second
)

// commits is how a partition's commits stand.
type commits struct {
	under  bool
	first  time.Time // when the first uncommitted event was finished; zero: none
	after  time.Time // none before
	fails  int       // in a row
	moved  time.Time // when positions were committed last
	look   time.Time // when it is looked next whether they have moved
	tidy   time.Time // when the ledger is tidied next
	forgot bool      // a stream was forgotten since
}

func (c *commits) note(now time.Time) {
	if c.first.IsZero() {
		c.first = now
	}
}

// committing is what came of a commit.
type committing struct {
	began time.Time
	tidy  bool
	err   error
}

// save begins a commit when one is due.
func (p *partition) save(ctx context.Context, now time.Time) time.Duration {
	if p.commit.under {
		return time.Hour
	}
	due, tidy := p.due(now)
	if due > 0 {
		return due
	}
	for _, s := range p.streams {
		if s.dirty {
			p.ledger.Follow(s.position())
			s.dirty, s.since = false, s.cursor
		}
	}
	p.commit.under, p.commit.first, p.commit.moved, p.commit.forgot = true, time.Time{}, now, false
	p.goes.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, commitTime)
		defer cancel()
		err := p.lease.Check()
		if err == nil {
			err = p.ledger.Commit(ctx)
		}
		if err == nil && tidy {
			var dropped int
			if dropped, err = p.ledger.Tidy(ctx); dropped > 0 {
				p.w.cfg.Log.Warn("finished events are forgotten before their time", "partition", p.lease.Partition, "events", dropped)
			}
		}
		p.settled <- committing{now, tidy, err}
	})
	return time.Hour
}

// due is how long until the next commit, and whether it tidies the ledger.
func (p *partition) due(now time.Time) (time.Duration, bool) {
	wait, staged := time.Hour, p.ledger.Staged()
	switch {
	case p.draining && p.running > 0: // the last one comes when all have ended
	case p.draining && staged+int(p.moved()) > 0, staged >= commitAt:
		wait = 0
	case staged > 0:
		p.commit.note(now)
		wait = p.commit.first.Add(commitEvery).Sub(now)
	default:
		wait = p.idle(now)
	}
	tidy := !p.draining && p.commit.tidy.Sub(now) <= 0
	if tidy {
		wait = 0
	}
	return max(wait, p.commit.after.Sub(now)), tidy
}

// idle is how long until a commit of positions alone.
func (p *partition) idle(now time.Time) time.Duration {
	if left := p.commit.look.Sub(now); left > 0 { // not with each turn of the loop
		return left
	}
	p.commit.look = now.Add(standEvery)
	moved := p.moved()
	switch {
	case moved >= movedAt:
		return 0
	case moved > 0 || p.commit.forgot:
		return p.commit.moved.Add(movedEvery).Sub(now)
	}
	return standEvery
}

// moved is how far streams have gone on since the last commit; 0: they stand.
func (p *partition) moved() uint64 {
	var n uint64
	for _, s := range p.streams {
		if s.dirty {
			n += 1 + s.cursor - s.since
		}
	}
	return n
}

// committed takes in what came of a commit.
func (p *partition) committed(c committing) error {
	p.commit.under = false
	now := time.Now()
	took := now.Sub(c.began)
	p.commit.after = now.Add(min(commitPart*took, commitMost))
	result := "ok"
	switch {
	case c.err == nil:
		p.commit.fails = 0
		if c.tidy {
			p.commit.tidy = now.Add(jittered(tidyEvery))
		}
	case errors.Is(c.err, ledger.ErrFenced):
		p.w.m.commits.WithLabelValues("fenced").Observe(took.Seconds())
		return p.lost(c.err)
	case p.lease.Check() != nil:
		return p.lease.Check()
	default:
		result = "failed"
		p.commit.fails++
		p.commit.after = now.Add(jittered(min(commitEvery<<min(p.commit.fails, 8), maxFailWait)))
		p.commit.note(now)
		p.unsave()
		p.w.cfg.Log.Warn("commit failed, it is tried again", "partition", p.lease.Partition, "error", c.err)
	}
	p.w.m.commits.WithLabelValues(result).Observe(took.Seconds())
	return nil
}

// unsave has the next commit come also where only positions had moved.
func (p *partition) unsave() {
	for _, s := range p.streams {
		s.dirty = true
		return
	}
}
