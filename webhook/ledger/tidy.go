package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// Files below smallFile events are joined when there are mergeFiles of them. A
// joined file counts as new: its events are remembered for up to a few days
// longer than Keep.
const (
	smallFile  = 64 << 10
	mergeFiles = 8
	tidyPages  = 64 // of 1000 keys: what one Tidy looks at
)

// Tidy forgets events that are older than Keep, and removes objects of this
// partition that no head names any more. It is to be called
// once in a while, an hour or so. Its errors are Commit's. dropped is how many
// events were forgotten before their time, since they were more than MaxEvents.
func (l *Ledger) Tidy(ctx context.Context) (dropped int, err error) {
	l.committing.Lock()
	defer l.committing.Unlock()
	c, err := l.cut()
	if err != nil {
		return 0, err
	}
	if err := l.write(ctx, c); err != nil { // the newest object tells the store's time
		return 0, err
	}
	objects, err := l.objects(ctx)
	if err != nil {
		return 0, err
	}
	c = cut{recent: maps.Clone(c.recent), files: aged(c.files, objects), stream: c.stream}
	before := len(c.files)
	c.files, dropped = l.kept(c.files, l.clock(objects))
	if len(c.files) != before {
		if err := l.write(ctx, c); err != nil {
			return 0, err
		}
	}
	return dropped, l.sweep(ctx, objects, c.files)
}

// objects lists what the partition has.
func (l *Ledger) objects(ctx context.Context) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	after := ""
	for range tidyPages {
		page, more, err := l.cfg.Store.List(ctx, webhook.PartitionPrefix(l.cfg.Partition), after, 1000)
		if err != nil {
			return nil, err
		}
		for _, i := range page {
			out[i.Key], after = i.Modified, i.Key
		}
		if !more || len(page) == 0 {
			break
		}
	}
	return out, nil
}

// clock is the store's time: that of the head, which was just written. It is
// zero, which makes nothing old, while another object is newer than that: then the
// store's clock went wrong once, and nobody knows when.
func (l *Ledger) clock(objects map[string]time.Time) time.Time {
	key := l.revision.key
	if key == "" {
		key = headKey(l.cfg)
	}
	now := objects[key]
	for _, t := range objects {
		if t.Sub(now) > time.Hour {
			return time.Time{}
		}
	}
	return now
}

func aged(files []file, objects map[string]time.Time) []file {
	files = slices.Clone(files)
	for i, f := range files {
		if t, ok := objects[f.key]; ok {
			files[i].modified = t
		}
	}
	return files
}

// kept leaves out the files that are old, and the oldest when there are too many
// events.
func (l *Ledger) kept(files []file, now time.Time) (kept []file, dropped int) {
	total := 0
	for _, f := range files {
		if f.modified.IsZero() || now.Sub(f.modified) < l.cfg.Keep {
			kept = append(kept, f)
			total += f.entries.len()
		}
	}
	for len(kept) > 0 && total > MaxEvents {
		total -= kept[0].entries.len()
		dropped += kept[0].entries.len()
		kept = kept[1:]
	}
	return kept, dropped
}

// filed puts events into a file, together with the small files when there are
// many of them.
func (l *Ledger) filed(ctx context.Context, files []file, events entries) ([]file, error) {
	parts := []entries{events}
	var rest []file
	for _, f := range files {
		if f.entries.len() < smallFile {
			parts = append(parts, f.entries)
		} else {
			rest = append(rest, f)
		}
	}
	if len(parts) <= mergeFiles {
		parts, rest = parts[:1], slices.Clone(files)
	}
	f, err := l.writeFile(ctx, merged(parts...), nextNumber(files))
	return append(rest, f), err
}

// sweep removes what no head names: objects of older tokens, and of ours that
// were written for a try that came to nothing. What a newer token wrote is left.
func (l *Ledger) sweep(ctx context.Context, objects map[string]time.Time, files []file) error {
	used := map[string]bool{headKey(l.cfg): true, l.revision.key: true}
	for _, f := range files {
		used[f.key] = true
	}
	var errs []error
	for key := range objects {
		if token, ok := tokenOf(l.cfg, key); ok && token <= l.cfg.Token && !used[key] {
			errs = append(errs, l.cfg.Store.Delete(ctx, key, buffer.Condition{}))
		}
	}
	return errors.Join(errs...)
}

// tokenOf is the token under which an object of the partition was written.
func tokenOf(cfg Config, key string) (uint64, bool) {
	name := strings.TrimPrefix(key, webhook.PartitionPrefix(cfg.Partition))
	kind, rest, ok := strings.Cut(name, "-")
	token, _, ok2 := strings.Cut(rest, "-")
	n, err := strconv.ParseUint(token, 16, 64)
	return n, ok && ok2 && err == nil && (kind+"-" == prefixHead || kind+"-" == prefixDone)
}

// Pin fixes the number of partitions of a buffer at the first call; from then on
// it refuses any other.
func Pin(ctx context.Context, store buffer.Store, partitions int) error {
	if partitions < 1 || partitions > webhook.Slots {
		return fmt.Errorf("%w: pool of %d partitions, must be 1 to %d for webhooks", ErrLayout, partitions, webhook.Slots)
	}
	want := fmt.Sprintf("partitions %d\n", partitions)
	o, err := store.Get(ctx, webhook.KeyLayout)
	if errors.Is(err, buffer.ErrNotFound) {
		if _, err = store.Put(ctx, webhook.KeyLayout, []byte(want), buffer.Condition{Absent: true}); err == nil || errors.Is(err, buffer.ErrCondition) {
			o, err = store.Get(ctx, webhook.KeyLayout)
		}
	}
	if err != nil {
		return fmt.Errorf("layout of the buffer: %w", err)
	}
	if string(o.Body) != want {
		return fmt.Errorf("%w: the pool has %d partitions, but the buffer was begun with %.40q: set the pool's number back, or use an empty buffer",
			ErrLayout, partitions, strings.TrimSpace(string(o.Body)))
	}
	return nil
}
