package samples_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/pointsman/pointsman/deploy/samples"
)

// The files name each other: what one says of a node, all must say.
func TestFilesAgree(t *testing.T) {
	type peer struct {
		ID, Zone, Raft, GRPC string
	}
	var node struct {
		ID     string
		Zone   string
		Listen struct{ Raft, GRPC string }
		Peers  []peer
	}
	if err := yaml.Unmarshal([]byte(samples.Node()), &node); err != nil {
		t.Fatal(err)
	}
	self := peer{ID: node.ID, Zone: node.Zone, Raft: node.Listen.Raft, GRPC: node.Listen.GRPC}
	if len(node.Peers) != 3 || node.Peers[0] != self {
		t.Errorf("peers %+v, want three, the first being %+v", node.Peers, self)
	}
	var spec struct {
		Masters []struct {
			Sentinel   struct{ Name string }
			Candidates []struct{ Address, Zone string }
		}
	}
	if err := yaml.Unmarshal([]byte(samples.Spec()), &spec); err != nil {
		t.Fatal(err)
	}
	m := spec.Masters[0]
	for i, c := range m.Candidates {
		if c.Zone != node.Peers[i].Zone {
			t.Errorf("candidate %s is in zone %q, peer %s in %q", c.Address, c.Zone, node.Peers[i].ID, node.Peers[i].Zone)
		}
	}
	host, port, _ := strings.Cut(m.Candidates[0].Address, ":")
	for file, lines := range map[string][]string{
		samples.Redis():    {"bind " + host, "port " + port, "replica-announce-ip " + host, "user observer on >" + samples.ObserverPassword + " -@all"},
		samples.HAProxy():  {"    server master " + host + ":" + port + " "},
		samples.Sentinel(): {"sentinel monitor " + m.Sentinel.Name + " " + host + " " + port + " 2", "user observer on >" + samples.ObserverPassword + " -@all"},
	} {
		for _, line := range lines {
			if !strings.Contains(file, "\n"+line) {
				t.Errorf("no line begins with %q in:\n%s", line, file)
			}
		}
	}
}
