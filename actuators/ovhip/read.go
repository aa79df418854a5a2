package ovhip

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// view is what a Read saw.
type view struct {
	block      string
	service    string // that the IP is routed to; empty: parked
	text       string // its description
	additional bool
	moves      []int64       // unfinished, by id
	known      time.Duration // how long the oldest of them has been known here
	asked      time.Duration // since a move of ours left; zero: none that counts
	done       time.Duration // since a task was done; zero: none that counts

	// Where the IP can be moved; told: OVH says so. Asked for only while the IP is
	// elsewhere than the read's candidates.
	destinations []string
	told         bool
}

// Read implements actuators.Actuator. It asks one question after another: the
// move takes a minute, and OVH answers bursts with time-outs.
func (a *actuator) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	r := actuators.Reading{At: time.Now()}
	params, err := paramsOf(s.Step)
	if err != nil {
		return r, actuators.Permanent(err)
	}
	block, err := blockOf(params.GetIp())
	if err != nil {
		return r, actuators.Permanent(err)
	}
	g := &gather{client: a.client}
	v := &view{block: block}
	for _, read := range []func() error{
		func() error { return a.readTasks(ctx, g, v) }, // first: a task that ends meanwhile makes the IP look busy, not settled
		func() error { return readIP(ctx, g, v) },
		func() error { return readDestinations(ctx, g, v, s, params) },
	} {
		if err := read(); err != nil {
			e := actuators.Explain(fmt.Errorf("read %s: %w", s.Step.Object, err))
			e.Requests = g.ids
			r.Requests = g.ids
			return r, &e
		}
	}
	v.asked, v.done = a.memory.last(block, v.service)
	r.Body, r.Requests = v, g.ids
	return r, nil
}

// path is an IP's, or that of what stands below it. The block is one segment.
func path(block string, below ...string) string {
	return "/ip/" + url.PathEscape(block) + strings.Join(below, "")
}

func readIP(ctx context.Context, g *gather, v *view) error {
	var answer struct {
		IP          string  `json:"ip"`
		Description *string `json:"description"`
		Additional  *bool   `json:"isAdditionalIp"`
		RoutedTo    *struct {
			ServiceName *string `json:"serviceName"`
		} `json:"routedTo"`
	}
	if err := g.get(ctx, path(v.block), &answer); err != nil {
		return err
	}
	if answer.IP == "" {
		return fmt.Errorf("ip %s: %w", v.block, ovhapi.ErrAnswer)
	}
	v.additional = answer.Additional == nil || *answer.Additional // an account that is not told lets the move decide
	if answer.Description != nil {
		v.text = *answer.Description
	}
	if answer.RoutedTo != nil && answer.RoutedTo.ServiceName != nil {
		v.service = *answer.RoutedTo.ServiceName
	}
	return nil
}

// readTasks lists the moves that have not ended, whoever asked for them.
func (a *actuator) readTasks(ctx context.Context, g *gather, v *view) error {
	for _, status := range []string{"init", "todo", "doing"} {
		var ids []int64
		if err := g.get(ctx, path(v.block, "/task?function=genericMoveFloatingIp&status=", status), &ids); err != nil {
			return err
		}
		v.moves = append(v.moves, ids...)
	}
	slices.Sort(v.moves)
	v.moves = slices.Compact(v.moves) // one may go on between two of the questions
	for _, id := range v.moves {
		a.memory.shown(id)
		v.known = max(v.known, a.memory.since(id))
	}
	return nil
}

// readDestinations asks where the IP can go, while it is not where a candidate
// that is asked about stands. The call is beta: without an answer nothing is
// known, and the move itself decides.
func readDestinations(ctx context.Context, g *gather, v *view, s actuators.Subject, params *pb.OvhIpStep) error {
	due := false
	for _, address := range s.Candidates {
		due = due || !sameService(v.service, params.GetServices()[string(address)])
	}
	if !due {
		return nil
	}
	var families map[string][]struct {
		Service string `json:"service"`
	}
	err := g.get(ctx, path(v.block, "/move"), &families)
	if refused, ok := errors.AsType[*ovhapi.APIError](err); ok && refused.Status < http.StatusInternalServerError || errors.Is(err, ovhapi.ErrAnswer) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, family := range families {
		for _, d := range family {
			v.destinations = append(v.destinations, d.Service)
		}
	}
	slices.Sort(v.destinations)
	v.told = len(v.destinations) > 0
	return nil
}

// gather sends the requests of one Read and keeps the ids of their answers.
type gather struct {
	client *ovhapi.Client
	ids    []string
}

func (g *gather) get(ctx context.Context, path string, out any) error {
	ids, err := g.client.Do(ctx, ovhapi.Call{Method: http.MethodGet, Path: path, Out: out})
	g.ids = append(g.ids, ids...)
	return err
}
