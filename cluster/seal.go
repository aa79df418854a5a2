package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// A stored entry's extensions end in a seal: its version and a CRC-32C over
// everything raft gave. bbolt has no checksums on data pages, so a flipped bit
// would otherwise be applied.
const (
	sealVersion = 1
	sealBytes   = 5
)

// seal returns a copy of the entry with the seal appended to its extensions.
func seal(l *raft.Log) *raft.Log {
	sealed := *l
	sealed.Extensions = make([]byte, 0, len(l.Extensions)+sealBytes)
	sealed.Extensions = append(sealed.Extensions, l.Extensions...)
	sealed.Extensions = append(sealed.Extensions, sealVersion)
	sealed.Extensions = binary.BigEndian.AppendUint32(sealed.Extensions, checksum(l))
	return &sealed
}

// unseal verifies a stored entry and takes the seal off.
func unseal(index uint64, l *raft.Log) error {
	n := len(l.Extensions) - sealBytes
	if n < 0 {
		return errors.New("entry has no checksum")
	}
	mark := l.Extensions[n:]
	l.Extensions = l.Extensions[:n:n]
	if n == 0 {
		l.Extensions = nil
	}
	if mark[0] != sealVersion {
		return fmt.Errorf("checksum has version %d, this release knows %d", mark[0], sealVersion)
	}
	if l.Index != index {
		return fmt.Errorf("entry says it is entry %d", l.Index)
	}
	if stored, found := binary.BigEndian.Uint32(mark[1:]), checksum(l); stored != found {
		return fmt.Errorf("checksum is %08x, stored was %08x", found, stored)
	}
	return nil
}

func checksum(l *raft.Log) uint32 {
	head := make([]byte, 0, 64)
	head = binary.BigEndian.AppendUint64(head, l.Index)
	head = binary.BigEndian.AppendUint64(head, l.Term)
	head = append(head, byte(l.Type))
	head = binary.BigEndian.AppendUint64(head, uint64(l.AppendedAt.Unix()))
	head = binary.BigEndian.AppendUint32(head, uint32(l.AppendedAt.Nanosecond()))
	head = binary.BigEndian.AppendUint64(head, uint64(len(l.Data)))
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, head)
	sum = crc32.Update(sum, table, l.Data)
	return crc32.Update(sum, table, l.Extensions)
}
