package api

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// waitKey asks for a long poll.
const waitKey = "wait"

// Names of the read options in a query.
const (
	levelKey  = "read.level"
	levelWord = "READ_LEVEL_"
)

func maxAgeKeys() []string { return []string{"read.maxAge", "read.max_age"} }

// admit takes the body of a request that may change something, and refuses what
// no route should see.
func (g *jsonGateway) admit(w http.ResponseWriter, r *http.Request, c *call) (err error) {
	if err := g.origin.Check(r); err != nil {
		return &fault{code: codes.PermissionDenied, reason: ReasonOrigin, message: "a page of another origin must not call this: " + err.Error()}
	}
	limit := int64(g.s.limits.HTTPBody)
	c.body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &fault{
			code: codes.InvalidArgument, reason: ReasonTooLarge,
			message: "the body has more than " + strconv.FormatInt(limit, 10) + " bytes",
			facts:   map[string]string{"limit": strconv.FormatInt(limit, 10)},
		}
	case err != nil:
		return invalid("body", "%s", err)
	case len(c.body) > 0 && (c.method == http.MethodGet || c.method == http.MethodDelete):
		return invalid("body", "%s takes none: its fields stand in the query", c.method)
	}
	return nil
}

// shortLevel lets a level be named by its last word: read.level=stale.
func shortLevel(query url.Values) error {
	for i, v := range query[levelKey] {
		v = strings.ToUpper(v)
		if _, err := strconv.Atoi(v); err != nil && !strings.HasPrefix(v, levelWord) {
			v = levelWord + v
		}
		query[levelKey][i] = v
	}
	return nil
}

// takeWait takes ?wait= out of the query: how long to wait for a change, at
// most limit.
func takeWait(query url.Values, limit time.Duration) (time.Duration, error) {
	given := query.Get(waitKey)
	if !query.Has(waitKey) {
		return 0, nil
	}
	query.Del(waitKey)
	span, err := time.ParseDuration(given)
	if err != nil || span < 0 {
		return 0, invalid(waitKey, "%q is not a span of time such as 30s", given)
	}
	return min(span, limit), nil
}

// check judges a request message by what HTTP said beside it.
func (c *call) check(msg proto.Message) error {
	d := msg.ProtoReflect().Descriptor()
	for name := range c.query {
		if err := c.checkName(d, name); err != nil {
			return err
		}
	}
	return c.precondition(msg.ProtoReflect())
}

// checkName refuses a parameter that would otherwise be passed over in silence.
func (c *call) checkName(d protoreflect.MessageDescriptor, name string) error {
	if c.method != http.MethodGet && c.method != http.MethodDelete {
		return invalid(name, "%s takes its fields in the body, not in the query", c.method)
	}
	for at, rest := d, name; ; {
		word, deeper, more := strings.Cut(rest, ".")
		f := fieldNamed(at, word)
		if f == nil {
			return invalid(name, "%s", unknownName("parameter", word, at))
		}
		if _, inPath := c.params[string(f.Name())]; inPath && at == d {
			return invalid(name, "stands in the path")
		}
		if !more {
			return nil
		}
		if f.Message() == nil {
			return invalid(name, "%s has no fields", word)
		}
		at, rest = f.Message(), deeper
	}
}

// precondition puts If-Match and If-None-Match into the field that the contract
// has for them. One that cannot be kept is refused: to pass it over would change
// what the caller wanted untouched.
func (c *call) precondition(msg protoreflect.Message) error {
	match, none := c.ifMatch, c.ifNoneMatch
	if c.method == http.MethodGet || match == "" && none == "" {
		return nil
	}
	fields := msg.Descriptor().Fields()
	revision, etag := fields.ByName("expected_revision"), fields.ByName("etag")
	tag, single := singleTag(match)
	switch {
	case match == "" && none == "*" && revision != nil && c.method == http.MethodPut:
		msg.Set(revision, protoreflect.ValueOfUint64(0))
	case none != "" || !single || revision == nil && etag == nil:
		return invalid("precondition", "this call takes %s", takes(revision, etag))
	case revision != nil:
		n, err := strconv.ParseUint(tag, 10, 64)
		if err != nil {
			return invalid("If-Match", "%q is not an ETag of this resource", tag)
		}
		msg.Set(revision, protoreflect.ValueOfUint64(n))
	default:
		msg.Set(etag, protoreflect.ValueOfString(tag))
	}
	return nil
}

func takes(revision, etag protoreflect.FieldDescriptor) string {
	switch {
	case revision != nil:
		return `If-Match with one ETag, or If-None-Match: * to create`
	case etag != nil:
		return `If-Match with one ETag`
	}
	return "neither If-Match nor If-None-Match"
}

// singleTag reads one strong ETag.
func singleTag(header string) (string, bool) {
	tag, ok := strings.CutPrefix(strings.TrimSpace(header), `"`)
	tag, closed := strings.CutSuffix(tag, `"`)
	return tag, ok && closed && tag != "" && !slices.Contains(strings.Split(tag, ""), `"`)
}
