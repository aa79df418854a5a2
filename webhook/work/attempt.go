package work

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/tend"
)

// fate is what came of one go at a task.
type fate uint8

const (
	fateDone     fate = iota // the handler has done it
	fateRedacted             // its body was taken out, there is nothing to do
	fateFailed               // the handler's answer says what follows
	fateBuried               // it stands among the dead letters
	fateShelved              // it stands in quarantine
	fateStore                // the store did not do its part: again
	fateLost                 // the lease may not be believed in any more
)

// result is told to the loop.
type result struct {
	shop   *shop
	fate   fate
	answer *answer // of fateFailed
	probe  bool    // it was to find out whether the handler answers at all
	err    error
}

// Bounds of what a dead letter tells.
const (
	maxHistory = 16
	maxReason  = 512
	putTime    = 30 * time.Second
)

// carryOut does what a shop's first task needs. It runs beside the loop, which
// touches neither the task meanwhile nor, by this goroutine, the shop.
func (p *partition) carryOut(ctx context.Context, sh *shop, t *task, probe bool) result {
	r := result{shop: sh, probe: probe}
	e, err := p.whole(ctx, t)
	switch {
	case lasting(err) && !t.lost.IsZero() && time.Since(t.lost) >= p.w.cfg.RetryFor:
		e = t.event.Event // all that is left
		e.Redacted = true
		t.told = "its segment is gone or damaged, the letter has no body"
		r.fate, r.err = p.put(ctx, fateBuried, webhook.DeadKey(e, p.lease.Token), t, e, fmt.Sprintf("its body is lost: %v", err))
	case err != nil:
		r.fate, r.err = fateStore, err
	case t.other:
		r.fate, r.err = p.put(ctx, fateShelved, webhook.QuarantineKey(e), t, e, "another body than the event that was finished under this id")
	case t.dead != "":
		r.fate, r.err = p.put(ctx, fateBuried, webhook.DeadKey(e, p.lease.Token), t, e, t.dead)
	case e.Redacted:
		r.fate = fateRedacted
	default:
		if err = p.redact(ctx, e); err == nil {
			return p.callFor(ctx, t, e, r)
		}
		r.fate, r.err = fateStore, err
	}
	if probe { // nobody was called
		p.w.breaker.end(time.Now(), true, sh.name, 0, false, true)
	}
	return r
}

// whole reads a task's event with all that belongs to it; its body is a copy of
// its own, so that no segment stays in memory for it.
func (p *partition) whole(ctx context.Context, t *task) (webhook.Event, error) {
	all, err := p.w.segments.read(ctx, t.key)
	if err != nil {
		return webhook.Event{}, err
	}
	if t.event.index >= len(all) || all[t.event.index].ID != t.event.ID {
		return webhook.Event{}, fmt.Errorf("segment %s is another one than before: %w", t.key, webhook.ErrDamaged)
	}
	e := all[t.event.index]
	e.Body = append(make([]byte, 0, len(e.Body)), e.Body...)
	return e, nil
}

// redact puts on record what a shop asks to be redacted, before the event that
// asks for it is finished. What cannot be carried out is the handler's alone.
func (p *partition) redact(ctx context.Context, e webhook.Event) error {
	if !tend.Asks(e) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, putTime)
	defer cancel()
	err := tend.Note(ctx, p.w.cfg.Store, e)
	if errors.Is(err, tend.ErrNotRedacted) {
		p.w.m.unredacted.Inc()
		p.w.cfg.Log.Error("bodies in the buffer are not redacted", "partition", p.lease.Partition, "shop", e.Shop, "error", err)
		return nil
	}
	return err
}

// callFor calls the handler.
func (p *partition) callFor(ctx context.Context, t *task, e webhook.Event, r result) result {
	now := time.Now()
	if err := p.lease.Check(); err != nil {
		p.w.breaker.end(now, r.probe, r.shop.name, 0, false, true)
		r.fate, r.err = fateLost, err
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, p.w.cfg.Timeout)
	defer cancel()
	t.calls++
	if t.first.IsZero() {
		t.first = now
	}
	deadline, _ := ctx.Deadline()
	err := call(ctx, p.w.cfg.Handler, Delivery{Event: e, Token: p.lease.Token, Partition: p.lease.Partition, Attempt: t.calls,
		Key: e.IdempotencyKey(), Deadline: deadline})
	took := time.Since(now)
	if err == nil {
		r.fate = fateDone
		p.w.m.called("done", took)
		p.w.breaker.end(time.Now(), r.probe, r.shop.name, 0, false, false)
		return r
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("no answer in %s: %w", p.w.cfg.Timeout, err)
	}
	r.fate, r.answer, r.err = fateFailed, judge(err), err
	t.note(now, took, err, p)
	p.w.m.called(r.answer.kind.String(), took)
	p.w.breaker.end(time.Now(), r.probe, r.shop.name, r.answer.kind, true, errors.Is(ctx.Err(), context.Canceled))
	return r
}

func (k kind) String() string {
	return [...]string{"failed", "permanent", "pause", "fenced", "unavailable"}[k]
}

// note keeps the last calls for a dead letter.
func (t *task) note(at time.Time, took time.Duration, err error, p *partition) {
	if len(t.history) == maxHistory {
		t.history = append(t.history[:0], t.history[1:]...)
	}
	t.history = append(t.history, &webhookv1.Attempt{AtNs: at.UnixNano(), TookNs: int64(took), Outcome: cutText(err.Error(), maxReason),
		Worker: p.w.cfg.Worker, Token: p.lease.Token})
}

// put writes a letter. One that stands there already is as good: no two tasks
// share a key.
func (p *partition) put(ctx context.Context, f fate, key string, t *task, e webhook.Event, reason string) (fate, error) {
	if err := p.lease.Check(); err != nil {
		return fateLost, err
	}
	letter := &webhookv1.Letter{Event: webhook.Envelope(e), Reason: cutText(reason, maxReason), Token: p.lease.Token, Attempts: t.history, Body: e.Body, AtNs: time.Now().UnixNano()}
	body, err := proto.Marshal(letter)
	if err != nil {
		return fateStore, err
	}
	ctx, cancel := context.WithTimeout(ctx, putTime)
	defer cancel()
	if _, err := p.w.cfg.Store.Put(ctx, key, body, buffer.Condition{Absent: true}); err != nil && !errors.Is(err, buffer.ErrCondition) {
		p.w.m.failed("put")
		return fateStore, err
	}
	return f, nil
}
