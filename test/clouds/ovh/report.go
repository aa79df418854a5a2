package ovh

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// State is the whole account: what GET shows, and what it does not.
type State struct {
	Services map[string]ServiceState `json:"services"`
}

// ServiceState is one load balancer.
type ServiceState struct {
	Zones   []string          `json:"zones"`
	Staged  Layout            `json:"staged"`
	Applied map[string]Layout `json:"applied"` // by zone
	Pending map[string]int    `json:"pending"` // staged edits that no refresh has taken, by zone; no lag, no knob
	Tasks   []Task            `json:"tasks"`
	Listen  map[string]string `json:"listen"` // data address by "FRONTEND/ZONE"
}

// Layout is one whole configuration.
type Layout struct {
	Frontends []Frontend `json:"frontends"`
	Farms     []Farm     `json:"farms"`
	Servers   []Server   `json:"servers"`
}

// State returns a copy of everything.
func (s *Sim) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := State{Services: map[string]ServiceState{}}
	for name, svc := range s.services {
		state := ServiceState{
			Zones: slices.Clone(svc.zones), Staged: svc.staged.list(), Applied: map[string]Layout{},
			Pending: map[string]int{}, Listen: map[string]string{}, Tasks: []Task{},
		}
		for _, zone := range svc.zones {
			state.Applied[zone], state.Pending[zone] = svc.applied[zone].list(), svc.pending(zone)
			for id := range svc.applied[zone].frontends {
				if s.plane == nil {
					break
				}
				if address, err := s.plane.address(spot{id, zone}); err == nil {
					state.Listen[fmt.Sprintf("%d/%s", id, zone)] = address
				}
			}
		}
		for _, id := range slices.Sorted(maps.Keys(svc.tasks)) {
			state.Tasks = append(state.Tasks, s.view(svc.tasks[id]))
		}
		out.Services[name] = state
	}
	return out
}

func (l layout) list() Layout {
	out := Layout{Frontends: []Frontend{}, Farms: []Farm{}, Servers: []Server{}}
	for _, id := range slices.Sorted(maps.Keys(l.frontends)) {
		out.Frontends = append(out.Frontends, l.frontends[id])
	}
	for _, id := range slices.Sorted(maps.Keys(l.farms)) {
		out.Farms = append(out.Farms, l.farms[id])
		for _, server := range slices.Sorted(maps.Keys(l.servers[id])) {
			out.Servers = append(out.Servers, l.servers[id][server])
		}
	}
	return out
}

// writeMetrics writes counters and gauges in the text format of Prometheus.
func (s *Sim) writeMetrics(w io.Writer) {
	s.mu.Lock()
	lines := []struct {
		name, kind string
		value      int64
	}{
		{"ovh_sim_calls_total", "counter", s.journal.seq},
		{"ovh_sim_effects_total", "counter", s.journal.order},
		{"ovh_sim_journal_dropped_writes_total", "counter", s.journal.writes.dropped},
		{"ovh_sim_journal_dropped_reads_total", "counter", s.journal.reads.dropped},
		{"ovh_sim_held_calls", "gauge", int64(len(s.held))},
	}
	s.mu.Unlock()
	if s.plane != nil {
		open, refused := s.plane.figures()
		lines = append(lines, []struct {
			name, kind string
			value      int64
		}{{"ovh_sim_connections", "gauge", int64(open)}, {"ovh_sim_connections_refused_total", "counter", refused}}...)
	}
	for _, l := range lines {
		fmt.Fprintf(w, "# TYPE %s %s\n%s %d\n", l.name, l.kind, l.name, l.value)
	}
}
