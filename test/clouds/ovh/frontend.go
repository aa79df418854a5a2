package ovh

func (s *Sim) listFrontends(x *exchange) (any, error) {
	var ids []int64
	for id, f := range x.svc.staged.frontends {
		passes := x.passes(filter{"defaultFarmId", number(f.DefaultFarmID)}, filter{"defaultSslId", number(f.DefaultSslID)},
			filter{"port", f.Port}, filter{"zone", f.Zone})
		if passes && s.visible(x.svc, id) {
			ids = append(ids, id)
		}
	}
	return shuffled(s, ids), nil
}

func (s *Sim) frontend(x *exchange) (Frontend, error) {
	id, err := x.id(0)
	if err != nil {
		return Frontend{}, err
	}
	f, ok := x.svc.staged.frontends[id]
	if !ok || !s.visible(x.svc, id) {
		return Frontend{}, notFound("The requested object (frontendId = " + x.args[0] + ") does not exist")
	}
	return f, nil
}

func (s *Sim) getFrontend(x *exchange) (any, error) {
	f, err := s.frontend(x)
	if err != nil {
		return nil, err
	}
	return s.shownFrontend(x.svc, f), nil
}

func (s *Sim) putFrontend(x *exchange) (any, error) {
	before, err := s.frontend(x)
	if err != nil {
		return nil, err
	}
	after, changed, nameOnly, err := merge(x, frontendModel(), before, s.knobs)
	if err != nil {
		return nil, err
	}
	if err := x.svc.fits(after); err != nil {
		return nil, err
	}
	if changed {
		x.svc.staged.frontends[before.FrontendID] = after
		s.age(x.svc, before)
		x.svc.staging(x.call.Path, nameOnly, before.Zone, after.Zone)
	}
	x.call.Frontend = &FrontendWrite{
		ID: before.FrontendID, FarmBefore: value(before.DefaultFarmID), FarmAfter: value(after.DefaultFarmID),
		NameBefore: value(before.DisplayName), NameAfter: value(after.DisplayName),
	}
	s.accepted(x.call, changed)
	return void{}, nil
}

func (s *Sim) postFrontend(x *exchange) (any, error) {
	f, err := create[Frontend](x, frontendModel(), s.knobs)
	if err != nil {
		return nil, err
	}
	if err := x.svc.fits(f); err != nil {
		return nil, err
	}
	f.FrontendID = s.newID(x.svc)
	x.svc.staged.frontends[f.FrontendID] = f
	x.svc.staging(frontendPath(x.svc.name, f.FrontendID), false, f.Zone)
	x.call.Frontend = &FrontendWrite{ID: f.FrontendID, FarmAfter: value(f.DefaultFarmID), NameAfter: value(f.DisplayName)}
	s.accepted(x.call, true)
	return f, nil
}

func (s *Sim) deleteFrontend(x *exchange) (any, error) {
	f, err := s.frontend(x)
	if err != nil {
		return nil, err
	}
	delete(x.svc.staged.frontends, f.FrontendID)
	delete(x.svc.born, f.FrontendID)
	delete(x.svc.olds, f.FrontendID)
	x.svc.staging(x.call.Path, false, f.Zone)
	s.accepted(x.call, true)
	return void{}, nil
}

// fits checks a frontend against the rest of its service.
func (svc *service) fits(f Frontend) error {
	if len(f.AllowedSource) > 0 && len(f.DeniedSource) > 0 {
		return badRequest("allowedSource and deniedSource can't be set together")
	}
	if f.DefaultFarmID != nil {
		if _, ok := svc.staged.farms[*f.DefaultFarmID]; !ok {
			return badRequest("Farm " + number(f.DefaultFarmID) + " does not exist")
		}
	}
	return svc.knowsZone(f.Zone)
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
