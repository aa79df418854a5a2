package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// unspecified ends the name of each enum's zero value; what stands before it
// is the prefix of all its names (buf's ENUM_VALUE_PREFIX and
// ENUM_ZERO_VALUE_SUFFIX rules).
const unspecified = "UNSPECIFIED"

// fieldNamed finds a field by the names that protoyaml accepts in YAML.
func fieldNamed(desc protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := desc.Fields().ByTextName(name); fd != nil {
		return fd
	}
	return desc.Fields().ByJSONName(name)
}

func fieldNames(desc protoreflect.MessageDescriptor) []string {
	names := make([]string, desc.Fields().Len())
	for i := range names {
		names[i] = string(desc.Fields().Get(i).Name())
	}
	return names
}

func oneofNames(of protoreflect.OneofDescriptor) string {
	names := make([]string, of.Fields().Len())
	for i := range names {
		names[i] = string(of.Fields().Get(i).Name())
	}
	return strings.Join(names, ", ")
}

func enumPrefix(enum protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(enum.Values().ByNumber(0).Name()), unspecified)
}

// shortEnum is the spelling of a value in YAML: ON_FAILURE_BLOCK is "block".
func shortEnum(value protoreflect.EnumValueDescriptor) string {
	prefix := enumPrefix(value.Parent().(protoreflect.EnumDescriptor))
	return strings.ToLower(strings.TrimPrefix(string(value.Name()), prefix))
}

// longEnum finds the full name of a short one; false when there is none.
func longEnum(enum protoreflect.EnumDescriptor, short string) (string, bool) {
	for i := range enum.Values().Len() {
		if v := enum.Values().Get(i); v.Number() != 0 && shortEnum(v) == short {
			return string(v.Name()), true
		}
	}
	return "", false
}

func shortEnums(enum protoreflect.EnumDescriptor) string {
	var names []string
	for i := range enum.Values().Len() {
		if v := enum.Values().Get(i); v.Number() != 0 {
			names = append(names, shortEnum(v))
		}
	}
	return strings.Join(names, ", ")
}

// refused says what a field takes and what stands there instead.
func refused(f found) string {
	switch {
	case isSecret(f.kind):
		return ErrNotReference.Error()
	case f.node.Kind == yaml.ScalarNode && f.node.Tag == "!!null":
		return wanted(f) + ", is empty"
	case f.node.Kind == yaml.ScalarNode && quote(f.node.Value) != "":
		return wanted(f) + ", is " + quote(f.node.Value)
	}
	return wanted(f)
}

// wanted says what a field takes, in words.
func wanted(f found) string {
	fd := f.kind
	switch {
	case f.list && fd.IsMap():
		return "must be a mapping of keys to values"
	case f.list:
		return "must be a list"
	case fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Duration":
		return "must be a duration such as 500ms, 5s or 1m30s"
	case fd.Message() != nil:
		return "must be a mapping with the fields " + strings.Join(fieldNames(fd.Message()), ", ")
	case fd.Enum() != nil:
		return "must be one of " + shortEnums(fd.Enum())
	}
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return "must be true or false"
	case protoreflect.StringKind:
		return "must be text"
	case protoreflect.Uint32Kind:
		return "must be a whole number from 0 to 4294967295"
	case protoreflect.Uint64Kind:
		return "must be a whole number, or a size such as 512MiB"
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return "must be a whole number"
	default:
		return fmt.Sprintf("must be a value of type %s", fd.Kind())
	}
}
