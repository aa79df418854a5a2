package show

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Format is the form of the output, the value of --output.
type Format string

// The forms.
const (
	Table Format = "table" // for people
	Wide  Format = "wide"  // the same with more columns
	JSON  Format = "json"  // the API message; one object a line in a watch
	YAML  Format = "yaml"  // the same as YAML
)

// Formats lists the forms.
func Formats() []string {
	return []string{string(Table), string(Wide), string(JSON), string(YAML)}
}

// ForPeople reports whether the form is a table.
func (f Format) ForPeople() bool { return f == Table || f == Wide }

// toJSON writes a message with every field, the unset ones too, so that a
// program need not tell missing from zero. protojson varies its white space on
// purpose; encode makes it plain.
func toJSON(m proto.Message) ([]byte, error) {
	return protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
}

// Message writes one message in a form for programs.
func (p *Printer) Message(m proto.Message) error {
	raw, err := toJSON(m)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return p.encode(raw)
}

// Object writes a value of our own, joined of several answers.
func (p *Printer) Object(parts []Part) error {
	raw, err := joined(parts)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return p.encode(raw)
}

// encode writes JSON in the form asked for. In a stream each value is one line
// of JSON, or one document of YAML.
func (p *Printer) encode(raw []byte) error {
	var out bytes.Buffer
	var err error
	switch {
	case p.Format == YAML:
		var text []byte
		text, err = yaml.JSONToYAML(raw)
		if p.Stream {
			out.WriteString("---\n")
		}
		out.Write(text)
	case p.Stream:
		err = json.Compact(&out, raw)
		out.WriteByte('\n')
	default:
		err = json.Indent(&out, raw, "", "  ")
		out.WriteByte('\n')
	}
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_, err = p.Out.Write(out.Bytes())
	return err
}

// Part is one field of an Object: a message, a plain value, or more parts.
type Part struct {
	Name  string
	Value any
}

func joined(parts []Part) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, part := range parts {
		if i > 0 {
			b.WriteByte(',')
		}
		raw, err := valueJSON(part.Value)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", part.Name, err)
		}
		fmt.Fprintf(&b, "%q:%s", part.Name, raw)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func valueJSON(v any) ([]byte, error) {
	if parts, ok := v.([]Part); ok {
		return joined(parts)
	}
	if m, ok := v.(proto.Message); ok {
		return toJSON(m)
	}
	return json.Marshal(v)
}
