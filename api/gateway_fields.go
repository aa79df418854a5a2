package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/pointsman/pointsman/internal/near"
)

// maxProblems bounds what is told about one body.
const maxProblems = 32

// bodyProblems finds every field of a body that its message cannot take: one
// that there is none of, with the nearest that there is, and one whose value is
// not of its type. It is called only for a body that was refused.
func bodyProblems(raw []byte, d protoreflect.MessageDescriptor) []*errdetails.BadRequest_FieldViolation {
	var p problems
	p.object("", raw, d)
	return p.found
}

type problems struct {
	found []*errdetails.BadRequest_FieldViolation
}

func (p *problems) add(path, format string, args ...any) {
	if len(p.found) < maxProblems {
		p.found = append(p.found, &errdetails.BadRequest_FieldViolation{Field: path, Description: fmt.Sprintf(format, args...)})
	}
}

// object judges one JSON object by the message that it stands for.
func (p *problems) object(path string, raw []byte, d protoreflect.MessageDescriptor) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		if path != "" {
			p.add(path, "must be an object")
		}
		return
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		at := strings.TrimPrefix(path+"."+name, ".")
		f := fieldNamed(d, name)
		if f == nil {
			p.add(at, "%s", unknownName("field", name, d))
			continue
		}
		p.field(at, fields[name], f)
	}
}

// field judges one value, each element of a list and each entry of a map.
func (p *problems) field(path string, raw json.RawMessage, f protoreflect.FieldDescriptor) {
	switch {
	case string(raw) == "null":
	case f.IsMap():
		var entries map[string]json.RawMessage
		if json.Unmarshal(raw, &entries) != nil {
			p.add(path, "must be an object")
			return
		}
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			whole, _ := json.Marshal(map[string]json.RawMessage{key: entries[key]})
			p.value(fmt.Sprintf("%s[%q]", path, key), entries[key], f, f.MapValue(), whole)
		}
	case f.IsList():
		var elements []json.RawMessage
		if json.Unmarshal(raw, &elements) != nil {
			p.add(path, "must be a list")
			return
		}
		for i, e := range elements {
			whole, _ := json.Marshal([]json.RawMessage{e})
			p.value(fmt.Sprintf("%s[%d]", path, i), e, f, f, whole)
		}
	default:
		p.value(path, raw, f, f, raw)
	}
}

// value judges one value: a message of ours by its fields, anything else by
// setting it alone.
func (p *problems) value(path string, raw json.RawMessage, f, of protoreflect.FieldDescriptor, whole []byte) {
	if m := of.Message(); m != nil && !strings.HasPrefix(string(m.FullName()), "google.protobuf.") {
		p.object(path, raw, m)
		return
	}
	alone, err := json.Marshal(map[string]json.RawMessage{f.JSONName(): whole})
	if err != nil {
		return
	}
	if err := protojson.Unmarshal(alone, dynamicpb.NewMessage(f.ContainingMessage())); err != nil {
		p.add(path, "%s", plainWords(err))
	}
}

// plainWords drops what protojson puts before its words: its own name, with a
// white space that it varies on purpose, and a place in the text it was given.
func plainWords(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return regexp.MustCompile(`^proto: ?(syntax error )?(\(line [0-9]+:[0-9]+\): ?)?`).ReplaceAllString(text, "")
}

// fieldNamed finds a field by either of its names.
func fieldNamed(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if f := d.Fields().ByJSONName(name); f != nil {
		return f
	}
	return d.Fields().ByTextName(name)
}

// unknownName says that there is no such field, and which was likely meant.
func unknownName(sort, name string, d protoreflect.MessageDescriptor) string {
	var names []string
	for i := range d.Fields().Len() {
		names = append(names, d.Fields().Get(i).JSONName())
	}
	if meant := near.Word(name, names); meant != "" {
		return fmt.Sprintf("unknown %s; did you mean %q?", sort, meant)
	}
	if len(names) == 0 {
		return fmt.Sprintf("unknown %s; there is none here", sort)
	}
	return fmt.Sprintf("unknown %s; there are %s", sort, strings.Join(names, ", "))
}
