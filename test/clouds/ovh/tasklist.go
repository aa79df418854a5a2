package ovh

import (
	"slices"
	"time"
)

// taskActions are the actions that the provider's schema names.
func taskActions() []string {
	return []string{"deleteIplb", "deployIplb", "install", "installIplb", "installZone", "orderFreeCertificate",
		"orderPaidCertificate", "orderSsl", ActionRefresh, "releaseIplb", "releaseIplbZone", "reopenIplb", "suspendIplb",
		"suspendZone", "switchToIplbNextGenerationApi", "vrackAttach", "vrackDetach"}
}

func taskStatuses() []string {
	return []string{string(TaskBlocked), string(TaskCancelled), string(TaskDoing), string(TaskDone), string(TaskError), string(TaskTodo)}
}

// span is a pair of query parameters that bound a date.
type span struct{ from, to time.Time }

func (x *exchange) span(name string) (span, error) {
	var out span
	for suffix, at := range map[string]*time.Time{".from": &out.from, ".to": &out.to} {
		given := x.query.Get(name + suffix)
		if given == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, given)
		if err != nil {
			return span{}, badRequest("Invalid parameter " + name + suffix + ": " + given)
		}
		*at = t
	}
	return out, nil
}

// holds compares in whole seconds, which is all that the dates show. A date that is not there is in no span
// but the open one.
func (r span) holds(date *string) bool {
	if r.from.IsZero() && r.to.IsZero() {
		return true
	}
	if date == nil {
		return false
	}
	t, err := time.Parse(time.RFC3339, *date)
	return err == nil && (r.from.IsZero() || !t.Before(r.from.Truncate(time.Second))) && (r.to.IsZero() || !t.After(r.to))
}

func (s *Sim) listTasks(x *exchange) (any, error) {
	for name, words := range map[string][]string{"action": taskActions(), "status": taskStatuses()} {
		if got := x.query.Get(name); x.query.Has(name) && !slices.Contains(words, got) {
			return nil, badRequest("Invalid parameter " + name + ": " + got)
		}
	}
	created, err := x.span("creationDate")
	if err != nil {
		return nil, err
	}
	done, err := x.span("doneDate")
	if err != nil {
		return nil, err
	}
	var ids []int64
	for id, t := range x.svc.tasks {
		passes := x.passes(filter{"action", t.Action}, filter{"status", string(t.Status)}) &&
			created.holds(&t.CreationDate) && done.holds(t.DoneDate)
		if passes && !s.gone(t) && time.Since(t.created) >= s.knobs.TaskListLag {
			ids = append(ids, id)
		}
	}
	return shuffled(s, ids), nil
}
