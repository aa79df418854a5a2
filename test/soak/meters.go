package main

import (
	"context"
	"sync"
	"time"

	"github.com/pointsman/pointsman/test/clouds/hooks"
)

// lookEvery is how often the programs' metrics are read; what a killed process
// counted since the last look is lost.
const lookEvery = 250 * time.Millisecond

// meters are the programs' own counters, summed over all of their lives.
type meters struct {
	at []string

	mu   sync.Mutex
	base []map[string]float64 // of lives that ended
	last []map[string]float64
}

func newMeters(at []string) *meters {
	m := &meters{at: at, base: make([]map[string]float64, len(at)), last: make([]map[string]float64, len(at))}
	for i := range at {
		m.base[i], m.last[i] = map[string]float64{}, map[string]float64{}
	}
	return m
}

// follow looks until ctx ends.
func (m *meters) follow(ctx context.Context) {
	for pace(ctx, time.Now().Add(lookEvery)) {
		m.look(ctx)
	}
}

func (m *meters) look(ctx context.Context) {
	for i, at := range m.at {
		now, err := hooks.Metrics(ctx, at)
		if err != nil {
			continue
		}
		m.mu.Lock()
		for name, v := range now {
			if v < m.last[i][name] { // another life
				m.base[i][name] += m.last[i][name]
			}
			m.last[i][name] = v
		}
		m.mu.Unlock()
	}
}

// sum is a counter over all processes and lives.
func (m *meters) sum(name string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.at {
		n += int(m.base[i][name] + m.last[i][name])
	}
	return n
}
