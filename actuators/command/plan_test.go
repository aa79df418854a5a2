package command_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/command"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func paths(problems []actuators.Problem) string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Path)
	}
	return strings.Join(all, ",")
}

func TestPlanRefuses(t *testing.T) {
	with, without := &pb.CommandTarget{Program: "/a", Check: "/b"}, &pb.CommandTarget{Program: "/a"}
	for name, c := range map[string]struct {
		step   *pb.CommandStep
		target *pb.CommandTarget
		paths  string
	}{
		"fine":                   {&pb.CommandStep{}, without, ""},
		"a name of its own":      {&pb.CommandStep{Object: "lb", MasterName: "mymaster"}, without, ""},
		"readable by nothing":    {&pb.CommandStep{Repeat: pb.Repeat_REPEAT_READABLE}, without, "repeat"},
		"blind with a check":     {&pb.CommandStep{Repeat: pb.Repeat_REPEAT_BLIND}, with, "repeat"},
		"keyed with a check":     {&pb.CommandStep{Repeat: pb.Repeat_REPEAT_KEYED}, with, ""},
		"unknown word":           {&pb.CommandStep{Repeat: 9}, without, "repeat"},
		"an object of two words": {&pb.CommandStep{Object: "a b"}, without, "object"},
		"a name with a slash":    {&pb.CommandStep{MasterName: "a/b"}, without, "master_name"},
		"no target":              {&pb.CommandStep{}, nil, ""},
	} {
		in := actuators.StepInput{Master: "cache", Target: "t", Message: c.step}
		if c.target != nil {
			in.TargetMsg = c.target
		}
		_, problems := command.New(command.Config{}).Plan(in)
		if paths(problems) != c.paths || (len(problems) > 0) != (c.paths != "" || c.target == nil) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestCheckTarget(t *testing.T) {
	for name, c := range map[string]struct {
		target *pb.CommandTarget
		paths  string
	}{
		"fine":                {&pb.CommandTarget{Program: "/etc/redis/reconfig.sh", Check: "/c", Secrets: map[string]string{"T": "file:/t"}}, ""},
		"relative":            {&pb.CommandTarget{Program: "reconfig.sh"}, "program"},
		"not clean":           {&pb.CommandTarget{Program: "/etc/../tmp/x", Check: "c"}, "program,check"},
		"none":                {&pb.CommandTarget{}, "program"},
		"a secret in the raw": {&pb.CommandTarget{Program: "/p", Secrets: map[string]string{"T": "hunter2"}}, `secrets["T"]`},
		"a name of ours":      {&pb.CommandTarget{Program: "/p", Secrets: map[string]string{"POINTSMAN_NEW": "env:T"}}, `secrets["POINTSMAN_NEW"]`},
		"a name of none":      {&pb.CommandTarget{Program: "/p", Secrets: map[string]string{"A=B": "env:T"}}, `secrets["A=B"]`},
	} {
		problems := command.New(command.Config{}).CheckTarget(c.target)
		if paths(problems) != c.paths {
			t.Errorf("%s: %v", name, problems)
		}
		for _, p := range problems {
			if strings.Contains(p.Message, "hunter2") {
				t.Errorf("%s: quotes a secret: %s", name, p.Message)
			}
		}
	}
}

func TestOpenNamesAReferenceThatDoesNotResolve(t *testing.T) {
	target := &pb.CommandTarget{Program: "/p", Secrets: map[string]string{"T": "env:NOT_THERE"}}
	_, err := command.New(command.Config{Getenv: os.Getenv}).Open(fsm.TargetSpec{ID: "script", Params: encode(t, target)}, free{})
	if !errors.Is(err, wire.ErrReference) || !strings.Contains(err.Error(), `secrets["T"]`) {
		t.Errorf("%v", err)
	}
}
