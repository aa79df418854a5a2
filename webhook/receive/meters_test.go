package receive

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

// TestEveryMetricIsDocumented compares what a receiver registers with
// docs/metrics.md, both ways.
func TestEveryMetricIsDocumented(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := testConfig(&buffertest.Memory{})
	c.Registry = registry
	open(t, c)
	descs := make(chan *prometheus.Desc, 1000)
	registry.Describe(descs)
	close(descs)
	var have, told []string
	for d := range descs {
		have = append(have, regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1])
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Receivers of webhooks\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(section, -1) {
		told = append(told, m[1])
	}
	slices.Sort(have)
	if !slices.Equal(have, told) {
		t.Errorf("registered\n%v\ndocs/metrics.md, which is to be in order\n%v", have, told)
	}
}
