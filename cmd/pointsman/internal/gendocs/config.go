package main

import (
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/pointsman/pointsman/coordinator/config"
)

const configHead = "# Configuration\n\nThis page is written by `make docs` from the comments of `node.proto`, `spec.proto`, `targets.proto` and `webhook.proto`.\n\n" +
	"Three files, all YAML: the **node file** holds what is local to one node, the **spec** what the whole cluster shares, the\n" +
	"**webhook file** what [receivers](webhooks.md) and workers of webhooks run with.\n" +
	"`pointsman config init node`, `init spec` and `init webhook` write commented ones to begin with;\n" +
	"`pointsman config validate FILE` tells all problems at once with their places. Spans are written `500ms`, `10s`, `1h`.\n" +
	"Values of enums are written in lower case without their prefix. Secrets stand as `env:NAME`, `file:PATH` or\n" +
	"`credential:NAME`, never as themselves.\n"

// writeConfig writes the fields of the node file, the spec and the webhook file,
// and of all that they hold.
func writeConfig(w io.Writer, all *protoregistry.Files) error {
	var b strings.Builder
	b.WriteString(configHead)
	seen := map[protoreflect.FullName]bool{}
	for _, root := range []struct {
		name, title string
	}{{"NodeConfig", "The node file"}, {"Spec", "The spec"}, {"WebhookConfig", "The webhook file"}} {
		d, err := all.FindDescriptorByName(contract.Append(protoreflect.Name(root.name)))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n# %s\n", root.title)
		if root.name == "NodeConfig" {
			overrides(&b)
		}
		section(&b, d.(protoreflect.MessageDescriptor), seen)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// overrides lists the flags and variables of the node file's single values.
func overrides(b *strings.Builder) {
	b.WriteString("\n| field | flag | variable |\n|---|---|---|\n")
	for _, path := range config.NodeFields() {
		fmt.Fprintf(b, "| `%s` | `--%s` | `%s` |\n", path, config.FlagName(path), config.EnvName(path))
	}
}

// section writes one message, then those that it holds, each once.
func section(b *strings.Builder, m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	if seen[m.FullName()] || m.ParentFile().Package() != contract {
		return
	}
	seen[m.FullName()] = true
	message(b, m)
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.IsMap() {
			f = f.MapValue()
		}
		switch {
		case f.Message() != nil:
			section(b, f.Message(), seen)
		case f.Enum() != nil && !seen[f.Enum().FullName()]:
			seen[f.Enum().FullName()] = true
			words(b, f.Enum())
		}
	}
}

// words lists an enum's values as they are written in YAML.
func words(b *strings.Builder, e protoreflect.EnumDescriptor) {
	prefix := strings.TrimSuffix(string(e.Values().Get(0).Name()), "UNSPECIFIED")
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| value | meaning |\n|---|---|\n", e.Name(), comment(e))
	for i := 1; i < e.Values().Len(); i++ {
		v := e.Values().Get(i)
		fmt.Fprintf(b, "| `%s` | %s |\n", strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix)), cellText(v))
	}
}
