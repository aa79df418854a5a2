package config

import (
	"fmt"
	"net"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// checkNode compares the fields of a complete node file with each other.
func checkNode(c *pointsmanv1.NodeConfig, touched map[string]bool) []Problem {
	problems := checkListen(c)
	if p := checkSelf(c); p != nil && !touched["id"] && !touched["zone"] {
		problems = append(problems, *p)
	}
	kept := problems[:0]
	for _, p := range problems {
		if !touched[p.Path] {
			kept = append(kept, p)
		}
	}
	return kept
}

// checkListen refuses what would expose the node, or could not be reached.
func checkListen(c *pointsmanv1.NodeConfig) []Problem {
	var problems []Problem
	used := map[string]string{}
	for _, l := range []struct{ name, listen, advertise string }{
		{"raft", c.GetListen().GetRaft(), c.GetAdvertise().GetRaft()},
		{"grpc", c.GetListen().GetGrpc(), c.GetAdvertise().GetGrpc()},
		{"http", c.GetListen().GetHttp(), c.GetAdvertise().GetHttp()},
	} {
		host, port, err := net.SplitHostPort(l.listen)
		if err != nil {
			continue // told by the rule of the field
		}
		path := "listen." + l.name
		if !loopback(host) && !c.GetInsecure() {
			problems = append(problems, Problem{Path: path, Message: fmt.Sprintf(
				"binds %s, which is not loopback, without TLS; set insecure: true if the network is to be trusted wholly", l.listen)})
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() && l.advertise == l.listen {
			problems = append(problems, Problem{Path: path, Message: fmt.Sprintf(
				"binds every address (%s), so advertise.%s must be set to one that others reach", l.listen, l.name)})
		}
		if first, again := used[l.listen]; again && port != "0" {
			problems = append(problems, Problem{Path: path, Message: fmt.Sprintf("%s is also listen.%s", l.listen, first)})
		}
		used[l.listen] = l.name
	}
	return problems
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkSelf compares the node with its own line in the list of peers, which is
// the same on each node: a slip there would found a cluster that this node
// cannot be reached in.
func checkSelf(c *pointsmanv1.NodeConfig) *Problem {
	if len(c.GetPeers()) == 0 {
		return nil
	}
	for i, p := range c.GetPeers() {
		if p.GetId() != c.GetId() {
			continue
		}
		at := item("peers", i)
		switch own := c.GetAdvertise().GetRaft(); {
		case p.GetZone() != c.GetZone():
			return &Problem{Path: field(at, "zone"), Message: fmt.Sprintf("is %q, but this node's zone is %q", p.GetZone(), c.GetZone())}
		case own != "" && p.GetRaft() != own:
			return &Problem{Path: field(at, "raft"), Message: fmt.Sprintf("is %q, but this node advertises %q", p.GetRaft(), own)}
		}
		return nil
	}
	return &Problem{Path: "peers", Message: fmt.Sprintf("must name this node, %q, too", c.GetId())}
}
