package buffertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer"
)

var _ buffer.Store = (*Memory)(nil)

// Memory is a store in the memory of this process. The zero value is empty and
// ready. As in a bucket, a tag is made of the content: the same content twice
// has one tag.
type Memory struct {
	mu      sync.Mutex
	objects map[string]buffer.Object
	keys    []string // of objects, sorted
}

// Put implements buffer.Store.
func (m *Memory) Put(ctx context.Context, key string, body []byte, c buffer.Condition) (buffer.Tag, error) {
	if err := usable(ctx, key); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(key, c); err != nil {
		return "", err
	}
	if m.objects == nil {
		m.objects = map[string]buffer.Object{}
	}
	if _, ok := m.objects[key]; !ok {
		at, _ := slices.BinarySearch(m.keys, key)
		m.keys = slices.Insert(m.keys, at, key)
	}
	o := buffer.Object{Body: slices.Clone(body), Tag: tagOf(body), Modified: time.Now()}
	m.objects[key] = o
	return o.Tag, nil
}

// Get implements buffer.Store.
func (m *Memory) Get(ctx context.Context, key string) (buffer.Object, error) {
	if err := usable(ctx, key); err != nil {
		return buffer.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return buffer.Object{}, fmt.Errorf("object %s: %w", key, buffer.ErrNotFound)
	}
	o.Body = slices.Clone(o.Body)
	return o, nil
}

// List implements buffer.Store.
func (m *Memory) List(ctx context.Context, prefix, after string, limit int) ([]buffer.Info, bool, error) {
	if limit < 1 || limit > 1000 {
		return nil, false, fmt.Errorf("limit of a list is %d, must be 1 to 1000: %w", limit, buffer.ErrRefused)
	}
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at, _ := slices.BinarySearch(m.keys, max(prefix, after))
	var page []buffer.Info
	for _, key := range m.keys[at:] {
		if !strings.HasPrefix(key, prefix) && key > prefix {
			break
		}
		if key <= after || !strings.HasPrefix(key, prefix) {
			continue
		}
		if len(page) == limit {
			return page, true, nil
		}
		o := m.objects[key]
		page = append(page, buffer.Info{Key: key, Size: int64(len(o.Body)), Modified: o.Modified})
	}
	return page, false, nil
}

// Delete implements buffer.Store.
func (m *Memory) Delete(ctx context.Context, key string, c buffer.Condition) error {
	if err := usable(ctx, key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(key, c); err != nil {
		return err
	}
	if _, ok := m.objects[key]; ok {
		delete(m.objects, key)
		at, _ := slices.BinarySearch(m.keys, key)
		m.keys = slices.Delete(m.keys, at, at+1)
	}
	return nil
}

// Keys are all keys that begin with prefix, in order.
func (m *Memory) Keys(prefix string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for _, k := range m.keys {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	return keys
}

// check compares with a condition, with m.mu held.
func (m *Memory) check(key string, c buffer.Condition) error {
	o, ok := m.objects[key]
	switch {
	case c.Absent && ok:
		return fmt.Errorf("object %s exists: %w", key, buffer.ErrCondition)
	case c.Tag != "" && !ok:
		return fmt.Errorf("object %s does not exist: %w", key, buffer.ErrCondition)
	case c.Tag != "" && o.Tag != c.Tag:
		return fmt.Errorf("object %s is another one: %w", key, buffer.ErrCondition)
	}
	return nil
}

func usable(ctx context.Context, key string) error {
	if err := buffer.ValidKey(key); err != nil {
		return err
	}
	return ctx.Err()
}

func tagOf(body []byte) buffer.Tag {
	sum := sha256.Sum256(body)
	return buffer.Tag(hex.EncodeToString(sum[:16]))
}
