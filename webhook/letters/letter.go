package letters

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// ErrDamaged is returned for a letter that is not what was written.
var ErrDamaged = errors.New("letter is damaged")

// Letter is an event that was set aside.
type Letter struct {
	Ref
	Event    webhook.Event // a dropped one's has no body
	Size     uint64        // of the body, in bytes
	Reason   string        // why it stands here
	Token    uint64        // under which it was put here; 0 by a receiver
	Attempts []*webhookv1.Attempt
	At       time.Time // when it was put here, by that machine's clock
	Drop     *webhookv1.Dropped
	Damaged  error // ErrDamaged: nothing but Ref can be told
}

// Filter chooses letters; what is empty does not matter.
type Filter struct {
	App, Shop, Topic string
	Reason           string // part of the reason, whatever its case
}

// Takes reports whether a letter is chosen. A damaged one is only by a filter
// that asks for nothing.
func (f Filter) Takes(l Letter) bool {
	if l.Damaged != nil {
		return f == Filter{}
	}
	same := func(want, have string) bool { return want == "" || want == have }
	return same(f.App, l.Event.App) && same(f.Shop, l.Event.Shop) && same(f.Topic, l.Event.Topic) &&
		strings.Contains(strings.ToLower(l.Reason), strings.ToLower(f.Reason))
}

// prefix begins the keys of all letters that can be chosen.
func (f Filter) prefix(k Kind) string {
	if f.App == "" || f.Shop == "" {
		return k.prefix()
	}
	return fmt.Sprintf("%s%03d/", k.prefix(), webhook.SlotOf(f.App, f.Shop))
}

// Read reads a letter with its body. buffer.ErrNotFound when it is gone; one that
// is damaged is answered as such.
func (b Box) Read(ctx context.Context, r Ref) (Letter, error) {
	o, err := b.Store.Get(ctx, r.Key)
	if err != nil {
		return Letter{Ref: r}, fmt.Errorf("read letter %s: %w", r.ID, err)
	}
	l, wrong := decode(r, o.Body)
	if wrong != nil {
		l = Letter{Ref: r, Damaged: fmt.Errorf("%w: %w", ErrDamaged, wrong)}
	}
	return l, nil
}

func decode(r Ref, b []byte) (Letter, error) {
	l := Letter{Ref: r}
	var err error
	if r.Kind == Dropped {
		l.Drop = &webhookv1.Dropped{}
		if err = proto.Unmarshal(b, l.Drop); err != nil {
			return l, err
		}
		l.Size, l.Reason, l.At = l.Drop.GetSize(), l.Drop.GetLetterReason(), time.Unix(0, l.Drop.GetAtNs())
		if l.Drop.GetEvent() != nil { // a damaged letter had none
			l.Event, err = webhook.FromEnvelope(l.Drop.GetEvent())
		}
		return l, err
	}
	var p webhookv1.Letter
	if err = proto.Unmarshal(b, &p); err != nil {
		return l, err
	}
	if l.Event, err = webhook.FromEnvelope(p.GetEvent()); err != nil {
		return l, err
	}
	l.Event.Body, l.Size = p.GetBody(), uint64(len(p.GetBody()))
	l.Reason, l.Token, l.Attempts, l.At = p.GetReason(), p.GetToken(), p.GetAttempts(), time.Unix(0, p.GetAtNs())
	if sum := sha256.Sum256(l.Event.Body); !l.Event.Redacted && !bytes.Equal(sum[:], l.Event.Sum[:]) {
		return l, errors.New("its body is not the one that arrived")
	}
	return l, nil
}

// readsAtOnce bounds the letters in memory with their bodies, of at most
// webhook.MaxBody each.
const readsAtOnce = 8

// Each reads letters and hands those that are chosen to do, in order, until it
// answers false or an error. What has gone meanwhile is left out.
func (b Box) Each(ctx context.Context, refs []Ref, f Filter, do func(Letter) (more bool, err error)) error {
	for some := range slices.Chunk(refs, readsAtOnce) {
		read, errs := make([]Letter, len(some)), make([]error, len(some))
		var all sync.WaitGroup
		for i, r := range some {
			all.Go(func() { read[i], errs[i] = b.Read(ctx, r) })
		}
		all.Wait()
		for i, l := range read {
			switch {
			case errors.Is(errs[i], buffer.ErrNotFound):
				continue
			case errs[i] != nil:
				return errs[i]
			case !f.Takes(l):
				continue
			}
			if more, err := do(l); err != nil || !more {
				return err
			}
		}
	}
	return nil
}
