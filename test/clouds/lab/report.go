package lab

import (
	"strings"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Report is what a run came to. Its fields are stable.
type Report struct {
	OK          bool       `json:"ok"` // every check holds
	Failovers   []Failover `json:"failovers"`
	Provider    Provider   `json:"provider"`
	Client      Client     `json:"client"`
	LeaderKills int        `json:"leader_kills"`
	Log         Log        `json:"log"`
	Leases      *Leases    `json:"leases,omitempty"` // with Options.Workers
}

// Failover is one failover of a run.
type Failover struct {
	ID            string   `json:"id"`
	From          string   `json:"from"`
	To            string   `json:"to"`
	SentinelEpoch uint64   `json:"sentinel_epoch"`
	PhasesMS      Phases   `json:"phases_ms"`
	Actions       []Action `json:"actions"`
}

// Phases are moments in milliseconds after the kill; null: it never came to it.
type Phases struct {
	Killed       *float64 `json:"killed"`        // 0
	Promoted     *float64 `json:"promoted"`      // any Sentinel's getter names the new address: the lab's own recorder
	Accepted     *float64 `json:"accepted"`      // the failover stands in the log: the lab's watch
	FirstRequest *float64 `json:"first_request"` // the provider received the first request that may change something: its journal
	Applied      *float64 `json:"applied"`       // the load balancer sends traffic to the new master
	Settled      *float64 `json:"settled"`       // every action is final: the lab's watch
}

// Action is one action of a failover at the end of the run.
type Action struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Effect   string `json:"effect"`
	Attempts uint32 `json:"attempts"`
	Term     uint64 `json:"term"`
}

// Provider is what the simulator counted in its own journal, held against the
// actions of the log.
type Provider struct {
	FrontendChanges int `json:"frontend_changes"`
	Refreshes       int `json:"refreshes"`
	Duplicates      int `json:"duplicates"`
	Repeats         int `json:"repeats"`
	Stale           int `json:"stale"`
	Lost            int `json:"lost"`
	Orphans         int `json:"orphans"`
}

// Log is what the nodes read back from their disks.
type Log struct {
	// Entries counts those whose checksum was read back, over all nodes.
	Entries uint64 `json:"entries"`
	// Verified: every entry of every node held, and all nodes have the same
	// state hash at the same index.
	Verified bool `json:"verified"`
}

func actions(f *pointsmanv1.Failover) []Action {
	out := []Action{}
	for _, a := range f.GetActions() {
		out = append(out, Action{ID: a.Id, State: stateWord(a.State), Effect: effectWord(a.Effect), Attempts: a.Attempts, Term: a.Term})
	}
	return out
}

// stateWord and effectWord are the short names: done, changed.
func stateWord(s pointsmanv1.ActionState) string { return word(s.String(), "ACTION_STATE_") }

func effectWord(e pointsmanv1.ActionEffect) string {
	if e == pointsmanv1.ActionEffect_ACTION_EFFECT_UNSPECIFIED {
		return ""
	}
	return word(e.String(), "ACTION_EFFECT_")
}

func word(name, prefix string) string { return strings.ToLower(strings.TrimPrefix(name, prefix)) }

// since is the milliseconds from one moment to another; nil if it never came.
func since(from, to time.Time) *float64 {
	if to.IsZero() {
		return nil
	}
	return new(millis(to.Sub(from)))
}
