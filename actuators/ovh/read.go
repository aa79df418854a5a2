package ovh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
)

// view is what a Read of a frontend saw.
type view struct {
	id      int64
	farm    int64 // 0: none
	name    string
	zone    string
	rest    rest
	before  earlier          // before our last write; zero: this process wrote nothing
	farms   map[int64]string // what is wrong with a farm; empty: nothing
	pending map[string]int64 // staged edits, by zone
}

// earlier is what stood before a write.
type earlier struct {
	rest    rest
	pending int64
}

// rest are the writable fields of a frontend that are not ours to write.
type rest map[string]json.RawMessage

func restFields() []string {
	return []string{"allowedSource", "dedicatedIpfo", "defaultSslId", "deniedSource", "disabled", "port", "ssl", "zone"}
}

// clean reports whether nothing is staged in the frontend's zones.
func (v *view) clean() bool { return v.unapplied() == 0 }

// unapplied counts what is staged in the frontend's zones, whoever staged it.
func (v *view) unapplied() (sum int64) {
	for zone, number := range v.pending {
		if v.zone == allZones || zone == allZones || zone == v.zone {
			sum += number
		}
	}
	return sum
}

// counted reports whether OVH has counted our last write as not applied: from
// then on an empty count means that it was.
func (v *view) counted() bool { return v.before.rest != nil && v.unapplied() > v.before.pending }

// allZones stands for every zone of the service.
const allZones = "all"

// Read implements actuators.Actuator.
func (a *actuator) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	g := &gather{client: a.client, width: MaxReads}
	if a.failing.Load() {
		g.width = 1
	}
	r := actuators.Reading{At: time.Now()}
	var err error
	if s.Step.Class == fsm.Trigger {
		r.Body, err = a.readTasks(ctx, g)
	} else {
		r.Body, err = a.readFrontend(ctx, g, s)
	}
	r.Requests = g.ids
	if !errors.Is(ctx.Err(), context.Canceled) { // a caller that left says nothing about the provider
		a.failing.Store(err != nil)
	}
	if err != nil {
		e := actuators.Explain(fmt.Errorf("read %s: %w", s.Step.Object, err))
		e.Requests = g.ids
		return r, &e
	}
	return r, nil
}

// readFrontend asks for everything at once: it stands between a promotion and
// the first write.
func (a *actuator) readFrontend(ctx context.Context, g *gather, s actuators.Subject) (*view, error) {
	params, err := paramsOf(s.Step)
	if err != nil {
		return nil, actuators.Permanent(err)
	}
	v := &view{id: params.GetFrontend(), farms: map[int64]string{}, pending: map[string]int64{}}
	jobs := []func(context.Context) error{
		func(ctx context.Context) error { return a.readFields(ctx, g, v) },
		func(ctx context.Context) error { return a.readPending(ctx, g, v) },
	}
	for _, address := range s.Candidates {
		farm, ok := params.GetFarms()[string(address)]
		if !ok {
			return nil, actuators.Permanent(fmt.Errorf("no farm for %s", address))
		}
		jobs = append(jobs, func(ctx context.Context) error {
			wrong, err := a.readFarm(ctx, g, farm, address)
			g.mu.Lock()
			defer g.mu.Unlock()
			v.farms[farm] = wrong
			return err
		})
	}
	a.mu.Lock()
	v.before = a.before[v.id]
	a.mu.Unlock()
	return v, sideBySide(ctx, g.width, jobs)
}

func (a *actuator) readFields(ctx context.Context, g *gather, v *view) error {
	var fields map[string]json.RawMessage
	if err := g.get(ctx, a.frontendPath(v.id), &fields); err != nil {
		return err
	}
	var id int64
	var farm *int64
	var name *string
	if json.Unmarshal(or(fields["frontendId"], "0"), &id) != nil || id != v.id || // else a name would be missed that is to be kept
		json.Unmarshal(or(fields["defaultFarmId"], "null"), &farm) != nil ||
		json.Unmarshal(or(fields["displayName"], "null"), &name) != nil ||
		json.Unmarshal(or(fields["zone"], `"all"`), &v.zone) != nil {
		return fmt.Errorf("frontend %d: %w", v.id, ovhapi.ErrAnswer)
	}
	if farm != nil {
		v.farm = *farm
	}
	if name != nil {
		v.name = *name
	}
	v.rest = rest{}
	for _, field := range restFields() {
		v.rest[field] = or(fields[field], "null")
	}
	return nil
}

func (a *actuator) frontendPath(id int64) string {
	return a.path + "/tcp/frontend/" + strconv.FormatInt(id, 10)
}

func or(value json.RawMessage, absent string) json.RawMessage {
	if len(value) == 0 {
		return json.RawMessage(absent)
	}
	return value
}

func (a *actuator) readPending(ctx context.Context, g *gather, v *view) error {
	var list []struct {
		Number int64  `json:"number"`
		Zone   string `json:"zone"`
	}
	if err := g.get(ctx, a.path+"/pendingChanges", &list); err != nil {
		return err
	}
	var staged []string
	for _, p := range list {
		v.pending[p.Zone] += p.Number
		if p.Number > 0 {
			staged = append(staged, p.Zone)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.staged = staged
	return nil
}

type server struct {
	Address string `json:"address"`
	Port    *int64 `json:"port"` // nil: the farm's
	Status  string `json:"status"`
}

// readFarm says what is wrong with a farm: it must hold the candidate, active,
// and nobody else.
func (a *actuator) readFarm(ctx context.Context, g *gather, farm int64, address fsm.Address) (wrong string, err error) {
	path := fmt.Sprintf("%s/tcp/farm/%d", a.path, farm)
	var ids []int64
	if err := g.get(ctx, path+"/server", &ids); err != nil {
		return "", missing(err, "farm %d", farm)
	}
	if len(ids) != 1 {
		return fmt.Sprintf("farm %d holds %d servers, want only %s", farm, len(ids), address), nil
	}
	var s server
	if err := g.get(ctx, fmt.Sprintf("%s/server/%d", path, ids[0]), &s); err != nil {
		return "", missing(err, "server of farm %d", farm)
	}
	if s.Port == nil {
		if err := g.get(ctx, path, &s); err != nil { // of the farm only the port has a field in server
			return "", missing(err, "farm %d", farm)
		}
	}
	if s.Port == nil {
		return fmt.Sprintf("farm %d: neither the farm nor its server has a port, want %s", farm, address), nil
	}
	at := fmt.Sprintf("%s:%d", s.Address, *s.Port)
	if !sameAddress(at, string(address)) {
		return fmt.Sprintf("farm %d holds %s, want %s", farm, at, address), nil
	}
	if s.Status != "active" {
		return fmt.Sprintf("farm %d: server %s is %s", farm, at, wire.Cut(s.Status, 32)), nil
	}
	return "", nil
}

// sameAddress compares parsed, since the two are written by different hands.
func sameAddress(a, b string) bool {
	one, err1 := netip.ParseAddrPort(a)
	two, err2 := netip.ParseAddrPort(b)
	return err1 == nil && err2 == nil && one == two
}

// missing names what a 404 was about.
func missing(err error, format string, args ...any) error {
	if e, ok := errors.AsType[*ovhapi.APIError](err); ok && e.Status == http.StatusNotFound {
		return fmt.Errorf("%s does not exist: %w", fmt.Sprintf(format, args...), err)
	}
	return err
}

// running are the unfinished refreshes, with the time that this process has
// known of each.
type running map[int64]time.Duration

// readTasks lists them. A task that is on its way from todo to doing between
// the two questions may be missed; Act then meets it.
func (a *actuator) readTasks(ctx context.Context, g *gather) (running, error) {
	found := running{}
	var jobs []func(context.Context) error
	for _, status := range []string{"todo", "doing"} {
		jobs = append(jobs, func(ctx context.Context) error {
			var ids []int64
			if err := g.get(ctx, a.path+"/task?action=refreshIplb&status="+status, &ids); err != nil {
				return err
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			for _, id := range ids {
				found[id] = a.since(id)
			}
			return nil
		})
	}
	return found, sideBySide(ctx, g.width, jobs)
}

func (r running) ids() []int64 { return slices.Sorted(maps.Keys(r)) }

// gather sends the requests of one Read and keeps the ids of their answers.
type gather struct {
	client *ovhapi.Client
	width  int        // requests at a time
	mu     sync.Mutex // guards ids, and what the jobs of one Read share
	ids    []string
}

func (g *gather) get(ctx context.Context, path string, out any) error {
	ids, err := g.client.Do(ctx, ovhapi.Call{Method: http.MethodGet, Path: path, Out: out})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ids = append(g.ids, ids...)
	return err
}

// sideBySide runs jobs, at most width at a time, and returns when none runs.
// The first error ends the others and is the one returned.
func sideBySide(ctx context.Context, width int, jobs []func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, width)
	var running sync.WaitGroup
	for _, job := range jobs {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			if err := job(ctx); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}
