package cluster

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	good := func() Config {
		c := DefaultConfig()
		c.NodeID, c.DataDir = "n1", "/var/lib/pointsman"
		c.Peers = []Peer{{"n1", "a:7800"}, {"n2", "b:7800"}, {"n3", "c:7800"}}
		return c
	}
	if err := good().Validate(); err != nil {
		t.Fatalf("the default config: %v", err)
	}
	for want, spoil := range map[string]func(*Config){
		"id is missing":                                     func(c *Config) { c.NodeID = "" },
		"data directory is missing":                         func(c *Config) { c.DataDir = "" },
		`listen "7800"`:                                     func(c *Config) { c.Listen = "7800" },
		`id "n9" is not among the 3 peers`:                  func(c *Config) { c.NodeID = "n9" },
		`peer "n2" is listed twice: "b:7800" and "c:7800"`:  func(c *Config) { c.Peers[2].ID = "n2" },
		`peers "n1" and "n3" share the address "a:7800"`:    func(c *Config) { c.Peers[2].Address = "a:7800" },
		`peer "n3" address "c"`:                             func(c *Config) { c.Peers[2].Address = "c" },
		"lease 1s is not between half of heartbeat 400ms":   func(c *Config) { c.Timings.Lease = time.Second },
		"election 300ms is below heartbeat 400ms":           func(c *Config) { c.Timings.Election = 300 * time.Millisecond },
		"heartbeat 10ms is below 100ms":                     func(c *Config) { c.Timings.Heartbeat = 10 * time.Millisecond },
		"commit 300ms is not between 0 and half of":         func(c *Config) { c.Timings.Commit = 300 * time.Millisecond },
		"rpc 100ms is below heartbeat 400ms":                func(c *Config) { c.Timings.RPC = 100 * time.Millisecond },
		"write 1s is below stall 3s":                        func(c *Config) { c.Timings.Write = time.Second },
		"stall 500ms is below twice election 400ms":         func(c *Config) { c.Timings.Stall = 500 * time.Millisecond },
		"snapshots: entries 0, bytes 67108864 and interval": func(c *Config) { c.Snapshots.Entries = 0 },
		"logger is missing":                                 func(c *Config) { c.Logger = nil },
	} {
		c := good()
		spoil(&c)
		err := c.Validate()
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	c := good()
	c.NodeID, c.Timings.Lease, c.Logger = "", time.Minute, nil
	for _, want := range []string{"id is missing", "lease 1m0s", "logger is missing"} {
		if err := c.Validate(); !strings.Contains(err.Error(), want) {
			t.Errorf("not all at once: %v lacks %q", err, want)
		}
	}
}

func TestProfiles(t *testing.T) {
	for _, profile := range []string{"", ProfileDefault, ProfileFast, ProfileCalm} {
		timings, err := TimingsOf(profile)
		if errs := timings.validate(); err != nil || len(errs) > 0 {
			t.Errorf("profile %q: %v %v", profile, err, errs)
		}
	}
	if _, err := TimingsOf("wild"); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), `"wild"`) {
		t.Errorf("profile that does not exist: %v", err)
	}
}
