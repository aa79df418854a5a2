package executor

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// compared is a deed whose value can be told whoever wrote it: the address in it.
type compared struct{ deed }

func (c compared) Compare(r actuators.Reading, a fsm.Action) actuators.Shown {
	value, _, _ := strings.Cut(r.Body.([2]string)[0], " ")
	want, _, _ := strings.Cut(string(a.Value), " ")
	return actuators.ShownIf(value == want)
}

// onlyObserved seeds a log whose one master is only observed; its object points at a:1.
func onlyObserved(t *testing.T) *outside {
	t.Helper()
	o := ofClass(t, fsm.Readable)
	o.value, o.compares = "a:1", true
	o.observe(t, true)
	return o
}

func (o *outside) observe(t *testing.T, on bool) {
	t.Helper()
	spec := o.w.now().Spec()
	revision := spec.Revision
	m := spec.Masters[0]
	m.Observe = on
	spec.Masters = []fsm.MasterSpec{m}
	if err := o.w.commit(1, fsm.PutSpec{Spec: spec, IfRevision: revision}).Err(); err != nil {
		t.Fatal(err)
	}
}

// script is somebody else's write.
func (o *outside) script(value string) { o.turn(func() { o.value = value }) }

// score is what the log holds of the newest failover's action, which nobody
// has written.
func (o *outside) score(t *testing.T, id fsm.ActionID) (fsm.Score, fsm.ScoreWord) {
	t.Helper()
	synctest.Wait()
	s := o.w.now()
	a, _ := s.Action(id)
	v, _ := s.Score(id)
	word, ok := s.ScoreOf(a)
	if !ok {
		t.Fatalf("%s, %s, has no word", id, a.Phase)
	}
	return v, word
}

func (o *outside) untouched(t *testing.T) {
	t.Helper()
	if sent := o.requests(); len(sent) != 0 || len(o.w.now().Objects()) != 0 {
		t.Errorf("only observed, and sent %+v, busy %v", sent, o.w.now().Objects())
	}
}

// TestScore_NamesWhatTheScriptDid: it goes to a wrong address, comes to the right
// one, and is set back. Nothing of ours is written meanwhile.
func TestScore_NamesWhatTheScriptDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := onlyObserved(t)
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		began := o.w.now().Clock()
		at := func(d time.Duration, value string) {
			time.Sleep(d - time.Since(o.w.start.Add(time.Duration(began))))
			o.script(value)
		}
		at(1300*time.Millisecond, "c:1")
		at(2100*time.Millisecond, "b:1 by hand")
		at(34*time.Second, "a:1")
		time.Sleep(10 * time.Second)
		v, word := o.score(t, "cache/1/do")
		if word != fsm.ScoreSetBack || v.Changes != 3 || v.Wrong != 1 || v.SetBack != 1 || len(v.Kept) != 3 || v.Gaps != 0 {
			t.Errorf("%s %+v", word, v)
		}
		if v.First.Meets != fsm.MeetsAbsent || v.First.At != "a:1" || v.First.Clock-began > fsm.Clock(100*time.Millisecond) {
			t.Errorf("first look %+v, accepted at %s", v.First, time.Duration(began))
		}
		came := began + fsm.Clock(2100*time.Millisecond)
		if v.CameAfter > came || v.Came < came || v.Came-v.CameAfter > fsm.Clock(300*time.Millisecond) {
			t.Errorf("came after %s, by %s, in truth at %s", time.Duration(v.CameAfter), time.Duration(v.Came), time.Duration(came))
		}
		if got := []fsm.Address{v.Kept[0].At, v.Kept[1].At, v.Kept[2].At}; fmt.Sprint(got) != "[c:1 b:1 a:1]" {
			t.Errorf("seen at %v", got)
		}
		o.untouched(t)
	})
}

// TestScore_CountsFromTheNextFailover: what was observed stays so, what is
// accepted afterwards is carried out, and going back is the same.
func TestScore_CountsFromTheNextFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := onlyObserved(t)
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		time.Sleep(time.Second)
		o.script("b:1")
		o.observe(t, false)
		time.Sleep(time.Hour)
		o.untouched(t)
		if v, word := o.score(t, "cache/1/do"); word != fsm.ScoreCame {
			t.Errorf("%s %+v", word, v)
		}
		l.sees(2)
		o.until(t, "cache/2/do", fsm.Done, time.Minute)
		o.fair(t, "c:1 00000002")
		o.observe(t, true)
		l.sees(3)
		time.Sleep(time.Second)
		o.script("somebody's")
		time.Sleep(time.Hour)
		if n := len(o.requests()); n != 1 {
			t.Errorf("%d requests, want the one of cache/2", n)
		}
		if v, word := o.score(t, "cache/3/do"); word != fsm.ScoreWrong {
			t.Errorf("%s %+v", word, v)
		}
	})
}

// TestScore_ANewLeaderSaysWhatItDidNotSee.
func TestScore_ANewLeaderSaysWhatItDidNotSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := onlyObserved(t)
		l := o.lead(t, 1, nil)
		l.sees(1)
		time.Sleep(time.Second)
		l.stop()
		time.Sleep(3 * time.Second)
		o.script("b:1")
		time.Sleep(5 * time.Second)
		next := o.lead(t, 2, nil)
		defer next.stop()
		time.Sleep(2 * time.Second)
		v, word := o.score(t, "cache/1/do")
		if word != fsm.ScoreCame || v.Gaps != 1 || v.Unseen < 8*time.Second || v.CameAfter != v.First.Clock || v.Came-v.CameAfter != fsm.Clock(v.Unseen) {
			t.Errorf("%s %+v", word, v)
		}
		o.untouched(t)
	})
}

// TestScore_OfAFailoverThatNobodySawBegin: the leader that accepted it died at
// once. The first look is late, and stands for no more than it saw.
func TestScore_OfAFailoverThatNobodySawBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := onlyObserved(t)
		o.turn(func() { o.blindEye = errors.New("503") })
		l := o.lead(t, 1, nil)
		l.sees(1)
		l.stop()
		if _, word := o.score(t, "cache/1/do"); word != fsm.ScoreUnseen && word != fsm.ScoreUnknown {
			t.Errorf("%s before any look", word)
		}
		time.Sleep(20 * time.Second)
		o.turn(func() { o.blindEye = nil; o.value = "b:1" })
		next := o.lead(t, 2, nil)
		defer next.stop()
		time.Sleep(time.Second)
		if v, word := o.score(t, "cache/1/do"); word != fsm.ScoreCame || v.Came < fsm.Clock(20*time.Second) {
			t.Errorf("%s %+v", word, v)
		}
	})
}

// TestScore_SaysWhatItWouldHaveBeenStuckAt.
func TestScore_SaysWhatItWouldHaveBeenStuckAt(t *testing.T) {
	for name, c := range map[string]struct {
		turn  func(*outside)
		meets fsm.Meets
		word  fsm.ScoreWord
	}{
		"may not be read": {func(o *outside) { o.blindEye = actuators.Permanent(errors.New("403: no such key")) }, fsm.MeetsRefusal, fsm.ScoreUnknown},
		"in trouble":      {func(o *outside) { o.blindEye = errors.New("503") }, fsm.MeetsSilence, fsm.ScoreUnknown},
		"not ours":        {func(o *outside) { o.value = "z:1 00000009" }, fsm.MeetsNewer, fsm.ScorePending},
		"there already":   {func(o *outside) { o.value = "b:1 00000001" }, fsm.MeetsApplied, fsm.ScoreCame},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := onlyObserved(t)
				o.turn(func() { c.turn(o) })
				l := o.lead(t, 1, nil)
				defer l.stop()
				l.sees(1)
				time.Sleep(5 * time.Second)
				if v, word := o.score(t, "cache/1/do"); word != c.word || v.First.Meets != c.meets {
					t.Errorf("%s %+v", word, v)
				}
				o.untouched(t)
			})
		})
	}
}

// TestScore_IsToldSeldom: an object that stays as it is costs few entries and, in
// the long run, few looks, and leaves the target's rate to whoever acts.
func TestScore_IsToldSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := onlyObserved(t)
		spec := o.w.now().Spec()
		spec.Targets = []fsm.TargetSpec{{ID: "api", Kind: "deed", Rate: 60}}
		if err := o.w.commit(1, fsm.PutSpec{Spec: spec, IfRevision: spec.Revision}).Err(); err != nil {
			t.Fatal(err)
		}
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		before := o.w.now().Index()
		for range 600 {
			time.Sleep(time.Second)
			if left := l.tools.left("api", costAct); left > 0 {
				t.Fatalf("who acts would wait %s for the looks", left)
			}
		}
		time.Sleep(24 * time.Hour)
		v, word := o.score(t, "cache/1/do")
		if entries := o.w.now().Index() - before; word != fsm.ScoreNever || entries > 40 || v.Looks < 300 {
			t.Errorf("%s, %d looks told in %d entries", word, v.Looks, entries)
		}
		if n := o.looks(); n > 1200 { // those for findings included, which come every five minutes
			t.Errorf("%d looks in a day", n)
		}
		o.untouched(t)
	})
}
