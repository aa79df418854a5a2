package linode

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Bounds of a page that may be asked for.
const (
	minPage     = 25
	maxPage     = 500
	defaultPage = 100
)

// route serves /nodebalancers[/id[/configs[/id[/nodes[/id]|/rebuild]]]]. The
// caller holds mu.
func (s *Sim) route(x *exchange) (any, error) {
	p := x.path
	words := []string{"nodebalancers", "", "configs", "", "nodes", ""}
	ids := [3]int64{}
	for i, part := range p {
		switch {
		case i >= len(words), i%2 == 0 && part != words[i] && (i != 4 || part != "rebuild"):
			return nil, notFound()
		case i%2 == 1:
			id, err := strconv.ParseInt(part, 10, 64)
			if err != nil {
				return nil, notFound()
			}
			ids[i/2] = id
		}
	}
	t := s.stored()
	if !x.call.Write() {
		t = s.as(s.knobs.ReadLag)
		if x.lists() {
			t = s.as(s.knobs.ReadLag + s.knobs.ListLag)
		}
	}
	if _, ok := t.balancers[ids[0]]; len(p) > 1 && !ok {
		return nil, notFound()
	}
	if c, ok := t.configs[ids[1]]; len(p) > 3 && (!ok || c.NodeBalancer != ids[0]) {
		return nil, notFound()
	}
	if n, ok := t.nodes[ids[2]]; len(p) > 5 && (!ok || n.Config != ids[1]) {
		return nil, notFound()
	}
	if x.call.Write() {
		return s.write(x, ids)
	}
	return s.read(x, t, ids)
}

// read answers a GET out of a tree.
func (s *Sim) read(x *exchange, t tree, ids [3]int64) (any, error) {
	var all []object
	switch len(x.path) {
	case 1:
		for _, id := range slices.Sorted(maps.Keys(t.balancers)) {
			all = append(all, s.balancerObject(t.balancers[id]))
		}
	case 2:
		return s.balancerObject(t.balancers[ids[0]]), nil
	case 3:
		for _, c := range t.configsOf(ids[0]) {
			all = append(all, s.configObject(c))
		}
	case 4:
		return s.configObject(t.configs[ids[1]]), nil
	case 5:
		if x.path[4] != "nodes" {
			return nil, refuse(http.StatusMethodNotAllowed, "", "Method Not Allowed")
		}
		for _, n := range t.nodesOf(ids[1]) {
			all = append(all, s.nodeObject(n, t.configs[n.Config].NodeBalancer))
		}
	default:
		return s.nodeObject(t.nodes[ids[2]], ids[0]), nil
	}
	return s.paged(x, all)
}

// paged cuts a list.
func (s *Sim) paged(x *exchange, all []object) (any, error) {
	number, size := 1, defaultPage
	for name, to := range map[string]*int{"page": &number, "page_size": &size} {
		if given := x.query.Get(name); given != "" {
			n, err := strconv.Atoi(given)
			if err != nil || n < 1 || name == "page_size" && (n < minPage || n > maxPage) {
				return nil, refuse(http.StatusBadRequest, name, "Must be a number in its range")
			}
			*to = n
		}
	}
	if most := s.knobs.PageMost; most > 0 {
		size = min(size, most)
	}
	if s.knobs.Order == OrderReverse {
		slices.Reverse(all)
	}
	pages := max(1, (len(all)+size-1)/size)
	if number > pages {
		return nil, notFound()
	}
	data := slices.Clone(all[(number-1)*size : min(number*size, len(all))])
	if s.knobs.Order == OrderShuffled {
		s.random.Shuffle(len(data), func(i, j int) { data[i], data[j] = data[j], data[i] })
	}
	if data == nil {
		data = []object{}
	}
	return object{"data": data, "page": number, "pages": pages, "results": len(all)}, nil
}

func (s *Sim) balancerObject(b NodeBalancer) object {
	return s.dressed(object{
		"id": b.ID, "label": b.Label, "region": "eu-west", "hostname": "nb-203-0-113-9.london.nodebalancer.linode.com",
		"ipv4": "203.0.113.9", "ipv6": nil, "client_conn_throttle": 0, "tags": []string{}, "created": "2026-01-02T03:04:05",
	})
}

// redacted stands for a certificate and its key in every answer.
const redacted = "<REDACTED>"

func (s *Sim) configObject(c ConfigOf) object {
	o := object{
		"id": c.ID, "nodebalancer_id": c.NodeBalancer, "port": c.Port, "protocol": c.Protocol, "algorithm": "roundrobin",
		"stickiness": "none", "check": "connection", "proxy_protocol": "none", "ssl_cert": nil, "ssl_key": nil, "ssl_commonname": "",
		"ssl_fingerprint": "", "nodes_status": object{"up": 1, "down": 0},
	}
	if c.SSLCert != "" {
		o["ssl_cert"], o["ssl_key"] = redacted, redacted
	}
	return s.dressed(o)
}

func (s *Sim) nodeObject(n Node, balancer int64) object {
	o := object{
		"id": n.ID, "nodebalancer_id": balancer, "config_id": n.Config, "label": n.Label, "address": n.Address,
		"weight": n.Weight, "mode": n.Mode, "status": map[Words]string{WordsUpper: "UP", WordsLower: "up", WordsUnknown: "unknown"}[s.knobs.StatusWords],
	}
	if s.knobs.StatusWords == WordsNone {
		delete(o, "status")
	}
	if n.Subnet != 0 {
		o["vpc_config_id"] = 1000 + n.Subnet
	}
	return s.dressed(o)
}

// dressed adds what no document has.
func (s *Sim) dressed(o object) object {
	if s.knobs.ExtraFields {
		o["new_in_2027"] = object{"nested": []any{1, "two", nil}}
		o["updated_at"] = time.Now().Unix()
	}
	return o
}
