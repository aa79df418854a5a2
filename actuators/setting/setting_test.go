package setting_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/setting"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestConformance(t *testing.T) {
	actuatortest.Run(t, func(*testing.T) actuatortest.World {
		return actuatortest.World{
			Kind: setting.Kind{}, Name: setting.Name, A: "10.0.1.20:6379", B: "10.0.2.20:6379",
			Message: &pb.SettingStep{Key: "redis/cache/url", Value: "redis://{{.New}}/0"},
		}
	})
}

func input(key, value string) actuators.StepInput {
	return actuators.StepInput{
		Master: "cache", Step: "url", Message: &pb.SettingStep{Key: key, Value: value},
		Candidates: []fsm.Candidate{{Address: "10.0.1.20:6379", Zone: "par-a"}, {Address: "10.0.2.20:6379", Zone: "par-b"}},
	}
}

func TestRender(t *testing.T) {
	facts := actuators.Facts{
		Failover: fsm.FailoverID{Master: "cache", Number: 7}, From: "10.0.1.20:6379", To: "[2001:db8::2]:6380", Epoch: 12, Zone: "par-b",
	}
	for template, want := range map[string]string{
		"redis://{{.New}}/0":                           "redis://[2001:db8::2]:6380/0",
		"{{.NewHost}} {{.NewPort}}":                    "2001:db8::2 6380",
		"{{.Old}} {{.OldHost}} {{.OldPort}}":           "10.0.1.20:6379 10.0.1.20 6379",
		"{{.Zone}} {{.Failover}} {{.Epoch}}":           "par-b cache/7 12",
		"{{.Master}} {{.Number}}":                      "cache 7",
		`{{if eq .Zone "par-b"}}b{{else}}other{{end}}`: "b",
		`{{with .Zone}}in {{.}}{{end}}`:                "in par-b",
		`{{printf "%s:%d" .NewHost .Epoch}}`:           "2001:db8::2:12",
		"plain":                                        "plain",
		"{{/* why */}}{{.Zone}}":                       "par-b",
	} {
		params, err := proto.Marshal(&pb.SettingStep{Key: "k", Value: template})
		if err != nil {
			t.Fatal(err)
		}
		step := fsm.Step{Name: "url", Params: params, Object: fsm.SettingObject("k"), Class: fsm.InLog}
		v, err := setting.Kind{}.Render(step, facts)
		if err != nil {
			t.Errorf("%s: %v", template, err)
			continue
		}
		tool, err := setting.Kind{}.Open(fsm.TargetSpec{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := tool.Act(t.Context(), actuators.Work{Action: fsm.Action{Step: step, Value: v.Value}}, actuators.Sight{})
		if err != nil || len(out.Settings) != 1 || out.Settings[0] != (fsm.SettingWrite{Key: "k", Value: want}) {
			t.Errorf("%s: writes %+v, %v; want %q", template, out.Settings, err, want)
		}
		if v.Wanted != "k = "+want {
			t.Errorf("%s: wanted reads %q", template, v.Wanted)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in    actuators.StepInput
		paths []string
	}{
		"fine":              {input("redis/cache/url", "{{.New}}"), nil},
		"no value":          {input("k", ""), []string{"value"}},
		"unknown field":     {input("k", "{{.Newest}}"), []string{"value"}},
		"in one branch":     {input("k", `{{if eq .Zone "par-b"}}{{.Typo}}{{end}}`), []string{"value"}},
		"in another":        {input("k", `{{if eq .Old .New}}{{.Typo}}{{end}}`), []string{"value"}},
		"not closed":        {input("k", "{{.New"), []string{"value"}},
		"unknown function":  {input("k", "{{env `HOME`}}"), []string{"value"}},
		"loop":              {input("k", "{{range 1000000000}}{{end}}"), []string{"value"}},
		"loop inside":       {input("k", "{{if .New}}{{range 9}}x{{end}}{{end}}"), []string{"value"}},
		"calls itself":      {input("k", `{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`), []string{"value"}},
		"template too long": {input("k", strings.Repeat("x", actuators.MaxTemplate+1)), []string{"value"}},
		"value too long":    {input("k", `{{printf "%70000d" .Epoch}}`), []string{"value"}},
		"kept for a target": {input("pointsman/sealed/shop", "{{.New}}"), []string{"key"}},
		"a built-in state":  {input("redis/cache/state", "{{.New}}"), []string{"key"}},
		"under one":         {input("redis/cache/state/x", "{{.New}}"), []string{"key"}},
		"both at once":      {input("k//", "{{.Nope}}"), []string{"key", "value"}},
		"a target":          {actuators.StepInput{Target: "lb", Message: &pb.SettingStep{Key: "k", Value: "v"}}, []string{""}},
	} {
		_, problems := setting.Kind{}.Plan(c.in)
		var paths []string
		for _, p := range problems {
			paths = append(paths, p.Path)
			if p.Message == "" {
				t.Errorf("%s: a problem without words at %q", name, p.Path)
			}
		}
		if strings.Join(paths, ",") != strings.Join(c.paths, ",") || len(paths) != len(c.paths) {
			t.Errorf("%s: problems %v, want at %q", name, problems, c.paths)
		}
	}
}

func TestPlanNamesTheSetting(t *testing.T) {
	planned, _ := setting.Kind{}.Plan(input("redis/cache/url", "v"))
	if planned.Object != fsm.SettingObject("redis/cache/url") || planned.Class != fsm.InLog {
		t.Errorf("planned %+v", planned)
	}
}

func TestRenderErrors(t *testing.T) {
	for _, value := range []string{"{{.Newest}}", "{{range 3}}x{{end}}"} {
		params, err := proto.Marshal(&pb.SettingStep{Key: "k", Value: value})
		if err != nil {
			t.Fatal(err)
		}
		_, err = setting.Kind{}.Render(fsm.Step{Name: "url", Params: params}, actuators.Facts{})
		if x, ok := errors.AsType[*actuators.Error](err); !ok || !x.Permanent {
			t.Errorf("%s: %v, want a permanent error", value, err)
		}
	}
}
