package shopify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// Check asks for the API versions that the shop serves, the points that are left,
// and the scopes that the app was granted: each topic takes one of some.
func (h *hooks) Check(ctx context.Context, s actuators.Subject) ([]string, error) {
	want, err := hooksIn(s.Step)
	if err != nil {
		return nil, err
	}
	var data struct {
		Versions     []apiVersion `json:"publicApiVersions"`
		Installation struct {
			Scopes []struct {
				Handle string `json:"handle"`
			} `json:"accessScopes"`
		} `json:"currentAppInstallation"`
	}
	asked := call{name: "read rights", query: "query PointsmanRights { publicApiVersions { handle supported } currentAppInstallation { accessScopes { handle } } }", out: &data}
	said, err := h.client.do(ctx, asked)
	if err != nil {
		return nil, err
	}
	problems := append(said.cost.low(), h.client.unserved(data.Versions)...)
	if data.Installation.Scopes == nil { // not told
		return problems, nil
	}
	granted := map[string]bool{}
	for _, scope := range data.Installation.Scopes {
		granted[scope.Handle] = true
		if what, ok := strings.CutPrefix(scope.Handle, "write_"); ok { // it reads too
			granted["read_"+what] = true
		}
	}
	return append(problems, ungranted(want.Subscriptions, granted)...), nil
}

// ungranted names the scopes that wanted topics lack.
func ungranted(want []hook, granted map[string]bool) (out []string) {
	lack := map[string][]string{} // topics by what they take
	var order []string
	for _, h := range want {
		scopes, _ := topicScopes(h.Topic)
		if len(scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return granted[s] }) {
			continue
		}
		takes := strings.Join(scopes, " or ")
		if lack[takes] == nil {
			order = append(order, takes)
		}
		if !slices.Contains(lack[takes], h.Topic) {
			lack[takes] = append(lack[takes], h.Topic)
		}
	}
	for _, takes := range order {
		out = append(out, fmt.Sprintf("the app lacks the scope %s, which %s takes", takes, strings.Join(lack[takes], " and ")))
	}
	return out
}

// hookCount is how many subscriptions a look has met.
type hookCount struct {
	standing, missing, surplus, elsewhere int
	at                                    time.Time
}

// countOf counts places that are wanted; surplus: beyond the first at one of
// them; elsewhere: all others, whatever their topic.
func (l *hookList) countOf(want []hook) hookCount {
	n := hookCount{at: time.Now()}
	for _, found := range l.found {
		n.elsewhere += len(found)
	}
	for _, h := range want {
		found := len(l.found[h.place()])
		n.elsewhere -= found
		if found == 0 {
			n.missing++
			continue
		}
		n.standing++
		n.surplus += found - 1
	}
	return n
}

// counts remembers, for each target, what this process has counted last.
type counts struct {
	mu sync.Mutex // guards last
	// last holds at most one entry for each target that this process has opened.
	last map[fsm.TargetID]hookCount
}

func newCounts() *counts { return &counts{last: map[fsm.TargetID]hookCount{}} }

func (c *counts) note(t fsm.TargetID, n hookCount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[t] = n
}

func (c *counts) desc() *prometheus.Desc {
	return prometheus.NewDesc("pointsman_shopify_webhooks",
		"Webhook subscriptions of an app in a shop, by how they stand to the spec, as this node's last look met them: standing, missing, surplus (the same topic and uri once more), elsewhere (not the spec's). Missing where it has not looked for 15 min.",
		[]string{"target", "stand"}, nil)
}

func (c *counts) collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for t, n := range c.last {
		if time.Since(n.at) > countFor {
			continue
		}
		for stand, v := range map[string]int{"standing": n.standing, "missing": n.missing, "surplus": n.surplus, "elsewhere": n.elsewhere} {
			out <- prometheus.MustNewConstMetric(c.desc(), prometheus.GaugeValue, float64(v), string(t), stand)
		}
	}
}
