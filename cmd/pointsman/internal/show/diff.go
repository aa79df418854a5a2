package show

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Change is one difference between two configurations.
type Change struct {
	Path     string
	Old, New string // empty for what is not there
	Values   int    // of an element that is new or gone as a whole; else 0
}

// folded makes one change of an element that is new or gone as a whole.
func folded(all []Change, before, after leaves) []Change {
	had, has := before.elements(), after.elements()
	var kept []Change
	place := map[string]int{} // in kept, of an element
	for _, c := range all {
		other := had
		if c.New == "" {
			other = has
		}
		root := ""
		if c.Old == "" || c.New == "" {
			root = outermost(c.Path, other)
		}
		if at, known := place[root]; known && root != "" {
			kept[at].Values++
			continue
		}
		if root != "" && root != c.Path {
			place[root] = len(kept)
			c.Path, c.Values = root, 1
		}
		kept = append(kept, c)
	}
	return kept
}

// elements are the list elements and map entries that hold any value.
func (l leaves) elements() map[string]bool {
	all := map[string]bool{}
	for path := range l {
		for i := range len(path) {
			if closes(path, i) {
				all[path[:i+1]] = true
			}
		}
	}
	return all
}

// outermost is the outermost element around path that the other side lacks;
// empty when there is none.
func outermost(path string, other map[string]bool) string {
	for i := range len(path) {
		if closes(path, i) && !other[path[:i+1]] {
			return path[:i+1]
		}
	}
	return ""
}

// closes reports whether an element's key ends at i. Keys may hold "]" but
// not "].".
func closes(path string, i int) bool {
	return path[i] == ']' && (i+1 == len(path) || path[i+1] == '.')
}

// Changes compares two messages field by field, in the order of their paths.
// Elements of a list are matched by their id, name, stage or address.
func Changes(old, fresh proto.Message) []Change {
	before, after := leaves{}, leaves{}
	before.message("", old.ProtoReflect())
	after.message("", fresh.ProtoReflect())
	var all []Change
	for path, was := range before {
		is, kept := after[path]
		if is == was || isOrder(path) && (!kept || !sameWords(is, was)) {
			continue
		}
		all = append(all, Change{Path: path, Old: was, New: is})
	}
	for path, is := range after {
		if _, had := before[path]; !had && !isOrder(path) {
			all = append(all, Change{Path: path, New: is})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Path < all[j].Path })
	return folded(all, before, after)
}

// Difference writes what differs between two specs, for people or programs.
func (p *Printer) Difference(h *pointsmanv1.ResponseHeader, from, to string, all []Change) error {
	if !p.Format.ForPeople() {
		list := make([]map[string]string, 0, len(all))
		for _, c := range all {
			list = append(list, map[string]string{"path": c.Path, "old": c.Old, "new": c.New})
		}
		return p.Object([]Part{{"from", from}, {"to", to}, {"changes", list}})
	}
	p.Header(h)
	p.Changes(all)
	if len(all) == 0 {
		p.printf("%s and %s do not differ\n", from, to)
	} else {
		fmt.Fprintf(p.Talk, "%s from %s to %s\n", count(len(all), "change"), from, to)
	}
	return nil
}

// Changes writes what an apply changes.
func (p *Printer) Changes(all []Change) {
	for _, c := range all {
		switch {
		case c.Values > 0 && c.Old == "":
			p.printf("%s\n", p.paint(good, "+ "+c.Path+"  ("+count(c.Values, "value")+")"))
		case c.Values > 0:
			p.printf("%s\n", p.paint(bad, "- "+c.Path+"  ("+count(c.Values, "value")+")"))
		case c.Old == "":
			p.printf("%s\n", p.paint(good, "+ "+c.Path+" = "+oneLine(c.New)))
		case c.New == "":
			p.printf("%s\n", p.paint(bad, "- "+c.Path+" = "+oneLine(c.Old)))
		default:
			p.printf("%s\n", p.paint(warn, "~ "+c.Path+" = "+oneLine(c.New)+"  (was "+oneLine(c.Old)+")"))
		}
	}
}

// leaves are the single values of a message by their path.
type leaves map[string]string

func (l leaves) message(path string, m protoreflect.Message) {
	if d, ok := m.Interface().(*durationpb.Duration); ok {
		l[path] = d.AsDuration().String()
		return
	}
	empty := true
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		empty = false
		l.field(strings.TrimPrefix(path+"."+string(f.Name()), "."), f, v)
		return true
	})
	if empty && path != "" {
		l[path] = "{}"
	}
}

func (l leaves) field(path string, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch {
	case f.IsList():
		l.list(path, f, v.List())
	case f.IsMap():
		v.Map().Range(func(k protoreflect.MapKey, e protoreflect.Value) bool {
			l.value(fmt.Sprintf("%s[%s]", path, k.String()), f.MapValue(), e)
			return true
		})
	default:
		l.value(path, f, v)
	}
}

func (l leaves) list(path string, f protoreflect.FieldDescriptor, all protoreflect.List) {
	var order []string
	for i := range all.Len() {
		if f.Message() == nil {
			order = append(order, fmt.Sprint(all.Get(i).Interface()))
			continue
		}
		key := keyOf(all.Get(i).Message(), i)
		order = append(order, key)
		l.message(fmt.Sprintf("%s[%s]", path, key), all.Get(i).Message())
	}
	if f.Message() == nil {
		l[path] = strings.Join(order, ", ")
		return
	}
	l[path+orderMark] = strings.Join(order, ", ")
}

func (l leaves) value(path string, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		l.message(path, v.Message())
	case protoreflect.EnumKind:
		d := f.Enum().Values().ByNumber(v.Enum())
		prefix := strings.TrimSuffix(string(f.Enum().Values().Get(0).Name()), "UNSPECIFIED")
		l[path] = strings.ToLower(strings.TrimPrefix(string(d.Name()), prefix))
	default:
		l[path] = fmt.Sprint(v.Interface())
	}
}

// keyOf is the name of a list's element; its place when it has none.
func keyOf(m protoreflect.Message, i int) string {
	for _, name := range []protoreflect.Name{"id", "name", "stage", "address"} {
		if f := m.Descriptor().Fields().ByName(name); f != nil && f.Kind() == protoreflect.StringKind && m.Get(f).String() != "" {
			return m.Get(f).String()
		}
	}
	return fmt.Sprint(i)
}

// orderMark ends the path under which the order of a list stands. It is told
// only when nothing but the order has changed.
const orderMark = " (order)"

func isOrder(path string) bool { return strings.HasSuffix(path, orderMark) }

func sameWords(a, b string) bool {
	x, y := strings.Split(a, ", "), strings.Split(b, ", ")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
