package config

import (
	"fmt"
	"io"
	"strings"

	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const masked = "(masked)"

// Print writes the effective configuration as YAML, with the origin of each
// value beside it. References to secrets are shown, values never.
func (n *Node) Print(w io.Writer) error {
	return printYAML(w, n.Config, func(path string) string {
		switch origin := n.Origin(path); origin {
		case FromFlag, FromEnv:
			return fmt.Sprintf("%s %s", origin, n.File.outside[path])
		case FromFile:
			if at := n.File.spans[path].value; at.known() {
				return fmt.Sprintf("%s %s:%d", origin, n.File.name, at.line)
			}
			return string(origin)
		default:
			return string(origin)
		}
	})
}

// PrintYAML writes a configuration as YAML in the spelling that this package
// reads. References to secrets are shown, values never.
func PrintYAML(w io.Writer, message proto.Message) error {
	return printYAML(w, message, func(string) string { return "" })
}

func printYAML(w io.Writer, message proto.Message, comment func(path string) string) error {
	text, err := protoyaml.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	if len(document.Content) == 1 {
		present(document.Content[0], message.ProtoReflect().Descriptor(), "", comment)
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return encoder.Close()
}

// present rewrites the tree of a message for people: short names of enum
// values, numbers without quotes, nothing where a literal secret stands.
func present(node *yaml.Node, desc protoreflect.MessageDescriptor, path string, comment func(string) string) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		fd, value := fieldNamed(desc, node.Content[i].Value), node.Content[i+1]
		if fd == nil {
			continue
		}
		full := field(path, string(fd.Name()))
		switch {
		case fd.IsList() && fd.Message() != nil:
			for j, element := range value.Content {
				present(element, fd.Message(), item(full, j), comment)
			}
		case fd.IsMap():
			presentMap(value, fd, full, comment)
		case fd.Message() != nil && value.Kind == yaml.MappingNode:
			present(value, fd.Message(), full, comment)
		case value.Kind == yaml.ScalarNode:
			scalar(value, fd)
			value.LineComment = comment(full)
		}
	}
}

func presentMap(node *yaml.Node, fd protoreflect.FieldDescriptor, path string, comment func(string) string) {
	quoted := fd.MapKey().Kind() == protoreflect.StringKind
	for i := 0; i+1 < len(node.Content); i += 2 {
		full := entry(path, node.Content[i].Value, quoted)
		if fd.MapValue().Message() != nil {
			present(node.Content[i+1], fd.MapValue().Message(), full, comment)
			continue
		}
		scalar(node.Content[i+1], fd.MapValue())
	}
}

func scalar(node *yaml.Node, fd protoreflect.FieldDescriptor) {
	switch fd.Kind() {
	case protoreflect.EnumKind:
		if v := fd.Enum().Values().ByName(protoreflect.Name(node.Value)); v != nil {
			node.Value = shortEnum(v)
		}
	case protoreflect.Int64Kind, protoreflect.Uint64Kind:
		node.Tag, node.Style = "!!int", 0 // 64-bit numbers are strings in JSON
	case protoreflect.StringKind:
		if secret, err := ParseSecret(node.Value); isSecret(fd) && (err != nil || strings.TrimSpace(secret.name) == "") {
			node.Value = masked
		}
	}
}
