package ovh

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Statuses of an IP's task.
const (
	ipInit          = "init"
	ipTodo          = "todo"
	ipDoing         = "doing"
	ipDone          = "done"
	ipCancelled     = "cancelled"
	ipCustomerError = "customerError"
	ipOvhError      = "ovhError"
)

// The functions of an IP's task.
const (
	ipMove       = "genericMoveFloatingIp"
	ipChangeRipe = "changeRipeOrg"
)

// ipTask is a task of one IP.
type ipTask struct {
	id                  int64
	function, status    string
	to                  string
	knobs               IPKnobs
	created, ended      time.Time
	seq                 int64 // of the call that made it; 0: somebody else
	comment, start, end string
}

func (t *ipTask) over() bool { return !t.ended.IsZero() }

// postMove makes a task that moves the block.
func (s *Sim) postMove(x *exchange) (any, error) {
	i, err := s.block(x)
	if err != nil {
		return nil, err
	}
	fields, err := x.object()
	if err != nil {
		return nil, err
	}
	to, ok := text(fields["to"])
	k := s.ipKnobs
	same, busy := to == i.Service, slices.ContainsFunc(i.tasks, func(t *ipTask) bool { return t.function == ipMove && !t.over() })
	switch {
	case !ok || to == "":
		return nil, badRequest("Missing parameter to")
	case i.Fixed || !slices.Contains(i.Destinations, to):
		return nil, badRequest("This IP cannot be moved to " + to)
	case same && k.Same == IPSameRefuse:
		return nil, badRequest("This IP is already routed to " + to)
	case busy && k.Second == IPSecondRefuse:
		return nil, badRequest("An action on this IP is already in progress")
	case busy && k.Second == IPSecondConflict:
		return nil, conflict("An action on this IP is already in progress")
	}
	t := s.newIPTask(i, to, x.call.Seq)
	s.accepted(x.call, true)
	return s.ipTaskInfo(t), nil
}

// newIPTask begins at once, or when the one before it has ended. The caller holds mu.
func (s *Sim) newIPTask(i *ip, to string, seq int64) *ipTask {
	s.nextTask++
	t := &ipTask{id: s.nextTask, function: ipMove, status: ipInit, to: to, knobs: s.ipKnobs, created: time.Now(), start: stamp(s.now()), seq: seq}
	i.tasks = append(i.tasks, t)
	if len(i.tasks) > s.config.MaxTasks {
		i.tasks = slices.Delete(i.tasks, 0, 1)
	}
	s.nextIPTask(i)
	return t
}

// nextIPTask lets the oldest unfinished move go on, unless it is going. The caller holds mu.
func (s *Sim) nextIPTask(i *ip) {
	for _, t := range i.tasks {
		if t.function != ipMove || t.over() {
			continue
		}
		if t.status == ipInit {
			t.status = ipTodo
			s.after(t.knobs.Todo, func() { s.beginIPTask(i, t) })
		}
		return
	}
}

func (s *Sim) beginIPTask(i *ip, t *ipTask) {
	t.status = ipDoing
	if t.knobs.Early && (t.knobs.Outcome == ipDone || t.knobs.Moved) {
		s.route(i, t.to, IPMove{Seq: t.seq, Task: t.id})
	}
	s.after(t.knobs.Doing, func() { s.endIPTask(i, t) })
}

func (s *Sim) endIPTask(i *ip, t *ipTask) {
	if !t.knobs.Early && (t.knobs.Outcome == ipDone || t.knobs.Moved) {
		s.route(i, t.to, IPMove{Seq: t.seq, Task: t.id})
	}
	t.status, t.ended, t.end = t.knobs.Outcome, time.Now(), stamp(s.now())
	if t.status != ipDone {
		t.comment = "the destination did not answer"
	}
	s.nextIPTask(i)
}

// route is the effect of a move. The caller holds mu.
func (s *Sim) route(i *ip, to string, m IPMove) {
	m.Block, m.From, m.To, m.At = i.Block, i.Service, to, time.Now()
	i.remember()
	i.Service = to
	s.ipMoves = append(s.ipMoves, m)
}

// ForeignMove asks for a move as somebody else, and returns its task.
func (s *Sim) ForeignMove(block, to string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.ips[block]
	if !ok {
		return 0, fmt.Errorf("ip %s: %w", block, ErrUnknown)
	}
	return s.newIPTask(i, to, 0).id, nil
}

// AddIPTask adds a task that never ends: a move, or another function.
func (s *Sim) AddIPTask(block string, move bool) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.ips[block]
	if !ok {
		return 0, fmt.Errorf("ip %s: %w", block, ErrUnknown)
	}
	s.nextTask++
	t := &ipTask{id: s.nextTask, function: ipMove, status: ipDoing, created: time.Now(), start: stamp(s.now())}
	if !move {
		t.function = ipChangeRipe
	}
	i.tasks = append(i.tasks, t)
	return t.id, nil
}

func (s *Sim) ipTaskInfo(t *ipTask) map[string]any {
	return map[string]any{
		"taskId": t.id, "function": t.function, "status": t.status, "comment": orNull(t.comment), "startDate": t.start,
		"doneDate": orNull(t.end), "lastUpdate": orNull(t.end), "destination": map[string]any{"serviceName": orNull(t.to)},
	}
}

// seen reports whether a task that is shown after a lag is shown now.
func (s *Sim) seen(t *ipTask, lag time.Duration) bool {
	forgotten := s.ipKnobs.TTL > 0 && t.over() && time.Since(t.ended) >= s.ipKnobs.TTL
	return !forgotten && time.Since(t.created) >= lag
}

func (s *Sim) listIPTasks(x *exchange) (any, error) {
	i, err := s.block(x)
	if err != nil {
		return nil, err
	}
	if got := x.query.Get("status"); got != "" && !slices.Contains([]string{ipInit, ipTodo, ipDoing, ipDone, ipCancelled, ipCustomerError, ipOvhError}, got) {
		return nil, badRequest("Invalid parameter status: " + got)
	}
	var ids []int64
	for _, t := range i.tasks {
		if x.passes(filter{"function", t.function}, filter{"status", t.status}) && s.seen(t, s.ipKnobs.ListLag) {
			ids = append(ids, t.id)
		}
	}
	return shuffled(s, ids), nil
}

func (s *Sim) getIPTask(x *exchange) (any, error) {
	i, err := s.block(x)
	if err != nil {
		return nil, err
	}
	id, err := x.id(1)
	if err != nil {
		return nil, err
	}
	for _, t := range i.tasks {
		if t.id == id && s.seen(t, s.ipKnobs.TaskLag) {
			return s.ipTaskInfo(t), nil
		}
	}
	return nil, &refusal{
		status: http.StatusNotFound, code: "NOT_FOUND", class: classOf(http.StatusNotFound),
		message: "The requested object (taskId = " + strconv.FormatInt(id, 10) + ") does not exist",
	}
}
