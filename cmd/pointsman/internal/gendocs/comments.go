package main

import (
	"encoding/json"
	"io"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// writeComments writes the words above each message, field and enum value that
// the three kinds of file hold, by full name: `pointsman config schema` shows
// them.
func writeComments(w io.Writer, all *protoregistry.Files) error {
	words := map[string]string{}
	for _, root := range []protoreflect.Name{"NodeConfig", "Spec", "WebhookConfig"} {
		d, err := all.FindDescriptorByName(contract.Append(root))
		if err != nil {
			return err
		}
		gather(words, d.(protoreflect.MessageDescriptor))
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(words)
}

func gather(words map[string]string, m protoreflect.MessageDescriptor) {
	if _, known := words[string(m.FullName())]; known || m.ParentFile().Package() != contract {
		return
	}
	words[string(m.FullName())] = comment(m)
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		words[string(f.FullName())] = comment(f)
		if f.IsMap() {
			f = f.MapValue()
		}
		switch {
		case f.Message() != nil:
			gather(words, f.Message())
		case f.Enum() != nil:
			for j := range f.Enum().Values().Len() {
				v := f.Enum().Values().Get(j)
				words[string(v.FullName())] = comment(v)
			}
		}
	}
}
