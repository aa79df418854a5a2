package buffer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

func TestProbe(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault buffertest.Fault
		ops   []buffertest.Op
		want  buffer.Abilities
	}{
		{"keeps the law", buffertest.None, nil, buffer.Abilities{CreateOnly: true, Swap: true, ConditionalDelete: true}},
		{"slow", buffertest.Slow, nil, buffer.Abilities{CreateOnly: true, Swap: true, ConditionalDelete: true}},
		{"ignores all conditions", buffertest.Ignore, nil, buffer.Abilities{Why: "an object was created over another one"}},
		{"ignores conditions of Put", buffertest.Ignore, []buffertest.Op{buffertest.Put}, buffer.Abilities{ConditionalDelete: true, Why: "an object was created over another one"}},
		{"ignores conditions of Delete", buffertest.Ignore, []buffertest.Op{buffertest.Delete}, buffer.Abilities{CreateOnly: true, Swap: true, Why: "an object was deleted under a stale tag"}},
		{"looks, then writes", buffertest.Racy, nil, buffer.Abilities{ConditionalDelete: true, Why: "8 of 8 conditional writes at once were taken"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var m buffertest.Memory
				f := buffertest.NewFaulty(&m, 1)
				f.Break(row.fault, row.ops...)
				got, err := buffer.Probe(t.Context(), f)
				if err != nil || got != row.want {
					t.Errorf("%v, %v; want %v", got, err, row.want)
				}
				if row.want.CAS() != (row.want.Why == "") || got.CAS() != row.want.CAS() {
					t.Errorf("CAS: %v", got.CAS())
				}
				if left := m.Keys(""); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
			})
		})
	}
}

// one is a store that breaks calls with conditions of one kind only.
type one struct {
	buffer.Store
	refuse, ignore func(buffer.Condition) bool
}

func (o one) Put(ctx context.Context, key string, body []byte, c buffer.Condition) (buffer.Tag, error) {
	if o.refuse != nil && o.refuse(c) {
		return "", errors.Join(errors.New("501 NotImplemented"), buffer.ErrRefused)
	}
	if o.ignore != nil && o.ignore(c) {
		c = buffer.Condition{}
	}
	return o.Store.Put(ctx, key, body, c)
}

func TestProbeOfAStoreThatDoesSome(t *testing.T) {
	absent := func(c buffer.Condition) bool { return c.Absent }
	tag := func(c buffer.Condition) bool { return c.Tag != "" }
	for name, row := range map[string]struct {
		store one
		want  buffer.Abilities
	}{
		"ignores If-None-Match": {one{ignore: absent}, buffer.Abilities{Swap: true, ConditionalDelete: true, Why: "an object was created over another one"}},
		"ignores If-Match":      {one{ignore: tag}, buffer.Abilities{CreateOnly: true, ConditionalDelete: true, Why: "an object was replaced under a stale tag"}},
		"refuses If-None-Match": {one{refuse: absent}, buffer.Abilities{Swap: true, ConditionalDelete: true, Why: "a new object was not created on condition: 501 NotImplemented"}},
		"refuses If-Match":      {one{refuse: tag}, buffer.Abilities{CreateOnly: true, ConditionalDelete: true, Why: "an object was not replaced under the tag that it has: 501 NotImplemented"}},
	} {
		t.Run(name, func(t *testing.T) {
			row.store.Store = &buffertest.Memory{}
			got, err := buffer.Probe(t.Context(), row.store)
			got.Why, _, _ = strings.Cut(got.Why, "\n")
			if err != nil || got != row.want || got.CAS() {
				t.Errorf("%v, %v; want %v", got, err, row.want)
			}
		})
	}
}

// bare understands tags in one style only.
type bare struct {
	buffer.Store
	style    string
	switched int
}

func (b *bare) TagStyles() []string {
	if b.style == "bare" {
		return []string{"bare", "quoted"}
	}
	return []string{"quoted", "bare"}
}

func (b *bare) UseTagStyle(style string) {
	b.style = style
	b.switched++
}

func (b *bare) Put(ctx context.Context, key string, body []byte, c buffer.Condition) (buffer.Tag, error) {
	return b.Store.Put(ctx, key, body, b.as(c))
}

func (b *bare) Delete(ctx context.Context, key string, c buffer.Condition) error {
	return b.Store.Delete(ctx, key, b.as(c))
}

func (b *bare) as(c buffer.Condition) buffer.Condition {
	if c.Tag != "" && b.style == "quoted" {
		c.Tag = `"` + c.Tag + `"`
	}
	return c
}

func TestProbeFindsTheStyleOfTags(t *testing.T) {
	b := &bare{Store: &buffertest.Memory{}, style: "quoted"}
	got, err := buffer.Probe(t.Context(), b)
	if err != nil || !got.CAS() || got.TagStyle != "bare" || b.style != "bare" {
		t.Errorf("%v, %v; style %q is used", got, err, b.style)
	}
	// The next one leaves what is in use alone: others swap meanwhile.
	b.switched = 0
	if _, err := buffer.Probe(t.Context(), b); err != nil || b.switched > 1 || b.style != "bare" {
		t.Errorf("%v: style switched %d times, now %q", err, b.switched, b.style)
	}
}

// A store that cannot be asked is not one that lacks something.
func TestProbeOfAStoreInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m buffertest.Memory
		f := buffertest.NewFaulty(&m, 1)
		f.Break(buffertest.Fail, buffertest.Put)
		if got, err := buffer.Probe(t.Context(), f); !errors.Is(err, buffertest.ErrBroken) || got != (buffer.Abilities{}) {
			t.Errorf("down: %v, %v", got, err)
		}
		f.Mend()
		f.Next(buffertest.Put, buffertest.None, buffertest.None, buffertest.Lost, buffertest.None, buffertest.Fail)
		if got, err := buffer.Probe(t.Context(), f); err != nil || !got.CAS() {
			t.Errorf("with two answers lost: %v, %v", got, err)
		}
		f.Break(buffertest.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if got, err := buffer.Probe(ctx, f); !errors.Is(err, context.DeadlineExceeded) || got != (buffer.Abilities{}) {
			t.Errorf("hung: %v, %v", got, err)
		}
	})
}

func TestProbeTidiesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m buffertest.Memory
		put := func(key string) {
			if _, err := m.Put(t.Context(), key, nil, buffer.Condition{}); err != nil {
				t.Fatal(err)
			}
		}
		put("probe/0cut")
		time.Sleep(2 * time.Hour)
		put("probe/1under-way")
		put("probes")
		if _, err := buffer.Probe(t.Context(), &m); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(m.Keys(""), " "); got != "probe/1under-way probes" {
			t.Errorf("there is %s", got)
		}
	})
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := buffertest.NewFaulty(&buffertest.Memory{}, 1)
		known, err := buffer.Probe(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		type news struct {
			able bool
			err  error
		}
		var heard []news
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			buffer.Watch(ctx, f, 10*time.Minute, known, func(a buffer.Abilities, err error) { heard = append(heard, news{a.CAS(), err}) })
		}()
		hear := func(want ...news) {
			t.Helper()
			time.Sleep(12 * time.Minute)
			synctest.Wait()
			if len(heard) != len(want) {
				t.Fatalf("heard %v, want %v", heard, want)
			}
			for i, w := range want {
				if heard[i].able != w.able || !errors.Is(heard[i].err, w.err) {
					t.Fatalf("heard %v, want %v", heard[i], w)
				}
			}
			heard = nil
		}
		hear()
		f.Break(buffertest.Ignore)
		time.Sleep(12 * time.Minute) // the change is told once
		hear(news{false, nil})
		f.Mend()
		hear(news{true, nil})
		f.Break(buffertest.Hang)
		time.Sleep(13 * time.Minute) // a probe is given up after one
		synctest.Wait()
		if len(heard) == 0 || !heard[0].able || !errors.Is(heard[0].err, context.DeadlineExceeded) {
			t.Errorf("of a store that hangs was heard %v", heard)
		}
		cancel()
		<-ended
	})
}
