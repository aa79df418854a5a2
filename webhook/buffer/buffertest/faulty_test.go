package buffertest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

// What each fault answers, and whether the write is there after it and after all
// late writes.
func TestFaultyPut(t *testing.T) {
	for _, row := range []struct {
		fault        buffertest.Fault
		want         error
		there, later bool
	}{
		{buffertest.None, nil, true, true},
		{buffertest.Fail, buffertest.ErrBroken, false, false},
		{buffertest.Conflict, buffertest.ErrBroken, false, false},
		{buffertest.Lost, buffertest.ErrBroken, true, true},
		{buffertest.Late, buffertest.ErrBroken, false, true},
		{buffertest.Hang, context.DeadlineExceeded, false, false},
		{buffertest.LostHang, context.DeadlineExceeded, true, true},
		{buffertest.Slow, nil, true, true},
		{buffertest.Stale, nil, true, true},
	} {
		t.Run(string(row.fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var m buffertest.Memory
				f := buffertest.NewFaulty(&m, 1)
				f.Next(buffertest.Put, row.fault)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				tag, err := f.Put(ctx, "a", []byte("body"), buffer.Condition{Absent: true})
				if !errors.Is(err, row.want) || (err == nil) != (tag != "") {
					t.Errorf("%q, %v; want %v", tag, err, row.want)
				}
				if got := len(m.Keys("")) == 1; got != row.there {
					t.Errorf("written: %v", got)
				}
				f.Wait()
				if got := len(m.Keys("")) == 1; got != row.later {
					t.Errorf("written at last: %v", got)
				}
				if _, err := f.Put(t.Context(), "b", nil, buffer.Condition{}); err != nil {
					t.Errorf("the next one: %v", err)
				}
			})
		})
	}
}

func TestFaultyIgnoresConditions(t *testing.T) {
	f := buffertest.NewFaulty(&buffertest.Memory{}, 1)
	f.Break(buffertest.Ignore, buffertest.Put, buffertest.Delete)
	for i := range 2 {
		if _, err := f.Put(t.Context(), "a", fmt.Append(nil, i), buffer.Condition{Absent: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Delete(t.Context(), "a", buffer.Condition{Tag: "another"}); err != nil {
		t.Fatal(err)
	}
	f.Mend()
	if err := f.Delete(t.Context(), "a", buffer.Condition{Tag: "another"}); !errors.Is(err, buffer.ErrCondition) {
		t.Fatal(err)
	}
	if n := f.Calls(buffertest.Put); n != 2 {
		t.Errorf("%d puts counted", n)
	}
}

func TestFaultyStaleList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := buffertest.NewFaulty(&buffertest.Memory{}, 1)
		f.Break(buffertest.Stale, buffertest.List)
		put := func(key string) {
			if _, err := f.Put(t.Context(), key, nil, buffer.Condition{}); err != nil {
				t.Fatal(err)
			}
		}
		put("old-2")
		time.Sleep(f.StaleFor)
		put("new-1")
		put("old-1")
		page, more, err := f.List(t.Context(), "", "", 1)
		if err != nil || more || len(page) != 1 || page[0].Key != "old-2" {
			t.Fatalf("%v %v %v", page, more, err)
		}
		time.Sleep(f.StaleFor)
		if page, _, err := f.List(t.Context(), "", "", 10); err != nil || len(page) != 3 {
			t.Fatalf("%v %v", page, err)
		}
	})
}

// One seed is one course, whoever comes first.
func TestFaultyOdds(t *testing.T) {
	course := func(seed uint64, from int) (broken int, first string) {
		f := buffertest.NewFaulty(&buffertest.Memory{}, seed)
		f.Odds(buffertest.Put, buffertest.Odds{buffertest.Fail: 0.25, buffertest.Lost: 0.25})
		marks := make([]byte, 1000)
		for i := range marks {
			n := (i + from) % len(marks)
			marks[n] = '.'
			if _, err := f.Put(t.Context(), fmt.Sprintf("%03d", n), nil, buffer.Condition{}); err != nil {
				broken++
				marks[n] = 'x'
			}
		}
		return broken, string(marks)
	}
	n, one := course(1, 0)
	if n < 430 || n > 570 {
		t.Errorf("%d of 1000 broke at even odds", n)
	}
	if _, again := course(1, 500); again != one {
		t.Error("the same seed in another order took another course")
	}
	if _, other := course(2, 0); other == one {
		t.Error("two seeds took one course")
	}
}
