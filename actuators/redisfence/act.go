package redisfence

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// actuator fences with the rights of one target. It keeps no connection.
type actuator struct {
	config         Config
	budget         actuators.Budget
	user, password string
	tls            *tls.Config
}

var (
	_ actuators.Actuator = (*actuator)(nil)
	_ actuators.Checker  = (*actuator)(nil)
)

// view is what a Read saw: nodes by address.
type view map[fsm.Address]node

// Read implements actuators.Actuator: the old master and the new one, or all
// candidates while there is no failover.
func (a *actuator) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	var msg pb.RedisFenceStep
	if err := proto.Unmarshal(s.Step.Params, &msg); err != nil {
		return actuators.Reading{}, actuators.Permanent(fmt.Errorf("read step %s: %w", s.Step.Name, err))
	}
	ask := map[fsm.Address]bool{}
	if v, err := parseWanted(s.Value); err == nil {
		if v.Old == "" {
			return actuators.Reading{At: time.Now(), Body: view{}}, nil
		}
		ask[v.Old], ask[v.New] = true, true
	} else {
		for _, c := range s.Candidates {
			ask[c] = true
		}
	}
	var mu sync.Mutex
	var work sync.WaitGroup
	var errs []error
	seen := view{}
	for _, address := range slices.Sorted(maps.Keys(ask)) {
		work.Go(func() {
			n, err := a.ask(ctx, address, waitOf(&msg))
			mu.Lock()
			defer mu.Unlock()
			seen[address] = n
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", address, err))
			}
		})
	}
	work.Wait()
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return actuators.Reading{}, context.Cause(ctx)
	}
	return actuators.Reading{At: time.Now(), Body: seen}, errors.Join(errs...)
}

// Judge implements actuators.Actuator.
func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	s := actuators.Sight{Reading: r}
	seen, _ := r.Body.(view)
	v, err := wantedOf(w.Action)
	old, next := seen[v.Old], seen[v.New]
	switch {
	case err != nil:
		s.Verdict, s.Detail = actuators.Foreign, err.Error()
	case v.Old == "":
		s.Verdict, s.Detail = actuators.Applied, "no old master"
	case old.address == "" || next.address == "":
		s.Verdict, s.Detail, s.After = actuators.Busy, "not looked at yet", BusyAfter
	case old.err != nil:
		s.Verdict, s.Detail = actuators.Applied, fmt.Sprintf("%s does not answer", v.Old)
		s.Warning = fmt.Sprintf("%s was not fenced, it does not answer (%v): until a Sentinel makes it a replica it takes writes from whoever still reaches it", v.Old, old.err)
	case old.role == "slave":
		s.Verdict, s.Detail = actuators.Applied, fmt.Sprintf("%s is a replica of %s", v.Old, old.master)
	case next.err != nil:
		s.Verdict, s.Detail, s.After = actuators.Busy, fmt.Sprintf("%s does not answer: %v", v.New, next.err), BusyAfter
	case next.role != "master":
		s.Verdict, s.Detail, s.After = actuators.Busy, fmt.Sprintf("%s is a master, %s is none yet", v.Old, v.New), BusyAfter
	case !followed(old, next):
		s.Verdict, s.Detail = actuators.Applied, fmt.Sprintf("%s is a master that %s never followed", v.Old, v.New)
		s.Warning = s.Detail + " (by their replication ids): left alone"
	default:
		s.Verdict, s.Version, s.Detail = actuators.Absent, old.replid, fmt.Sprintf("%s is still a master", v.Old)
	}
	return s
}

// followed reports whether next was old's replica until it was promoted.
func followed(old, next node) bool {
	if strings.Trim(next.replid2, "0") == "" { // it has forgotten, or was never a replica
		return false
	}
	return next.replid2 == old.replid || next.replid2 == old.replid2
}

// Act implements actuators.Actuator.
func (a *actuator) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (out actuators.Outcome, err error) {
	v, err := wantedOf(w.Action)
	if err != nil {
		return out, actuators.Permanent(err)
	}
	if seen.Verdict != actuators.Absent || v.Old == "" {
		return out, ErrNotDue
	}
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	c, err := a.open(ctx, v.Old)
	if err != nil {
		return out, fmt.Errorf("%s: %w", v.Old, err)
	}
	defer c.close()
	n, err := c.look(ctx, v.Old)
	if err != nil {
		return out, fmt.Errorf("%s: %w", v.Old, err)
	}
	if n.role != "master" || n.replid != w.Action.Version {
		return out, fmt.Errorf("%s: %w", v.Old, ErrMoved)
	}
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	actuators.Sending(ctx)
	killed, err := c.fence(ctx, v.New)
	if err != nil {
		return out, fmt.Errorf("%s: %w", v.Old, err)
	}
	out.Requests = []string{fmt.Sprintf("%s closed %d clients", v.Old, killed)}
	return out, nil
}

// fence sends the transaction.
func (c *conn) fence(ctx context.Context, to fsm.Address) (killed int64, err error) {
	var clients, listeners *redis.Cmd
	var order *redis.Cmd
	_, err = c.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		order, clients, listeners = orders(ctx, p, to)
		return nil
	})
	if _, said := errors.AsType[redis.Error](err); err != nil && !said {
		return 0, actuators.InDoubt(plain(err))
	}
	if err := cmp.Or(order.Err(), err); err != nil { // the order's own word says more than EXECABORT
		return 0, explain(err)
	}
	one, _ := clients.Int64()
	two, _ := listeners.Int64()
	return one + two, nil
}

// orders are the commands of the transaction. A client's own connection is
// spared by CLIENT KILL (SKIPME yes is its default).
func orders(ctx context.Context, p redis.Pipeliner, to fsm.Address) (order, clients, listeners *redis.Cmd) {
	host, port := hostPort(to)
	return p.Do(ctx, "REPLICAOF", host, port), p.Do(ctx, "CLIENT", "KILL", "TYPE", "normal"), p.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub")
}

// hostPort splits an address that the spec's rules have let pass.
func hostPort(a fsm.Address) (host, port string) {
	host, port, _ = net.SplitHostPort(string(a))
	return host, port
}

// Follow implements actuators.Actuator: no task of anybody's is followed.
func (a *actuator) Follow(context.Context, actuators.Work) (actuators.Progress, error) {
	return actuators.Progress{Done: true}, nil
}
