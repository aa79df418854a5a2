package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pointsman/pointsman/internal/near"
)

// walker goes over the YAML tree with the message's descriptor beside it. It
// notes where each field stands, and finds what protoyaml lets pass or tells
// less well: keys that are unknown, written twice, or exclude each other.
type walker struct {
	spans    map[string]span
	kinds    map[place]found // what stands at a value's place
	problems []Problem
	touched  map[string]bool // paths that are wrong already, as written or as meant
}

// found is a field and the path at which the file sets it.
type found struct {
	path string
	kind protoreflect.FieldDescriptor
	list bool // the field's whole list or map rather than one of its elements
	node *yaml.Node
}

func newWalker() *walker {
	return &walker{spans: map[string]span{}, kinds: map[place]found{}, touched: map[string]bool{}}
}

func at(n *yaml.Node) place { return place{n.Line, n.Column} }

func (w *walker) tell(p Problem) {
	w.problems = append(w.problems, p)
	w.touched[p.Path] = true
}

// message walks a mapping that holds the fields of one message.
func (w *walker) message(node *yaml.Node, desc protoreflect.MessageDescriptor, path string) {
	if node.Kind != yaml.MappingNode {
		return // protoyaml tells it
	}
	seen := map[protoreflect.FieldNumber]place{}
	kinds := map[protoreflect.Name]protoreflect.Name{}
	unknown := map[string]place{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		fd := fieldNamed(desc, key.Value)
		if fd == nil {
			w.unknown(key, desc, path, unknown)
			continue
		}
		full := field(path, string(fd.Name()))
		if first, again := seen[fd.Number()]; again {
			w.twice(full, key, first)
			continue
		}
		seen[fd.Number()] = at(key)
		w.exclusive(fd, kinds, key, full)
		w.spans[full] = span{at(key), at(value)}
		w.value(value, fd, full)
	}
}

func (w *walker) unknown(key *yaml.Node, desc protoreflect.MessageDescriptor, path string, seen map[string]place) {
	full := field(path, key.Value)
	if first, again := seen[key.Value]; again {
		w.twice(full, key, first)
		return
	}
	seen[key.Value] = at(key)
	names := fieldNames(desc)
	message := fmt.Sprintf("unknown field; known are %s", strings.Join(names, ", "))
	if meant := near.Word(key.Value, names); meant != "" {
		message = fmt.Sprintf("unknown field; did you mean %q?", meant)
		w.touch(desc, path, meant)
	}
	w.tell(Problem{Path: full, Message: message, at: at(key)})
}

// touch marks the field that was meant, so that it is not reported as missing
// on top of being misspelt.
func (w *walker) touch(desc protoreflect.MessageDescriptor, path, name string) {
	w.touched[field(path, name)] = true
	if of := desc.Fields().ByName(protoreflect.Name(name)).ContainingOneof(); of != nil {
		w.touched[field(path, string(of.Name()))] = true
	}
}

func (w *walker) twice(path string, key *yaml.Node, first place) {
	w.tell(Problem{
		Path:    path,
		Message: fmt.Sprintf("written twice; first in line %d, column %d", first.line, first.col),
		at:      at(key),
	})
}

// exclusive tells the second field of a oneof.
func (w *walker) exclusive(fd protoreflect.FieldDescriptor, kinds map[protoreflect.Name]protoreflect.Name, key *yaml.Node, path string) {
	of := fd.ContainingOneof()
	if of == nil || of.IsSynthetic() {
		return
	}
	if first, again := kinds[of.Name()]; again {
		w.tell(Problem{Path: path, Message: fmt.Sprintf("only one of %s may be set, and %s is", oneofNames(of), first), at: at(key)})
		return
	}
	kinds[of.Name()] = fd.Name()
}

func (w *walker) value(node *yaml.Node, fd protoreflect.FieldDescriptor, path string) {
	w.kinds[at(node)] = found{path, fd, fd.IsList() || fd.IsMap(), node}
	switch {
	case fd.IsList() && node.Kind == yaml.SequenceNode:
		for i, element := range node.Content {
			w.element(element, fd, item(path, i), span{value: at(element)})
		}
	case fd.IsMap() && node.Kind == yaml.MappingNode:
		w.mapping(node, fd, path)
	case !fd.IsList() && !fd.IsMap() && fd.Message() != nil:
		w.message(node, fd.Message(), path)
	}
}

func (w *walker) mapping(node *yaml.Node, fd protoreflect.FieldDescriptor, path string) {
	quoted := fd.MapKey().Kind() == protoreflect.StringKind
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		full := entry(path, key.Value, quoted)
		if first, again := w.spans[full]; again {
			w.twice(full, key, first.key)
			continue
		}
		w.kinds[at(key)] = found{full, fd.MapKey(), false, key}
		w.element(value, fd.MapValue(), full, span{at(key), at(value)})
	}
}

// element walks one element of a list or map.
func (w *walker) element(node *yaml.Node, fd protoreflect.FieldDescriptor, path string, s span) {
	w.spans[path] = s
	w.kinds[at(node)] = found{path, fd, false, node}
	if fd.Message() != nil {
		w.message(node, fd.Message(), path)
	}
}
