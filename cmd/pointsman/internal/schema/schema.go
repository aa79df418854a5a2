package schema

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// comments holds what stands above each message, field and enum value, by full
// name. Nothing assigns to it after go:embed has.
//
//go:embed comments.json
var comments []byte

// object is one JSON Schema.
type object = map[string]any

// Node is the schema of the node file.
func Node() ([]byte, error) {
	return write((&pointsmanv1.NodeConfig{}).ProtoReflect().Descriptor(), "Pointsman node file")
}

// Spec is the schema of the spec.
func Spec() ([]byte, error) {
	return write((&pointsmanv1.Spec{}).ProtoReflect().Descriptor(), "Pointsman spec")
}

// Webhook is the schema of the webhook file.
func Webhook() ([]byte, error) {
	return write((&pointsmanv1.WebhookConfig{}).ProtoReflect().Descriptor(), "Pointsman webhook file")
}

func write(root protoreflect.MessageDescriptor, title string) ([]byte, error) {
	w := &writer{defs: object{}, words: map[string]string{}}
	if err := json.Unmarshal(comments, &w.words); err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	top, err := w.message(root)
	if err != nil {
		return nil, err
	}
	top["$schema"], top["title"], top["$defs"] = "https://json-schema.org/draft/2020-12/schema", title, w.defs
	return json.MarshalIndent(top, "", "  ")
}

// writer gathers the messages that a root holds, each once.
type writer struct {
	defs  object
	words map[string]string
}

func (w *writer) describe(into object, d protoreflect.Descriptor) object {
	if text := w.words[string(d.FullName())]; text != "" {
		into["description"] = text
	}
	return into
}

// message writes the fields of one message; no others are taken.
func (w *writer) message(m protoreflect.MessageDescriptor) (object, error) {
	fields := object{}
	required := []string{}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		one, must, err := w.field(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.FullName(), err)
		}
		fields[string(f.Name())] = w.describe(one, f)
		if must {
			required = append(required, string(f.Name()))
		}
	}
	out := w.describe(object{"type": "object", "properties": fields, "additionalProperties": false}, m)
	if len(required) > 0 {
		out["required"] = required
	}
	for i := range m.Oneofs().Len() {
		if err := oneof(out, m.Oneofs().Get(i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// field writes the value of one field, and whether it has to be set.
func (w *writer) field(f protoreflect.FieldDescriptor) (object, bool, error) {
	rules, err := rulesOf(f)
	if err != nil {
		return nil, false, err
	}
	switch {
	case f.IsMap():
		value, err := w.single(f.MapValue())
		if err != nil {
			return nil, false, err
		}
		bound(value, f.MapValue(), rules.GetMap().GetValues(), false)
		keys := object{"type": "string"}
		bound(keys, f.MapKey(), rules.GetMap().GetKeys(), false)
		out := object{"type": "object", "additionalProperties": value, "propertyNames": keys}
		mapBounds(out, rules.GetMap())
		return out, rules.GetRequired(), nil
	case f.IsList():
		item, err := w.single(f)
		if err != nil {
			return nil, false, err
		}
		bound(item, f, rules.GetRepeated().GetItems(), false)
		out := object{"type": "array", "items": item}
		listBounds(out, rules.GetRepeated())
		return out, rules.GetRequired() || rules.GetRepeated().GetMinItems() > 0, nil
	}
	out, err := w.single(f)
	if err != nil {
		return nil, false, err
	}
	bound(out, f, rules, ignoresZero(rules))
	return out, rules.GetRequired(), nil
}

// single writes one value of a field's type.
func (w *writer) single(f protoreflect.FieldDescriptor) (object, error) {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return object{"type": "boolean"}, nil
	case protoreflect.StringKind:
		return object{"type": "string"}, nil
	case protoreflect.Uint64Kind:
		return object{"anyOf": []any{object{"type": "integer", "minimum": 0}, object{"type": "string", "pattern": sizePattern}}}, nil
	case protoreflect.Uint32Kind:
		return object{"type": "integer", "minimum": 0}, nil
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return object{"type": "integer"}, nil
	case protoreflect.EnumKind:
		return w.enum(f.Enum()), nil
	case protoreflect.MessageKind:
		return w.reference(f.Message())
	}
	return nil, fmt.Errorf("a field of kind %s has no schema", f.Kind())
}

// enum lists the words of YAML, each with its meaning.
func (w *writer) enum(e protoreflect.EnumDescriptor) object {
	prefix := strings.TrimSuffix(string(e.Values().Get(0).Name()), "UNSPECIFIED")
	var words []any
	for i := 1; i < e.Values().Len(); i++ {
		v := e.Values().Get(i)
		word := object{"const": strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))}
		words = append(words, w.describe(word, v))
	}
	return object{"oneOf": words}
}

// reference names a message's own schema, made when it is met first.
func (w *writer) reference(m protoreflect.MessageDescriptor) (object, error) {
	if m.FullName() == "google.protobuf.Duration" {
		return object{"type": "string", "pattern": spanPattern}, nil
	}
	name := string(m.Name())
	if _, known := w.defs[name]; !known {
		w.defs[name] = object{} // before its fields: a message may hold itself
		one, err := w.message(m)
		if err != nil {
			return nil, err
		}
		maps.Copy(w.defs[name].(object), one)
	}
	return object{"$ref": "#/$defs/" + name}, nil
}
