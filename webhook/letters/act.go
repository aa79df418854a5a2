package letters

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/again"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// Done is what came of a command over letters.
type Done struct {
	Letters  int // retried or dropped
	Redacted int // left: their bodies were taken out on request
	Damaged  int // left: they cannot be read
	Stream   string
}

// A batch of letters is put in as one, before any of them is deleted.
const (
	batchLetters = 64
	batchBytes   = again.MaxBytes
)

// Retry puts letters into the buffer again, a batch after the other as given and
// within one by arrival, and deletes each when it is there. Its error leaves letters that can be retried again: what was
// put in already is worked once all the same. told is called after each letter.
func (b Box) Retry(ctx context.Context, refs []Ref, f Filter, told func(Done)) (done Done, err error) {
	s := again.New(b.Store, "retry")
	r := retrying{box: b, stream: s, done: &done, told: told}
	err = b.Each(ctx, refs, f, func(l Letter) (bool, error) { return true, r.add(ctx, l) })
	if err == nil {
		err = r.flush(ctx)
	}
	err = errors.Join(err, s.Close(ctx))
	done.Stream = s.Name()
	return done, err
}

type retrying struct {
	box    Box
	stream *again.Stream
	batch  []Letter
	bytes  int
	done   *Done
	told   func(Done)
}

func (r *retrying) add(ctx context.Context, l Letter) error {
	if l.Damaged != nil {
		r.done.Damaged++
	} else if l.Event.Redacted {
		r.done.Redacted++
	} else {
		return r.take(ctx, l)
	}
	return nil
}

func (r *retrying) take(ctx context.Context, l Letter) error {
	size := len(l.Event.Body)
	if len(r.batch) == batchLetters || len(r.batch) > 0 && r.bytes+size > batchBytes {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	r.batch, r.bytes = append(r.batch, l), r.bytes+size
	return nil
}

// flush puts a batch in, its shops' events by arrival, and deletes its letters.
func (r *retrying) flush(ctx context.Context) error {
	slices.SortStableFunc(r.batch, func(a, b Letter) int { return a.Event.Arrived.Compare(b.Event.Arrived) })
	for _, l := range r.batch {
		e := l.Event.Retried()
		if r.box.Kind == Quarantine {
			e = l.Event.Released()
		}
		if err := r.stream.Add(ctx, e); err != nil {
			return err
		}
	}
	if err := r.stream.Flush(ctx); err != nil {
		return err
	}
	for _, l := range r.batch {
		if err := r.box.delete(ctx, l.Ref); err != nil {
			return err
		}
		r.done.Letters++
		r.told(*r.done)
	}
	r.batch, r.bytes = nil, 0
	return nil
}

// Drop deletes letters for good, after a record of who does it and why is
// durable. A damaged letter can be dropped too. told is called after each.
func (b Box) Drop(ctx context.Context, refs []Ref, f Filter, by, reason string, told func(Done)) (done Done, err error) {
	err = b.Each(ctx, refs, f, func(l Letter) (bool, error) {
		if err := b.record(ctx, l, by, reason); err != nil {
			return false, fmt.Errorf("record that letter %s is dropped: %w", l.ID, err)
		}
		if err := b.delete(ctx, l.Ref); err != nil {
			return false, err
		}
		done.Letters++
		told(done)
		return true, nil
	})
	return done, err
}

// record writes who drops a letter. One that is there already is an earlier
// try's, or tells of the same event.
func (b Box) record(ctx context.Context, l Letter, by, reason string) error {
	d := &webhookv1.Dropped{
		Size: l.Size, LetterReason: l.Reason, Quarantine: b.Kind == Quarantine, By: by, Reason: reason, AtNs: time.Now().UnixNano(),
	}
	if l.Damaged != nil {
		d.LetterReason = l.Damaged.Error()
	} else {
		d.Event = webhook.Envelope(l.Event)
	}
	body, err := (proto.MarshalOptions{Deterministic: true}).Marshal(d)
	if err != nil {
		return err
	}
	slot := path.Base(path.Dir(l.Key))
	_, err = b.Store.Put(ctx, webhook.PrefixDropped+slot+"/"+l.ID, body, buffer.Condition{Absent: true})
	if errors.Is(err, buffer.ErrCondition) {
		return nil
	}
	return err
}

// delete removes a letter, the objects of older tokens first: should it end in
// between, the letter still stands.
func (b Box) delete(ctx context.Context, r Ref) error {
	for _, key := range append(slices.Clone(r.Older), r.Key) {
		if err := b.Store.Delete(ctx, key, buffer.Condition{}); err != nil {
			return fmt.Errorf("delete letter %s: %w", r.ID, err)
		}
	}
	return nil
}
