package octavia

import (
	"maps"
	"slices"
)

// Status is a provisioning status.
type Status string

// The provisioning statuses.
const (
	Active        Status = "ACTIVE"
	PendingUpdate Status = "PENDING_UPDATE"
	Error         Status = "ERROR"
)

// LoadBalancer is the root of a tree.
type LoadBalancer struct {
	ID, Name string
	Status   Status // empty when seeded: ACTIVE
}

// Listener sends what comes in on a port to its pool.
type Listener struct {
	ID, Balancer      string
	Name, Description string
	Port              int
	Pool              string // empty: none
	Disabled          bool
	Status            Status
}

// Pool holds members.
type Pool struct {
	ID, Balancer, Name string
	Disabled           bool
	Status             Status
	Members            []Member
}

// Member is a backend. Address and port are what it is; no call changes them.
type Member struct {
	ID, Name string
	Address  string
	Port     int
	Weight   int // when seeded, 0 means 1
	Disabled bool
	Backup   bool
}

// tree is a load balancer with all below it. It is a value: clone before a change.
type tree struct {
	balancer  LoadBalancer
	listeners map[string]Listener
	pools     map[string]Pool
}

func (t tree) clone() tree {
	t.listeners, t.pools = maps.Clone(t.listeners), maps.Clone(t.pools)
	for id, p := range t.pools {
		p.Members = slices.Clone(p.Members)
		t.pools[id] = p
	}
	return t
}

// marked is the tree with the root and what a change touches in a status.
func (t tree) marked(touched []string, status Status) tree {
	t = t.clone()
	t.balancer.Status = status
	for _, id := range touched {
		if l, ok := t.listeners[id]; ok {
			l.Status = status
			t.listeners[id] = l
		}
		if p, ok := t.pools[id]; ok {
			p.Status = status
			t.pools[id] = p
		}
	}
	return t
}

func (m Member) key() string { return m.Address + " " + itoa(m.Port) }

type object = map[string]any

func (k Knobs) text(s string) any {
	if s == "" && k.NullText {
		return nil
	}
	return s
}

func (k Knobs) operating() string {
	if k.Operating == "" {
		return "ONLINE"
	}
	return k.Operating
}

func ids(list ...string) []object {
	out := []object{}
	for _, id := range list {
		if id != "" {
			out = append(out, object{"id": id})
		}
	}
	return out
}

func (l LoadBalancer) body(k Knobs) object {
	return object{
		"id": l.ID, "name": l.Name, "description": k.text(""), "provisioning_status": l.Status, "operating_status": k.operating(),
		"admin_state_up": true, "provider": "amphora", "vip_address": "203.0.113.7",
	}
}

func (l Listener) body(k Knobs) object {
	o := object{
		"id": l.ID, "name": l.Name, "description": k.text(l.Description), "protocol": "TCP", "protocol_port": l.Port,
		"default_pool_id": nil, "loadbalancers": ids(l.Balancer), "admin_state_up": !l.Disabled, "connection_limit": -1,
		"provisioning_status": l.Status, "operating_status": k.operating(), "timeout_client_data": 50000, "tags": []string{},
	}
	if l.Pool != "" {
		o["default_pool_id"] = l.Pool
	}
	return o
}

func (p Pool) body(k Knobs) object {
	members := []string{}
	for _, m := range p.Members {
		members = append(members, m.ID)
	}
	return object{
		"id": p.ID, "name": p.Name, "description": k.text(""), "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN",
		"loadbalancers": ids(p.Balancer), "members": ids(members...), "admin_state_up": !p.Disabled,
		"provisioning_status": p.Status, "operating_status": k.operating(),
	}
}

func (m Member) body(k Knobs, status Status) object {
	return object{
		"id": m.ID, "name": k.text(m.Name), "address": m.Address, "protocol_port": m.Port, "weight": m.Weight, "backup": m.Backup,
		"admin_state_up": !m.Disabled, "provisioning_status": status, "operating_status": k.operating(), "subnet_id": nil,
	}
}
