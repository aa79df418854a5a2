package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
)

// cut is what one commit makes durable.
type cut struct {
	taken  map[key]value // of what was staged
	recent map[key]value // the head's own, taken included
	files  []file
	stream []*webhookv1.Position
	moved  bool
}

// Commit makes durable what was staged before it was called. ErrFenced when the
// partition is another's; any other error says that nobody knows yet: call it again, with no harm done when
// the first write had landed after all.
func (l *Ledger) Commit(ctx context.Context) error {
	l.committing.Lock()
	defer l.committing.Unlock()
	c, err := l.cut()
	if err != nil || len(c.taken) == 0 && !c.moved {
		return err
	}
	if len(c.recent) > MaxRecent {
		if c.files, err = l.filed(ctx, c.files, pack(c.recent)); err != nil {
			l.putBack(c)
			return err
		}
		c.recent = map[key]value{}
	}
	return l.write(ctx, c)
}

// write swaps a head in and takes it over into memory.
func (l *Ledger) write(ctx context.Context, c cut) error {
	head := l.head(c)
	if err := l.swap(ctx, head); err != nil {
		l.putBack(c)
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files, l.recent = c.files, c.recent
	for k := range c.taken {
		delete(l.staged, k)
	}
	return nil
}

// cut takes what is staged. It stays staged until it is durable.
func (l *Ledger) cut() (cut, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fenced != nil {
		return cut{}, l.fenced
	}
	c := cut{taken: maps.Clone(l.staged), recent: maps.Clone(l.recent), files: l.files, stream: bounded(l.streams), moved: l.moved}
	maps.Copy(c.recent, c.taken)
	l.moved = false
	return c, nil
}

// putBack undoes what a cut has taken.
func (l *Ledger) putBack(c cut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved = l.moved || c.moved
}

// head renders a cut.
func (l *Ledger) head(c cut) *webhookv1.Head {
	h := &webhookv1.Head{Token: l.cfg.Token, Worker: l.cfg.Worker, Recent: pack(c.recent), Streams: c.stream}
	for _, f := range c.files {
		h.Files = append(h.Files, f.proto())
	}
	return h
}

// swap replaces the head under our token. Whatever head has our token is an
// earlier try of ours, and held no more than this one does.
func (l *Ledger) swap(ctx context.Context, h *webhookv1.Head) error {
	for range swapTries {
		h.Version = l.version + 1
		revision, err := l.cfg.Commits.swap(ctx, l.cfg, l.revision, h)
		if err == nil {
			l.revision, l.version, l.opened = revision, h.GetVersion(), true
			return nil
		}
		if errors.Is(err, ErrMoved) {
			err = l.reload(ctx)
		}
		if err != nil {
			return l.noted(err)
		}
	}
	return fmt.Errorf("partition %d: its head changed %d times under our own token", l.cfg.Partition, swapTries)
}

// swapTries bounds how many earlier writes of our own may land late.
const swapTries = 8

// reload finds out who has changed the head.
func (l *Ledger) reload(ctx context.Context) error {
	head, revision, err := l.cfg.Commits.load(ctx, l.cfg)
	switch {
	case err != nil:
		return err
	case head.GetToken() > l.cfg.Token:
		return fenced(l.cfg, head.GetToken())
	case head.GetToken() < l.cfg.Token && !l.opened:
		return ErrMoved // the former holder has committed while it was taken over
	case head.GetToken() < l.cfg.Token || head.GetVersion() < l.version:
		return fmt.Errorf("partition %d: head is of token %d and version %d, was of %d and %d: %w", l.cfg.Partition,
			head.GetToken(), head.GetVersion(), l.cfg.Token, l.version, ErrHead)
	}
	l.revision, l.version = revision, head.GetVersion()
	return nil
}

func fenced(cfg Config, by uint64) error {
	return fmt.Errorf("partition %d: token %d has it, ours is %d: %w", cfg.Partition, by, cfg.Token, ErrFenced)
}

// noted remembers that the ledger is fenced.
func (l *Ledger) noted(err error) error {
	if errors.Is(err, ErrFenced) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.fenced = err
	}
	return err
}

func nextNumber(files []file) uint64 {
	if len(files) == 0 {
		return 1
	}
	return files[len(files)-1].number + 1
}

// bounded renders positions as a head holds them. Of more than MaxStreams those
// of the newest streams are kept: who takes the partition over reads the others
// from their beginning, and finds what is finished in the ledger. A stream that
// lacks more than MaxMissing segments is read again from there on.
func bounded(streams map[string]Position) []*webhookv1.Position {
	out := sortedStreams(streams)
	if more := len(out) - MaxStreams; more > 0 {
		slices.SortStableFunc(out, func(a, b *webhookv1.Position) int { return strings.Compare(begun(a.GetStream()), begun(b.GetStream())) })
		out = out[more:]
	}
	for _, p := range out {
		if len(p.GetMissing()) > MaxMissing {
			p.Next, p.Missing = p.GetMissing()[MaxMissing], p.GetMissing()[:MaxMissing]
		}
	}
	return out
}

// begun is the part of a stream's name that tells when it began.
func begun(stream string) string {
	const tail = len("-0123456789ab-0123456789abcdef")
	return stream[max(0, len(stream)-tail):]
}

// sortedStreams renders positions in order of their names.
func sortedStreams(streams map[string]Position) []*webhookv1.Position {
	out := make([]*webhookv1.Position, 0, len(streams))
	for _, p := range streams {
		out = append(out, &webhookv1.Position{Stream: p.Stream, Next: p.Next, Missing: p.Missing})
	}
	slices.SortFunc(out, func(a, b *webhookv1.Position) int { return strings.Compare(a.GetStream(), b.GetStream()) })
	return out
}
