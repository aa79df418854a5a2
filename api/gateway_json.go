package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What the gateway speaks.
const (
	mimeJSON   = "application/json"
	mimeLines  = "application/x-ndjson"
	mimeEvents = "text/event-stream"
)

var errNotMessage = errors.New("not a message of the contract")

// codec is how messages stand on the wire: JSON as the command line prints it,
// with lowerCamelCase names and every field, the unset ones too. A stream is one
// {"result": ...} a line and, if it fails, {"error": ...} last; or server-sent
// events.
type codec struct {
	events bool
}

var (
	_ runtime.Marshaler         = codec{}
	_ runtime.Delimited         = codec{}
	_ runtime.StreamContentType = codec{}
)

// toJSON leaves out the white space that protojson varies on purpose.
func toJSON(m proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Marshal implements runtime.Marshaler. The generated code gives it an answer,
// or a map of one entry for each message of a stream and for its last error.
func (c codec) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case proto.Message:
		raw, err := toJSON(v)
		return append(raw, '\n'), err
	case map[string]any:
		if m, ok := v["result"].(proto.Message); ok {
			return c.chunk("result", m)
		}
	case map[string]proto.Message:
		if m := v["error"]; m != nil {
			return c.chunk("error", m)
		}
	}
	return nil, fmt.Errorf("encode %T: %w", v, errNotMessage)
}

// chunk is one message of a stream. As an event it carries the token to resume
// from as its id; a bookmark is a comment, which moves the id and tells nobody.
func (c codec) chunk(name string, m proto.Message) ([]byte, error) {
	raw, err := toJSON(m)
	if err != nil {
		return nil, err
	}
	if !c.events {
		return fmt.Appendf(nil, "{%q:%s}", name, raw), nil
	}
	if name == "error" {
		return fmt.Appendf(nil, "event: end\ndata: %s\n", raw), nil
	}
	id := ""
	if t, ok := m.(interface{ GetResumeToken() string }); ok {
		id = t.GetResumeToken()
	}
	if eventOf(m) == "bookmark" {
		return fmt.Appendf(nil, ": bookmark\nid: %s\n", id), nil
	}
	return fmt.Appendf(nil, "id: %s\ndata: %s\n", id, raw), nil
}

// eventOf names what a message of a watch tells: the set field of its event.
func eventOf(m proto.Message) protoreflect.Name {
	r := m.ProtoReflect()
	choice := r.Descriptor().Oneofs().ByName("event")
	if choice == nil {
		return ""
	}
	if f := r.WhichOneof(choice); f != nil {
		return f.Name()
	}
	return ""
}

// Delimiter implements runtime.Delimited.
func (c codec) Delimiter() []byte { return []byte("\n") }

// ContentType implements runtime.Marshaler.
func (c codec) ContentType(any) string { return mimeJSON }

// StreamContentType implements runtime.StreamContentType.
func (c codec) StreamContentType(any) string {
	if c.events {
		return mimeEvents
	}
	return mimeLines
}

// Unmarshal implements runtime.Marshaler.
func (c codec) Unmarshal(raw []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("decode %T: %w", v, errNotMessage)
	}
	return decodeBody(raw, m)
}

// NewDecoder implements runtime.Marshaler.
func (c codec) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		body, ok := r.(*jsonBody)
		if !ok {
			return fmt.Errorf("decode %T: %w", r, errNotMessage)
		}
		if len(body.raw) == 0 {
			return io.EOF // the generated code takes it for an empty message
		}
		body.call.problem = c.Unmarshal(body.raw, v)
		return body.call.problem
	})
}

// NewEncoder implements runtime.Marshaler.
func (c codec) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		raw, err := c.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(raw)
		return err
	})
}

// jsonBody is a body that was read already. What is wrong with it is kept
// beside it, since the generated code makes plain text of every error.
type jsonBody struct {
	raw  []byte
	at   int
	call *call
}

func (b *jsonBody) Read(p []byte) (int, error) {
	if b.at >= len(b.raw) {
		return 0, io.EOF
	}
	n := copy(p, b.raw[b.at:])
	b.at += n
	return n, nil
}

// Close implements io.Closer.
func (b *jsonBody) Close() error { return nil }

func decodeBody(raw []byte, m proto.Message) error {
	err := protojson.Unmarshal(raw, m)
	if err == nil {
		return nil
	}
	if fields := bodyProblems(raw, m.ProtoReflect().Descriptor()); len(fields) > 0 {
		return invalidFields(fields)
	}
	return invalid("body", "%s", plainWords(err))
}
