package httpcall_test

import (
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/httpcall"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func pemOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func paths(problems []actuators.Problem) string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Path)
	}
	return strings.Join(all, ",")
}

func TestPlanRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		step  *pb.HttpStep
		paths string
	}{
		"fine":                {&pb.HttpStep{}, ""},
		"readable by nothing": {&pb.HttpStep{Repeat: pb.Repeat_REPEAT_READABLE}, "repeat"},
		"blind with a check":  {&pb.HttpStep{Repeat: pb.Repeat_REPEAT_BLIND, Check: "/x"}, "repeat"},
		"unknown word":        {&pb.HttpStep{Repeat: 9}, "repeat"},
		"a check elsewhere":   {&pb.HttpStep{Check: "https://elsewhere.example.net/"}, "check"},
		"an object with /":    {&pb.HttpStep{Object: "a/b"}, "object"},
		"unknown field":       {&pb.HttpStep{Value: "{{.Newest}}"}, "value"},
		"a loop":              {&pb.HttpStep{Value: "{{range 9}}x{{end}}"}, "value"},
	} {
		_, problems := httpcall.New(httpcall.Config{}).Plan(actuators.StepInput{Master: "cache", Target: "t", Message: c.step, TargetMsg: &pb.HttpTarget{}})
		if paths(problems) != c.paths {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestCheckTarget(t *testing.T) {
	for name, c := range map[string]struct {
		target *pb.HttpTarget
		paths  string
	}{
		"fine":             {&pb.HttpTarget{Url: "https://hooks.example.net/redis", Secret: "env:HOOK"}, ""},
		"open, inside":     {&pb.HttpTarget{Url: "http://10.0.0.9:8080", Secret: "env:HOOK", Allow: []string{"10.0.0.0/8"}}, ""},
		"open, outside":    {&pb.HttpTarget{Url: "http://hooks.example.net", Secret: "env:HOOK"}, "url"},
		"with a user":      {&pb.HttpTarget{Url: "https://u:hunter2@hooks.example.net", Secret: "env:HOOK"}, "url"},
		"with a query":     {&pb.HttpTarget{Url: "https://hooks.example.net/?k=hunter2", Secret: "env:HOOK"}, "url"},
		"no URL":           {&pb.HttpTarget{Url: "hooks.example.net", Secret: "env:HOOK"}, "url"},
		"a secret raw":     {&pb.HttpTarget{Url: "https://hooks.example.net", Secret: "hunter2", Ca: "hunter2"}, "secret,ca"},
		"no network":       {&pb.HttpTarget{Url: "https://hooks.example.net", Secret: "env:HOOK", Allow: []string{"10.0.0.0/8", "10.0.0.1"}}, "allow[1]"},
		"too many of them": {&pb.HttpTarget{Url: "https://hooks.example.net", Secret: "env:HOOK", Allow: strings.Fields(strings.Repeat("10.0.0.0/8 ", 17))}, "allow"},
	} {
		problems := httpcall.New(httpcall.Config{}).CheckTarget(c.target)
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

func TestOpenRefuses(t *testing.T) {
	vars := map[string]string{"SHORT": "0123456789", "HOOK": secret, "CA": "no certificate"}
	kind := httpcall.New(httpcall.Config{Getenv: func(name string) string { return vars[name] }})
	for name, c := range map[string]struct {
		target *pb.HttpTarget
		want   error
	}{
		"no secret":      {&pb.HttpTarget{Secret: "env:NONE"}, wire.ErrReference},
		"short":          {&pb.HttpTarget{Secret: "env:SHORT"}, httpcall.ErrSecret},
		"no certificate": {&pb.HttpTarget{Secret: "env:HOOK", Ca: "env:CA"}, httpcall.ErrAuthority},
	} {
		_, err := kind.Open(fsm.TargetSpec{ID: "hook", Params: encode(t, c.target)}, free{})
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
