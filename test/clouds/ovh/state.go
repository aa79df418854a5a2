package ovh

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

// layout is one whole configuration. Objects in it are replaced, never altered, so copying the maps copies it.
type layout struct {
	farms     map[int64]Farm
	servers   map[int64]map[int64]Server // by farm
	frontends map[int64]Frontend
}

func newLayout() layout {
	return layout{farms: map[int64]Farm{}, servers: map[int64]map[int64]Server{}, frontends: map[int64]Frontend{}}
}

// forZone copies what is deployed to one zone.
func (l layout) forZone(zone string) layout {
	out := newLayout()
	for id, f := range l.farms {
		if f.Zone == zone || f.Zone == AllZones {
			out.farms[id] = f
			out.servers[id] = maps.Clone(l.servers[id])
		}
	}
	for id, f := range l.frontends {
		if f.Zone == zone || f.Zone == AllZones {
			out.frontends[id] = f
		}
	}
	return out
}

// edit is one staged change as pendingChanges counts it, in one zone.
type edit struct {
	id       int64
	added    time.Time
	nameOnly bool
	object   string    // the path that was written to
	taken    int64     // the task whose snapshot holds it; 0: none
	cleared  time.Time // when it left the count; zero: still in it
}

// service is one load balancer.
type service struct {
	name    string
	id      string // of the resource, for IAM
	zones   []string
	staged  layout
	applied map[string]layout // by zone
	edits   map[string][]edit // by zone, oldest first
	nextOne int64             // id of the next edit
	born    map[int64]time.Time
	tasks   map[int64]*task
	queue   []*task // unfinished refreshes, the first one is on
	plans   []TaskPlan
	olds    map[int64][]version // of frontends, oldest first; only with a ReadLag
}

// version is a frontend until it was edited.
type version struct {
	frontend Frontend
	until    time.Time
}

// staging notes an edit in the zones where the object was or is. The caller holds mu.
func (svc *service) staging(object string, nameOnly bool, zones ...string) {
	svc.nextOne++
	for _, zone := range svc.zones {
		if slices.Contains(zones, zone) || slices.Contains(zones, AllZones) {
			svc.edits[zone] = append(svc.edits[zone], edit{id: svc.nextOne, added: time.Now(), nameOnly: nameOnly, object: object})
		}
	}
}

// pending counts the edits of a zone that no finished refresh has applied.
func (svc *service) pending(zone string) int {
	n := 0
	for _, e := range svc.edits[zone] {
		if e.taken == 0 {
			n++
		}
	}
	return n
}

// shown is what pendingChanges says of a zone: the count as it was a lag ago.
func (svc *service) shown(zone string, k Knobs) int64 {
	asOf := time.Now().Add(-k.PendingLag)
	n := int64(0)
	met := map[string]bool{}
	for _, e := range svc.edits[zone] {
		if e.added.After(asOf) || k.HideNameEdits && e.nameOnly {
			continue
		}
		if !e.cleared.IsZero() && !e.cleared.After(asOf) {
			continue
		}
		once := k.PendingCounts != CountEdits
		if once && met[e.object] || k.PendingCounts == CountNet && svc.undone(e.object, zone) {
			continue
		}
		met[e.object] = true
		n++
	}
	return n
}

// undone says whether an object is a frontend whose staged form is the applied one.
func (svc *service) undone(object, zone string) bool {
	for id, f := range svc.staged.frontends {
		if object == frontendPath(svc.name, id) {
			return reflect.DeepEqual(f, svc.applied[zone].frontends[id])
		}
	}
	return false
}

// shownFrontend is a frontend as GET answers it: as it was a lag ago.
func (s *Sim) shownFrontend(svc *service, f Frontend) Frontend {
	asOf := time.Now().Add(-s.knobs.ReadLag)
	for _, old := range svc.olds[f.FrontendID] {
		if old.until.After(asOf) {
			f = old.frontend
			break
		}
	}
	if s.knobs.ShuffleFields {
		for _, list := range []*[]string{&f.AllowedSource, &f.DeniedSource, &f.DedicatedIpfo} {
			if *list != nil {
				*list = shuffled(s, *list)
			}
		}
	}
	return f
}

// age keeps a frontend that an edit replaces for as long as a lag may show it.
func (s *Sim) age(svc *service, f Frontend) {
	now := time.Now()
	olds := slices.DeleteFunc(svc.olds[f.FrontendID], func(v version) bool { return now.Sub(v.until) >= s.knobs.ReadLag })
	if s.knobs.ReadLag > 0 {
		olds = append(olds, version{frontend: f, until: now})
	}
	svc.olds[f.FrontendID] = olds
}

// forget lets go of cleared edits that no lag can show any more. Those of a task
// that has not ended stay: it gives them back if it fails.
func (svc *service) forget(zone string, lag time.Duration) {
	asOf := time.Now().Add(-lag)
	svc.edits[zone] = slices.DeleteFunc(svc.edits[zone], func(e edit) bool {
		open := slices.ContainsFunc(svc.queue, func(t *task) bool { return t.ID == e.taken })
		return !e.cleared.IsZero() && !e.cleared.After(asOf) && e.taken != 0 && !open
	})
}

// visible says whether a created object is answered yet.
func (s *Sim) visible(svc *service, id int64) bool {
	born, known := svc.born[id]
	return !known || time.Since(born) >= s.knobs.CreateLag
}

// create checks a body for POST and returns the object with its defaults.
func create[T any](x *exchange, model []field, k Knobs) (T, error) {
	var zero T
	body, err := x.object()
	if err != nil {
		return zero, err
	}
	o, err := overlay(model, toObject(zero), body, k, true)
	if err != nil {
		return zero, err
	}
	return fromObject[T](o)
}

// merge lays the body of a PUT over an object and says what came of it.
func merge[T any](x *exchange, model []field, stored T, k Knobs) (after T, changed, nameOnly bool, err error) {
	body, err := x.object()
	if err != nil {
		return stored, false, false, err
	}
	before := toObject(stored)
	o, err := overlay(model, before, body, k, false)
	if err != nil {
		return stored, false, false, err
	}
	names := []string{}
	for name, value := range o {
		if !sameJSON(before[name], value) {
			names = append(names, name)
		}
	}
	after, err = fromObject[T](o)
	return after, len(names) > 0, slices.Equal(names, []string{"displayName"}), err
}

func (svc *service) knowsZone(zone string) error {
	if zone == AllZones || slices.Contains(svc.zones, zone) {
		return nil
	}
	return badRequest("Zone " + zone + " is not available on this service")
}
