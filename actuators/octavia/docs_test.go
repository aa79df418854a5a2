package octavia

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestDocumentedSample: what the page shows can be copied.
func TestDocumentedSample(t *testing.T) {
	page, err := os.ReadFile("../../docs/targets/octavia.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(page), "```") {
		if text, ok := strings.CutPrefix(part, "yaml\n"); ok && i%2 == 1 {
			blocks = append(blocks, text)
		}
	}
	if len(blocks) != 2 {
		t.Fatalf("%d samples", len(blocks))
	}
	var spec struct {
		Masters []struct {
			Plan []struct {
				Steps []map[string]any `yaml:"steps"`
			} `yaml:"plan"`
		} `yaml:"masters"`
		Targets map[string]map[string]any `yaml:"targets"`
	}
	if err := yaml.Unmarshal([]byte(blocks[0]), &spec); err != nil {
		t.Fatal(err)
	}
	var targetMsg pb.OctaviaTarget
	var stepMsg pb.OctaviaStep
	read(t, spec.Targets["lb-par"][Name], &targetMsg)
	read(t, spec.Masters[0].Plan[0].Steps[0][Name], &stepMsg)
	kind := New(Config{})
	problems := kind.CheckTarget(&targetMsg)
	_, more := kind.Plan(actuators.StepInput{
		Master: "cache", Target: "lb-par", Message: &stepMsg, TargetMsg: &targetMsg,
		Candidates: []fsm.Candidate{{Address: "10.0.1.20:6379"}, {Address: "10.0.2.20:6379"}},
	})
	if problems = append(problems, more...); len(problems) > 0 {
		t.Error(problems)
	}
	c, err := parseClouds([]byte(blocks[1]), targetMsg.GetCloud())
	if err != nil || c.tokensURL() != "https://auth.cloud.ovh.net/v3/auth/tokens" || c.region != targetMsg.GetRegion() {
		t.Errorf("%+v, %v", c, err)
	}
}

// read reads a part of YAML as a message and holds it to the message's rules.
func read(t *testing.T, part any, msg proto.Message) {
	t.Helper()
	raw, err := json.Marshal(part)
	if err == nil {
		err = protojson.Unmarshal(raw, msg)
	}
	if err == nil {
		err = protovalidate.Validate(msg)
	}
	if err != nil {
		t.Fatal(err)
	}
}
