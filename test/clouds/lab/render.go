package lab

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/deploy/samples"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// place is where one node of the lab lives.
type place struct {
	id, zone         string
	raft, grpc, http string
	dir              string
}

// swap replaces texts in a sample, all in one pass, so that nothing is replaced
// twice. A text that the sample lacks is an error: sample and lab have drifted.
func swap(sample string, pairs ...string) (string, error) {
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(sample, pairs[i]) {
			return "", fmt.Errorf("sample lacks %q", pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(sample), nil
}

// nodeSample is what the lab replaces in the sample's node file, which is that
// of the first node.
type nodeSample struct {
	ID      string                                  `yaml:"id"`
	Zone    string                                  `yaml:"zone"`
	DataDir string                                  `yaml:"data_dir"`
	Listen  struct{ Raft, GRPC, HTTP string }       `yaml:"listen"`
	Peers   []struct{ ID, Zone, Raft, GRPC string } `yaml:"peers"`
}

func sampleNode() (nodeSample, error) {
	var n nodeSample
	if err := yaml.Unmarshal([]byte(samples.Node()), &n); err != nil {
		return n, fmt.Errorf("deploy/samples/node.yaml: %w", err)
	}
	return n, nil
}

// renderNode is the sample's node file with the places of this lab.
func renderNode(i int, places []place) (string, error) {
	n, err := sampleNode()
	if err != nil {
		return "", err
	}
	if len(n.Peers) != len(places) {
		return "", fmt.Errorf("sample names %d peers, the lab has %d", len(n.Peers), len(places))
	}
	self := places[i]
	pairs := []string{
		"\nid: " + n.ID, "\nid: " + self.id,
		"\nzone: " + n.Zone, "\nzone: " + self.zone,
		"\ndata_dir: " + n.DataDir, "\ndata_dir: " + self.dir,
		"\n  raft: " + n.Listen.Raft, "\n  raft: " + self.raft,
		"\n  grpc: " + n.Listen.GRPC, "\n  grpc: " + self.grpc,
		"\n  http: " + n.Listen.HTTP, "\n  http: " + self.http,
	}
	for k, p := range n.Peers {
		pairs = append(pairs, " raft: "+p.Raft, " raft: "+places[k].raft, " grpc: "+p.GRPC, " grpc: "+places[k].grpc)
	}
	return swap(samples.Node(), pairs...)
}

// renderSpec is the sample's spec with the addresses of this lab; traffic is
// where clients connect.
func renderSpec(sentinels, redis []string, traffic, endpoint, credentials, password string, o Options) (string, error) {
	s, err := sampleSpec()
	if err != nil {
		return "", err
	}
	m, step, target := s.master, s.step, s.target
	if len(m.Sentinel.Addresses) != len(sentinels) || len(m.Candidates) != len(redis) {
		return "", fmt.Errorf("sample has %d sentinels and %d candidates, the lab %d and %d",
			len(m.Sentinel.Addresses), len(m.Candidates), len(sentinels), len(redis))
	}
	pairs := []string{
		"endpoint: " + target.Endpoint, "endpoint: " + endpoint,
		target.Credentials, "file:" + credentials,
		m.Redis.Password, "file:" + password,
		m.Sentinel.Switchover.Password, "file:" + password,
		"address: " + s.probe, "address: " + traffic,
		fmt.Sprintf("rate: %d", s.rate), fmt.Sprintf("rate: %d", o.Rate),
	}
	if o.Hold > 0 {
		pairs = append(pairs, "hold: "+s.hold, "hold: "+o.Hold.String())
	}
	for i, a := range m.Sentinel.Addresses {
		pairs = append(pairs, a, sentinels[i])
	}
	for i, c := range m.Candidates {
		if step.Farms[c.Address] == 0 {
			return "", fmt.Errorf("sample has no farm for %s", c.Address)
		}
		pairs = append(pairs, c.Address, redis[i])
	}
	return swap(samples.Spec(), pairs...)
}

// sampled is the one master, load balancer step and target of the sample.
type sampled struct {
	master  *pointsmanv1.MasterSpec
	step    *pointsmanv1.OvhIplbStep
	target  *pointsmanv1.OvhIplbTarget
	name    string                   // of the target
	lb      string                   // name of the step
	probe   string                   // where that step is probed
	rate    uint32                   // of the target
	hold    string                   // of the target, as Go writes it
	setting *pointsmanv1.SettingStep // nil: none
}

func sampleSpec() (sampled, error) {
	spec, _, err := config.ParseSpec("deploy/samples/spec.yaml", []byte(samples.Spec()))
	if err != nil {
		return sampled{}, err
	}
	if len(spec.Masters) != 1 {
		return sampled{}, fmt.Errorf("sample has %d masters, the lab knows one", len(spec.Masters))
	}
	out := sampled{master: spec.Masters[0]}
	for _, stage := range out.master.Plan {
		for _, step := range stage.Steps {
			if s := step.GetOvhIplb(); s != nil {
				out.step, out.name, out.lb, out.probe = s, step.Target, step.Name, step.GetProbe().GetAddress()
			}
			if s := step.GetSetting(); s != nil {
				out.setting = s
			}
		}
	}
	if out.step == nil || spec.Targets[out.name].GetOvhIplb() == nil {
		return sampled{}, fmt.Errorf("sample has no ovh_iplb step with its target")
	}
	out.target, out.rate = spec.Targets[out.name].GetOvhIplb(), spec.Targets[out.name].Rate
	out.hold = spec.Targets[out.name].Hold.AsDuration().String()
	return out, nil
}

// sampleSpan is a span of the sample's sentinel.conf. The lines of the Sentinels'
// timings are written anew by those who start them.
func sampleSpan(directive string) (time.Duration, error) {
	for line := range strings.Lines(samples.Sentinel()) {
		f := strings.Fields(line)
		if len(f) == 4 && f[0] == "sentinel" && f[1] == directive {
			n, err := strconv.Atoi(f[3])
			return time.Duration(n) * time.Millisecond, err
		}
	}
	return 0, fmt.Errorf("deploy/samples/sentinel.conf has no %s", directive)
}
