package ovh

import "slices"

func (s *Sim) listFarms(x *exchange) (any, error) {
	var ids []int64
	for id, f := range x.svc.staged.farms {
		passes := x.passes(filter{"zone", f.Zone}, filter{"vrackNetworkId", number(f.VrackNetworkID)})
		if passes && s.visible(x.svc, id) {
			ids = append(ids, id)
		}
	}
	return shuffled(s, ids), nil
}

func (s *Sim) farm(x *exchange) (Farm, error) {
	id, err := x.id(0)
	if err != nil {
		return Farm{}, err
	}
	f, ok := x.svc.staged.farms[id]
	if !ok || !s.visible(x.svc, id) {
		return Farm{}, notFound("The requested object (farmId = " + x.args[0] + ") does not exist")
	}
	return f, nil
}

func (s *Sim) getFarm(x *exchange) (any, error) { return s.farm(x) }

func (s *Sim) postFarm(x *exchange) (any, error) {
	f, err := create[Farm](x, farmModel(), s.knobs)
	if err != nil {
		return nil, err
	}
	if err := x.svc.knowsZone(f.Zone); err != nil {
		return nil, err
	}
	f.FarmID = s.newID(x.svc)
	x.svc.staged.farms[f.FarmID] = f
	x.svc.staged.servers[f.FarmID] = map[int64]Server{}
	x.svc.staging(x.call.Path+"/"+number(&f.FarmID), false, f.Zone)
	s.accepted(x.call, true)
	return f, nil
}

func (s *Sim) putFarm(x *exchange) (any, error) {
	before, err := s.farm(x)
	if err != nil {
		return nil, err
	}
	after, changed, nameOnly, err := merge(x, farmModel(), before, s.knobs)
	if err != nil {
		return nil, err
	}
	if changed {
		x.svc.staged.farms[before.FarmID] = after
		x.svc.staging(x.call.Path, nameOnly, before.Zone)
	}
	s.accepted(x.call, changed)
	return void{}, nil
}

func (s *Sim) deleteFarm(x *exchange) (any, error) {
	f, err := s.farm(x)
	if err != nil {
		return nil, err
	}
	for id, front := range x.svc.staged.frontends {
		if front.DefaultFarmID == nil || *front.DefaultFarmID != f.FarmID {
			continue
		}
		switch s.knobs.DeleteInUse {
		case InUseRefuse:
			return nil, badRequest("This farm is used by a frontend")
		case InUseConflict:
			return nil, conflict("This farm is used by a frontend")
		}
		front.DefaultFarmID = nil
		x.svc.staged.frontends[id] = front
	}
	delete(x.svc.staged.farms, f.FarmID)
	delete(x.svc.staged.servers, f.FarmID)
	delete(x.svc.born, f.FarmID)
	x.svc.staging(x.call.Path, false, f.Zone)
	s.accepted(x.call, true)
	return void{}, nil
}

func (s *Sim) listServers(x *exchange) (any, error) {
	f, err := s.farm(x)
	if err != nil {
		return nil, err
	}
	if want := x.query.Get("status"); x.query.Has("status") && !slices.Contains([]string{"active", "inactive"}, want) {
		return nil, badRequest("Invalid parameter status: " + want)
	}
	var ids []int64
	for id, server := range x.svc.staged.servers[f.FarmID] {
		if x.passes(filter{"address", server.Address}, filter{"status", server.Status}) && s.visible(x.svc, id) {
			ids = append(ids, id)
		}
	}
	return shuffled(s, ids), nil
}

func (s *Sim) server(x *exchange) (Farm, Server, error) {
	f, err := s.farm(x)
	if err != nil {
		return Farm{}, Server{}, err
	}
	id, err := x.id(1)
	if err != nil {
		return Farm{}, Server{}, err
	}
	server, ok := x.svc.staged.servers[f.FarmID][id]
	if !ok || !s.visible(x.svc, id) {
		return Farm{}, Server{}, notFound("The requested object (serverId = " + x.args[1] + ") does not exist")
	}
	return f, server, nil
}

func (s *Sim) getServer(x *exchange) (any, error) {
	_, server, err := s.server(x)
	return server, err
}

func (s *Sim) postServer(x *exchange) (any, error) {
	f, err := s.farm(x)
	if err != nil {
		return nil, err
	}
	server, err := create[Server](x, serverModel(), s.knobs)
	if err != nil {
		return nil, err
	}
	server.ServerID, server.BackendID, server.ServerState = s.newID(x.svc), f.FarmID, []ServerState{}
	x.svc.staged.servers[f.FarmID][server.ServerID] = server
	x.svc.staging(x.call.Path+"/"+number(&server.ServerID), false, f.Zone)
	s.accepted(x.call, true)
	return server, nil
}

func (s *Sim) putServer(x *exchange) (any, error) {
	f, before, err := s.server(x)
	if err != nil {
		return nil, err
	}
	after, changed, nameOnly, err := merge(x, serverModel(), before, s.knobs)
	if err != nil {
		return nil, err
	}
	if changed {
		x.svc.staged.servers[f.FarmID][before.ServerID] = after
		x.svc.staging(x.call.Path, nameOnly, f.Zone)
	}
	s.accepted(x.call, changed)
	return void{}, nil
}

func (s *Sim) deleteServer(x *exchange) (any, error) {
	f, server, err := s.server(x)
	if err != nil {
		return nil, err
	}
	delete(x.svc.staged.servers[f.FarmID], server.ServerID)
	delete(x.svc.born, server.ServerID)
	x.svc.staging(x.call.Path, false, f.Zone)
	s.accepted(x.call, true)
	return void{}, nil
}
