package ovh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// ErrorForm says which of the two generations of error bodies is answered.
type ErrorForm string

// The error forms.
const (
	FormMixed ErrorForm = "mixed" // errors of authentication in the old form, all others in the new one
	FormNew   ErrorForm = "new"   // {"class","message"}
	FormOld   ErrorForm = "old"   // {"errorCode","httpCode","message"}
	FormBare  ErrorForm = "bare"  // {"message"}
)

// Strictness says what becomes of a field that may not be set.
type Strictness string

// The two strictnesses.
const (
	Ignore Strictness = "ignore"
	Refuse Strictness = "refuse" // 400
)

// VoidBody is what a call without result answers with its 200.
type VoidBody string

// The void bodies.
const (
	VoidNull  VoidBody = "null"
	VoidEmpty VoidBody = "empty"
)

// Second says what a refresh does that finds another one unfinished in the same service.
type Second string

// The policies for a second refresh.
const (
	SecondQueue  Second = "queue"  // a task of its own, started after the other
	SecondMerge  Second = "merge"  // the unfinished task is answered again
	SecondRefuse Second = "refuse" // 409
)

// Snapshot says as of when a refresh takes the staged configuration.
type Snapshot string

// The moments of a snapshot.
const (
	SnapshotStart Snapshot = "start" // when its task begins to be doing
	SnapshotPost  Snapshot = "post"  // when the POST was carried out
)

// Clears says when an edit that a refresh has taken leaves pendingChanges.
type Clears string

// The moments at which pendingChanges is cleared.
const (
	ClearsDone     Clears = "done"
	ClearsSnapshot Clears = "snapshot" // and it comes back if the task fails
)

// InUse says what deleting a farm does that a frontend points at.
type InUse string

// The policies for a farm in use.
const (
	InUseRefuse   InUse = "refuse"   // 400
	InUseConflict InUse = "conflict" // 409
	InUseAllow    InUse = "allow"    // the frontend then points at nothing
)

// Maintenance makes every call answer 503 without effect.
type Maintenance string

// The shapes of a maintenance answer.
const (
	MaintenanceOff  Maintenance = "off"
	MaintenanceHTML Maintenance = "html"
	MaintenanceJSON Maintenance = "json"
)

// Knobs are the behaviours that public material does not settle, and those a test wants to turn. They may be
// changed at any time with SetKnobs; a task keeps the durations and the outcome it was created with.
type Knobs struct {
	ClockSkew  time.Duration `json:"clock_skew"`  // the provider's clock minus ours
	TimeWindow time.Duration `json:"time_window"` // how far a signed timestamp may be off; 0: any

	ErrorForm   ErrorForm   `json:"error_form"`
	VoidBody    VoidBody    `json:"void_body"`
	ReadOnly    Strictness  `json:"read_only"` // a PUT that changes a readOnly field
	Unknown     Strictness  `json:"unknown"`   // a body with a field the model lacks
	DeleteInUse InUse       `json:"delete_in_use"`
	Maintenance Maintenance `json:"maintenance"`

	PendingLag      time.Duration `json:"pending_lag"` // how old the answer of pendingChanges is
	PendingClears   Clears        `json:"pending_clears"`
	HideNameEdits   bool          `json:"hide_name_edits"` // an edit of displayName alone is not counted
	CreateLag       time.Duration `json:"create_lag"`      // how long a created object still answers 404
	SecondRefresh   Second        `json:"second_refresh"`
	RefreshSnapshot Snapshot      `json:"refresh_snapshot"`

	TaskTodo    time.Duration            `json:"task_todo"`    // from POST, or from the end of the task before, to doing
	TaskDoing   time.Duration            `json:"task_doing"`   // from doing to applied
	ZoneDelay   map[string]time.Duration `json:"zone_delay"`   // added to TaskDoing for that zone
	TaskOutcome TaskStatus               `json:"task_outcome"` // done, error, cancelled or blocked
	TaskListLag time.Duration            `json:"task_list_lag"`
	TaskTTL     time.Duration            `json:"task_ttl"` // after its end a task answers 404; 0: never

	RatePerMinute int `json:"rate_per_minute"` // per consumer key, 429 beyond; 0: no limit

	// The zero values of all that follows are the plain behaviour. See unsettled.go for the words.
	TimeDelay     time.Duration `json:"time_delay"` // how long /auth/time takes
	TimeForm      TimeForm      `json:"time_form"`
	TimeOutStatus int           `json:"time_out_status"` // of QUERY_TIME_OUT; 0: 400
	KeyTrouble    KeyTrouble    `json:"key_trouble"`     // of keys that are not foreign
	NotGranted    string        `json:"not_granted"`     // one call that no rule of our keys grants: "PUT /path", "*" in it for anything
	NarrowRules   bool          `json:"narrow_rules"`    // "*" in a rule stands for one segment, except in "/*"

	Details     Details     `json:"details"`
	NumericCode int         `json:"numeric_code"` // a field code in every error body; 0: none
	QueryID     QueryIDForm `json:"query_id"`

	PutReplaces   bool          `json:"put_replaces"`   // a field left out of a PUT is reset
	ReadLag       time.Duration `json:"read_lag"`       // how old the answer of a frontend is
	ShuffleFields bool          `json:"shuffle_fields"` // lists inside a frontend are answered in any order
	PendingCounts Counting      `json:"pending_counts"`
	PendingZones  PendingZones  `json:"pending_zones"`

	TaskLag      time.Duration `json:"task_lag"`      // how long a new task still answers 404
	SecondStatus int           `json:"second_status"` // of SecondRefuse; 0: 409
	RefreshZones RefreshZones  `json:"refresh_zones"`

	RateFirst      RateFirst `json:"rate_first"`
	RateForm       RateForm  `json:"rate_form"`
	RateRetryAfter string    `json:"rate_retry_after"` // header of 429; empty: none
}

// DefaultKnobs are the most ordinary behaviours: half a second from refresh to applied.
func DefaultKnobs() Knobs {
	return Knobs{
		TimeWindow: time.Minute, ErrorForm: FormMixed, VoidBody: VoidNull, ReadOnly: Ignore, Unknown: Ignore,
		DeleteInUse: InUseRefuse, Maintenance: MaintenanceOff, PendingClears: ClearsDone,
		SecondRefresh: SecondQueue, RefreshSnapshot: SnapshotStart,
		TaskTodo: 100 * time.Millisecond, TaskDoing: 400 * time.Millisecond, TaskOutcome: TaskDone,
	}
}

// Validate refuses unknown words and negative durations.
func (k Knobs) Validate() error {
	words := []error{
		oneOf("error form", k.ErrorForm, FormMixed, FormNew, FormOld, FormBare),
		oneOf("void body", k.VoidBody, VoidNull, VoidEmpty),
		oneOf("read only", k.ReadOnly, Ignore, Refuse),
		oneOf("unknown", k.Unknown, Ignore, Refuse),
		oneOf("delete in use", k.DeleteInUse, InUseRefuse, InUseConflict, InUseAllow),
		oneOf("maintenance", k.Maintenance, MaintenanceOff, MaintenanceHTML, MaintenanceJSON),
		oneOf("pending clears", k.PendingClears, ClearsDone, ClearsSnapshot),
		oneOf("second refresh", k.SecondRefresh, SecondQueue, SecondMerge, SecondRefuse),
		oneOf("refresh snapshot", k.RefreshSnapshot, SnapshotStart, SnapshotPost),
		oneOf("task outcome", k.TaskOutcome, TaskDone, TaskError, TaskCancelled, TaskBlocked),
	}
	for _, err := range words {
		if err != nil {
			return err
		}
	}
	spans := append(slices.Collect(maps.Values(k.ZoneDelay)),
		k.TimeWindow, k.PendingLag, k.CreateLag, k.TaskTodo, k.TaskDoing, k.TaskListLag, k.TaskTTL, k.TimeDelay, k.ReadLag, k.TaskLag)
	for _, d := range spans {
		if d < 0 {
			return fmt.Errorf("duration %s: want 0 or more", d)
		}
	}
	if k.RatePerMinute < 0 {
		return fmt.Errorf("rate per minute %d: want 0 or more", k.RatePerMinute)
	}
	return k.validateUnsettled()
}

func oneOf[T ~string](name string, got T, words ...T) error {
	if slices.Contains(words, got) {
		return nil
	}
	return fmt.Errorf("%s %q: want one of %q", name, string(got), words)
}

// UnmarshalJSON takes durations as text ("1.5s") or nanoseconds, leaves what is not named as it is, and refuses
// unknown names.
func (k *Knobs) UnmarshalJSON(b []byte) error {
	type plain Knobs
	p := plain(k.clone())
	err := decodeSpans(b, &p, "clock_skew", "time_window", "pending_lag", "create_lag", "zone_delay", "task_todo",
		"task_doing", "task_list_lag", "task_ttl", "time_delay", "read_lag", "task_lag")
	if err != nil {
		return err
	}
	*k = Knobs(p)
	return nil
}

// decodeSpans decodes an object into v after turning the named durations, or objects of them, from text into
// nanoseconds. A text that is no duration is left to the decoder to refuse.
func decodeSpans(b []byte, v any, names ...string) error {
	var raw object
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	for _, name := range names {
		inner := object{}
		if json.Unmarshal(raw[name], &inner) == nil && inner != nil {
			for key, value := range inner {
				inner[key] = nanoseconds(value)
			}
			raw[name] = inner.bytes()
		} else if raw[name] != nil {
			raw[name] = nanoseconds(raw[name])
		}
	}
	d := json.NewDecoder(bytes.NewReader(raw.bytes()))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func nanoseconds(v json.RawMessage) json.RawMessage {
	s, ok := text(v)
	d, err := time.ParseDuration(s)
	if !ok || err != nil {
		return v
	}
	return strconv.AppendInt(nil, int64(d), 10)
}
