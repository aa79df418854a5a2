package linode

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// node is one backend as the API has it.
type node struct {
	ID      int64  `json:"id"`
	Label   string `json:"label"`
	Address string `json:"address"`
	Mode    string `json:"mode"`
	Status  string `json:"status"` // UP, DOWN or unknown, as its health check has it
	Weight  int64  `json:"weight"`
}

// view is what a Read saw: every node of the configuration.
type view struct {
	config, id int64
	nodes      []node
	unlisted   bool // the node answers by itself, the list does not have it yet
	before     node // ours, before our last write; zero: this process wrote nothing
}

// own is the node that the step names.
func (v *view) own() (node, bool) {
	for _, n := range v.nodes {
		if n.ID == v.id {
			return n, true
		}
	}
	return node{}, false
}

// Read implements actuators.Actuator. One list tells all that a judgement needs;
// only when it lacks the node is that asked for by itself.
func (a *actuator) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	r := actuators.Reading{At: time.Now()}
	params, err := paramsOf(s.Step)
	if err != nil {
		return r, actuators.Permanent(err)
	}
	v := &view{config: params.GetConfig(), id: params.GetNode()}
	a.mu.Lock()
	v.before = a.before[v.id]
	a.mu.Unlock()
	v.nodes, r.Requests, err = a.list(ctx, v.config)
	if _, found := v.own(); err == nil && !found {
		var ids []string
		v.unlisted, ids, err = a.exists(ctx, v)
		r.Requests = append(r.Requests, ids...)
	}
	if err != nil {
		return r, errorIn(r.Requests, fmt.Errorf("read %s: %w", s.Step.Object, err))
	}
	r.Body = v
	return r, nil
}

// page is a part of a list.
type page struct {
	Data  *[]node `json:"data"`
	Pages int     `json:"pages"`
}

func (a *actuator) list(ctx context.Context, config int64) (all []node, ids []string, err error) {
	for number, last := 1, 1; number <= last; number++ {
		var p page
		path := fmt.Sprintf("%s/configs/%d/nodes?page=%d&page_size=%d", a.path, config, number, PageSize)
		got, err := a.do(ctx, wire.Call{Method: http.MethodGet, Path: path}, &p)
		ids = append(ids, got...)
		if err == nil {
			err = p.check()
		}
		if err != nil {
			return nil, ids, err
		}
		all, last = append(all, *p.Data...), p.Pages
	}
	return all, ids, nil
}

// check refuses what is no list: an empty object must not pass for a
// configuration without nodes.
func (p page) check() error {
	if p.Data == nil {
		return fmt.Errorf("nodes: no data: %w", wire.ErrAnswer)
	}
	if p.Pages > MaxPages {
		return fmt.Errorf("nodes: %d pages: %w", p.Pages, wire.ErrAnswer)
	}
	for _, n := range *p.Data {
		if n.ID <= 0 {
			return fmt.Errorf("nodes: one without id: %w", wire.ErrAnswer)
		}
	}
	return nil
}

// exists asks for a node that the list lacks.
func (a *actuator) exists(ctx context.Context, v *view) (bool, []string, error) {
	var n node
	ids, err := a.do(ctx, wire.Call{Method: http.MethodGet, Path: a.nodePath(v.config, v.id)}, &n)
	if e, ok := errors.AsType[*apiError](err); ok && e.status == http.StatusNotFound && e.own {
		return false, ids, nil
	}
	return err == nil, ids, err
}

func (a *actuator) nodePath(config, id int64) string {
	return fmt.Sprintf("%s/configs/%d/nodes/%d", a.path, config, id)
}
