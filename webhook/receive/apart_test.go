package receive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

// A file that cannot be read holds up neither the others nor the next start, and
// is shipped once it can be read.
func TestSpillUnreadable(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := &buffertest.Memory{}
				store := buffertest.NewFaulty(memory, 1)
				c := spillConfig(t, store)
				r := open(t, c)
				store.Break(buffertest.Fail)
				for i := range 3 {
					if code, _ := status(r, request(fmt.Sprint(i), "{}")); code != 200 {
						t.Fatal(code)
					}
				}
				file := r.spill.path(1, spillEnd) // the shipper has the first one in memory
				synctest.Wait()
				if restart {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					_ = r.Close(ctx)
				}
				if err := errors.Join(os.Rename(file, file+".away"), os.Mkdir(file, 0o700)); err != nil {
					t.Fatal(err)
				}
				if restart {
					r = openOnly(t, c)
				}
				store.Mend()
				until(t, "spill is empty", func() bool { return r.spill.standing().events == 0 })
				if _, count := kept(t, memory); count["0"] == 0 || count["2"] == 0 {
					t.Errorf("stored %v", count)
				}
				if r.spill.unreadable() != 1 {
					t.Errorf("%d cannot be read", r.spill.unreadable())
				}
				if err := errors.Join(os.Remove(file), os.Rename(file+".away", file)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(apartEvery)
				until(t, "all is shipped", func() bool { return r.spill.standing().events == 0 && r.spill.unreadable() == 0 })
				if _, count := kept(t, memory); count["1"] == 0 || r.spill.beside != 0 {
					t.Errorf("stored %v, %d bytes beside", count, r.spill.beside)
				}
			})
		})
	}
}

// Tries of one file are counted, and what cannot be deleted is told.
func TestSpillSetsApart(t *testing.T) {
	s, _, err := openSpill(Spill{Dir: filepath.Join(t.TempDir(), "a/b/spill"), Take: true, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for i := range 2 {
		if why, err := s.put(s.number(), []webhook.Event{{App: "orders", WebhookID: fmt.Sprint(i), Arrived: time.Now()}}); why != "" {
			t.Fatal(why, err)
		}
	}
	files := s.oldest()
	for try := 1; try <= readTries; try++ {
		if apart := s.unread(files[0]); apart != (try == readTries) {
			t.Errorf("set apart after %d tries: %t", try, apart)
		}
	}
	if s.unreadable() != 1 || s.standing().events != 1 || s.beside != files[0].bytes {
		t.Errorf("apart %v, %+v", s.apart, s.standing())
	}
	file := s.path(files[1].number, spillEnd)
	if err := errors.Join(os.Remove(file), os.MkdirAll(filepath.Join(file, "full"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := s.drop(files[1:]); err == nil || s.standing().events != 0 || s.beside != 2*files[0].bytes {
		t.Errorf("%v, %+v, %d bytes beside", err, s.standing(), s.beside)
	}
}
