package coordinator

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/shopify"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// TestEveryMetricIsDocumented compares what a running node registers with
// docs/metrics.md, both ways.
func TestEveryMetricIsDocumented(t *testing.T) {
	var ports []string
	reserved, err := redis.ReservePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	defer reserved.Release()
	for _, n := range reserved.Numbers {
		ports = append(ports, fmt.Sprintf("127.0.0.1:%d", n))
	}
	n := &pointsmanv1.NodeConfig{
		Id: "a", DataDir: t.TempDir(), DiskFloor: 1,
		Listen:    &pointsmanv1.Listen{Raft: ports[0], Grpc: ports[1], Http: ports[2]},
		Advertise: &pointsmanv1.Advertise{Raft: ports[0], Grpc: ports[1], Http: ports[2]},
		Peers:     []*pointsmanv1.Peer{{Id: "a", Zone: "z", Raft: ports[0]}},
	}
	shop := shopify.New(shopify.Config{})
	c, err := Start(t.Context(), Options{Node: n, Kinds: actuators.Kinds{shopify.Name: shop, shopify.HooksName: shop, shopify.TargetName: shop}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	descs := make(chan *prometheus.Desc, 1000)
	c.registry.Describe(descs)
	close(descs)
	var have []string
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range descs {
		m := name.FindStringSubmatch(d.String())[1]
		if !strings.HasPrefix(m, "promhttp_") { // the library's own, there or not by when the handler is made
			have = append(have, m)
		}
	}
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllSubmatch(page, -1) {
		if !strings.HasPrefix(string(m[1]), "pointsman_webhook_") { // of receivers and workers, which hold their own
			told = append(told, string(m[1]))
		}
	}
	for _, m := range have {
		if !slices.Contains(told, m) {
			t.Errorf("%s is not in docs/metrics.md", m)
		}
	}
	for _, m := range told {
		if !slices.Contains(have, m) {
			t.Errorf("docs/metrics.md tells of %s, which nobody registers", m)
		}
	}
}
