package ovh

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// MethodSeed marks the journal entries of objects that were there before any request.
const MethodSeed = "SEED"

// AddService adds a load balancer with its zones.
func (s *Sim) AddService(name string, zones ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.services[name]; ok || name == "" || len(zones) == 0 {
		return fmt.Errorf("service %q with zones %q: %w", name, zones, ErrState)
	}
	s.nextID++
	svc := &service{
		name: name, id: fmt.Sprintf("00000000-0000-4000-8000-%012d", s.nextID), zones: slices.Clone(zones), staged: newLayout(),
		applied: map[string]layout{}, edits: map[string][]edit{}, born: map[int64]time.Time{}, tasks: map[int64]*task{},
		olds: map[int64][]version{},
	}
	for _, zone := range zones {
		svc.applied[zone] = newLayout()
	}
	s.services[name] = svc
	return nil
}

// AddFarm adds a farm, staged and applied. Its id is chosen if it is 0, its zone is AllZones if it is empty.
func (s *Sim) AddFarm(service string, f Farm) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	svc, ok := s.services[service]
	if !ok {
		return 0, fmt.Errorf("service %s: %w", service, ErrUnknown)
	}
	if f.Zone == "" {
		f.Zone = AllZones
	}
	if err := checkSeed(farmModel(), f); err != nil {
		return 0, err
	}
	if err := svc.knowsZone(f.Zone); err != nil {
		return 0, err
	}
	if f.FarmID == 0 {
		f.FarmID = s.newID(nil)
	}
	if s.ofFarm(f.FarmID) != nil {
		return 0, fmt.Errorf("farm %d twice: %w", f.FarmID, ErrState)
	}
	svc.everywhere(f.Zone, func(l layout) {
		l.farms[f.FarmID] = f
		l.servers[f.FarmID] = map[int64]Server{}
	})
	return f.FarmID, nil
}

// AddServer adds a server to a farm, staged and applied; active if no status is given.
func (s *Sim) AddServer(farm int64, server Server) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	svc := s.ofFarm(farm)
	if svc == nil {
		return 0, fmt.Errorf("farm %d: %w", farm, ErrUnknown)
	}
	if server.Status == "" {
		server.Status = "active"
	}
	if server.ServerState == nil {
		server.ServerState = []ServerState{}
	}
	if err := checkSeed(serverModel(), server); err != nil {
		return 0, err
	}
	if server.ServerID == 0 {
		server.ServerID = s.newID(nil)
	}
	server.BackendID = farm
	svc.everywhere(svc.staged.farms[farm].Zone, func(l layout) {
		if _, ok := l.farms[farm]; !ok {
			return // staged by a request and not applied yet
		}
		servers := maps.Clone(l.servers[farm])
		servers[server.ServerID] = server
		l.servers[farm] = servers
	})
	return server.ServerID, nil
}

// AddFrontend adds a frontend, staged and applied, and opens its listeners if there is a data plane.
func (s *Sim) AddFrontend(service string, f Frontend) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	svc, ok := s.services[service]
	if !ok {
		return 0, fmt.Errorf("service %s: %w", service, ErrUnknown)
	}
	if f.Zone == "" {
		f.Zone = AllZones
	}
	if err := checkSeed(frontendModel(), f); err != nil {
		return 0, err
	}
	if err := svc.fits(f); err != nil {
		return 0, err
	}
	if f.FrontendID == 0 {
		f.FrontendID = s.newID(nil)
	}
	if s.ofFrontend(f.FrontendID) != nil {
		return 0, fmt.Errorf("frontend %d twice: %w", f.FrontendID, ErrState)
	}
	svc.everywhere(f.Zone, func(l layout) { l.frontends[f.FrontendID] = f })
	c := &Call{Method: MethodSeed, Path: frontendPath(svc.name, f.FrontendID), Foreign: true}
	c.Frontend = &FrontendWrite{ID: f.FrontendID, FarmAfter: value(f.DefaultFarmID), NameAfter: value(f.DisplayName)}
	s.open(c)
	s.accepted(c, true)
	if s.plane != nil {
		return f.FrontendID, s.plane.follow(svc)
	}
	return f.FrontendID, nil
}

// Staged is the frontend as GET shows it. What its pointers point at is shared: read it only.
func (s *Sim) Staged(frontend int64) (Frontend, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	svc := s.ofFrontend(frontend)
	if svc == nil {
		return Frontend{}, fmt.Errorf("frontend %d: %w", frontend, ErrUnknown)
	}
	return svc.staged.frontends[frontend], nil
}

// Applied is the frontend as traffic meets it in one zone. No call of the API shows this. What its pointers point
// at is shared: read it only.
func (s *Sim) Applied(frontend int64, zone string) (Frontend, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, svc := range s.services {
		if f, ok := svc.applied[zone].frontends[frontend]; ok {
			return f, nil
		}
	}
	return Frontend{}, fmt.Errorf("frontend %d in zone %s: %w", frontend, zone, ErrUnknown)
}

// DataAddr is where the frontend listens for traffic of one zone, "127.0.0.1:PORT", for as long as it is applied.
func (s *Sim) DataAddr(frontend int64, zone string) (string, error) {
	if s.plane == nil {
		return "", fmt.Errorf("no data plane: %w", ErrState)
	}
	return s.plane.address(spot{frontend, zone})
}

// everywhere edits the staged layout and the applied ones that a zone covers.
func (svc *service) everywhere(zone string, edit func(layout)) {
	edit(svc.staged)
	for name, l := range svc.applied {
		if zone == name || zone == AllZones {
			edit(l)
		}
	}
}

func checkSeed(model []field, v any) error {
	o := toObject(v)
	for _, f := range model {
		if f.readOnly && !f.create {
			delete(o, f.name)
		}
	}
	_, err := overlay(model, object{}, o, Knobs{Unknown: Refuse}, true)
	return err
}

// newID gives the next id; an object created by a request is born now. The caller holds mu.
func (s *Sim) newID(svc *service) int64 {
	s.nextID++
	if svc != nil {
		svc.born[s.nextID] = time.Now()
	}
	return s.nextID
}

func (s *Sim) ofFarm(id int64) *service {
	for _, svc := range s.services {
		if _, ok := svc.staged.farms[id]; ok {
			return svc
		}
	}
	return nil
}

func (s *Sim) ofFrontend(id int64) *service {
	for _, svc := range s.services {
		if _, ok := svc.staged.frontends[id]; ok {
			return svc
		}
	}
	return nil
}

func frontendPath(service string, id int64) string {
	return fmt.Sprintf("/ipLoadbalancing/%s/tcp/frontend/%d", service, id)
}

// ForeignPut edits a frontend as a human or another tool would: same rules as PUT, no faults, journalled as foreign.
// A nil value is null.
func (s *Sim) ForeignPut(frontend int64, fields map[string]any) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("foreign edit: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	svc := s.ofFrontend(frontend)
	if svc == nil {
		return fmt.Errorf("frontend %d: %w", frontend, ErrUnknown)
	}
	_, err = s.foreign(svc, "PUT", frontendPath(svc.name, frontend), body, (*Sim).putFrontend, fmt.Sprint(frontend))
	return err
}

// ForeignRefresh refreshes a service as somebody else, all zones or one, and returns the task.
func (s *Sim) ForeignRefresh(service, zone string) (int64, error) {
	var body []byte
	if zone != "" {
		body = fmt.Appendf(nil, "{%q:%q}", "zone", zone)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	svc, ok := s.services[service]
	if !ok {
		return 0, fmt.Errorf("service %s: %w", service, ErrUnknown)
	}
	result, err := s.foreign(svc, "POST", "/ipLoadbalancing/"+service+"/refresh", body, (*Sim).postRefresh)
	if err != nil {
		return 0, err
	}
	return result.(Task).ID, nil
}

func (s *Sim) foreign(svc *service, method, path string, body []byte, serve func(*Sim, *exchange) (any, error), args ...string) (any, error) {
	if s.closed {
		return nil, ErrClosed
	}
	x := &exchange{call: &Call{Method: method, Path: path, Foreign: true}, body: body, args: args, svc: svc}
	s.open(x.call)
	result, err := serve(s, x)
	x.call.Phase, x.call.Status, x.call.Answered = PhaseAnswered, 200, time.Now()
	x.call.AnsweredNS = int64(x.call.Answered.Sub(s.started))
	if r, refused := errors.AsType[*refusal](err); refused {
		x.call.Status = r.status
	}
	s.tell(x.call)
	return result, err
}
