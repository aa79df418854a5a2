package fsm

import (
	"bytes"
	"time"

	"github.com/pointsman/pointsman/internal/planted"
)

// Checkpoint is what the holder of a partition has put on record last. It stays
// when the partition is drained, locked, freed or granted anew, and goes with it.
type Checkpoint struct {
	Pool    PoolID
	Number  int
	Version uint64 // from 1, without gaps
	Token   Token  // of the grant under which it was saved
	Data    []byte // opaque here
	Clock   Clock
	Wall    time.Time // display only
	Index   uint64    // of its entry
}

// SaveCheckpoint puts a partition's next checkpoint on record. It is refused with
// ErrFenced unless the token is that of the current grant, the session has it, and
// it is held or draining; with ErrVersion unless the version is the next one. The
// same token, version and data again is accepted and changes nothing: a repeat
// after a lost answer.
type SaveCheckpoint struct {
	Pool    PoolID
	Number  int
	Session SessionID
	Token   Token
	Version uint64
	Data    []byte // at most MaxCheckpointBytes
}

// Kind implements Command.
func (SaveCheckpoint) Kind() Kind { return KindSaveCheckpoint }

func (c SaveCheckpoint) apply(s State, e Entry) (State, Answer) {
	l, known := s.Lease(c.Pool, c.Number)
	if !known {
		l.State = Free
	}
	has := l.State.Owned() && l.Session == c.Session && l.Token == c.Token
	now, _ := s.Checkpoint(c.Pool, c.Number)
	switch {
	case len(c.Data) > MaxCheckpointBytes:
		return refused(s, refuse(ErrLimit, "checkpoint of %s/%d has %d bytes (at most %d)", c.Pool, c.Number, len(c.Data), MaxCheckpointBytes))
	case !has && !planted.Bug(planted.CheckpointAnyToken):
		return refused(s, refuse(ErrFenced, "partition %s/%d is %s with token %d, not held by session %d under %d",
			c.Pool, c.Number, l.State, l.Token, c.Session, c.Token))
	case now.Token == c.Token && now.Version == c.Version && bytes.Equal(now.Data, c.Data):
		return s, accepted()
	case c.Version != now.Version+1:
		return refused(s, refuse(ErrVersion, "checkpoint of %s/%d is at version %d, so the next is %d, not %d",
			c.Pool, c.Number, now.Version, now.Version+1, c.Version))
	}
	return s.withCheckpoint(Checkpoint{
		Pool: c.Pool, Number: c.Number, Version: c.Version, Token: c.Token, Data: c.Data, Clock: s.clock, Wall: e.Wall, Index: e.Index,
	}), accepted()
}

// Checkpoint finds what was saved for a partition; false: nothing was.
func (s State) Checkpoint(id PoolID, number int) (Checkpoint, bool) {
	return s.checkpoints.Get(leaseKey(id, number))
}

func (s State) withCheckpoint(c Checkpoint) State {
	s.checkpoints, _, _ = s.checkpoints.Insert(leaseKey(c.Pool, c.Number), c)
	return s
}
