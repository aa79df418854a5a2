package command_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/command"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const (
	addressA = "10.0.1.20:6379"
	addressB = "10.0.2.20:6379"
	secret   = "s3cr3t-of-the-script"
)

// shop is a world behind a program: an object that keeps an address, and the
// marker if its program stores one.
type shop struct {
	marks bool // the program stores the marker, the check prints it
	keyed bool // the program does nothing for a key that it has seen

	mu     sync.Mutex // guards what follows
	value  string
	marker string
	keys   map[string]bool
	seen   actuatortest.Requests
	fault  actuatortest.Fault
	hold   bool
	held   func()
	runs   []command.Run
}

func (s *shop) Value() fsm.Address {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fsm.Address(s.value)
}

func (s *shop) Seen() actuatortest.Requests {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *shop) Break(f actuatortest.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func (s *shop) Mend() { s.Break(0) }

func (s *shop) HoldNext() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = true
}

func (s *shop) Deliver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held()
}

func variable(r command.Run, name string) string {
	for _, e := range r.Env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// run plays both programs.
func (s *shop) run(ctx context.Context, r command.Run) (command.Ended, error) {
	s.mu.Lock()
	if s.fault == actuatortest.Unreachable {
		s.mu.Unlock()
		return command.Ended{}, errors.New("fork: resource temporarily unavailable")
	}
	s.seen.All++
	s.runs = append(s.runs, r)
	if r.Program == "/opt/check" {
		defer s.mu.Unlock()
		return s.check(r), nil
	}
	if r.Started != nil {
		r.Started()
	}
	s.seen.Mutating++
	ended, waits := s.act(r)
	s.mu.Unlock()
	if waits {
		<-ctx.Done()
	}
	return ended, nil
}

func (s *shop) check(r command.Run) command.Ended {
	if s.fault == actuatortest.FailRead {
		s.fault = 0
		return command.Ended{PID: 1, Code: 2, Output: "cannot tell, token " + secret}
	}
	e := command.Ended{PID: 1, Output: "is at " + s.value}
	if s.marks {
		e.Output += " " + s.marker
	}
	if s.value != r.Args[1]+":"+r.Args[2] {
		e.Code = 1
	}
	return e
}

// act is the effect, and how the run ends; waits: when its context does.
func (s *shop) act(r command.Run) (e command.Ended, waits bool) {
	f := s.fault
	s.fault = 0
	effect := func() {
		if key := variable(r, "POINTSMAN_KEY"); s.keyed {
			if s.keys[key] {
				return
			}
			s.keys[key] = true
		}
		to := r.Args[5] + ":" + r.Args[6]
		if to != s.value {
			s.seen.Changes++
		}
		s.value, s.marker = to, variable(r, "POINTSMAN_MARKER")
	}
	e = command.Ended{PID: 4711, Output: "token " + secret}
	if s.hold {
		s.hold, s.held = false, effect
		e.Signal = "killed when its time had run out"
		return e, true
	}
	switch f {
	case actuatortest.FailBefore:
		e.Code = 22
	case actuatortest.FailAfter:
		effect()
		e.Code = 127
	case actuatortest.LoseBefore:
		e.Signal = "ended by signal: segmentation fault"
	case actuatortest.LoseAfter:
		effect()
		e.Signal = "ended by signal: terminated"
	case actuatortest.Hang, actuatortest.HangAfter:
		if f == actuatortest.HangAfter {
			effect()
		}
		e.Signal = "killed when its time had run out"
		return e, true
	case actuatortest.Garble:
		effect()
		e.Output = "\x00\xff" + strings.Repeat("x", command.MaxOutput)
	case actuatortest.Refuse:
		e.Code = 2
	case actuatortest.TooMany:
		e.Code, e.Output = 1, fmt.Sprintf("busy\nPOINTSMAN_RETRY_AFTER=%d\n", int(actuatortest.RetryAfter.Seconds()))
	default:
		effect()
	}
	return e, false
}

func encode(t testing.TB, msg proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// world is a shop and its kind, for a step with the given word and a target
// with or without a check.
func world(t testing.TB, repeat pb.Repeat, check bool) actuatortest.World {
	s := &shop{marks: check, keyed: repeat == pb.Repeat_REPEAT_KEYED, value: "10.0.9.9:6379", keys: map[string]bool{}}
	target := &pb.CommandTarget{Program: "/opt/act", Secrets: map[string]string{"API_TOKEN": "env:TOKEN"}}
	if check {
		target.Check = "/opt/check"
	}
	return actuatortest.World{
		Kind: command.New(command.Config{Run: s.run, Getenv: func(string) string { return secret }}),
		Name: command.Name, Target: fsm.TargetSpec{ID: "script", Kind: command.Name, Params: encode(t, target)},
		Message: &pb.CommandStep{Repeat: repeat}, TargetOf: target, A: addressA, B: addressB,
		Secrets: []string{secret}, Outside: s, Late: s, Unread: !check,
	}
}

// TestConformance runs the suite for every class that a step can declare.
func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		repeat pb.Repeat
		check  bool
		class  fsm.Class
	}{
		"blind":              {pb.Repeat_REPEAT_UNSPECIFIED, false, fsm.Blind},
		"keyed":              {pb.Repeat_REPEAT_KEYED, false, fsm.Keyed},
		"keyed with a check": {pb.Repeat_REPEAT_KEYED, true, fsm.Keyed},
		"readable":           {pb.Repeat_REPEAT_UNSPECIFIED, true, fsm.Readable},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t, c.repeat, c.check)
			planned, problems := w.Kind.Plan(actuators.StepInput{Master: "cache", Target: "script", Message: w.Message, TargetMsg: w.TargetOf})
			if planned.Class != c.class || planned.Object != "script/cache" || len(problems) > 0 {
				t.Fatalf("planned %+v, %v", planned, problems)
			}
			actuatortest.Run(t, func(t *testing.T) actuatortest.World { return world(t, c.repeat, c.check) })
		})
	}
}
