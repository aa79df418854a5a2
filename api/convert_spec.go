package api

import (
	"fmt"
	"strconv"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// EncodeSpec makes the bytes that the log keeps as fsm.Spec.Source: the
// message and the text that it was read from. Revision and etag are left out,
// since the log gives them.
func EncodeSpec(rev *pointsmanv1.SpecRevision) ([]byte, error) {
	kept := &pointsmanv1.SpecRevision{Spec: rev.GetSpec(), Source: rev.GetSource(), ApplyTime: rev.GetApplyTime()}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("encode spec: %w", err)
	}
	return raw, nil
}

// DecodeSpec reads what EncodeSpec wrote, with the revision that the log gave
// it. Revision 0 is the empty spec.
func DecodeSpec(spec fsm.Spec) (*pointsmanv1.SpecRevision, error) {
	rev := &pointsmanv1.SpecRevision{}
	if err := proto.Unmarshal(spec.Source, rev); err != nil {
		return nil, fmt.Errorf("decode spec revision %d: %w", spec.Revision, err)
	}
	if rev.Spec == nil {
		rev.Spec = &pointsmanv1.Spec{}
	}
	rev.Revision, rev.Etag = uint64(spec.Revision), specEtag(spec.Revision)
	rev.Index, rev.Actor, rev.Reason = spec.Applied.Index, spec.Applied.Actor, spec.Applied.Reason
	return rev, nil
}

// specAt decodes a revision that is kept, the current one for 0.
func specAt(state fsm.State, revision uint64) (*pointsmanv1.SpecRevision, error) {
	now := state.Spec()
	if revision == 0 || revision == uint64(now.Revision) {
		return DecodeSpec(now)
	}
	former, ok := state.FormerSpec(fsm.Revision(revision))
	if !ok {
		return nil, notFound("spec revision", strconv.FormatUint(revision, 10))
	}
	return DecodeSpec(fsm.Spec{Revision: former.Revision, Source: former.Source, Applied: former.Applied})
}

func specEtag(r fsm.Revision) string { return strconv.FormatUint(uint64(r), 10) }

// specCache keeps the newest decoded spec, which every list of masters needs.
type specCache struct {
	mu       sync.Mutex
	revision fsm.Revision
	masters  map[string]*pointsmanv1.MasterSpec // never changed once here
}

// master finds a master's message; nil when the spec cannot be decoded or has
// none.
func (c *specCache) master(spec fsm.Spec, id fsm.MasterID) *pointsmanv1.MasterSpec {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.masters == nil || c.revision != spec.Revision {
		rev, err := DecodeSpec(spec)
		if err != nil {
			return nil
		}
		c.revision, c.masters = spec.Revision, map[string]*pointsmanv1.MasterSpec{}
		for _, m := range rev.GetSpec().GetMasters() {
			c.masters[m.GetId()] = m
		}
	}
	return c.masters[string(id)]
}
