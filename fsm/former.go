package fsm

import (
	"encoding/binary"
	"time"
)

// Applied is who made a spec the one that counts, when and why. It is zero for
// a spec of a build that kept none of it.
type Applied struct {
	Actor  string
	Reason string
	Index  uint64 // of the entry
	Clock  Clock
	Wall   time.Time // display only
}

// FormerSpec is a spec that another one replaced. Only its source is kept:
// nothing decides by it, and a rollback compiles it anew.
type FormerSpec struct {
	Revision Revision
	Source   []byte
	Applied  Applied
}

// FormerSpecs lists the replaced specs that are kept, the oldest first.
func (s State) FormerSpecs() []FormerSpec { return values(s.formers, nil) }

// FormerSpec finds a replaced spec; false when it was never there or is no
// longer kept.
func (s State) FormerSpec(r Revision) (FormerSpec, bool) { return s.formers.Get(r.key()) }

func (r Revision) key() []byte { return binary.BigEndian.AppendUint64(nil, uint64(r)) }

// keepSpec puts the spec that stands beside the former ones and forgets the
// oldest beyond the bounds. How many is the command's word, so that a build
// with another default decides the same.
func (s State) keepSpec(most int) State {
	if s.spec.Revision > 0 {
		old := FormerSpec{Revision: s.spec.Revision, Source: s.spec.Source, Applied: s.spec.Applied}
		s.formers, _, _ = s.formers.Insert(old.Revision.key(), old)
	}
	size := 0
	for _, f := range s.FormerSpecs() {
		size += len(f.Source)
	}
	for s.formers.Len() > min(most, MaxFormerSpecs) || size > MaxFormerBytes {
		key, oldest, ok := s.formers.Root().Minimum()
		if !ok {
			break
		}
		size -= len(oldest.Source)
		s.formers, _, _ = s.formers.Delete(key)
	}
	return s
}
