package cluster

import "errors"

// Errors of this package. All may be wrapped; use errors.Is.
var (
	// ErrConfig is returned by Validate; the text names every field that is wrong.
	ErrConfig = errors.New("node configuration is wrong")

	// ErrOtherNode is returned by Start when the data directory belongs to another node.
	ErrOtherNode = errors.New("data directory belongs to another node")
	// ErrOtherCluster is returned by Start, and ends a running node, when a peer or the log names another cluster than the data directory does.
	ErrOtherCluster = errors.New("data directory belongs to another cluster")
	// ErrStoreGone is returned by Start when the identity file names a store that is missing, empty or new.
	ErrStoreGone = errors.New("the node's Raft store is gone")
	// ErrStoreReplaced is returned by Start, and ends a running node, when the cluster knows another store for this node.
	ErrStoreReplaced = errors.New("the cluster knows another store for this node")
	// ErrCorrupt is returned by Start, and ends a running node, when stored bytes are not what was written.
	ErrCorrupt = errors.New("the Raft store is damaged")
	// ErrOutdated is returned by Start, and ends a running node, when a peer's data begins with a recovery that this node's data knows nothing of.
	ErrOutdated = errors.New("the data directory is of before the cluster was recovered")
	// ErrNothingHere is returned by Inspect and Recover when the data directory holds no log.
	ErrNothingHere = errors.New("the data directory holds nothing to recover from")
	// ErrStoreLocked is returned by Start when another process has the store open.
	ErrStoreLocked = errors.New("the Raft store is in use by another process")

	// ErrStoreWrite ends a node whose store refused a write.
	ErrStoreWrite = errors.New("the Raft store refused a write")
	// ErrWriteDeadline ends a node whose store did not finish a write in time.
	ErrWriteDeadline = errors.New("the Raft store did not finish a write in time")
	// ErrParted ends a node whose raft remembers entries that its log no longer has.
	ErrParted = errors.New("raft and its log have parted, a start mends it")
	// ErrStalled ends a leader that can neither commit nor hand over.
	ErrStalled = errors.New("the leader commits nothing and cannot hand over")
	// ErrUpgrade ends a node that meets an entry or snapshot it cannot read.
	ErrUpgrade = errors.New("written by a newer release: upgrade this node")

	// ErrNoLeader is returned when no leader answered before the caller's context ended, or there was none for longer than an election takes. Nothing was written.
	ErrNoLeader = errors.New("no leader")
	// ErrTermOver is returned by ProposeAs when the node no longer leads the term. Nothing was written.
	ErrTermOver = errors.New("the term is over")
	// ErrOutcomeUnknown is returned when a proposal was sent and its fate was not learned: it may be in the log, or get there.
	ErrOutcomeUnknown = errors.New("outcome unknown: the command may still be applied")
	// ErrNotForwarded is returned when a command that carries claims is given to Propose.
	ErrNotForwarded = errors.New("a command with claims is proposed only by the leader that made it")
	// ErrNotReadable is returned when a voter has not announced that it can read the command's kind.
	ErrNotReadable = errors.New("not every voter can read this command")
	// ErrTooLarge is returned when a command exceeds MaxCommandBytes.
	ErrTooLarge = errors.New("command is too large")
	// ErrNoTarget is returned by Transfer when no other node is fit to lead; leadership stays.
	ErrNoTarget = errors.New("no other node is fit to lead")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("node is closed")

	errPeer     = errors.New("peer refused the connection")
	errNotFound = errors.New("not found") // raft compares this very text (api.go, HasExistingState)
)
