package ovh

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// TaskPlan is how one refresh task goes. Plans given to PlanTasks are used up by the next refreshes in turn;
// after them the knobs hold.
type TaskPlan struct {
	Todo      time.Duration            `json:"todo"`
	Doing     time.Duration            `json:"doing"`
	ZoneDelay map[string]time.Duration `json:"zone_delay"`
	Outcome   TaskStatus               `json:"outcome"` // done, error, cancelled or blocked; empty: done
	Applied   []string                 `json:"applied"` // zones that a failing task applies nonetheless
}

// UnmarshalJSON takes durations as text ("1.5s") or nanoseconds.
func (p *TaskPlan) UnmarshalJSON(b []byte) error {
	type plain TaskPlan
	return decodeSpans(b, (*plain)(p), "todo", "doing", "zone_delay")
}

// task is a Task with what it will do.
type task struct {
	Task
	svc     *service
	plan    TaskPlan
	created time.Time
	begun   time.Time // of doing
	ended   time.Time
	taken   map[string]layout // what it applies, by zone; nil: no snapshot yet
	upTo    int64             // the newest edit in that snapshot
	calls   []*Call           // the refreshes that it answers
	open    int               // zones not yet applied
}

// PlanTasks says how the next refreshes of a service go.
func (s *Sim) PlanTasks(service string, plans ...TaskPlan) error {
	for _, p := range plans {
		if p.Outcome == "" {
			p.Outcome = TaskDone
		}
		if err := oneOf("outcome", p.Outcome, TaskDone, TaskError, TaskCancelled, TaskBlocked); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	svc, ok := s.services[service]
	if !ok {
		return fmt.Errorf("service %s: %w", service, ErrUnknown)
	}
	svc.plans = append(svc.plans, plans...)
	return nil
}

func (s *Sim) postRefresh(x *exchange) (any, error) {
	zones := x.svc.zones
	if len(x.body) > 0 && string(x.body) != "null" {
		var body struct {
			Zone *string `json:"zone"`
		}
		if err := json.Unmarshal(x.body, &body); err != nil {
			return nil, badRequest("Invalid JSON received")
		}
		if body.Zone != nil && *body.Zone != AllZones {
			if err := x.svc.knowsZone(*body.Zone); err != nil {
				return nil, err
			}
			zones = []string{*body.Zone}
		}
	}
	if s.knobs.RefreshZones == RefreshFirst && len(zones) > 1 {
		zones = zones[:1]
	}
	if len(x.svc.queue) > 0 {
		switch last := x.svc.queue[len(x.svc.queue)-1]; s.knobs.SecondRefresh {
		case SecondMerge:
			x.call.Refresh = &RefreshWrite{Task: last.ID, Zones: last.Zones, Merged: true}
			s.accepted(x.call, false)
			return s.view(last), nil
		case SecondRefuse:
			status := cmp.Or(s.knobs.SecondStatus, http.StatusConflict)
			return nil, &refusal{status: status, code: "CONFLICT", class: classOf(status), message: "A refresh is already in progress"}
		}
	}
	t := s.newTask(x.svc, ActionRefresh, zones)
	x.call.Refresh = &RefreshWrite{Task: t.ID, Zones: slices.Clone(zones)}
	t.calls = append(t.calls, x.call)
	s.accepted(x.call, true)
	if s.knobs.RefreshSnapshot == SnapshotPost {
		s.take(t)
	}
	x.svc.queue = append(x.svc.queue, t)
	if len(x.svc.queue) == 1 {
		s.next(x.svc)
	}
	return s.view(t), nil
}

// newTask makes a task in todo. The caller holds mu.
func (s *Sim) newTask(svc *service, action string, zones []string) *task {
	s.nextTask++
	t := &task{svc: svc, created: time.Now(), plan: TaskPlan{
		Todo: s.knobs.TaskTodo, Doing: s.knobs.TaskDoing, ZoneDelay: s.knobs.clone().ZoneDelay, Outcome: s.knobs.TaskOutcome,
	}}
	t.Task = Task{Action: action, CreationDate: stamp(s.now()), ID: s.nextTask, Status: TaskTodo, Zones: slices.Clone(zones)}
	if action == ActionRefresh && len(svc.plans) > 0 {
		t.plan, svc.plans = svc.plans[0], svc.plans[1:]
	}
	svc.tasks[t.ID] = t
	s.trim(svc)
	return t
}

// trim lets the oldest finished tasks go above the bound.
func (s *Sim) trim(svc *service) {
	for _, id := range slices.Sorted(maps.Keys(svc.tasks)) {
		if len(svc.tasks) <= s.config.MaxTasks {
			return
		}
		if !svc.tasks[id].ended.IsZero() {
			delete(svc.tasks, id)
		}
	}
}

// next sets the first unfinished refresh going.
func (s *Sim) next(svc *service) {
	if len(svc.queue) == 0 {
		return
	}
	t := svc.queue[0]
	s.after(t.plan.Todo, func() { s.begin(t) })
}

func (s *Sim) begin(t *task) {
	if t.Status != TaskTodo {
		return
	}
	t.Status, t.begun = TaskDoing, time.Now()
	if t.taken == nil {
		s.take(t)
	}
	if t.plan.Outcome != TaskDone && t.plan.Outcome != "" {
		s.after(t.plan.Doing, func() { s.fail(t, t.plan.Outcome) })
		return
	}
	t.open = len(t.Zones)
	for _, zone := range t.Zones {
		s.after(t.plan.Doing+t.plan.ZoneDelay[zone], func() { s.zoneDone(t, zone) })
	}
}

// take is the snapshot: what is staged now is what this task will apply.
func (s *Sim) take(t *task) {
	t.taken, t.upTo = map[string]layout{}, t.svc.nextOne
	found := 0
	for _, zone := range t.Zones {
		t.taken[zone] = t.svc.staged.forZone(zone)
		edits := t.svc.edits[zone]
		for i := range edits {
			if edits[i].taken != 0 {
				continue
			}
			found++
			edits[i].taken = t.ID
			if s.knobs.PendingClears == ClearsSnapshot {
				edits[i].cleared = time.Now()
			}
		}
	}
	for _, c := range t.calls {
		c.Refresh.Taken, c.Refresh.Pending = true, found
		s.tell(c)
	}
}

// apply makes the snapshot live in one zone.
func (s *Sim) apply(t *task, zone string) {
	t.svc.applied[zone] = t.taken[zone]
	edits := t.svc.edits[zone]
	for i := range edits {
		if edits[i].id > t.upTo {
			continue
		}
		edits[i].taken = t.ID // a failed task may have given it back since
		if edits[i].cleared.IsZero() {
			edits[i].cleared = time.Now()
		}
	}
	t.svc.forget(zone, s.knobs.PendingLag)
	if s.plane != nil {
		if err := s.plane.follow(t.svc); err != nil {
			s.log.Error("data plane does not follow", "service", t.svc.name, "error", err)
		}
	}
}

func (s *Sim) zoneDone(t *task, zone string) {
	if t.Status != TaskDoing {
		return
	}
	s.apply(t, zone)
	t.open--
	if t.open > 0 {
		return
	}
	t.DoneDate = new(stamp(s.now()))
	s.end(t, TaskDone)
}

// fail ends a task, or parks a blocked one, after applying the zones that its plan lets through.
func (s *Sim) fail(t *task, outcome TaskStatus) {
	if t.Status != TaskDoing && t.Status != TaskBlocked {
		return
	}
	for _, zone := range t.plan.Applied {
		if _, covered := t.taken[zone]; covered {
			s.apply(t, zone)
		}
	}
	if outcome == TaskBlocked {
		t.Status = TaskBlocked
		return
	}
	for _, zone := range t.Zones { // what was not applied is pending again
		edits := t.svc.edits[zone]
		for i := range edits {
			if edits[i].taken == t.ID && !slices.Contains(t.plan.Applied, zone) {
				edits[i].taken, edits[i].cleared = 0, time.Time{}
			}
		}
	}
	s.end(t, outcome)
}

func (s *Sim) end(t *task, status TaskStatus) {
	t.Status, t.ended = status, time.Now()
	t.taken = nil
	t.svc.queue = slices.DeleteFunc(t.svc.queue, func(q *task) bool { return q == t })
	s.next(t.svc)
}

// FinishTask ends a blocked task: done applies its snapshot everywhere at once, error and cancelled do not.
func (s *Sim) FinishTask(id int64, status TaskStatus) error {
	if err := oneOf("status", status, TaskDone, TaskError, TaskCancelled); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, svc := range s.services {
		t, ok := svc.tasks[id]
		if !ok {
			continue
		}
		if t.Status != TaskBlocked {
			return fmt.Errorf("task %d is %s: %w", id, t.Status, ErrState)
		}
		if status != TaskDone {
			s.fail(t, status)
			return nil
		}
		for _, zone := range t.Zones {
			s.apply(t, zone)
		}
		t.DoneDate = new(stamp(s.now()))
		s.end(t, TaskDone)
		return nil
	}
	return fmt.Errorf("task %d: %w", id, ErrUnknown)
}

// AddTask adds a task of another action in a fixed state, as the provider lists them beside refreshes.
func (s *Sim) AddTask(service, action string, status TaskStatus) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	svc, ok := s.services[service]
	if !ok {
		return 0, fmt.Errorf("service %s: %w", service, ErrUnknown)
	}
	if action == ActionRefresh {
		return 0, fmt.Errorf("a %s task comes from a refresh: %w", action, ErrState)
	}
	t := s.newTask(svc, action, svc.zones)
	t.Status = status
	if status == TaskDone {
		t.ended, t.DoneDate = time.Now(), new(stamp(s.now()))
	}
	return t.ID, nil
}

// view is the task as answered now.
func (s *Sim) view(t *task) Task {
	out := t.Task
	out.Zones = slices.Clone(t.Zones)
	switch {
	case t.Action != ActionRefresh || len(t.Zones) < len(t.svc.zones):
	case s.knobs.RefreshZones == RefreshAsAll:
		out.Zones = []string{AllZones}
	case s.knobs.RefreshZones == RefreshUnlisted:
		out.Zones = []string{}
	}
	switch t.Status {
	case TaskDone:
		out.Progress = 100
	case TaskDoing, TaskBlocked:
		longest := t.plan.Doing
		for _, zone := range t.Zones {
			longest = max(longest, t.plan.Doing+t.plan.ZoneDelay[zone])
		}
		if longest > 0 {
			out.Progress = min(99, int64(100*time.Since(t.begun)/longest))
		}
	}
	return out
}

func (s *Sim) gone(t *task) bool {
	return s.knobs.TaskTTL > 0 && !t.ended.IsZero() && time.Since(t.ended) >= s.knobs.TaskTTL
}

func (s *Sim) getTask(x *exchange) (any, error) {
	id, err := x.id(0)
	if err != nil {
		return nil, err
	}
	t, ok := x.svc.tasks[id]
	if !ok || s.gone(t) || time.Since(t.created) < s.knobs.TaskLag {
		return nil, notFound("The requested object (id = " + strconv.FormatInt(id, 10) + ") does not exist")
	}
	return s.view(t), nil
}
