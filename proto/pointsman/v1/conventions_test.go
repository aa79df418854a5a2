package pointsmanv1_test

import (
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/pointsman/pointsman/proto/pointsman/v1" // registers what is judged here
)

// mutations are the methods that may change something. Every other one is a
// read, and a new method has to be put here or pass as one.
func mutations() []string {
	return []string{
		"RetryAction", "AbandonAction", "PutSetting", "DeleteSetting",
		"ApplySpec", "RollbackSpec", "TransferLeadership", "Switchover",
		"OpenSession", "CloseSession", "Release", "RevokeLease", "SaveCheckpoint",
	}
}

// local are the methods that speak of one node or one report, not of the
// cluster's state: no read level, no request_id. A renewal is judged by the
// leader against a confirmed state, and changes none.
func local() []string { return []string{"ReportView", "Notify", "VerifyNode", "Renew", "KeepAlive"} }

func methods(t *testing.T) (all []protoreflect.MethodDescriptor) {
	protoregistry.GlobalFiles.RangeFilesByPackage("pointsman.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for s, j := f.Services().Get(i), 0; j < s.Methods().Len(); j++ {
				all = append(all, s.Methods().Get(j))
			}
		}
		return true
	})
	if len(all) < 20 {
		t.Fatalf("%d methods", len(all))
	}
	return all
}

// want reports a field that is missing, has another number, or another type.
func want(t *testing.T, m protoreflect.MessageDescriptor, name, kind string, number protoreflect.FieldNumber) {
	t.Helper()
	f := m.Fields().ByName(protoreflect.Name(name))
	if f == nil {
		t.Errorf("%s has no field %s", m.Name(), name)
		return
	}
	got := f.Kind().String()
	if f.Message() != nil {
		got = string(f.Message().Name())
	}
	if got != kind || f.IsList() {
		t.Errorf("%s.%s is %s (list %t), want %s", m.Name(), name, got, f.IsList(), kind)
	}
	if number != 0 && f.Number() != number {
		t.Errorf("%s.%s is number %d, want %d", m.Name(), name, f.Number(), number)
	}
}

func TestConventionsOfMethods(t *testing.T) {
	for _, m := range methods(t) {
		name, in, out := string(m.Name()), m.Input(), m.Output()
		if string(in.Name()) != name+"Request" || string(out.Name()) != name+"Response" {
			t.Errorf("%s takes %s and answers %s", name, in.Name(), out.Name())
		}
		want(t, out, "header", "ResponseHeader", 1)
		switch {
		case slices.Contains(local(), name):
		case slices.Contains(mutations(), name):
			want(t, in, "request_id", "string", 0)
			want(t, in, "validate_only", "bool", 0)
			if m.IsStreamingServer() || in.Fields().ByName("read") != nil {
				t.Errorf("%s changes something, and streams or has a read level", name)
			}
		case strings.HasPrefix(name, "Watch"):
			conventionsOfWatch(t, m)
		case strings.HasPrefix(name, "List"):
			want(t, in, "read", "ReadOptions", 1)
			want(t, in, "page_size", "int32", 2)
			want(t, in, "page_token", "string", 3)
			want(t, in, "filter", "string", 4)
			want(t, out, "next_page_token", "string", 3)
			if f := out.Fields().ByNumber(2); f == nil || !f.IsList() || f.Message() == nil {
				t.Errorf("%s: field 2 is not the list", out.Name())
			}
		default:
			want(t, in, "read", "ReadOptions", 1)
			if m.IsStreamingServer() {
				t.Errorf("%s streams and is no Watch", name)
			}
		}
		if m.IsStreamingClient() && name != "KeepAlive" {
			t.Errorf("%s takes a stream", name)
		}
	}
}

func conventionsOfWatch(t *testing.T, m protoreflect.MethodDescriptor) {
	t.Helper()
	if !m.IsStreamingServer() {
		t.Errorf("%s does not stream", m.Name())
	}
	want(t, m.Input(), "resume_token", "string", 1)
	want(t, m.Output(), "resume_token", "string", 2)
	want(t, m.Output(), "bookmark", "Bookmark", 0)
	event := m.Output().Oneofs().ByName("event")
	if event == nil || event.Fields().Get(0).Number() != 3 || event.Fields().Get(event.Fields().Len()-1).Name() != "bookmark" {
		t.Errorf("%s: the event is not an object from 3 on, or last a bookmark", m.Output().Name())
	}
}

// Every string that a caller sends is bounded, and says so where callers look.
// An enum's zero is nothing.
func TestConventionsOfFields(t *testing.T) {
	for _, m := range methods(t) {
		fields := m.Input().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			if f.Kind() != protoreflect.StringKind && f.Kind() != protoreflect.BytesKind {
				continue
			}
			if !bounded(f) {
				t.Errorf("%s has no max_len, max_bytes, max_items or const", f.FullName())
			}
		}
	}
	protoregistry.GlobalFiles.RangeFilesByPackage("pointsman.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Enums().Len() {
			zero := f.Enums().Get(i).Values().ByNumber(0)
			if zero == nil || !strings.HasSuffix(string(zero.Name()), "_UNSPECIFIED") {
				t.Errorf("%s: 0 is not UNSPECIFIED", f.Enums().Get(i).Name())
			}
		}
		return true
	})
}

// bounded says whether a field's rules bound its length.
func bounded(f protoreflect.FieldDescriptor) bool {
	rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	if f.IsList() {
		return rules.GetRepeated().HasMaxItems() && rules.GetRepeated().GetItems().GetString().HasMaxLen()
	}
	return rules.GetString().HasMaxLen() || rules.GetString().HasMaxBytes() || rules.GetBytes().HasMaxLen()
}
