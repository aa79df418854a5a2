package fsm

import "fmt"

// Refusal is why a command changed nothing. A refusal is an ordinary answer of
// the log, equal on every node, and never a panic.
type Refusal uint8

// The refusals.
const (
	// ErrUnknown is returned when the named master, failover, action or setting does not exist.
	ErrUnknown Refusal = iota + 1
	// ErrBase is returned when an Observe's base is not the last accepted number.
	ErrBase
	// ErrRevision is returned when a command was built on another spec or setting revision.
	ErrRevision
	// ErrEpoch is returned when an Observe's epoch or address does not fit its kind.
	ErrEpoch
	// ErrCandidate is returned when an address is not a declared candidate.
	ErrCandidate
	// ErrPlan is returned when an Observe's values do not match the steps of the plan.
	ErrPlan
	// ErrTerm is returned when a claim names another term than its entry's.
	ErrTerm
	// ErrPhase is returned when the action's phase does not allow the command.
	ErrPhase
	// ErrNotHolder is returned when a token is not that of the current claim: a late word of another attempt.
	ErrNotHolder
	// ErrBusy is returned when the object is busy with another value and its window was not named as run out.
	ErrBusy
	// ErrStage is returned when an earlier stage is not finished.
	ErrStage
	// ErrBackoff is returned when the action may not be tried again yet.
	ErrBackoff
	// ErrBlind is returned when a blind action would be repeated without a human.
	ErrBlind
	// ErrReason is returned when a human's command lacks its reason.
	ErrReason
	// ErrSpec is returned when a spec contradicts itself; Detail names the place.
	ErrSpec
	// ErrOpenActions is returned when a spec removes a master or target that has open actions.
	ErrOpenActions
	// ErrOwned is returned when a user writes a setting that a plan owns.
	ErrOwned
	// ErrStore is returned when a node comes with another store than the log knows for it.
	ErrStore
	// ErrLimit is returned when a named bound would be exceeded.
	ErrLimit
	// ErrCluster is returned when the cluster already has an identity.
	ErrCluster
	// ErrSwitchover is returned when a switchover of the master may still be running.
	ErrSwitchover
	// ErrSuspended is returned when nothing may be granted from a pool now.
	ErrSuspended
	// ErrHeld is returned when partitions of a pool are held that must be free.
	ErrHeld
	// ErrFenced is returned when a token is not that of the newest grant, or not of the session that names it.
	ErrFenced
	// ErrVersion is returned when a checkpoint's version is not the current one and one; Detail names that.
	ErrVersion
)

var refusals = [...][2]string{
	{"", ""},
	{"UNKNOWN", "no such thing"},
	{"STALE_BASE", "another failover was accepted meanwhile"},
	{"STALE_REVISION", "built on another revision"},
	{"EPOCH", "epoch or address does not fit the observation"},
	{"NOT_A_CANDIDATE", "not a declared candidate"},
	{"PLAN_MISMATCH", "values do not match the plan's steps"},
	{"STALE_TERM", "claim of another term"},
	{"WRONG_PHASE", "the action's phase does not allow it"},
	{"NOT_HOLDER", "not the token of the current claim"},
	{"OBJECT_BUSY", "object is busy with another value"},
	{"STAGE_CLOSED", "an earlier stage is not finished"},
	{"BACKOFF", "may not be tried again yet"},
	{"BLIND", "may not be repeated without a human"},
	{"REASON_MISSING", "a reason is needed"},
	{"BAD_SPEC", "spec contradicts itself"},
	{"OPEN_ACTIONS", "has open actions"},
	{"OWNED_BY_PLAN", "the key is owned by a plan"},
	{"STORE_MISMATCH", "the node is known with another store"},
	{"LIMIT", "a bound would be exceeded"},
	{"CLUSTER_EXISTS", "the cluster has an identity already"},
	{"SWITCHOVER_RUNNING", "a switchover of the master may still be running"},
	{"POOL_SUSPENDED", "nothing is granted from the pool now"},
	{"LEASES_HELD", "partitions of the pool are held"},
	{"LEASE_FENCED", "not the token of the newest grant"},
	{"CHECKPOINT_VERSION", "not the checkpoint's next version"},
}

// Reason is the refusal's stable name for programs, UPPER_SNAKE.
func (r Refusal) Reason() string {
	if int(r) < len(refusals) {
		return refusals[r][0]
	}
	return "UNKNOWN_REFUSAL"
}

func (r Refusal) Error() string {
	if int(r) < len(refusals) {
		return refusals[r][1]
	}
	return fmt.Sprintf("refusal %d", uint8(r))
}

// Refused is the error form of an answer: which rule, and what it met.
type Refused struct {
	Refusal Refusal
	Detail  string
}

func (e *Refused) Error() string {
	if e.Detail == "" {
		return e.Refusal.Error()
	}
	return e.Refusal.Error() + ": " + e.Detail
}

// Unwrap lets errors.Is find the refusal.
func (e *Refused) Unwrap() error { return e.Refusal }

func refuse(r Refusal, format string, args ...any) *Refused {
	return &Refused{Refusal: r, Detail: fmt.Sprintf(format, args...)}
}
