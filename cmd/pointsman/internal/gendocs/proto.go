package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// comment is what stands above a declaration, one paragraph a line.
func comment(d protoreflect.Descriptor) string {
	text := d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments
	var paragraphs []string
	for p := range strings.SplitSeq(text, "\n\n") {
		paragraphs = append(paragraphs, strings.Join(strings.Fields(p), " "))
	}
	return strings.TrimSpace(strings.Join(paragraphs, "\n\n"))
}

// cellText is a comment inside a table.
func cellText(d protoreflect.Descriptor) string {
	return strings.ReplaceAll(strings.ReplaceAll(comment(d), "|", "\\|"), "\n\n", " ")
}

// filesOf are the files of the contract, by path.
func filesOf(all *protoregistry.Files) []protoreflect.FileDescriptor {
	var some []protoreflect.FileDescriptor
	all.RangeFilesByPackage(contract, func(f protoreflect.FileDescriptor) bool {
		some = append(some, f)
		return true
	})
	slices.SortFunc(some, func(a, b protoreflect.FileDescriptor) int { return strings.Compare(a.Path(), b.Path()) })
	return some
}

// typeName is a field's type, linked where the page tells of it.
func typeName(f protoreflect.FieldDescriptor) string {
	if f.IsMap() {
		return "map of " + typeName(f.MapKey()) + " to " + typeName(f.MapValue())
	}
	name := f.Kind().String()
	switch {
	case f.Message() != nil:
		name = linked(f.Message())
	case f.Enum() != nil:
		name = linked(f.Enum())
	}
	if f.IsList() {
		return "list of " + name
	}
	return name
}

func linked(d protoreflect.Descriptor) string {
	if d.ParentFile().Package() != contract {
		return string(d.Name())
	}
	return fmt.Sprintf("[%s](#%s)", d.Name(), strings.ToLower(string(d.Name())))
}

const apiHead = "# API\n\nThis page is written by `make docs` from the comments of the `.proto` files in `proto/pointsman/v1`.\n\n" +
	"The package is `pointsman.v1`, over gRPC on port 7801 unless told otherwise, with reflection: `buf curl` and\n" +
	"`grpcurl` find every call by themselves. Errors are `google.rpc.Status` with an `ErrorInfo` whose reason stands in\n" +
	"[errors.md](errors.md). Every response carries a [ResponseHeader](#responseheader).\n"

// writeAPI writes every service, then every message and enum.
func writeAPI(w io.Writer, all *protoregistry.Files) error {
	var b strings.Builder
	b.WriteString(apiHead)
	var messages []protoreflect.MessageDescriptor
	var enums []protoreflect.EnumDescriptor
	for _, f := range filesOf(all) {
		for i := range f.Services().Len() {
			service(&b, f.Services().Get(i))
		}
		for i := range f.Messages().Len() {
			messages = append(messages, f.Messages().Get(i))
		}
		for i := range f.Enums().Len() {
			enums = append(enums, f.Enums().Get(i))
		}
	}
	b.WriteString("\n# Messages\n")
	slices.SortFunc(messages, func(x, y protoreflect.MessageDescriptor) int {
		return strings.Compare(string(x.Name()), string(y.Name()))
	})
	for _, m := range messages {
		message(&b, m)
	}
	b.WriteString("\n# Enums\n")
	slices.SortFunc(enums, func(x, y protoreflect.EnumDescriptor) int { return strings.Compare(string(x.Name()), string(y.Name())) })
	for _, e := range enums {
		enum(&b, e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func service(b *strings.Builder, s protoreflect.ServiceDescriptor) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| call | asks with | answers | meaning |\n|---|---|---|---|\n", s.Name(), comment(s))
	for i := range s.Methods().Len() {
		m := s.Methods().Get(i)
		answer := linked(m.Output())
		if m.IsStreamingServer() {
			answer = "stream of " + answer
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", m.Name(), linked(m.Input()), answer, cellText(m))
	}
}

func message(b *strings.Builder, m protoreflect.MessageDescriptor) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", m.Name(), comment(m))
	if m.Fields().Len() == 0 {
		return
	}
	b.WriteString("\n| field | type | meaning |\n|---|---|---|\n")
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", f.Name(), typeName(f), cellText(f))
	}
}

func enum(b *strings.Builder, e protoreflect.EnumDescriptor) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| value | number | meaning |\n|---|---|---|\n", e.Name(), comment(e))
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		fmt.Fprintf(b, "| `%s` | %d | %s |\n", v.Name(), v.Number(), cellText(v))
	}
}
