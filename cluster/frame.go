package cluster

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
)

// A frame is four bytes of length, high byte first, and a message.

func writeFrame(w io.Writer, m proto.Message, limit int) error {
	data, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 4), m)
	if err != nil {
		return err
	}
	if len(data)-4 > limit {
		return fmt.Errorf("%w: frame of %d bytes, at most %d", ErrTooLarge, len(data)-4, limit)
	}
	binary.BigEndian.PutUint32(data, uint32(len(data)-4))
	_, err = w.Write(data)
	return err
}

// readFrame allocates as bytes arrive, not as the length claims.
func readFrame(r io.Reader, m proto.Message, limit int) error {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(length[:])
	if int64(n) > int64(limit) {
		return fmt.Errorf("%w: frame of %d bytes, at most %d", ErrTooLarge, n, limit)
	}
	var data bytes.Buffer
	if _, err := io.CopyN(&data, r, int64(n)); err != nil {
		return err
	}
	return proto.Unmarshal(data.Bytes(), m)
}
