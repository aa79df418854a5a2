package ovh

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// route is one call of the API. "{}" in a pattern stands for one segment.
type route struct {
	method  string
	pattern []string
	open    bool // needs no credential
	serve   func(*Sim, *exchange) (any, error)
}

func (r *route) match(path []string) ([]string, bool) {
	if len(path) != len(r.pattern) {
		return nil, false
	}
	var args []string
	for i, part := range r.pattern {
		switch {
		case part == "{}" && path[i] != "":
			args = append(args, path[i])
		case part != path[i]:
			return nil, false
		}
	}
	return args, true
}

// entry is a route as it is written down.
type entry struct {
	method, path string
	serve        func(*Sim, *exchange) (any, error)
}

func ipRoutes() []entry {
	const block = "ip/{}"
	return []entry{
		{http.MethodGet, block, (*Sim).getIP},
		{http.MethodPut, block, (*Sim).putIP},
		{http.MethodGet, block + "/move", (*Sim).getMove},
		{http.MethodPost, block + "/move", (*Sim).postMove},
		{http.MethodGet, block + "/task", (*Sim).listIPTasks},
		{http.MethodGet, block + "/task/{}", (*Sim).getIPTask},
	}
}

func routes() []route {
	const (
		lb       = "ipLoadbalancing"
		one      = lb + "/{}"
		farms    = one + "/tcp/farm"
		farm     = farms + "/{}"
		servers  = farm + "/server"
		server   = servers + "/{}"
		fronts   = one + "/tcp/frontend"
		frontend = fronts + "/{}"
	)
	list := []entry{
		{http.MethodGet, "auth/time", (*Sim).authTime},
		{http.MethodGet, "auth/currentCredential", (*Sim).currentCredential},
		{http.MethodGet, lb, (*Sim).listServices},
		{http.MethodGet, one, (*Sim).getService},
		{http.MethodGet, one + "/zone", (*Sim).listZones},
		{http.MethodGet, one + "/zone/{}", (*Sim).getZone},
		{http.MethodGet, one + "/status", (*Sim).getStatus},
		{http.MethodGet, one + "/pendingChanges", (*Sim).getPending},
		{http.MethodPost, one + "/refresh", (*Sim).postRefresh},
		{http.MethodGet, one + "/task", (*Sim).listTasks},
		{http.MethodGet, one + "/task/{}", (*Sim).getTask},
		{http.MethodGet, farms, (*Sim).listFarms},
		{http.MethodPost, farms, (*Sim).postFarm},
		{http.MethodGet, farm, (*Sim).getFarm},
		{http.MethodPut, farm, (*Sim).putFarm},
		{http.MethodDelete, farm, (*Sim).deleteFarm},
		{http.MethodGet, servers, (*Sim).listServers},
		{http.MethodPost, servers, (*Sim).postServer},
		{http.MethodGet, server, (*Sim).getServer},
		{http.MethodPut, server, (*Sim).putServer},
		{http.MethodDelete, server, (*Sim).deleteServer},
		{http.MethodGet, fronts, (*Sim).listFrontends},
		{http.MethodPost, fronts, (*Sim).postFrontend},
		{http.MethodGet, frontend, (*Sim).getFrontend},
		{http.MethodPut, frontend, (*Sim).putFrontend},
		{http.MethodDelete, frontend, (*Sim).deleteFrontend},
	}
	list = append(list, ipRoutes()...)
	out := make([]route, len(list))
	for i, r := range list {
		out[i] = route{method: r.method, pattern: strings.Split(r.path, "/"), open: r.path == "auth/time", serve: r.serve}
	}
	return out
}

// id reads a numeric placeholder.
func (x *exchange) id(i int) (int64, error) {
	n, err := strconv.ParseInt(x.args[i], 10, 64)
	if err != nil {
		return 0, badRequest("Invalid identifier " + x.args[i])
	}
	return n, nil
}

// object reads the body of a PUT or POST.
func (x *exchange) object() (object, error) {
	var o object
	if err := json.Unmarshal(x.body, &o); err != nil || o == nil {
		return nil, badRequest("Invalid JSON received")
	}
	return o, nil
}

// shuffled answers a list of ids in no order that a client could lean on. The caller holds mu.
func shuffled[T any](s *Sim, list []T) []T {
	if list == nil {
		return []T{}
	}
	list = slices.Clone(list)
	s.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// filter is a query parameter beside the value of one object.
type filter struct{ name, value string }

// passes says whether an object's values are those that the query asks for.
func (x *exchange) passes(filters ...filter) bool {
	for _, f := range filters {
		if x.query.Has(f.name) && x.query.Get(f.name) != f.value {
			return false
		}
	}
	return true
}

func number(p *int64) string {
	if p == nil {
		return ""
	}
	return strconv.FormatInt(*p, 10)
}
