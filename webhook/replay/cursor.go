package replay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

const (
	listPage  = 1000
	ahead     = 8        // segments of a stream that are read at once
	aheadSize = 16 << 20 // bytes of them; one may be larger by itself
)

// cursor goes over one stream's segments and holds those events of some of them
// that are chosen.
type cursor struct {
	run    *run
	stream string
	began  time.Time // by the receiver's clock

	after  string
	more   bool // the store has further segments
	page   []buffer.Info
	events []webhook.Event
}

func (r *run) cursor(stream string) *cursor {
	ms, err := strconv.ParseInt(stream[len(stream)-29:len(stream)-17], 16, 64)
	if err != nil {
		ms = 0 // a valid name has it
	}
	return &cursor{run: r, stream: stream, began: time.UnixMilli(ms), more: true}
}

// fill reads on until there is an event; false at the stream's end.
func (c *cursor) fill(ctx context.Context) (bool, error) {
	for len(c.events) == 0 {
		if len(c.page) == 0 && !c.more {
			return false, nil
		}
		if len(c.page) == 0 {
			if err := c.list(ctx); err != nil {
				return false, err
			}
		}
		if err := c.read(ctx); err != nil {
			return false, err
		}
	}
	return true, nil
}

// list takes the next page of segments that may hold what is looked for.
func (c *cursor) list(ctx context.Context) error {
	page, more, err := c.run.Store.List(ctx, webhook.SegmentPrefix(c.stream), c.after, listPage)
	if err != nil {
		return fmt.Errorf("list stream %s: %w", c.stream, err)
	}
	c.more = more && len(page) > 0
	for _, o := range page {
		c.after = o.Key
		if seg, err := webhook.ParseSegment(o.Key); err == nil && c.run.mayHold(seg, o) {
			c.page = append(c.page, o)
		}
	}
	return nil
}

// read reads the next few segments of the page.
func (c *cursor) read(ctx context.Context) error {
	if err := c.run.stream.Tick(ctx); err != nil {
		return err
	}
	n, size := 0, int64(0)
	for n < len(c.page) && n < ahead && (n == 0 || size+c.page[n].Size <= aheadSize) {
		size += c.page[n].Size
		n++
	}
	events, errs := make([][]webhook.Event, n), make([]error, n)
	var all sync.WaitGroup
	for i, o := range c.page[:n] {
		all.Go(func() { events[i], errs[i] = c.run.segment(ctx, o.Key) })
	}
	all.Wait()
	over := false
	for i, o := range c.page[:n] {
		switch {
		case errs[i] == nil:
			c.run.done.Segments++
			over = over || c.run.over(events[i])
			c.events = append(c.events, c.run.chosen(events[i])...)
		case errors.Is(errs[i], buffer.ErrNotFound): // its time was over
		case errors.Is(errs[i], webhook.ErrDamaged):
			c.run.damaged(o.Key)
		default:
			return fmt.Errorf("read segment %s: %w", o.Key, errs[i])
		}
	}
	if c.page = c.page[n:]; over {
		c.page, c.more = nil, false
	}
	return nil
}

func (r *run) segment(ctx context.Context, key string) ([]webhook.Event, error) {
	o, err := r.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return webhook.DecodeSegment(o.Body)
}
