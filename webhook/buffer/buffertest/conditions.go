package buffertest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/pointsman/pointsman/webhook/buffer"
)

// rivals is how many come at once where one may win.
const rivals = 16

func create(t *testing.T, s buffer.Store) {
	if _, err := s.Put(t.Context(), "in/s/0", []byte("first"), buffer.Condition{Absent: true}); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"second", "first"} { // the same content too
		if _, err := s.Put(t.Context(), "in/s/0", []byte(body), buffer.Condition{Absent: true}); !errors.Is(err, buffer.ErrCondition) {
			t.Errorf("a second time: %v", err)
		}
	}
	if o := mustGet(t, s, "in/s/0"); string(o.Body) != "first" {
		t.Errorf("now %q", o.Body)
	}
	if err := s.Delete(t.Context(), "in/s/0", buffer.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "in/s/0", []byte("third"), buffer.Condition{Absent: true}); err != nil {
		t.Errorf("after it was deleted: %v", err)
	}
}

func swap(t *testing.T, s buffer.Store) {
	put := func(body string, tag buffer.Tag) (buffer.Tag, error) {
		return s.Put(t.Context(), "part/0000/head", []byte(body), buffer.Condition{Tag: tag})
	}
	old := mustPut(t, s, "elsewhere", "old")
	if _, err := put("new", old); !errors.Is(err, buffer.ErrCondition) {
		t.Errorf("where there is none: %v", err)
	}
	gone(t, s, "part/0000/head")
	first := mustPut(t, s, "part/0000/head", "first")
	second, err := put("second", first)
	if err != nil || second == first {
		t.Fatalf("with the tag that it has: %q, %v", second, err)
	}
	for _, stale := range []buffer.Tag{first, old} {
		if _, err := put("third", stale); !errors.Is(err, buffer.ErrCondition) {
			t.Errorf("with a stale tag: %v", err)
		}
	}
	if _, err := put("third", mustGet(t, s, "part/0000/head").Tag); err != nil {
		t.Errorf("with the tag that was read: %v", err)
	}
	if o := mustGet(t, s, "part/0000/head"); string(o.Body) != "third" {
		t.Errorf("now %q", o.Body)
	}
}

func deleteOnlyThis(t *testing.T, s buffer.Store) {
	first := mustPut(t, s, "redact/000/a", "first")
	second := mustPut(t, s, "redact/000/a", "second")
	if err := s.Delete(t.Context(), "redact/000/a", buffer.Condition{Tag: first}); !errors.Is(err, buffer.ErrCondition) {
		t.Errorf("with a stale tag: %v", err)
	}
	mustGet(t, s, "redact/000/a")
	if err := s.Delete(t.Context(), "redact/000/a", buffer.Condition{Tag: second}); err != nil {
		t.Errorf("with the tag that it has: %v", err)
	}
	gone(t, s, "redact/000/a")
	if err := s.Delete(t.Context(), "redact/000/a", buffer.Condition{Tag: second}); err != nil && !errors.Is(err, buffer.ErrCondition) {
		t.Errorf("where there is none: %v", err)
	}
}

// race lets rivals put at once, and answers whose put was taken.
func race(t *testing.T, s buffer.Store, key string, c buffer.Condition) (won []int) {
	t.Helper()
	errs := make([]error, rivals)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range rivals {
		all.Go(func() {
			<-start
			_, errs[i] = s.Put(t.Context(), key, fmt.Append(nil, i), c)
		})
	}
	close(start)
	all.Wait()
	for i, err := range errs {
		switch {
		case err == nil:
			won = append(won, i)
		case !errors.Is(err, buffer.ErrCondition):
			t.Errorf("rival %d: %v", i, err)
		}
	}
	return won
}

func oneOfManyCreates(t *testing.T, s buffer.Store) {
	for round := range 10 {
		key := fmt.Sprintf("in/s/%d", round)
		onlyWinner(t, s, key, race(t, s, key, buffer.Condition{Absent: true}))
	}
}

func oneOfManySwaps(t *testing.T, s buffer.Store) {
	tag := mustPut(t, s, "part/0000/head", "before")
	for range 10 {
		onlyWinner(t, s, "part/0000/head", race(t, s, "part/0000/head", buffer.Condition{Tag: tag}))
		tag = mustPut(t, s, "part/0000/head", "between")
	}
}

func onlyWinner(t *testing.T, s buffer.Store, key string, won []int) {
	t.Helper()
	if len(won) != 1 {
		t.Fatalf("%s: won by %v", key, won)
	}
	if o := mustGet(t, s, key); string(o.Body) != strconv.Itoa(won[0]) {
		t.Errorf("%s: %d won, and it holds %q", key, won[0], o.Body)
	}
}

// swapsAdd counts with compare-and-swap from many sides: no step may be lost.
func swapsAdd(t *testing.T, s buffer.Store) {
	const steps = 4
	mustPut(t, s, "part/0000/head", "0")
	var all sync.WaitGroup
	for range rivals / 2 {
		all.Go(func() {
			for done := 0; done < steps; {
				o, err := s.Get(t.Context(), "part/0000/head")
				n, err2 := strconv.Atoi(string(o.Body))
				if err != nil || err2 != nil {
					t.Error(err, err2)
					return
				}
				_, err = s.Put(t.Context(), "part/0000/head", fmt.Append(nil, n+1), buffer.Condition{Tag: o.Tag})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, buffer.ErrCondition):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if o := mustGet(t, s, "part/0000/head"); string(o.Body) != strconv.Itoa(rivals/2*steps) {
		t.Errorf("%d steps came to %s", rivals/2*steps, o.Body)
	}
}

// writtenIsSeen by the first look after Put has returned, and by lists that
// begin where an older one ended.
func writtenIsSeen(t *testing.T, s buffer.Store) {
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			prefix, after := fmt.Sprintf("in/%d/", w), ""
			for i := range 10 {
				key := fmt.Sprintf("%s%016x-00", prefix, i)
				if _, err := s.Put(t.Context(), key, []byte(key), buffer.Condition{Absent: true}); err != nil {
					t.Error(err)
					return
				}
				page, more, err := s.List(t.Context(), prefix, after, 1000)
				if err != nil || more || !slices.ContainsFunc(page, func(i buffer.Info) bool { return i.Key == key }) {
					t.Errorf("%s is written and in no list: %v %v %v", key, page, more, err)
				}
				if o, err := s.Get(t.Context(), key); err != nil || string(o.Body) != key {
					t.Errorf("%s is written: %q, %v", key, o.Body, err)
				}
				after = key
			}
		})
	}
	all.Wait()
}
