package buffertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer"
)

// Put implements buffer.Store.
func (f *Faulty) Put(ctx context.Context, key string, body []byte, c buffer.Condition) (buffer.Tag, error) {
	fault := f.draw(Put, key)
	c, err := f.loosen(ctx, key, c, fault)
	if err != nil {
		return "", err
	}
	body = slices.Clone(body) // a late write keeps it
	var tag buffer.Tag
	err = f.do(ctx, Put, key, fault, func(ctx context.Context) error {
		t, err := f.Store.Put(ctx, key, body, c)
		if err == nil {
			f.wrote(key)
		}
		if fault != Late {
			tag = t
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return tag, nil
}

// Get implements buffer.Store.
func (f *Faulty) Get(ctx context.Context, key string) (buffer.Object, error) {
	var o buffer.Object
	err := f.do(ctx, Get, key, readFault(f.draw(Get, key)), func(ctx context.Context) (err error) {
		o, err = f.Store.Get(ctx, key)
		return err
	})
	return o, err
}

// List implements buffer.Store.
func (f *Faulty) List(ctx context.Context, prefix, after string, limit int) (page []buffer.Info, more bool, err error) {
	fault := readFault(f.draw(List, prefix))
	err = f.do(ctx, List, prefix, fault, func(ctx context.Context) (err error) {
		page, more, err = f.Store.List(ctx, prefix, after, limit)
		for fault == Stale && err == nil && len(page) > 0 {
			last := page[len(page)-1].Key
			page = slices.DeleteFunc(page, func(i buffer.Info) bool { return f.isNew(i.Key) })
			if len(page) > 0 || !more {
				return nil
			}
			page, more, err = f.Store.List(ctx, prefix, last, limit)
		}
		return err
	})
	return page, more, err
}

// Delete implements buffer.Store.
func (f *Faulty) Delete(ctx context.Context, key string, c buffer.Condition) error {
	fault := f.draw(Delete, key)
	c, err := f.loosen(ctx, key, c, fault)
	if err != nil {
		return err
	}
	return f.do(ctx, Delete, key, fault, func(ctx context.Context) error { return f.Store.Delete(ctx, key, c) })
}

// loosen is the condition that is left after Ignore and Racy.
func (f *Faulty) loosen(ctx context.Context, key string, c buffer.Condition, fault Fault) (buffer.Condition, error) {
	if fault == Ignore {
		return buffer.Condition{}, nil
	}
	if fault != Racy || c == (buffer.Condition{}) {
		return c, nil
	}
	o, err := f.Store.Get(ctx, key)
	there := err == nil
	switch {
	case err != nil && !errors.Is(err, buffer.ErrNotFound):
		return c, err
	case c.Absent && there, c.Tag != "" && (!there || o.Tag != c.Tag):
		return c, fmt.Errorf("object %s: %w", key, buffer.ErrCondition)
	}
	return buffer.Condition{}, pause(ctx, f.SlowBy)
}

// readFault is the fault of a call that has no effect to lose.
func readFault(fault Fault) Fault {
	switch fault {
	case Lost, Late:
		return Fail
	case LostHang:
		return Hang
	default:
		return fault
	}
}

func (f *Faulty) wrote(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written[key] = time.Now()
}

// isNew reports whether a stale list does not know a key yet.
func (f *Faulty) isNew(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.written[key]
	return ok && time.Since(at) < f.StaleFor
}
