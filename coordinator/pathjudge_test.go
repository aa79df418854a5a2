package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/sentinel"
)

// TestJudgePath: only the run id of the current master is ok, and an answer that
// proves nothing is unknown rather than wrong.
func TestJudgePath(t *testing.T) {
	runs := map[string]string{"m:1": "run-m", "o:1": "run-o"}
	gone := errors.New("refused")
	says := func(role, run string) answer { return answer{Answer: sentinel.Answer{Role: role, RunID: run}} }
	for _, c := range []struct {
		name    string
		master  string
		runs    map[string]string
		own     error
		a       answer
		state   pointsmanv1.ProbeState
		reached string
	}{
		{"the master", "m:1", runs, nil, says("master", "run-m"), pathOK, "m:1"},
		{"the master, which does not answer directly", "m:1", runs, gone, says("master", "run-m"), pathOK, "m:1"},
		{"the old master", "m:1", runs, nil, says("master", "run-o"), pathOther, "o:1"},
		{"a replica", "m:1", runs, nil, says("slave", "run-o"), pathNotMaster, "o:1"},
		{"the master as replica", "m:1", runs, nil, says("slave", "run-m"), pathNotMaster, "m:1"},
		{"a sentinel", "m:1", runs, nil, says("sentinel", "x"), pathNotMaster, ""},
		{"nobody", "m:1", runs, nil, answer{err: gone}, pathUnreachable, ""},
		{"a stranger", "m:1", runs, nil, says("master", "x"), pathOther, ""},
		{"a stranger, the master does not answer", "m:1", runs, gone, says("master", "x"), pathUnknown, ""},
		{"another, the master does not answer", "m:1", runs, gone, says("master", "run-o"), pathOther, "o:1"},
		{"no master yet", "", runs, errNoMaster, says("master", "run-m"), pathUnknown, "m:1"},
		{"no run id", "m:1", runs, nil, answer{Answer: sentinel.Answer{Role: "master"}, err: errors.New("NOPERM")}, pathUnknown, ""},
		{"a replica without run id", "m:1", runs, nil, answer{Answer: sentinel.Answer{Role: "slave"}, err: errors.New("NOPERM")}, pathNotMaster, ""},
		{"nothing is known", "m:1", nil, gone, says("master", ""), pathUnknown, ""},
	} {
		got := judgePath(c.master, c.runs, c.own, c.a)
		if got.state != c.state || got.reached != c.reached || (got.detail == "") != (c.state == pathOK) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestDisagreeing: a majority of all zones must have disagreed long enough.
func TestDisagreeing(t *testing.T) {
	long, short := pathDisagree, pathDisagree-time.Second
	say := func(zone string, state pointsmanv1.ProbeState, since time.Duration) *pointsmanv1.ProbeReport {
		return &pointsmanv1.ProbeReport{Master: "cache", Step: "lb", Address: "vip:1", Zone: zone, State: state, Since: durationpb.New(since), Reached: "old:1"}
	}
	for i, c := range []struct {
		reports []*pointsmanv1.ProbeReport
		alert   bool
	}{
		{nil, false},
		{[]*pointsmanv1.ProbeReport{say("a", pathOther, long)}, false}, // one of three
		{[]*pointsmanv1.ProbeReport{say("a", pathOther, long), say("b", pathUnreachable, long)}, true},
		{[]*pointsmanv1.ProbeReport{say("a", pathOther, long), say("b", pathNotMaster, short)}, false},
		{[]*pointsmanv1.ProbeReport{say("a", pathOther, long), say("b", pathUnknown, long), say("c", pathUnknown, long)}, false},
		{[]*pointsmanv1.ProbeReport{say("a", pathOther, long), say("a", pathOther, long)}, false}, // two nodes of one zone
		{[]*pointsmanv1.ProbeReport{say("a", pathOther, long), say("b", pathOther, long), say("b", pathOK, 0)}, false},
		{[]*pointsmanv1.ProbeReport{say("a", pathOK, long), say("b", pathOK, long), say("c", pathOther, long)}, false},
	} {
		got := disagreeing(c.reports, 3, "the master at new:1")
		if (len(got) == 1) != c.alert {
			t.Errorf("case %d: %v", i, got)
		}
		for _, a := range got {
			if a.GetSubject() != "cache/lb" || !strings.Contains(a.GetMessage(), "old:1") || !strings.Contains(a.GetMessage(), "new:1") {
				t.Errorf("case %d: %v", i, a)
			}
		}
	}
}

// TestPathPace: fast in a failover, until one look after it, and while one path
// is not ok, but not for ever.
func TestPathPace(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for i, c := range []struct {
		m   pathMaster
		due bool
	}{
		{pathMaster{next: ago(0)}, true},
		{pathMaster{next: now.Add(pathRest), began: ago(pathFast)}, false},
		{pathMaster{next: now.Add(pathRest), began: ago(pathFast), busy: ago(0)}, true},
		{pathMaster{next: now.Add(pathRest), began: ago(pathFast / 2), busy: ago(0)}, false},
		{pathMaster{next: now.Add(pathRest), began: ago(pathFast), busy: ago(pathFast + 1)}, false}, // looked at since
		{pathMaster{next: now.Add(pathRest), began: ago(pathFast), trouble: ago(pathHot / 2)}, true},
		{pathMaster{next: now.Add(pathRest), began: ago(pathFast), trouble: ago(pathHot)}, false},
	} {
		if got := c.m.due(now); got != c.due {
			t.Errorf("case %d: %t", i, got)
		}
	}
}

// TestProbesAreBounded: a spec with more than the bound is refused, and so is a
// probe that leads through no target.
func TestProbesAreBounded(t *testing.T) {
	var c compiler
	for i := range maxPaths + 1 {
		c.probe(fmt.Sprint(i), &pointsmanv1.Step{Target: "lb", Probe: &pointsmanv1.DataPathProbe{Address: "a:1"}})
	}
	if len(c.problems) != 1 || c.problems[0].Path != fmt.Sprint(maxPaths)+".probe" {
		t.Error(c.problems)
	}
	c = compiler{}
	if c.probe("x", &pointsmanv1.Step{Probe: &pointsmanv1.DataPathProbe{Address: "a:1"}}); len(c.problems) != 1 {
		t.Error(c.problems)
	}
}
