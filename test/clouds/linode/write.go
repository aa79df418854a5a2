package linode

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// write carries a request out that may change something. The caller holds mu.
func (s *Sim) write(x *exchange, ids [3]int64) (any, error) {
	if len(x.path) > 1 && time.Now().Before(s.busy[ids[0]]) {
		return nil, s.busyNow()
	}
	var fields map[string]json.RawMessage
	if x.call.Method != http.MethodDelete {
		if err := json.Unmarshal(x.body, &fields); err != nil {
			return nil, refuse(http.StatusBadRequest, "", "Invalid JSON")
		}
	}
	t := s.stored().clone()
	before := t.nodes[ids[2]]
	result, err := s.change(x, t, ids, fields)
	if err != nil {
		return nil, err
	}
	s.store(t)
	s.took(x.call)
	s.makeBusy(ids[0])
	if len(x.path) == 6 && x.call.Method == http.MethodPut {
		x.call.Node = &NodeWrite{ID: ids[2], Before: before, After: t.nodes[ids[2]]}
		return s.putAnswer(result, before, ids[0]), nil
	}
	return result, nil
}

// makeBusy has the next write to a NodeBalancer wait. The caller holds mu.
func (s *Sim) makeBusy(balancer int64) {
	if s.knobs.BusyFor > 0 {
		s.busy[balancer] = time.Now().Add(s.knobs.BusyFor)
	}
}

func (s *Sim) busyNow() error {
	r := &refusal{status: http.StatusBadRequest, reason: "Linode busy.", form: RateJSON}
	switch s.knobs.BusyForm {
	case BusyOwn:
		r.reason = "NodeBalancer busy"
	case BusyPage:
		r.form = RateHTML
	}
	return r
}

func (s *Sim) putAnswer(result any, before Node, balancer int64) any {
	header := http.Header{"Content-Type": {string(s.knobs.ContentType)}}
	switch s.knobs.PutAnswer {
	case PutEmpty:
		return answer{status: http.StatusOK, header: header}
	case PutNull:
		return answer{status: http.StatusOK, header: header, body: []byte("null")}
	case PutOld:
		return s.nodeObject(before, balancer)
	}
	return result
}

// change makes one change in t.
func (s *Sim) change(x *exchange, t tree, ids [3]int64, fields map[string]json.RawMessage) (any, error) {
	rebuild := len(x.path) == 5 && x.path[4] == "rebuild"
	switch method := x.call.Method; {
	case rebuild && method == http.MethodPost:
		return s.rebuild(t, ids, fields)
	case rebuild:
	case len(x.path) == 5 && method == http.MethodPost:
		s.nextID++
		return s.putNode(t, Node{ID: s.nextID, Config: ids[1]}.withDefaults(), fields, true)
	case len(x.path) == 6 && method == http.MethodPut:
		return s.putNode(t, t.nodes[ids[2]], fields, false)
	case len(x.path) == 6 && method == http.MethodDelete:
		delete(t.nodes, ids[2])
		return object{}, nil
	case len(x.path) == 3 && method == http.MethodPost: // what nodes it names is not looked at
		s.nextID++
		return s.putConfig(t, ConfigOf{ID: s.nextID, NodeBalancer: ids[0]}.withDefaults(), fields)
	case len(x.path) == 4 && method == http.MethodPut:
		return s.putConfig(t, t.configs[ids[1]], fields)
	case len(x.path) == 4 && method == http.MethodDelete:
		delete(t.configs, ids[1])
		for _, n := range t.nodesOf(ids[1]) {
			delete(t.nodes, n.ID)
		}
		return object{}, nil
	}
	return nil, refuse(http.StatusMethodNotAllowed, "", "Method Not Allowed")
}

// rebuild replaces a configuration's nodes: those whose id it knows are updated,
// those without id made, those left out deleted.
func (s *Sim) rebuild(t tree, ids [3]int64, fields map[string]json.RawMessage) (any, error) {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(fields["nodes"], &list); err != nil {
		return nil, refuse(http.StatusBadRequest, "nodes", "nodes is required")
	}
	keep := map[int64]bool{}
	var made []map[string]json.RawMessage
	for _, one := range list {
		var id int64
		_ = json.Unmarshal(one["id"], &id) // none: it is new
		n, ok := t.nodes[id]
		switch {
		case id == 0:
			made = append(made, one)
			continue
		case !ok || n.Config != ids[1]:
			return nil, refuse(http.StatusBadRequest, "nodes", "Node %d does not exist", id)
		}
		if _, err := s.putNode(t, n, one, false); err != nil {
			return nil, err
		}
		keep[id] = true
	}
	for _, n := range t.nodesOf(ids[1]) {
		if !keep[n.ID] {
			delete(t.nodes, n.ID)
		}
	}
	for _, one := range made {
		s.nextID++
		if _, err := s.putNode(t, Node{ID: s.nextID, Config: ids[1]}.withDefaults(), one, true); err != nil {
			return nil, err
		}
	}
	return s.putConfig(t, t.configs[ids[1]], fields)
}

// putConfig sets the fields of a configuration. A certificate that is sent as
// it is read would be stored so.
func (s *Sim) putConfig(t tree, c ConfigOf, fields map[string]json.RawMessage) (any, error) {
	for name, to := range map[string]any{"port": &c.Port, "protocol": &c.Protocol, "ssl_cert": &c.SSLCert, "ssl_key": &c.SSLKey} {
		if raw, ok := fields[name]; ok && json.Unmarshal(raw, to) != nil {
			return nil, refuse(http.StatusBadRequest, name, "%s is not valid", name)
		}
	}
	switch {
	case c.Port < 1 || c.Port > 65535:
		return nil, refuse(http.StatusBadRequest, "port", "Must be 1-65535")
	case !slices.Contains([]string{"http", "https", "tcp"}, c.Protocol):
		return nil, refuse(http.StatusBadRequest, "protocol", "Must be one of http, https, tcp")
	case c.SSLCert == redacted || c.SSLKey == redacted:
		return nil, refuse(http.StatusBadRequest, "ssl_cert", "The SSL certificate is not valid")
	}
	t.configs[c.ID] = c
	return s.configObject(c), nil
}

// putNode sets the fields of a node; those that are readOnly are let pass.
func (s *Sim) putNode(t tree, n Node, fields map[string]json.RawMessage, isNew bool) (any, error) {
	old := n
	if s.knobs.PutReplaces {
		n = Node{ID: n.ID, Config: n.Config, Label: n.Label, Address: n.Address, Subnet: n.Subnet}.withDefaults()
	}
	for name, to := range map[string]any{"label": &n.Label, "address": &n.Address, "weight": &n.Weight, "mode": &n.Mode, "subnet_id": &n.Subnet} {
		raw, ok := fields[name]
		if !ok {
			if isNew && (name == "label" || name == "address") {
				return nil, refuse(http.StatusBadRequest, name, "%s is required", name)
			}
			continue
		}
		if json.Unmarshal(raw, to) != nil {
			return nil, refuse(http.StatusBadRequest, name, "%s is not valid", name)
		}
	}
	if s.knobs.LabelLower {
		n.Label = strings.ToLower(n.Label)
	}
	_, named := fields["subnet_id"]
	if old.Subnet != 0 && s.knobs.NoSubnetPut && !named {
		return nil, refuse(http.StatusBadRequest, "subnet_id", "subnet_id is required")
	}
	if err := n.check(t.balancers[t.configs[n.Config].NodeBalancer]); err != nil {
		return nil, err
	}
	t.nodes[n.ID] = n
	return s.nodeObject(n, t.configs[n.Config].NodeBalancer), nil
}

// check holds a node against the API's limits.
func (n Node) check(b NodeBalancer) error {
	at, err := netip.ParseAddrPort(n.Address)
	switch {
	case !regexp.MustCompile(`^[a-zA-Z0-9._-]{3,32}$`).MatchString(n.Label):
		return refuse(http.StatusBadRequest, "label", "Label must be 3-32 characters; only ASCII letters, numbers, underscores, periods, and dashes")
	case n.Weight < 1 || n.Weight > 255:
		return refuse(http.StatusBadRequest, "weight", "Must be between 1 and 255")
	case !slices.Contains([]string{"accept", "reject", "drain", "backup"}, n.Mode):
		return refuse(http.StatusBadRequest, "mode", "Must be one of accept, reject, drain, backup")
	case err != nil || !at.Addr().Is4() || at.Port() == 0 || !at.Addr().IsPrivate():
		return refuse(http.StatusBadRequest, "address", "Must be a private IPv4 address and a port")
	case n.Subnet != 0 && n.Subnet != b.VPC:
		return refuse(http.StatusBadRequest, "subnet_id", "The NodeBalancer is not in that subnet")
	case n.Subnet == 0 && !netip.MustParsePrefix("192.168.128.0/17").Contains(at.Addr()):
		return refuse(http.StatusBadRequest, "address", "Must be an address of the private network, or of a VPC")
	}
	return nil
}
