package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

const (
	snapshotMagic   = "PS"
	snapshotVersion = 1
)

// Hash is the SHA-256 over a state's snapshot. Equal states at equal index have
// equal hashes on every node.
type Hash [sha256.Size]byte

func (h Hash) String() string { return fmt.Sprintf("%x", h[:]) }

// HashOf hashes a state without keeping its bytes.
func HashOf(s fsm.State) (Hash, error) { return WriteSnapshot(io.Discard, s) }

// WriteSnapshot writes a state and returns its hash. The caller makes it durable.
func WriteSnapshot(w io.Writer, s fsm.State) (Hash, error) {
	digest := sha256.New()
	buffered := bufio.NewWriter(w)
	out := recorder{w: io.MultiWriter(buffered, digest)}
	out.write([]byte{snapshotMagic[0], snapshotMagic[1], snapshotVersion})
	for _, r := range records(s.Flatten()) {
		out.record(r)
	}
	out.write(make([]byte, 4))
	if out.err != nil {
		return Hash{}, fmt.Errorf("write snapshot: %w", out.err)
	}
	var h Hash
	digest.Sum(h[:0])
	if _, err := buffered.Write(h[:]); err != nil {
		return Hash{}, fmt.Errorf("write snapshot: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return Hash{}, fmt.Errorf("write snapshot: %w", err)
	}
	return h, nil
}

// recorder keeps the first error.
type recorder struct {
	w   io.Writer
	err error
}

func (r *recorder) write(data []byte) {
	if r.err == nil {
		_, r.err = r.w.Write(data)
	}
}

func (r *recorder) record(m *journalv1.Record) {
	if r.err != nil {
		return
	}
	marshal := proto.MarshalOptions{Deterministic: true}.MarshalAppend
	data, err := marshal(make([]byte, 4), m)
	if err != nil {
		scrub(m.ProtoReflect()) // a text that a bound cut inside a character
		data, err = marshal(make([]byte, 4), m)
	}
	if err != nil {
		r.err = err
		return
	}
	binary.BigEndian.PutUint32(data, uint32(len(data)-4))
	r.write(data)
}

// scrub makes every text valid UTF-8, which protobuf insists on. It gives the
// same bytes on every node, so hashes stay equal.
func scrub(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch text := f.Kind() == protoreflect.StringKind; {
		case text && f.IsList():
			for i := range v.List().Len() {
				v.List().Set(i, valid(v.List().Get(i)))
			}
		case text:
			m.Set(f, valid(v))
		case f.Message() != nil && f.IsList():
			for i := range v.List().Len() {
				scrub(v.List().Get(i).Message())
			}
		case f.Message() != nil:
			scrub(v.Message())
		}
		return true
	})
}

func valid(v protoreflect.Value) protoreflect.Value {
	return protoreflect.ValueOfString(strings.ToValidUTF8(v.String(), "\uFFFD"))
}

// records lists a state's pieces: the header, then each sort in key order.
func records(f fsm.Flat) []*journalv1.Record {
	all := []*journalv1.Record{
		{Piece: &journalv1.Record_Header{Header: &journalv1.Header{
			Cluster: string(f.Cluster), Generation: uint32(f.Generation), Index: f.Index, Term: uint64(f.Term), ClockNs: int64(f.Clock),
		}}},
		{Piece: &journalv1.Record_Spec{Spec: specOut(f.Spec)}},
	}
	for _, v := range f.Formers {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Former{Former: formerOut(v)}})
	}
	for _, v := range f.Masters {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Master{Master: masterOut(v)}})
	}
	for _, v := range f.Failovers {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Failover{Failover: failoverOut(v)}})
	}
	for _, v := range f.Actions {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Action{Action: actionOut(v)}})
	}
	for _, v := range f.Objects {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Object{Object: objectOut(v)}})
	}
	for _, v := range f.Refreshes {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Refreshes{Refreshes: refreshesOut(v)}})
	}
	for _, v := range f.Settings {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Setting{Setting: settingOut(v)}})
	}
	for _, v := range f.Members {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Member{Member: memberOut(v)}})
	}
	for _, v := range f.Drifts {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Drift{Drift: driftOut(v)}})
	}
	for _, v := range f.Conditions {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Condition{Condition: conditionOut(v)}})
	}
	for _, v := range f.Switchovers {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Switchover{Switchover: switchoverOut(v)}})
	}
	for _, v := range f.Scores {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Score{Score: scoreOut(v)}})
	}
	all = append(all, leaseRecords(f)...)
	for _, v := range f.Answers {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Answer{Answer: keptOut(v)}})
	}
	return all
}

// ReadSnapshot reads a state back. Nothing of a snapshot is used unless all of
// it is as it was written.
func ReadSnapshot(r io.Reader) (fsm.State, Hash, error) {
	digest := sha256.New()
	in := bufio.NewReader(r)
	head := make([]byte, len(snapshotMagic)+1)
	if err := fill(in, digest, head); err != nil {
		return fsm.State{}, Hash{}, err
	}
	if string(head[:2]) != snapshotMagic {
		return fsm.State{}, Hash{}, fmt.Errorf("%w: this is no snapshot", ErrCorrupt)
	}
	if head[2] != snapshotVersion {
		return fsm.State{}, Hash{}, fmt.Errorf("%w: snapshot format %d, this release reads %d", ErrNewer, head[2], snapshotVersion)
	}
	var flat fsm.Flat
	var newer error // reported only once the checksum has shown that the bytes are whole
	for n := 0; ; n++ {
		data, err := next(in, digest)
		if err != nil {
			return fsm.State{}, Hash{}, err
		}
		if data == nil && n == 0 {
			return fsm.State{}, Hash{}, fmt.Errorf("%w: snapshot has no header", ErrCorrupt)
		}
		if data == nil {
			break
		}
		if err := take(&flat, data, n); errors.Is(err, ErrNewer) {
			newer = err
		} else if err != nil {
			return fsm.State{}, Hash{}, err
		}
	}
	var found, stored Hash
	digest.Sum(found[:0])
	if _, err := io.ReadFull(in, stored[:]); err != nil || found != stored {
		return fsm.State{}, Hash{}, fmt.Errorf("%w: snapshot checksum is %s, stored was %s", ErrCorrupt, found, stored)
	}
	if newer != nil {
		return fsm.State{}, Hash{}, newer
	}
	return fsm.Unflatten(flat), found, nil
}

// next reads one record; nil is the end mark. Memory grows with the bytes that
// are there, not with the length that is claimed.
func next(in *bufio.Reader, digest hash.Hash) ([]byte, error) {
	var length [4]byte
	if err := fill(in, digest, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 {
		return nil, nil
	}
	if n > MaxEntryBytes {
		return nil, fmt.Errorf("%w: snapshot record of %d bytes, at most %d", ErrCorrupt, n, MaxEntryBytes)
	}
	var data bytes.Buffer
	if _, err := io.CopyN(io.MultiWriter(&data, digest), in, int64(n)); err != nil {
		return nil, fmt.Errorf("%w: snapshot ends early: %w", ErrCorrupt, err)
	}
	return data.Bytes(), nil
}

func fill(in io.Reader, digest hash.Hash, data []byte) error {
	if _, err := io.ReadFull(in, data); err != nil {
		return fmt.Errorf("%w: snapshot ends early: %w", ErrCorrupt, err)
	}
	digest.Write(data)
	return nil
}

// take adds one record to the state.
func take(f *fsm.Flat, data []byte, n int) error {
	var m journalv1.Record
	if err := unmarshal(data, &m); err != nil {
		return err
	}
	if (m.GetHeader() != nil) != (n == 0) {
		return fmt.Errorf("%w: snapshot record %d is out of place", ErrCorrupt, n)
	}
	switch p := m.GetPiece().(type) {
	case *journalv1.Record_Header:
		h := p.Header
		f.Cluster, f.Index, f.Term, f.Clock = fsm.ClusterID(h.GetCluster()), h.GetIndex(), fsm.Term(h.GetTerm()), fsm.Clock(h.GetClockNs())
		f.Generation = uint16(h.GetGeneration())
	case *journalv1.Record_Spec:
		f.Spec = specIn(p.Spec)
	case *journalv1.Record_Former:
		f.Formers = append(f.Formers, formerIn(p.Former))
	case *journalv1.Record_Master:
		f.Masters = append(f.Masters, masterIn(p.Master))
	case *journalv1.Record_Failover:
		f.Failovers = append(f.Failovers, failoverIn(p.Failover))
	case *journalv1.Record_Action:
		f.Actions = append(f.Actions, actionIn(p.Action))
	case *journalv1.Record_Object:
		f.Objects = append(f.Objects, objectIn(p.Object))
	case *journalv1.Record_Refreshes:
		f.Refreshes = append(f.Refreshes, refreshesIn(p.Refreshes))
	case *journalv1.Record_Setting:
		f.Settings = append(f.Settings, settingIn(p.Setting))
	case *journalv1.Record_Member:
		f.Members = append(f.Members, memberIn(p.Member))
	case *journalv1.Record_Drift:
		f.Drifts = append(f.Drifts, driftIn(p.Drift))
	case *journalv1.Record_Condition:
		f.Conditions = append(f.Conditions, conditionIn(p.Condition))
	case *journalv1.Record_Switchover:
		f.Switchovers = append(f.Switchovers, switchoverIn(p.Switchover))
	case *journalv1.Record_Score:
		f.Scores = append(f.Scores, scoreIn(p.Score))
	case *journalv1.Record_Answer:
		f.Answers = append(f.Answers, keptIn(p.Answer))
	default:
		if !takeLease(f, &m) {
			return fmt.Errorf("%w: snapshot record %d is empty", ErrCorrupt, n)
		}
	}
	return nil
}
