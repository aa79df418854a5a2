package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pointsman/pointsman/fsm"
)

// TestDamagedEntry flips every bit and cuts at every length.
func TestDamagedEntry(t *testing.T) {
	whole, err := Encode(entries()["observe"])
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(whole) * 8 {
		bad := bytes.Clone(whole)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := Decode(bad); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit %d flipped: %v", i, err)
		}
	}
	for n := range len(whole) {
		if _, err := Decode(whole[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestDamagedSnapshot(t *testing.T) {
	var b bytes.Buffer
	if _, err := WriteSnapshot(&b, goldenState()); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	for i := range len(whole) {
		bad := bytes.Clone(whole)
		bad[i] ^= 1 << (i % 8)
		_, _, err := ReadSnapshot(bytes.NewReader(bad))
		if !errors.Is(err, ErrCorrupt) && (i != 2 || !errors.Is(err, ErrNewer)) { // byte 2 is the format
			t.Fatalf("byte %d damaged: %v", i, err)
		}
	}
	for n := range len(whole) {
		if _, _, err := ReadSnapshot(bytes.NewReader(whole[:n])); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

// resealed gives an entry's bytes a checksum that fits.
func resealed(data []byte) []byte {
	return binary.BigEndian.AppendUint32(data, sum(data))
}

// TestNewerEntry: what a newer release wrote is named as such, never skipped.
func TestNewerEntry(t *testing.T) {
	whole, err := Encode(entries()["claim"])
	if err != nil {
		t.Fatal(err)
	}
	body := whole[: len(whole)-crcBytes : len(whole)-crcBytes]
	format := bytes.Clone(body)
	format[2]++
	for name, data := range map[string][]byte{
		"format": resealed(format),
		"field":  resealed(protowire.AppendVarint(protowire.AppendTag(body, 99, protowire.VarintType), 1)),
		"kind":   resealed(protowire.AppendVarint(protowire.AppendTag(body, 1, protowire.VarintType), 250)),
		"large":  resealed(protowire.AppendVarint(protowire.AppendTag(body, 1, protowire.VarintType), 256+uint64(fsm.KindClaim))),
	} {
		if _, err := Decode(data); !errors.Is(err, ErrNewer) {
			t.Errorf("newer %s: %v", name, err)
		}
	}
	payload, _ := EncodeCommand(entries()["claim"].Command)
	payload = protowire.AppendVarint(protowire.AppendTag(payload, 99, protowire.VarintType), 1)
	if _, err := DecodeCommand(uint32(fsm.KindClaim), payload); !errors.Is(err, ErrNewer) {
		t.Errorf("newer field in a command: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	c := fsm.PutSetting{Key: "k", Value: string(make([]byte, MaxEntryBytes))}
	if _, err := Encode(fsm.Entry{Command: c}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("entry over the bound: %v", err)
	}
}

func TestUnknownCommandType(t *testing.T) {
	if _, err := EncodeCommand(&fsm.Retry{}); err == nil {
		t.Error("a pointer was encoded as if it were the command")
	}
}

// FuzzEntry gives the decoder bytes with and without a fitting checksum. What
// decodes must encode, and decode to the same again.
func FuzzEntry(f *testing.F) {
	for _, e := range entries() {
		data, err := Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = Decode(data)
		if len(data) < crcBytes {
			return
		}
		body := data[: len(data)-crcBytes : len(data)-crcBytes]
		e, err := Decode(resealed(body))
		if err != nil {
			return
		}
		again, err := Encode(e)
		if err != nil {
			t.Fatalf("decoded but does not encode: %v", err)
		}
		if _, err := Decode(again); err != nil {
			t.Fatalf("does not decode again: %v", err)
		}
	})
}

// FuzzSnapshot does the same for snapshots.
func FuzzSnapshot(f *testing.F) {
	var b bytes.Buffer
	if _, err := WriteSnapshot(&b, goldenState()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("PS\x01\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _, err := ReadSnapshot(bytes.NewReader(data))
		if err != nil {
			// The checksum stops nearly everything: try the records by themselves.
			var flat fsm.Flat
			_ = take(&flat, data, 1)
			return
		}
		if _, err := HashOf(s); err != nil {
			t.Fatalf("read but cannot be written: %v", err)
		}
	})
}
