package buffer_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/pointsman/pointsman/webhook/buffer"
)

func TestDirListsInOrder(t *testing.T) {
	d, err := buffer.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{"a0", "a-b/c", "a/b", "a.b", "in/s/0000000000000fff-aa", "in/s/0000000000001000-aa", "in/t/0000000000000000-bb", "part/0001/head", "part/0001/head-01",
		"rx/pointsman-recv-1-018bcfe56800-0000000000000001", "rx/pointsman-recv-2-018bcfe56800-0000000000000002",
		"rx/pointsman-recv-10-018bcfe56800-0000000000000003", "rx/pointsman-recv-018bcfe56800-0000000000000004", "rx/pointsman-recva", "rx/s"}
	slices.Sort(keys)
	for _, k := range keys {
		if _, err := d.Put(t.Context(), k, []byte(k), buffer.Condition{Absent: true}); err != nil {
			t.Fatalf("Put(%s): %v", k, err)
		}
	}
	for limit := 1; limit <= len(keys)+1; limit++ {
		var got []string
		for after, more := "", true; more; {
			var page []buffer.Info
			page, more, err = d.List(t.Context(), "", after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range page {
				got = append(got, i.Key)
				after = i.Key
			}
		}
		if !slices.Equal(got, keys) {
			t.Fatalf("pages of %d: %q, want %q", limit, got, keys)
		}
	}
	page, _, err := d.List(t.Context(), "in/s/", "in/s/0000000000001000", 10)
	if err != nil || len(page) != 1 || page[0].Key != "in/s/0000000000001000-aa" {
		t.Errorf("from a number on: %v %v", page, err)
	}
}

func TestDirRefusesKeys(t *testing.T) {
	d, err := buffer.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"", "/", "a//b", "../a", "a/../b", ".a", "a b", "a\x00", "a~", "ä"} {
		if _, err := d.Put(t.Context(), k, nil, buffer.Condition{}); !errors.Is(err, buffer.ErrRefused) {
			t.Errorf("Put(%q): %v", k, err)
		}
	}
}

func TestDirOneOfManyWins(t *testing.T) {
	root := t.TempDir()
	for round := range 20 {
		key := fmt.Sprintf("part/%04d/head", round)
		won := make(chan int, 2*16)
		var all sync.WaitGroup
		for i := range 16 {
			d, err := buffer.OpenDir(root) // as another process would
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				first, err := d.Put(t.Context(), key, []byte("first"), buffer.Condition{Absent: true})
				if err == nil {
					won <- 0
				} else if o, e := d.Get(t.Context(), key); e == nil {
					first = o.Tag
				}
				if _, err := d.Put(t.Context(), key, fmt.Appendf(nil, "then %d", i), buffer.Condition{Tag: first}); err == nil {
					won <- 1
				}
			})
		}
		all.Wait()
		close(won)
		var count [2]int
		for w := range won {
			count[w]++
		}
		if count[0] != 1 || count[1] < 1 {
			t.Fatalf("round %d: %d created it", round, count[0])
		}
	}
}
