package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/pointsman/pointsman/internal/planted"
)

// keyBallot holds what Raft must never forget: the current term, and the last
// vote with its term, in one record. A crash between two writes would let a
// voter vote twice in a term (raft #661), and two records can be lost singly.
const keyBallot = "Ballot"

type ballot struct {
	term      uint64 // 0: never set
	voteTerm  uint64 // 0: never voted
	candidate []byte
}

// Set implements raft.StableStore. The candidate of a vote completes the term
// that was held back for it.
func (g *guard) Set(key, value []byte) error {
	if string(key) != keyVoteFor {
		return g.put(string(key), value)
	}
	g.ballots.Lock()
	defer g.ballots.Unlock()
	term := g.heldTerm
	g.heldTerm = 0
	if term == 0 {
		return errors.New("vote without a term")
	}
	b, err := g.ballot()
	if err != nil {
		return err
	}
	b.voteTerm, b.candidate = term, value
	if err := g.put(keyBallot, b.bytes()); err != nil {
		return err
	}
	if term > founding {
		g.voted.Store(true)
	}
	return nil
}

// SetUint64 implements raft.StableStore. It holds the term of a vote back until
// the candidate comes. A current term that cannot be written ends the calling
// goroutine: raft would answer the error with a panic.
func (g *guard) SetUint64(key []byte, value uint64) error {
	g.ballots.Lock()
	defer g.ballots.Unlock()
	switch string(key) {
	case keyVoteTerm:
		g.heldTerm = value
		if planted.Bug(planted.TornVote) {
			b, err := g.ballot()
			b.voteTerm = value
			return errors.Join(err, g.put(keyBallot, b.bytes()))
		}
		return nil
	case keyCurrentTerm:
		b, err := g.ballot()
		if err == nil {
			b.term = value
			err = g.put(keyBallot, b.bytes())
		}
		if err != nil {
			return g.stop(err)
		}
		return nil
	default:
		return g.put(string(key), binary.BigEndian.AppendUint64(nil, value))
	}
}

// Get implements raft.StableStore.
func (g *guard) Get(key []byte) ([]byte, error) {
	if string(key) != keyVoteFor {
		return g.get(string(key))
	}
	b, err := g.ballot()
	if err == nil && b.voteTerm == 0 {
		err = errNotFound
	}
	return b.candidate, err
}

// GetUint64 implements raft.StableStore.
func (g *guard) GetUint64(key []byte) (uint64, error) {
	var value uint64
	switch string(key) {
	case keyVoteTerm, keyCurrentTerm:
		b, err := g.ballot()
		if err != nil {
			return 0, err
		}
		value = b.term
		if string(key) == keyVoteTerm {
			value = b.voteTerm
		}
	default:
		data, err := g.get(string(key))
		if err != nil {
			return 0, err
		}
		if len(data) != 8 {
			return 0, g.fail(fmt.Errorf("%w: %s has %d bytes", ErrCorrupt, key, len(data)))
		}
		value = binary.BigEndian.Uint64(data)
	}
	if value == 0 {
		return 0, errNotFound
	}
	return value, nil
}

// ballot reads the record; none is the zero ballot.
func (g *guard) ballot() (ballot, error) {
	data, err := g.get(keyBallot)
	if errors.Is(err, errNotFound) {
		return ballot{}, nil
	}
	if err != nil {
		return ballot{}, err
	}
	if len(data) < 16 {
		return ballot{}, g.fail(fmt.Errorf("%w: ballot has %d bytes", ErrCorrupt, len(data)))
	}
	return ballot{term: binary.BigEndian.Uint64(data), voteTerm: binary.BigEndian.Uint64(data[8:]), candidate: data[16:]}, nil
}

func (b ballot) bytes() []byte {
	data := binary.BigEndian.AppendUint64(nil, b.term)
	data = binary.BigEndian.AppendUint64(data, b.voteTerm)
	return append(data, b.candidate...)
}

// put and get keep values with a CRC-32C over key and value behind them.
func (g *guard) put(key string, value []byte) error {
	sealed := binary.BigEndian.AppendUint32(append([]byte(nil), value...), valueSum(key, value))
	return g.write("write "+key, func() error { return g.inner.Set([]byte(key), sealed) })
}

func (g *guard) get(key string) ([]byte, error) {
	var data []byte
	err := g.read("read "+key, func() (err error) { data, err = g.inner.Get([]byte(key)); return err })
	if err != nil {
		return nil, err
	}
	n := len(data) - 4
	if n < 0 || binary.BigEndian.Uint32(data[n:]) != valueSum(key, data[:n]) {
		return nil, g.fail(fmt.Errorf("%w: %s does not match its checksum", ErrCorrupt, key))
	}
	return data[:n:n], nil
}

func valueSum(key string, value []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte(key), table), table, value)
}
