package config

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	validatepb "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ruleSecret is the id of the rule that makes a field take a reference.
const ruleSecret = "secret_reference"

// unique begins the id of each rule that forbids duplicates in a list; the
// rest is the path of the compared field inside an element.
const unique = "unique."

// validate judges a message by the rules of its .proto file. It leaves out
// what the form's problems already tell. A nil map judges nothing.
func validate(message proto.Message, touched map[string]bool) []Problem {
	if touched == nil {
		return nil
	}
	err := protovalidate.Validate(message)
	var invalid *protovalidate.ValidationError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &invalid):
		return []Problem{{Message: err.Error()}} // a rule that does not compile: a programmer's mistake
	}
	var problems []Problem
	for _, v := range invalid.Violations {
		path := protovalidate.FieldPathString(v.Proto.GetField())
		if told(path, v.Proto.GetRuleId(), touched) {
			continue
		}
		problems = append(problems, broken(message.ProtoReflect(), path, v)...)
	}
	return problems
}

// told reports whether the form's problems explain a broken rule: the field is
// wrong already, or something is missing because a part of it is.
func told(path, rule string, touched map[string]bool) bool {
	if touched[path] {
		return true
	}
	if rule != "required" && rule != "repeated.min_items" && rule != "map.min_pairs" {
		return false
	}
	for other := range touched {
		if path != "" && within(other, path) {
			return true
		}
	}
	return false
}

// broken makes problems of one broken rule.
func broken(root protoreflect.Message, path string, v *protovalidate.Violation) []Problem {
	rule := v.Proto.GetRuleId()
	if sub, ok := strings.CutPrefix(rule, unique); ok {
		return duplicates(path, v.FieldValue.List(), strings.Split(sub, "."))
	}
	if rule == "repeated.unique" {
		return duplicates(path, v.FieldValue.List(), nil)
	}
	p := Problem{Path: path, Message: v.Proto.GetMessage(), key: v.Proto.GetForKey()}
	fd, of := resolve(root.Descriptor(), v.Proto.GetField())
	switch rule {
	case "required":
		p.Message = "must be set"
		if of != nil {
			p.Path, p.Message = parent(path), "must have exactly one of "+oneofNames(of)
		}
		return []Problem{p}
	case "string.host_and_port":
		p.Message = "must be host:port"
	}
	if shown := show(fd, v); shown != "" {
		p.Message += ", is " + shown
	}
	return []Problem{p}
}

// resolve finds the field, or the oneof, that a violation's path ends in.
func resolve(desc protoreflect.MessageDescriptor, path *validatepb.FieldPath) (protoreflect.FieldDescriptor, protoreflect.OneofDescriptor) {
	var fd protoreflect.FieldDescriptor
	for _, e := range path.GetElements() {
		if desc == nil {
			return nil, nil
		}
		name := protoreflect.Name(e.GetFieldName())
		if fd = desc.Fields().ByName(name); fd == nil {
			return nil, desc.Oneofs().ByName(name)
		}
		if desc = fd.Message(); fd.IsMap() {
			desc = fd.MapValue().Message()
		}
	}
	return fd, nil
}

// show renders a refused value; nothing for lists, maps, messages and secrets,
// nor for a text that may have one inside.
func show(fd protoreflect.FieldDescriptor, v *protovalidate.Violation) string {
	if fd == nil || isSecret(fd) || !v.FieldValue.IsValid() {
		return ""
	}
	switch value := v.FieldValue.Interface().(type) {
	case string:
		return quote(value)
	case bool, int32, int64, uint32, uint64:
		return fmt.Sprint(value)
	case protoreflect.Message:
		if d, ok := value.Interface().(*durationpb.Duration); ok {
			return d.AsDuration().String()
		}
	}
	return ""
}

// quote is a text for people; empty when a secret may be in it: a user and a
// password stand before an @, and a URL's query or fragment may hold a token.
func quote(text string) string {
	_, rest, url := strings.Cut(text, "://")
	if strings.Contains(text, "@") || url && strings.ContainsAny(rest, "?#") {
		return ""
	}
	return fmt.Sprintf("%q", text)
}

// isSecret reports whether a field takes a reference to a secret.
func isSecret(fd protoreflect.FieldDescriptor) bool {
	rules, _ := proto.GetExtension(fd.Options(), validatepb.E_Field).(*validatepb.FieldRules)
	for _, rule := range rules.GetCel() {
		if rule.GetId() == ruleSecret {
			return true
		}
	}
	return false
}

// duplicates tells each element whose compared field holds a value that an
// earlier one holds. More than one name descends through lists.
func duplicates(path string, list protoreflect.List, names []string) []Problem {
	first := map[any]string{}
	var problems []Problem
	visit(path, list, names, func(path string, value protoreflect.Value) {
		before, again := first[value.Interface()]
		if !again {
			first[value.Interface()] = path
			return
		}
		what := cmp.Or(quote(value.String()), "it")
		problems = append(problems, Problem{Path: path, Message: fmt.Sprintf("%s is used twice, first as %s", what, before)})
	})
	return problems
}

func visit(path string, list protoreflect.List, names []string, leaf func(string, protoreflect.Value)) {
	for i := range list.Len() {
		element, at := list.Get(i), item(path, i)
		if len(names) == 0 {
			leaf(at, element)
			continue
		}
		message := element.Message()
		fd := message.Descriptor().Fields().ByName(protoreflect.Name(names[0]))
		value, at := message.Get(fd), field(at, names[0])
		if fd.IsList() {
			visit(at, value.List(), names[1:], leaf)
			continue
		}
		leaf(at, value)
	}
}
