package ovh

import (
	"maps"
	"slices"
	"strings"
)

func (s *Sim) listServices(*exchange) (any, error) {
	return shuffled(s, slices.Collect(maps.Keys(s.services))), nil
}

func (s *Sim) getService(x *exchange) (any, error) {
	info := serviceInfo{
		Iam: &iamInfo{
			ID: x.svc.id, Tags: map[string]string{},
			URN: "urn:v1:" + strings.ToLower(s.config.Region) + ":resource:loadbalancer:" + x.svc.name,
		},
		IPLoadbalancing: "203.0.113.7", IPv4: new("203.0.113.7"), Offer: "ipLoadbalancing-pack2",
		OrderableZone: []any{}, ServiceName: x.svc.name, State: "ok", Zone: x.svc.zones,
	}
	if ip, ok := strings.CutPrefix(x.svc.name, "ip-"); ok {
		info.IPLoadbalancing, info.IPv4 = ip, &ip
	}
	return info, nil
}

func (s *Sim) listZones(x *exchange) (any, error) { return shuffled(s, x.svc.zones), nil }

func (s *Sim) getZone(x *exchange) (any, error) {
	if !slices.Contains(x.svc.zones, x.args[0]) {
		return nil, notFound("The requested object (name = " + x.args[0] + ") does not exist")
	}
	return zoneInfo{Name: x.args[0], State: "ok"}, nil
}

// getStatus counts everything as ok: nothing is probed.
func (s *Sim) getStatus(x *exchange) (any, error) {
	all := func(n int) component { return component{Total: int64(n), Status: counts{OK: int64(n)}} }
	servers := 0
	for _, m := range x.svc.staged.servers {
		servers += len(m)
	}
	return statusInfo{
		Farms: all(len(x.svc.staged.farms)), Frontends: all(len(x.svc.staged.frontends)),
		Servers: all(servers), Service: serviceStatus{Status: "ok"},
	}, nil
}

func (s *Sim) getPending(x *exchange) (any, error) {
	list, most := []PendingChanges{}, int64(0)
	for _, zone := range x.svc.zones {
		n := x.svc.shown(zone, s.knobs)
		most = max(most, n)
		if n > 0 || s.knobs.PendingZones == PendingEvery {
			list = append(list, PendingChanges{Number: n, Zone: zone})
		}
		x.svc.forget(zone, s.knobs.PendingLag)
	}
	if s.knobs.PendingZones == PendingAll && most > 0 {
		list = []PendingChanges{{Number: most, Zone: AllZones}}
	}
	return shuffled(s, list), nil
}
