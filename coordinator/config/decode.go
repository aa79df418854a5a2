package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"buf.build/go/protoyaml"
	goccy "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// LoadSpec reads a spec from a file. A spec with problems is an *InvalidError;
// the File is answered with it, when the file could be read at all.
func LoadSpec(name string) (*pointsmanv1.Spec, *File, error) {
	source, err := read(name)
	if err != nil {
		return nil, nil, err
	}
	return ParseSpec(name, source)
}

// ParseSpec reads a spec from bytes; name stands in the places of problems.
func ParseSpec(name string, source []byte) (*pointsmanv1.Spec, *File, error) {
	spec := &pointsmanv1.Spec{}
	file, problems, touched := decode(name, source, spec)
	problems = append(problems, validate(spec, touched)...)
	if err := file.Invalid(problems); err != nil {
		return nil, file, err
	}
	return spec, file, nil
}

// read reads a whole file of at most MaxFileBytes.
func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	source, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if len(source) > MaxFileBytes {
		return nil, fmt.Errorf("read configuration %s: %w: at most %d bytes", name, ErrTooLarge, MaxFileBytes)
	}
	return source, nil
}

// decode fills the message as far as it can be filled, and answers what is
// wrong with the form; touched are the paths that need no second complaint.
// A nil map says that nothing was filled, so that no rule can be judged.
func decode(name string, source []byte, into proto.Message) (*File, []Problem, map[string]bool) {
	file := &File{name: name, source: source, spans: map[string]span{}}
	text, problem := plain(source)
	if problem != nil {
		return file, []Problem{*problem}, nil
	}
	root, problems := parse(text)
	if problems != nil {
		return file, problems, nil
	}
	w := newWalker()
	w.spans[""] = span{value: at(root)}
	w.message(root, into.ProtoReflect().Descriptor(), "")
	file.spans = w.spans
	err := protoyaml.UnmarshalOptions{
		DiscardUnknown:    true, // the walker tells them
		CustomUnmarshaler: spelling{},
	}.Unmarshal(text, into)
	w.explain(err)
	return file, w.problems, w.touched
}

// plain answers the text with line feeds only, and refuses what the parsers
// below do not agree on: other line breaks, control characters, broken UTF-8.
func plain(source []byte) ([]byte, *Problem) {
	text := bytes.ReplaceAll(source, []byte("\r\n"), []byte("\n"))
	line, col := 1, 1
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == '\n':
			line, col = line+1, 0
		case r == utf8.RuneError && size == 1:
			return nil, &Problem{Message: "not UTF-8", at: place{line, col}}
		case unicode.IsControl(r) && r != '\t', r == '\u2028', r == '\u2029', r == '\ufeff':
			return nil, &Problem{Message: fmt.Sprintf("must not hold the character %U", r), at: place{line, col}}
		}
		rest, col = rest[size:], col+1
	}
	// protoyaml looks up the line of each error, and an empty value at the end
	// stands in the line after it.
	return append(text, "\n\n"...), nil
}

// parse checks the syntax, and answers the root mapping of the only document.
func parse(source []byte) (*yaml.Node, []Problem) {
	parsed, err := parser.ParseBytes(source, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, []Problem{syntaxProblem(err)}
	}
	if n := len(parsed.Docs); n > 1 {
		return nil, []Problem{{Message: fmt.Sprintf("holds %d YAML documents, must hold one", n)}}
	}
	var refs references
	for _, doc := range parsed.Docs {
		ast.Walk(&refs, doc)
	}
	if len(refs) > 0 {
		return nil, refs
	}
	var document yaml.Node
	if err := yaml.Unmarshal(source, &document); err != nil {
		return nil, []Problem{{Message: err.Error()}}
	}
	if len(document.Content) == 0 {
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}, nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, []Problem{{Message: "must be a mapping of fields to values", at: at(root)}}
	}
	return root, nil
}

// references gathers anchors and aliases. protoyaml takes no aliases, and the
// name of one may be a secret that somebody forgot to quote.
type references []Problem

// Visit implements ast.Visitor.
func (r *references) Visit(node ast.Node) ast.Visitor {
	if node == nil { // the body of an empty document
		return nil
	}
	switch node.Type() {
	case ast.AliasType, ast.AnchorType:
		position := node.GetToken().Position
		*r = append(*r, Problem{
			Message: "anchors (&) and aliases (*) are not supported; quote a value that begins with one of them",
			at:      place{position.Line, position.Column},
		})
	}
	return r
}

// syntaxProblem keeps the position and the words of the parser, but not its
// excerpt, which may show a secret.
func syntaxProblem(err error) Problem {
	var syntax goccy.Error
	if !errors.As(err, &syntax) {
		return Problem{Message: err.Error()}
	}
	p := Problem{Message: "not YAML: " + syntax.GetMessage()}
	if token := syntax.GetToken(); token != nil && token.Position != nil {
		p.at = place{token.Position.Line, token.Position.Column}
	}
	return p
}

// explain tells what protoyaml refused. Its errors carry their place in front
// and a cause that speaks of types; the field at that place says it better.
func (w *walker) explain(err error) {
	for _, one := range unjoin(err) {
		var at place
		if _, scan := fmt.Sscanf(one.Error(), ":%d:%d", &at.line, &at.col); scan != nil {
			w.tell(Problem{Message: one.Error()})
			continue
		}
		f, ok := w.kinds[at]
		switch {
		case !ok && w.told(at):
		case !ok:
			w.tell(Problem{Message: errors.Unwrap(one).Error(), at: at})
		case !w.touched[f.path]:
			w.tell(Problem{Path: f.path, Message: refused(f), at: at})
		}
	}
}

func (w *walker) told(at place) bool {
	for _, p := range w.problems {
		if p.at == at {
			return true
		}
	}
	return false
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// spelling lets enum values be written in their short form, and sizes with
// their unit in full (MiB; protoyaml knows Mi). It rewrites the tree just
// before protoyaml reads the message, so that every place stays.
type spelling struct{}

// Unmarshal never decodes anything itself.
func (spelling) Unmarshal(node *yaml.Node, message proto.Message) (bool, error) {
	if node.Kind != yaml.MappingNode {
		return false, nil
	}
	desc := message.ProtoReflect().Descriptor()
	for i := 0; i+1 < len(node.Content); i += 2 {
		fd, value := fieldNamed(desc, node.Content[i].Value), node.Content[i+1]
		if fd == nil || fd.IsList() || fd.IsMap() {
			continue
		}
		switch fd.Kind() {
		case protoreflect.EnumKind:
			if long, ok := longEnum(fd.Enum(), value.Value); ok {
				value.Value = long
			}
		case protoreflect.Uint64Kind:
			if size := strings.TrimSuffix(value.Value, "B"); size != strings.TrimRight(size, "ikMGTPE") {
				value.Value = size
			}
		}
	}
	return false, nil
}
