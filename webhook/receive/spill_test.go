package receive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

func spillConfig(t *testing.T, store buffer.Store) Config {
	c := testConfig(store)
	c.Spill = Spill{Dir: filepath.Join(t.TempDir(), "spill"), Take: true, MaxBytes: 1 << 20}
	return c
}

func ids(events []webhook.Event) (all []string) {
	for _, e := range events {
		all = append(all, e.WebhookID)
	}
	return all
}

// until waits for a condition in virtual time.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 1000 {
		if is() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// While the store is down events are acknowledged from the disk, then shipped in
// order, before what came later.
func TestSpillShipsInOrder(t *testing.T) {
	for _, fault := range []buffertest.Fault{buffertest.Fail, buffertest.Hang, buffertest.LostHang} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := &buffertest.Memory{}
				store := buffertest.NewFaulty(memory, 1)
				r := open(t, spillConfig(t, store))
				var want []string
				send := func(n int) {
					for range n {
						id := fmt.Sprintf("%03d", len(want))
						began := time.Now()
						if code, text := status(r, request(id, "{}")); code != 200 || time.Since(began) > answerWithin {
							t.Fatalf("%s: %d %s after %s", id, code, text, time.Since(began))
						}
						want = append(want, id)
					}
				}
				send(3)
				store.Break(fault)
				send(20)
				if n := r.spill.standing().events; n != 20 || r.Ready() != nil {
					t.Errorf("%d events are spilled; ready: %v", n, r.Ready())
				}
				store.Mend()
				send(20)
				until(t, "spill is empty", func() bool { return r.spill.standing().events == 0 })
				send(3)
				have := slices.Compact(ids(dedupe(inOrder(t, memory))))
				if !slices.Equal(have, want) {
					t.Errorf("stored %v\nwant %v", have, want)
				}
				if left, _ := filepath.Glob(filepath.Join(r.spill.c.Dir, "*"+spillEnd)); len(left) > 0 {
					t.Errorf("left on disk: %v", left)
				}
			})
		})
	}
}

// dedupe leaves the first of each id, as a worker does.
func dedupe(events []webhook.Event) []webhook.Event {
	known := map[webhook.ID]bool{}
	return slices.DeleteFunc(events, func(e webhook.Event) bool {
		before := known[e.ID]
		known[e.ID] = true
		return before
	})
}

// A restart while the store is down: the next start ships what the former left,
// then its own; an event that both were given comes twice at most.
func TestSpillOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &buffertest.Memory{}
		store := buffertest.NewFaulty(memory, 1)
		c := spillConfig(t, store)
		store.Break(buffertest.Fail)
		first := openOnly(t, c)
		for i := range 5 {
			if code, _ := status(first, request(fmt.Sprint(i), "{}")); code != 200 {
				t.Fatal(code)
			}
		}
		if _, err := Open(c); !errors.Is(err, ErrSpillHeld) {
			t.Errorf("a second receiver has the folder too: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := first.Close(ctx); err != nil {
			t.Error(err)
		}
		second := openOnly(t, c)
		for i := range 5 {
			if code, _ := status(second, request(fmt.Sprint(5+i), "{}")); code != 200 {
				t.Fatal(code)
			}
		}
		store.Mend()
		until(t, "spill is empty", func() bool { return second.spill.standing().events == 0 })
		if have := ids(inOrder(t, memory)); !slices.Equal(have, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}) {
			t.Errorf("stored %v", have)
		}
		if err := second.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A clean end ships what is spilled, if the store takes it.
func TestSpillAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &buffertest.Memory{}
		store := buffertest.NewFaulty(memory, 1)
		r := open(t, spillConfig(t, store))
		store.Break(buffertest.Hang)
		if code, _ := status(r, request("1", "{}")); code != 200 {
			t.Fatal(code)
		}
		store.Mend()
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, count := kept(t, memory); count["1"] != 1 {
			t.Errorf("stored %v", count)
		}
	})
}

// A full spill goes to the store, and to 503 where that is down.
func TestSpillFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &buffertest.Memory{}
		store := buffertest.NewFaulty(memory, 1)
		c := spillConfig(t, store)
		c.Spill.MaxBytes = 3 * 4096
		r := open(t, c)
		store.Break(buffertest.Fail)
		codes := map[int]int{}
		for i := range 10 {
			code, _ := status(r, request(fmt.Sprint(i), "{}"))
			codes[code]++
		}
		if codes[200] != 3 || codes[503] != 7 || r.Ready() == nil {
			t.Errorf("answers %v, ready: %v", codes, r.Ready())
		}
		if have := value(t, r.meters.unspilled.WithLabelValues(spillFull)); have < 7 {
			t.Errorf("refused %v times", have)
		}
		store.Mend()
		until(t, "spill is empty", func() bool { return r.spill.standing().events == 0 })
		if code, _ := status(r, request("then", "{}")); code != 200 || r.spill.standing().events != 0 {
			t.Error(code)
		}
		if _, count := kept(t, memory); len(count) != 4 {
			t.Errorf("stored %v", count)
		}
	})
}

// A disk below its floor takes nothing.
func TestSpillFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buffertest.NewFaulty(&buffertest.Memory{}, 1)
		c := spillConfig(t, store)
		c.Spill.DiskFloor = 1 << 60
		r := open(t, c)
		store.Break(buffertest.Fail)
		if code, _ := status(r, request("1", "{}")); code != 503 || value(t, r.meters.unspilled.WithLabelValues(spillDisk)) == 0 {
			t.Error(code)
		}
	})
}

// The policy never: 503 while the store is down, and what an earlier
// configuration has spilled is shipped all the same.
func TestSpillNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &buffertest.Memory{}
		store := buffertest.NewFaulty(memory, 1)
		c := spillConfig(t, store)
		store.Break(buffertest.Fail)
		before := openOnly(t, c)
		if code, _ := status(before, request("1", "{}")); code != 200 {
			t.Fatal(code)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = before.Close(ctx)
		c.Spill.Take = false
		r := openOnly(t, c)
		if code, _ := status(r, request("2", "{}")); code != 503 {
			t.Error(code)
		}
		store.Mend()
		until(t, "spill is empty", func() bool { return r.spill.standing().events == 0 })
		if _, count := kept(t, memory); count["1"] != 1 {
			t.Errorf("stored %v", count)
		}
	})
}

// What a crash has left half is thrown away, what is damaged is kept aside, and
// the rest is shipped.
func TestSpillDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &buffertest.Memory{}
		c := spillConfig(t, memory)
		s, _, err := openSpill(c.Spill)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			if why, err := s.put(s.number(), []webhook.Event{{App: "orders", WebhookID: fmt.Sprint(i), Arrived: time.Now()}}); why != "" {
				t.Fatal(why, err)
			}
		}
		s.close()
		b, err := os.ReadFile(s.path(1, spillEnd))
		if err != nil {
			t.Fatal(err)
		}
		for path, text := range map[string][]byte{s.path(1, spillEnd): b[:len(b)-5], s.path(9, spillCut): b} {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := open(t, c)
		until(t, "spill is empty", func() bool { return r.spill.standing().events == 0 })
		if have := ids(inOrder(t, memory)); !slices.Equal(have, []string{"0", "2", "3"}) {
			t.Errorf("stored %v", have)
		}
		left, _ := filepath.Glob(filepath.Join(c.Spill.Dir, "*.*"))
		if len(left) != 1 || left[0] != s.path(1, spillDamaged) || value(t, r.meters.damaged) != 1 {
			t.Errorf("left %v", left)
		}
	})
}

// A file that is damaged or deleted while it lies there holds nothing up.
func TestSpillDamagedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &buffertest.Memory{}
		store := buffertest.NewFaulty(memory, 1)
		r := open(t, spillConfig(t, store))
		store.Break(buffertest.Fail)
		for i := range 5 {
			if code, _ := status(r, request(fmt.Sprint(i), "{}")); code != 200 {
				t.Fatal(code)
			}
		}
		if err := errors.Join(os.WriteFile(r.spill.path(1, spillEnd), []byte("nothing"), 0o600), os.Remove(r.spill.path(3, spillEnd))); err != nil {
			t.Fatal(err)
		}
		// The shipper holds the oldest files in memory while it tries.
		store.Mend()
		until(t, "spill is empty", func() bool { return r.spill.standing().events == 0 })
		_, count := kept(t, memory)
		if count["0"] == 0 || count["2"] == 0 || count["4"] == 0 {
			t.Errorf("stored %v", count)
		}
	})
}

// Whatever the store does, in any order: every acknowledged event is in the
// store in the end, behind the one of its shop that was acknowledged before.
func TestSpillUnderFaults(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			memory := &buffertest.Memory{}
			store := buffertest.NewFaulty(memory, seed)
			r := open(t, spillConfig(t, store))
			var mu sync.Mutex
			var acknowledged []string
			var shops sync.WaitGroup
			for shop := range 4 {
				shops.Go(func() {
					for i := range 25 {
						id := fmt.Sprintf("%d-%02d", shop, i)
						if code, _ := status(r, request(id, "{}")); code == 200 {
							mu.Lock()
							acknowledged = append(acknowledged, id)
							mu.Unlock()
						}
						time.Sleep(time.Duration(shop+1) * 100 * time.Millisecond)
					}
				})
			}
			for i := range 6 {
				time.Sleep(400 * time.Millisecond)
				store.Break([]buffertest.Fault{buffertest.Hang, buffertest.Fail, buffertest.Lost, buffertest.Late, buffertest.LostHang, buffertest.Slow}[(int(seed)+i)%6], buffertest.Put)
				time.Sleep(600 * time.Millisecond)
				store.Mend()
			}
			shops.Wait()
			store.Wait()
			until(t, "spill is empty", func() bool { return r.spill.standing().events == 0 })
			_, count := kept(t, memory)
			for _, id := range acknowledged {
				if count[id] == 0 {
					t.Errorf("seed %d: %s was acknowledged and is not there", seed, id)
				}
			}
			if len(acknowledged) < 90 {
				t.Errorf("seed %d: only %d of 100 were acknowledged", seed, len(acknowledged))
			}
		})
	}
}
