package webhook

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
)

// Bounds of a segment.
const (
	MaxSegmentEvents = 4096
	MaxSegmentBytes  = 64 << 20
	MaxBody          = 32 << 20 // bytes of one body; a receiver's own bound is lower
	maxEnvelope      = 1 << 20
)

// ErrDamaged is returned for bytes that are not what was written.
var ErrDamaged = errors.New("segment is damaged")

// A segment is
//
//	"PMSEG1\r\n" record... end
//	record: length of envelope, length of body, CRC-32C of both lengths and what follows; envelope; body
//	end:    0xFFFFFFFF, number of records, CRC-32C of both
//
// with numbers of 4 bytes, little endian. The end tells a whole segment from
// one that was cut.
const (
	segmentMagic = "PMSEG1\r\n"
	recordHeader = 12
	endMark      = ^uint32(0)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SegmentSize is how many bytes EncodeSegment needs for an event, at most.
func SegmentSize(e Event) int {
	return recordHeader + proto.Size(Envelope(e)) + len(e.Body)
}

// EncodeSegment renders events in order.
func EncodeSegment(events []Event) ([]byte, error) {
	size := len(segmentMagic) + recordHeader
	for _, e := range events {
		size += SegmentSize(e)
	}
	if len(events) == 0 || len(events) > MaxSegmentEvents || size > MaxSegmentBytes {
		return nil, fmt.Errorf("segment of %d events and %d bytes: must be 1 to %d and at most %d", len(events), size, MaxSegmentEvents, MaxSegmentBytes)
	}
	out := append(make([]byte, 0, size), segmentMagic...)
	for _, e := range events {
		at := len(out)
		out = append(out, make([]byte, recordHeader)...)
		var err error
		if out, err = (proto.MarshalOptions{Deterministic: true}).MarshalAppend(out, Envelope(e)); err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		binary.LittleEndian.PutUint32(out[at:], uint32(len(out)-at-recordHeader))
		binary.LittleEndian.PutUint32(out[at+4:], uint32(len(e.Body)))
		out = append(out, e.Body...)
		binary.LittleEndian.PutUint32(out[at+8:], recordSum(out[at:]))
	}
	end := binary.LittleEndian.AppendUint32(nil, endMark)
	end = binary.LittleEndian.AppendUint32(end, uint32(len(events)))
	return append(append(out, end...), binary.LittleEndian.AppendUint32(nil, crc32.Checksum(end, castagnoli))...), nil
}

func recordSum(record []byte) uint32 {
	return crc32.Update(crc32.Checksum(record[:8], castagnoli), castagnoli, record[recordHeader:])
}

// DecodeSegment reads what EncodeSegment wrote. The bodies share the memory of
// b. Its errors are ErrDamaged.
func DecodeSegment(b []byte) ([]Event, error) {
	if len(b) < len(segmentMagic) || string(b[:len(segmentMagic)]) != segmentMagic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrDamaged)
	}
	var events []Event
	for rest := b[len(segmentMagic):]; ; {
		if len(rest) < recordHeader {
			return nil, fmt.Errorf("%w: it ends after %d events", ErrDamaged, len(events))
		}
		if binary.LittleEndian.Uint32(rest) == endMark {
			return events, checkEnd(rest, len(events))
		}
		e, size, err := decodeRecord(rest)
		if err != nil || len(events) == MaxSegmentEvents {
			return nil, fmt.Errorf("%w: event %d: %w", ErrDamaged, len(events), err)
		}
		events, rest = append(events, e), rest[size:]
	}
}

func checkEnd(rest []byte, events int) error {
	if len(rest) != recordHeader || int(binary.LittleEndian.Uint32(rest[4:])) != events ||
		crc32.Checksum(rest[:8], castagnoli) != binary.LittleEndian.Uint32(rest[8:]) {
		return fmt.Errorf("%w: its end does not fit %d events", ErrDamaged, events)
	}
	return nil
}

func decodeRecord(b []byte) (Event, int, error) {
	envelope, body := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if envelope > maxEnvelope || body > MaxBody || recordHeader+int(envelope)+int(body) > len(b) {
		return Event{}, 0, fmt.Errorf("lengths %d and %d", envelope, body)
	}
	size := recordHeader + int(envelope) + int(body)
	if recordSum(b[:size]) != binary.LittleEndian.Uint32(b[8:]) {
		return Event{}, 0, errors.New("checksum differs")
	}
	var p webhookv1.Envelope
	if err := proto.Unmarshal(b[recordHeader:recordHeader+int(envelope)], &p); err != nil {
		return Event{}, 0, err
	}
	e, err := FromEnvelope(&p)
	e.Body = b[recordHeader+int(envelope) : size : size]
	return e, size, err
}

// Envelope is the event without its body, as it is stored.
func Envelope(e Event) *webhookv1.Envelope {
	return &webhookv1.Envelope{
		Id: e.ID[:], Sum: e.Sum[:], App: e.App, Shop: e.Shop, Topic: e.Topic, WebhookId: e.WebhookID, EventId: e.EventID,
		ApiVersion: e.APIVersion, Name: e.Name, TriggeredAt: e.TriggeredAt, ContentType: e.ContentType, Family: string(e.Family),
		ArrivedNs: e.Arrived.UnixNano(), Replay: e.Replay, Redacted: e.Redacted,
	}
}

// FromEnvelope is what Envelope was made of, without the body.
func FromEnvelope(p *webhookv1.Envelope) (Event, error) {
	e := Event{
		App: p.GetApp(), Shop: p.GetShop(), Topic: p.GetTopic(), WebhookID: p.GetWebhookId(), EventID: p.GetEventId(),
		APIVersion: p.GetApiVersion(), Name: p.GetName(), TriggeredAt: p.GetTriggeredAt(), ContentType: p.GetContentType(), Family: Family(p.GetFamily()),
		Arrived: time.Unix(0, p.GetArrivedNs()), Replay: p.GetReplay(), Redacted: p.GetRedacted(),
	}
	if copy(e.ID[:], p.GetId()) != len(e.ID) || copy(e.Sum[:], p.GetSum()) != len(e.Sum) {
		return Event{}, errors.New("id or digest is missing")
	}
	return e, nil
}
