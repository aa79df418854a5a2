package octavia

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
)

// view is what a Read saw.
type view struct {
	id       string // of the listener
	listener listener
	balancer balancer
	pools    map[string]string // what is wrong with a pool; empty: nothing
	pending  time.Duration     // for how long this process has seen the tree pending
}

type named struct {
	ID string `json:"id"`
}

func among(list []named, id string) bool {
	return slices.ContainsFunc(list, func(n named) bool { return strings.EqualFold(n.ID, id) })
}

type listener struct {
	Description string  `json:"description"` // null reads as empty
	Pool        string  `json:"default_pool_id"`
	Status      string  `json:"provisioning_status"`
	Balancers   []named `json:"loadbalancers"`
	Up          *bool   `json:"admin_state_up"`
}

type balancer struct {
	Status    string `json:"provisioning_status"`
	Operating string `json:"operating_status"`
	Up        *bool  `json:"admin_state_up"`
}

type pool struct {
	Balancers []named `json:"loadbalancers"`
	Members   []named `json:"members"`
	Up        *bool   `json:"admin_state_up"`
}

type member struct {
	Address string `json:"address"`
	Port    int    `json:"protocol_port"`
	Weight  *int   `json:"weight"`
	Backup  bool   `json:"backup"`
	Up      *bool  `json:"admin_state_up"`
}

func down(up *bool) bool { return up != nil && !*up }

// Read implements actuators.Actuator.
func (a *actuator) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	g := &gather{client: a.client}
	r := actuators.Reading{At: time.Now()}
	v, err := a.read(ctx, g, s)
	r.Requests = g.ids
	if !errors.Is(ctx.Err(), context.Canceled) { // a caller that left says nothing about the provider
		a.failing.Store(err != nil)
	}
	if err != nil {
		e := actuators.Explain(fmt.Errorf("read %s: %w", s.Step.Object, err))
		e.Requests = g.ids
		return r, &e
	}
	r.Body = v
	return r, nil
}

// read asks for everything at once: it stands between a promotion and the
// first write.
func (a *actuator) read(ctx context.Context, g *gather, s actuators.Subject) (*view, error) {
	params, err := paramsOf(s.Step)
	if err != nil {
		return nil, actuators.Permanent(err)
	}
	v := &view{id: strings.ToLower(params.GetListener()), pools: map[string]string{}}
	jobs := a.statusJobs(g, v)
	for _, address := range s.Candidates {
		id, ok := params.GetPools()[string(address)]
		if !ok {
			return nil, actuators.Permanent(fmt.Errorf("no pool for %s", address))
		}
		id = strings.ToLower(id)
		jobs = append(jobs, func(ctx context.Context) error {
			wrong, err := a.readPool(ctx, g, id, address)
			g.mu.Lock()
			defer g.mu.Unlock()
			v.pools[id] = wrong
			return err
		})
	}
	width := wire.MaxIdle
	if a.failing.Load() {
		width = 1
	}
	if err := sideBySide(ctx, width, jobs); err != nil {
		return nil, err
	}
	v.pending = a.pendingFor(isPending(v.balancer.Status) || isPending(v.listener.Status))
	return v, nil
}

// statusJobs read the listener and its load balancer. That they are two looks
// does no harm: a write makes both pending in one step, and the listener's own
// status stands beside its value.
func (a *actuator) statusJobs(g *gather, v *view) []func(context.Context) error {
	return []func(context.Context) error{
		func(ctx context.Context) error {
			body := struct {
				Listener *listener `json:"listener"`
			}{&v.listener}
			err := g.get(ctx, "/listeners/"+v.id, &body)
			if err == nil && v.listener.Status == "" {
				err = fmt.Errorf("listener %s: no provisioning_status: %w", v.id, ErrAnswer)
			}
			return missing(err, "listener %s", v.id)
		},
		func(ctx context.Context) error {
			body := struct {
				Balancer *balancer `json:"loadbalancer"`
			}{&v.balancer}
			err := g.get(ctx, "/loadbalancers/"+a.balancer, &body)
			if err == nil && v.balancer.Status == "" {
				err = fmt.Errorf("load balancer %s: no provisioning_status: %w", a.balancer, ErrAnswer)
			}
			return missing(err, "load balancer %s", a.balancer)
		},
	}
}

// readPool says what is wrong with a pool: it must hold the candidate, in use,
// and nobody else.
func (a *actuator) readPool(ctx context.Context, g *gather, id string, address fsm.Address) (wrong string, err error) {
	var of struct {
		Pool *pool `json:"pool"`
	}
	if err := g.get(ctx, "/pools/"+id, &of); err != nil {
		return "", missing(err, "pool %s", id)
	}
	switch p := of.Pool; {
	case p == nil:
		return "", fmt.Errorf("pool %s: %w", id, ErrAnswer)
	case !among(p.Balancers, a.balancer):
		return fmt.Sprintf("pool %s is not on load balancer %s", id, a.balancer), nil
	case len(p.Members) != 1:
		return fmt.Sprintf("pool %s holds %d members, want only %s", id, len(p.Members), address), nil
	case down(p.Up):
		return fmt.Sprintf("pool %s is down by its admin_state_up", id), nil
	}
	var list struct {
		Members *[]member `json:"members"`
	}
	if err := g.get(ctx, "/pools/"+id+"/members", &list); err != nil {
		return "", missing(err, "pool %s", id)
	}
	if list.Members == nil {
		return "", fmt.Errorf("members of pool %s: %w", id, ErrAnswer)
	}
	members := *list.Members
	if len(members) != 1 {
		return fmt.Sprintf("pool %s holds %d members, want only %s", id, len(members), address), nil
	}
	return members[0].wrong(id, address), nil
}

func (m member) wrong(pool string, address fsm.Address) string {
	at, err := netip.ParseAddr(m.Address)
	want, err2 := netip.ParseAddrPort(string(address))
	switch {
	case err != nil || err2 != nil || at.Unmap() != want.Addr().Unmap() || m.Port != int(want.Port()):
		return fmt.Sprintf("pool %s holds %s port %d, want %s", pool, wire.Cut(m.Address, 64), m.Port, address)
	case down(m.Up):
		return fmt.Sprintf("pool %s: member %s is down by its admin_state_up", pool, address)
	case m.Weight != nil && *m.Weight == 0:
		return fmt.Sprintf("pool %s: member %s has weight 0", pool, address)
	case m.Backup:
		return fmt.Sprintf("pool %s: member %s is a backup", pool, address)
	}
	return ""
}

// missing names what a 404 was about.
func missing(err error, format string, args ...any) error {
	if e, ok := errors.AsType[*apiError](err); ok && e.status == http.StatusNotFound {
		return fmt.Errorf("%s does not exist: %w", fmt.Sprintf(format, args...), err)
	}
	return err
}

// gather sends the requests of one Read and keeps the ids of their answers.
type gather struct {
	client *client
	mu     sync.Mutex // guards ids, and what the jobs of one Read share
	ids    []string
}

func (g *gather) get(ctx context.Context, path string, out any) error {
	ids, err := g.client.do(ctx, http.MethodGet, path, nil, out)
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
