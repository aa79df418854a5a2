package linode

import (
	"maps"
	"slices"
)

// NodeBalancer is one balancer.
type NodeBalancer struct {
	ID    int64
	Label string
	VPC   int64 // id of its subnet; 0: Linode's private network
}

// ConfigOf a NodeBalancer: one port of it.
type ConfigOf struct {
	ID           int64
	NodeBalancer int64
	Port         int64  // 0: 6379
	Protocol     string // empty: tcp
	SSLCert      string
	SSLKey       string
}

// Node is one backend of a configuration.
type Node struct {
	ID      int64
	Config  int64
	Label   string
	Address string
	Weight  int64  // 0: 100
	Mode    string // empty: accept
	Subnet  int64
}

// tree is everything that is stored. It is not changed once it is in the
// history: a write makes the next one.
type tree struct {
	balancers map[int64]NodeBalancer
	configs   map[int64]ConfigOf
	nodes     map[int64]Node
}

func (t tree) clone() tree {
	return tree{balancers: maps.Clone(t.balancers), configs: maps.Clone(t.configs), nodes: maps.Clone(t.nodes)}
}

// nodesOf lists a configuration's nodes by id.
func (t tree) nodesOf(config int64) []Node {
	var out []Node
	for _, id := range slices.Sorted(maps.Keys(t.nodes)) {
		if n := t.nodes[id]; n.Config == config {
			out = append(out, n)
		}
	}
	return out
}

// configsOf lists a balancer's configurations by id.
func (t tree) configsOf(balancer int64) []ConfigOf {
	var out []ConfigOf
	for _, id := range slices.Sorted(maps.Keys(t.configs)) {
		if c := t.configs[id]; c.NodeBalancer == balancer {
			out = append(out, c)
		}
	}
	return out
}

// serving are the backends that get new connections: those in mode accept, else
// the backups.
func (t tree) serving(config int64) []string {
	var main, backup []string
	for _, n := range t.nodesOf(config) {
		switch n.Mode {
		case "accept":
			main = append(main, n.Address)
		case "backup":
			backup = append(backup, n.Address)
		}
	}
	if len(main) == 0 {
		return backup
	}
	return main
}
