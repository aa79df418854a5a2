package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

// MaxEntryBytes bounds one encoded entry: a spec's source and what was parsed
// out of it (fsm.MaxSpecBytes), with room.
const MaxEntryBytes = 12 << 20

const (
	entryMagic   = "PE"
	entryVersion = 1
	crcBytes     = 4
)

var (
	// ErrCorrupt is returned for bytes that are not what was written.
	ErrCorrupt = errors.New("damaged bytes")
	// ErrNewer is returned for bytes that a newer release wrote.
	ErrNewer = errors.New("written by a newer release")
	// ErrTooLarge is returned when an entry would exceed MaxEntryBytes.
	ErrTooLarge = errors.New("entry is too large")
)

// Encode writes an entry. Index is not part of the bytes: Raft knows it.
func Encode(e fsm.Entry) ([]byte, error) {
	payload, err := EncodeCommand(e.Command)
	if err != nil {
		return nil, err
	}
	m := &journalv1.Entry{
		Kind: uint32(e.Command.Kind()), Id: string(e.ID), Term: uint64(e.Term), ClockNs: int64(e.Clock),
		WallNs: wall(e.Wall), Node: string(e.Node), Actor: e.Actor, Payload: payload,
	}
	data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{entryMagic[0], entryMagic[1], entryVersion}, m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Command.Kind(), err)
	}
	if len(data)+crcBytes > MaxEntryBytes {
		return nil, fmt.Errorf("%w: %d bytes of %s, at most %d", ErrTooLarge, len(data), e.Command.Kind(), MaxEntryBytes)
	}
	return binary.BigEndian.AppendUint32(data, sum(data)), nil
}

// Decode reads an entry back. Index is zero and Term is what the proposer
// believed: the caller sets both from the Raft entry.
func Decode(data []byte) (fsm.Entry, error) {
	body, err := open(data)
	if err != nil {
		return fsm.Entry{}, err
	}
	var m journalv1.Entry
	if err := unmarshal(body, &m); err != nil {
		return fsm.Entry{}, err
	}
	command, err := DecodeCommand(m.GetKind(), m.GetPayload())
	if err != nil {
		return fsm.Entry{}, err
	}
	return fsm.Entry{
		ID: fsm.CommandID(m.GetId()), Term: fsm.Term(m.GetTerm()), Clock: fsm.Clock(m.GetClockNs()),
		Wall: unwall(m.GetWallNs()), Node: fsm.NodeID(m.GetNode()), Actor: m.GetActor(), Command: command,
	}, nil
}

// open verifies what surrounds the message and returns the message.
func open(data []byte) ([]byte, error) {
	const head = len(entryMagic) + 1
	n := len(data) - crcBytes
	if n < head || len(data) > MaxEntryBytes || string(data[:2]) != entryMagic {
		return nil, fmt.Errorf("%w: %d bytes are no entry", ErrCorrupt, len(data))
	}
	if stored, found := binary.BigEndian.Uint32(data[n:]), sum(data[:n]); stored != found {
		return nil, fmt.Errorf("%w: checksum is %08x, stored was %08x", ErrCorrupt, found, stored)
	}
	if data[2] != entryVersion {
		return nil, fmt.Errorf("%w: entry format %d, this release reads %d", ErrNewer, data[2], entryVersion)
	}
	return data[head:n], nil
}

// unmarshal decodes a message of ours and refuses fields that it does not
// know: a node that drops one would hold another state than the rest.
func unmarshal(data []byte, m proto.Message) error {
	if err := proto.Unmarshal(data, m); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, m.ProtoReflect().Descriptor().Name(), err)
	}
	if name, ok := unknown(m.ProtoReflect()); ok {
		return fmt.Errorf("%w: %s has a field that this release does not know", ErrNewer, name)
	}
	return nil
}

func unknown(m protoreflect.Message) (name protoreflect.Name, found bool) {
	if len(m.GetUnknown()) > 0 {
		return m.Descriptor().Name(), true
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() == nil {
			return true
		}
		if !f.IsList() {
			name, found = unknown(v.Message())
			return !found
		}
		for i := range v.List().Len() {
			if name, found = unknown(v.List().Get(i).Message()); found {
				return false
			}
		}
		return true
	})
	return name, found
}

func sum(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

// wall and unwall keep the zero time zero and drop the zone: wall time is for
// display.
func wall(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func unwall(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
