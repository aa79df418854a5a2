package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Headers that say who answered and how fresh it is. They stand on a 304 too.
const (
	nodeHeader   = "X-Pointsman-Node"
	leaderHeader = "X-Pointsman-Leader"
	termHeader   = "X-Pointsman-Term"
	indexHeader  = "X-Pointsman-Index"
	ageHeader    = "X-Pointsman-Age" // seconds
	staleHeader  = "X-Pointsman-Stale"
)

// describe is told of each answer before it is encoded, and of each message of
// a stream.
func (g *jsonGateway) describe(ctx context.Context, w http.ResponseWriter, msg proto.Message) error {
	if msg == nil {
		return nil
	}
	h := w.Header()
	if m, ok := msg.(interface {
		GetHeader() *pointsmanv1.ResponseHeader
	}); ok {
		describeHeader(h, m.GetHeader())
	}
	c := callOf(ctx)
	if c.watching {
		return nil
	}
	tag, err := tagOf(msg, c.method == http.MethodGet)
	if err != nil {
		return fmt.Errorf("etag: %w", err)
	}
	if tag != "" {
		h.Set("ETag", tag)
	}
	return nil
}

func describeHeader(h http.Header, from *pointsmanv1.ResponseHeader) {
	h.Set(nodeHeader, from.GetNodeId())
	h.Set(termHeader, strconv.FormatUint(from.GetTerm(), 10))
	h.Set(indexHeader, strconv.FormatUint(from.GetAppliedIndex(), 10))
	h.Set(ageHeader, strconv.FormatFloat(from.GetAge().AsDuration().Seconds(), 'f', 3, 64))
	if from.GetLeaderId() != "" {
		h.Set(leaderHeader, from.GetLeaderId())
	}
	if from.GetStale() {
		h.Set(staleHeader, "true")
		h.Set("Warning", fmt.Sprintf("110 %s \"not confirmed by a majority\"", from.GetNodeId()))
	}
}

// tagOf makes the ETag of an answer: the revision of a resource that has one,
// else, for a read, a hash of what is shown. It is strong in that two answers
// with one tag show the same; who answered, and what only measures the passing
// of time, is not part of it.
func tagOf(msg proto.Message, read bool) (string, error) {
	if tag := revisionTag(msg.ProtoReflect()); tag != "" {
		return strconv.Quote(tag), nil
	}
	if !read {
		return "", nil
	}
	lasting := proto.Clone(msg)
	forget(lasting.ProtoReflect())
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(lasting)
	if err != nil {
		return "", err
	}
	return hashTag(append([]byte(msg.ProtoReflect().Descriptor().FullName()), raw...)), nil
}

const tagBytes = 16

func hashTag(content []byte) string {
	sum := sha256.Sum256(content)
	return strconv.Quote(hex.EncodeToString(sum[:tagBytes]))
}

// revisionTag is the etag field of the one resource in an answer.
func revisionTag(msg protoreflect.Message) (tag string) {
	msg.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() == nil || f.IsList() || f.IsMap() {
			return true
		}
		if etag := f.Message().Fields().ByName("etag"); etag != nil && etag.Kind() == protoreflect.StringKind {
			tag = v.Message().Get(etag).String()
		}
		return tag == ""
	})
	return tag
}

// passing are the fields that change while nothing happens: measures of time,
// and of the log and the disk of a node. A test finds new ones.
func passing() []protoreflect.FullName {
	return []protoreflect.FullName{
		"pointsman.v1.Alert.age",
		"pointsman.v1.Assignment.valid_for",
		"pointsman.v1.Cluster.log_clock",
		"pointsman.v1.Gate.remaining",
		"pointsman.v1.Handover.age",
		"pointsman.v1.Node.age",
		"pointsman.v1.Node.applied_index",
		"pointsman.v1.Node.commit_index",
		"pointsman.v1.Node.disk_free",
		"pointsman.v1.Node.first_index",
		"pointsman.v1.Node.last_contact",
		"pointsman.v1.Node.last_index",
		"pointsman.v1.Node.snapshot_index",
		"pointsman.v1.Node.state_hash",
		"pointsman.v1.Node.uptime",
		"pointsman.v1.NodeHealth.applied_index",
		"pointsman.v1.Preflight.age",
		"pointsman.v1.Preflight.took",
		"pointsman.v1.ProbeReport.age",
		"pointsman.v1.ProbeReport.since",
		"pointsman.v1.ReplicaStanding.last_io",
		"pointsman.v1.RoleReport.age",
		"pointsman.v1.RoleReport.offset",
		"pointsman.v1.SentinelReport.age",
		"pointsman.v1.Switchover.left",
		"pointsman.v1.TargetReach.contrary",
		"pointsman.v1.TargetReach.probed",
		"pointsman.v1.TargetReach.since",
	}
}

// forget clears headers and what is passing.
func forget(msg protoreflect.Message) {
	msg.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case slices.Contains(passing(), f.FullName()), f.Message() != nil && f.Message().Name() == "ResponseHeader":
			msg.Clear(f)
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				forget(v.List().Get(i).Message())
			}
		default:
			forget(v.Message())
		}
		return true
	})
}

// sameTag reports whether an If-None-Match names the tag. The comparison is the
// weak one, as for every such header.
func sameTag(header, tag string) bool {
	if strings.TrimSpace(header) == "*" {
		return tag != ""
	}
	for named := range strings.SplitSeq(header, ",") {
		if named = strings.TrimPrefix(strings.TrimSpace(named), "W/"); named != "" && named == tag {
			return true
		}
	}
	return false
}
