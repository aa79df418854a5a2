package redisfence

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// server answers each command by its first word; a word that it has no answer
// to is not answered at all.
func server(t *testing.T, answers map[string]string) fsm.Address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-over })
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(3 * time.Second))
			lines := bufio.NewScanner(c)
			for lines.Scan() {
				answer, ok := answers[strings.ToUpper(lines.Text())]
				if strings.EqualFold(lines.Text(), "hello") { // as Redis before 6 does
					answer, ok = "-ERR unknown command 'HELLO'\r\n", true
				}
				if answer == "close" {
					break
				}
				if ok {
					_, _ = c.Write([]byte(answer))
				}
			}
			_ = c.Close()
		}
	}()
	return fsm.Address(l.Addr().String())
}

const (
	asMaster = "*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n"
	history  = "$63\r\nmaster_replid:0123456789012345678901234567890123456789\r\nx:123\r\n\r\n"
)

func lying(t *testing.T, answers map[string]string) (actuators.Actuator, actuators.Work, fsm.Address) {
	t.Helper()
	tool, err := New(Config{}).Open(fsm.TargetSpec{ID: "old", Kind: Name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	old := server(t, answers)
	params, err := proto.Marshal(&pb.RedisFenceStep{})
	if err != nil {
		t.Fatal(err)
	}
	step := fsm.Step{Name: "fence", Kind: Name, Class: fsm.Fenced, Params: params}
	v, err := New(Config{}).Render(step, actuators.Facts{From: old, To: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	return tool, actuators.Work{Action: fsm.Action{ID: "cache/1/fence", Step: step, Value: v.Value, Version: strings.Repeat("0123456789", 4)}}, old
}

// TestLostAnswer: once the transaction has left, whatever is no clear answer is
// doubt, and before that it is none.
func TestLostAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		answers map[string]string
		doubt   bool
	}{
		"cut at EXEC":      {map[string]string{"ROLE": asMaster, "INFO": history, "EXEC": "close"}, true},
		"silent from EXEC": {map[string]string{"ROLE": asMaster, "INFO": history, "MULTI": "+OK\r\n"}, true},
		"cut at ROLE":      {map[string]string{"ROLE": "close"}, false},
		"silent":           {nil, false},
		"no Redis":         {map[string]string{"ROLE": "HTTP/1.1 400 Bad Request\r\n\r\n"}, false},
		"half an answer":   {map[string]string{"ROLE": "*3\r\n$6\r\nmas", "INFO": history}, false},
		"a Sentinel":       {map[string]string{"ROLE": "*2\r\n$8\r\nsentinel\r\n*0\r\n", "INFO": history}, false},
		"no history":       {map[string]string{"ROLE": asMaster, "INFO": "$3\r\nx:1\r\n"}, false},
		"loading":          {map[string]string{"ROLE": "-LOADING dataset\r\n", "INFO": history}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tool, work, _ := lying(t, c.answers)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			sent := false
			_, err := tool.Act(actuators.WithSending(ctx, func() { sent = true }), work, actuators.Sight{Verdict: actuators.Absent})
			if x := actuators.Explain(err); err == nil || x.Doubt != c.doubt || x.Permanent || sent != c.doubt {
				t.Errorf("%v: doubt %t, permanent %t, sent %t; want doubt %t", err, x.Doubt, x.Permanent, sent, c.doubt)
			}
		})
	}
}

// TestAnotherHistory: a node that changed since the claim is not touched.
func TestAnotherHistory(t *testing.T) {
	tool, work, _ := lying(t, map[string]string{"ROLE": asMaster, "INFO": history})
	work.Action.Version = strings.Repeat("f", 40)
	if _, err := tool.Act(t.Context(), work, actuators.Sight{Verdict: actuators.Absent}); !errors.Is(err, ErrMoved) {
		t.Errorf("%v", err)
	}
}

func TestPlan(t *testing.T) {
	k := New(Config{})
	in := actuators.StepInput{
		Master: "cache", Step: "fence", Target: "old", Candidates: []fsm.Candidate{{Address: "a:1"}, {Address: "b:1"}},
		Message: &pb.RedisFenceStep{}, TargetMsg: &pb.RedisFenceTarget{},
	}
	planned, problems := k.Plan(in)
	if len(problems) > 0 || planned.Object != "old/cache/fence" || planned.Class != fsm.Fenced {
		t.Errorf("%+v, %v", planned, problems)
	}
	for name, wrong := range map[string]func(*actuators.StepInput){
		"no target":      func(in *actuators.StepInput) { in.TargetMsg = nil },
		"another target": func(in *actuators.StepInput) { in.TargetMsg = &pb.OctaviaTarget{} },
		"another step":   func(in *actuators.StepInput) { in.Message = &pb.SettingStep{} },
		"one candidate":  func(in *actuators.StepInput) { in.Candidates = in.Candidates[:1] },
	} {
		bad := in
		wrong(&bad)
		if _, problems := k.Plan(bad); len(problems) == 0 {
			t.Errorf("%s is taken", name)
		}
	}
	for _, bad := range []*pb.RedisFenceTarget{{Password: "secret"}, {User: "fencer"}} {
		problems := k.CheckTarget(bad)
		if len(problems) != 1 || strings.Contains(problems[0].Message, "secret") {
			t.Errorf("%v: %v", bad, problems)
		}
	}
	params, err := proto.Marshal(&pb.RedisFenceTarget{Tls: &pb.ClientTls{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open(fsm.TargetSpec{ID: "old", Kind: Name, Params: params}, nil); !errors.Is(err, ErrTLS) {
		t.Errorf("opened with tls by a kind without: %v", err)
	}
	same, err := k.Render(fsm.Step{Name: "fence"}, actuators.Facts{From: "a:1", To: "a:1"})
	if err != nil || same.Wanted != "no old master to fence" {
		t.Errorf("%+v, %v", same, err)
	}
	s := (&actuator{}).Judge(actuators.Reading{Body: view{}}, actuators.Work{Action: fsm.Action{Value: same.Value}})
	if s.Verdict != actuators.Applied {
		t.Errorf("%+v", s)
	}
}
