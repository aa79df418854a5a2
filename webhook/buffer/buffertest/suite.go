package buffertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pointsman/pointsman/webhook/buffer"
)

// Run holds a store to the law of buffer.Store. open gives an empty one for each
// case.
func Run(t *testing.T, open func(t *testing.T) buffer.Store) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s buffer.Store)
	}{
		{"PutAndGet", putAndGet},
		{"Absent", absent},
		{"Empty", empty},
		{"Large", large},
		{"BodyIsCopied", bodyIsCopied},
		{"Create", create},
		{"Swap", swap},
		{"DeleteOnlyThis", deleteOnlyThis},
		{"OneOfManyCreates", oneOfManyCreates},
		{"OneOfManySwaps", oneOfManySwaps},
		{"SwapsAdd", swapsAdd},
		{"Pages", pages},
		{"Prefixes", prefixes},
		{"Order", order},
		{"WrittenIsSeen", writtenIsSeen},
		{"Refused", refused},
		{"Cancelled", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func putAndGet(t *testing.T, s buffer.Store) {
	first := mustPut(t, s, "part/0000/head", "first")
	if o := mustGet(t, s, "part/0000/head"); string(o.Body) != "first" || o.Tag != first || o.Modified.IsZero() {
		t.Errorf("read back %q with tag %q of %v, want tag %q", o.Body, o.Tag, o.Modified, first)
	}
	second := mustPut(t, s, "part/0000/head", "second")
	if o := mustGet(t, s, "part/0000/head"); string(o.Body) != "second" || o.Tag != second {
		t.Errorf("read back %q with tag %q, want tag %q", o.Body, o.Tag, second)
	}
	if first == second {
		t.Errorf("two contents have the tag %q", first)
	}
	mustPut(t, s, "part/0000/head-1", "besides")
	if err := s.Delete(t.Context(), "part/0000/head", buffer.Condition{}); err != nil {
		t.Errorf("Delete: %v", err)
	}
	gone(t, s, "part/0000/head")
	mustGet(t, s, "part/0000/head-1")
	mustPut(t, s, "part/0000/head", "again")
}

func absent(t *testing.T, s buffer.Store) {
	gone(t, s, "rx/nobody")
	if err := s.Delete(t.Context(), "rx/nobody", buffer.Condition{}); err != nil {
		t.Errorf("Delete of none: %v", err)
	}
	if page, more, err := s.List(t.Context(), "rx/", "", 10); len(page) != 0 || more || err != nil {
		t.Errorf("List of none: %v %v %v", page, more, err)
	}
}

func empty(t *testing.T, s buffer.Store) {
	tag := mustPut(t, s, "layout", "")
	if o := mustGet(t, s, "layout"); len(o.Body) != 0 || o.Tag != tag {
		t.Errorf("%q with tag %q, want tag %q", o.Body, o.Tag, tag)
	}
}

// large is more than a segment of the default bound.
func large(t *testing.T, s buffer.Store) {
	body := bytes.Repeat([]byte("0123456789abcdef\x00\xff"), 1<<20)
	tag, err := s.Put(t.Context(), "in/x/large", body, buffer.Condition{Absent: true})
	if err != nil {
		t.Fatal(err)
	}
	if o := mustGet(t, s, "in/x/large"); !bytes.Equal(o.Body, body) || o.Tag != tag {
		t.Errorf("%d bytes with tag %q, want %d with %q", len(o.Body), o.Tag, len(body), tag)
	}
	page, _, err := s.List(t.Context(), "in/", "", 1)
	if err != nil || len(page) != 1 || page[0].Size != int64(len(body)) {
		t.Errorf("List: %v %v", page, err)
	}
}

func bodyIsCopied(t *testing.T, s buffer.Store) {
	body := []byte("as it was put")
	if _, err := s.Put(t.Context(), "a", body, buffer.Condition{}); err != nil {
		t.Fatal(err)
	}
	body[0] = 'X'
	o := mustGet(t, s, "a")
	o.Body[1] = 'X'
	if again := mustGet(t, s, "a"); string(again.Body) != "as it was put" {
		t.Errorf("now %q", again.Body)
	}
}

func pages(t *testing.T, s buffer.Store) {
	const count = 103
	var want []string
	for i := range count {
		key := fmt.Sprintf("in/s/%016x-00", i*40) // over several shelves of a folder
		want = append(want, key)
		mustPut(t, s, key, key)
	}
	mustPut(t, s, "in/t/0000000000000000-00", "another stream")
	mustPut(t, s, "in.s", "no part of it")
	for _, limit := range []int{7, 1000, count, count - 1, 1} {
		if got := keysOf(t, s, "in/s/", "", limit); !slices.Equal(got, want) {
			t.Fatalf("pages of %d: %d keys, want %d: %v", limit, len(got), count, got)
		}
	}
	for _, at := range []int{0, 50, count - 1} {
		if got := keysOf(t, s, "in/s/", want[at], 7); !slices.Equal(got, want[at+1:]) {
			t.Errorf("after %s: %v", want[at], got)
		}
		before := strings.TrimSuffix(want[at], "-00") // sorts right before, and is no key
		if got := keysOf(t, s, "in/s/", before, 7); !slices.Equal(got, want[at:]) {
			t.Errorf("after %s: %v", before, got)
		}
	}
}

func prefixes(t *testing.T, s buffer.Store) {
	all := []string{"dead/001/a", "dead/001/b", "dead/0011", "dead/002/a", "layout"}
	for _, k := range all {
		mustPut(t, s, k, k)
	}
	for _, row := range []struct {
		prefix, after string
		want          []string
	}{
		{"", "", all},
		{"dead", "", all[:4]},
		{"dead/001", "", all[:3]},
		{"dead/001/", "", all[:2]},
		{"dead/001/a", "", all[:1]},
		{"dead/001/a", "dead/001/a", nil},
		{"dead/001/", "dead/001/a", all[1:2]},
		{"dead/001/", "dead/001/zzz", nil},
		{"dead/001/", "zzz", nil},
		{"dead/002/", "a", all[3:4]},          // before all of the prefix
		{"dead/002/", "dead/001/a", all[3:4]}, // of another prefix
		{"", "dead/001/b", all[2:]},
		{"", "layout", nil},
		{"nothing/", "", nil},
	} {
		for _, limit := range []int{1, 1000} {
			if got := keysOf(t, s, row.prefix, row.after, limit); !slices.Equal(got, row.want) {
				t.Errorf("prefix %q after %q by %d: %q, want %q", row.prefix, row.after, limit, got, row.want)
			}
		}
	}
}

// order is that of bytes, which is not that of folders.
func order(t *testing.T, s buffer.Store) {
	keys := []string{"a0", "a-b/c", "a/b", "a.b", "A", "a/B", "a/b-c/d", "a_b", "part/0001/head", "part/0001/head-01", "rx/s"}
	for _, k := range keys {
		mustPut(t, s, k, k)
	}
	slices.Sort(keys)
	for limit := 1; limit <= len(keys)+1; limit++ {
		if got := keysOf(t, s, "", "", limit); !slices.Equal(got, keys) {
			t.Fatalf("pages of %d: %q, want %q", limit, got, keys)
		}
	}
}

func refused(t *testing.T, s buffer.Store) {
	for _, key := range []string{"", strings.Repeat("k", buffer.MaxKey+1)} {
		_, err := s.Put(t.Context(), key, nil, buffer.Condition{})
		_, err2 := s.Get(t.Context(), key)
		for _, err := range []error{err, err2, s.Delete(t.Context(), key, buffer.Condition{})} {
			if !errors.Is(err, buffer.ErrRefused) {
				t.Errorf("key of %d bytes: %v", len(key), err)
			}
		}
	}
	longest := strings.Repeat("0123456/", buffer.MaxKey/8-1) + "01234567"
	mustPut(t, s, longest, "longest")
	mustGet(t, s, longest)
	for _, limit := range []int{-1, 0, 1001} {
		if _, _, err := s.List(t.Context(), "", "", limit); !errors.Is(err, buffer.ErrRefused) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func cancelled(t *testing.T, s buffer.Store) {
	mustPut(t, s, "a", "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, put := s.Put(ctx, "b", []byte("b"), buffer.Condition{})
	_, get := s.Get(ctx, "a")
	_, _, list := s.List(ctx, "", "", 10)
	for _, err := range []error{put, get, list, s.Delete(ctx, "a", buffer.Condition{})} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after the end of ctx: %v", err)
		}
	}
	if got := keysOf(t, s, "", "", 10); !slices.Equal(got, []string{"a"}) {
		t.Errorf("there is now %q", got)
	}
}

// ManyKeys lists count keys, which it puts, in pages of 1000 and of 999.
func ManyKeys(t *testing.T, s buffer.Store, count int) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range rivals {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(count); i = next.Add(1) - 1 {
				if _, err := s.Put(t.Context(), fmt.Sprintf("in/s/%016x-00", i), nil, buffer.Condition{Absent: true}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	for _, limit := range []int{1000, 999} {
		got := keysOf(t, s, "in/", "", limit)
		if len(got) != count {
			t.Fatalf("pages of %d: %d keys of %d", limit, len(got), count)
		}
		for i, key := range got {
			if key != fmt.Sprintf("in/s/%016x-00", i) {
				t.Fatalf("pages of %d: key %d is %s", limit, i, key)
			}
		}
	}
}

func mustPut(t *testing.T, s buffer.Store, key, body string) buffer.Tag {
	t.Helper()
	tag, err := s.Put(t.Context(), key, []byte(body), buffer.Condition{})
	if err != nil || tag == "" {
		t.Fatalf("Put(%s): %q, %v", key, tag, err)
	}
	return tag
}

func mustGet(t *testing.T, s buffer.Store, key string) buffer.Object {
	t.Helper()
	o, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get(%s): %v", key, err)
	}
	return o
}

func gone(t *testing.T, s buffer.Store, key string) {
	t.Helper()
	if o, err := s.Get(t.Context(), key); !errors.Is(err, buffer.ErrNotFound) {
		t.Errorf("Get(%s): %q, %v", key, o.Body, err)
	}
}

// keysOf lists page by page.
func keysOf(t *testing.T, s buffer.Store, prefix, after string, limit int) []string {
	t.Helper()
	var keys []string
	for {
		page, more, err := s.List(t.Context(), prefix, after, limit)
		if err != nil || len(page) > limit || more && len(page) == 0 {
			t.Fatalf("List(%q, %q, %d): %d keys, %v, %v", prefix, after, limit, len(page), more, err)
		}
		for _, i := range page {
			if i.Key <= after || i.Modified.IsZero() {
				t.Fatalf("List(%q, %q, %d): %+v", prefix, after, limit, i)
			}
			keys, after = append(keys, i.Key), i.Key
		}
		if !more {
			return keys
		}
	}
}
