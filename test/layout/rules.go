package layout

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Budgets. "// size: reason" lifts one: beside the package clause for a file,
// in the comment of a function or an interface for these.
const (
	MaxFileLines        = 400
	MaxFuncLines        = 50 // from func to the closing brace
	MaxInterfaceMethods = 4
)

// Docs finds packages without exactly one package comment.
func (t *Tree) Docs() []Fault {
	documented := map[string][]string{}
	for _, f := range t.files {
		if f.test {
			continue
		}
		files := documented[f.dir] // a folder of generated files only counts too
		if !f.generated && f.syntax.Doc != nil {
			files = append(files, f.name)
		}
		documented[f.dir] = files
	}
	var faults []Fault
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		switch files := documented[dir]; len(files) {
		case 1:
		case 0:
			faults = append(faults, Fault{dir, "has no package comment"})
		default:
			faults = append(faults, Fault{dir, "has more than one package comment: " + strings.Join(files, ", ")})
		}
	}
	return faults
}

// Sizes finds what has outgrown its budget without a reason.
func (t *Tree) Sizes() []Fault {
	var faults []Fault
	for _, f := range t.files {
		if f.test || f.generated {
			continue
		}
		if f.lines > MaxFileLines && !t.fileExcused(f) {
			faults = append(faults, Fault{f.name, fmt.Sprintf("has %d lines, at most %d", f.lines, MaxFileLines)})
		}
		for _, d := range f.syntax.Decls {
			faults = append(faults, t.declSizes(d)...)
		}
	}
	return faults
}

func (t *Tree) declSizes(d ast.Decl) []Fault {
	switch d := d.(type) {
	case *ast.FuncDecl:
		lines := t.set.Position(d.End()).Line - t.set.Position(d.Pos()).Line + 1
		if lines > MaxFuncLines && !excused(d.Doc) {
			return []Fault{t.fault(d.Pos(), "%s has %d lines, at most %d", d.Name.Name, lines, MaxFuncLines)}
		}
	case *ast.GenDecl:
		return t.interfaceSizes(d)
	}
	return nil
}

func (t *Tree) interfaceSizes(d *ast.GenDecl) []Fault {
	var faults []Fault
	for _, s := range d.Specs {
		spec, ok := s.(*ast.TypeSpec)
		if !ok {
			continue
		}
		i, ok := spec.Type.(*ast.InterfaceType)
		if n := methods(i); ok && n > MaxInterfaceMethods && !excused(d.Doc) && !excused(spec.Doc) {
			faults = append(faults, t.fault(spec.Pos(), "%s has %d methods, at most %d", spec.Name.Name, n, MaxInterfaceMethods))
		}
	}
	return faults
}

// methods counts; an embedded interface counts as one.
func methods(i *ast.InterfaceType) int {
	if i == nil {
		return 0
	}
	n := 0
	for _, m := range i.Methods.List {
		n += max(1, len(m.Names))
	}
	return n
}

// excused reports whether a comment gives a reason for its size.
func excused(comments ...*ast.CommentGroup) bool {
	for _, group := range comments {
		if group == nil {
			continue
		}
		for _, c := range group.List {
			if reason, ok := strings.CutPrefix(c.Text, "// size:"); ok && strings.TrimSpace(reason) != "" {
				return true
			}
		}
	}
	return false
}

// fileExcused looks at the comments above the first declaration.
func (t *Tree) fileExcused(f file) bool {
	for _, group := range f.syntax.Comments {
		if len(f.syntax.Decls) > 0 && group.Pos() > f.syntax.Decls[0].Pos() {
			break
		}
		if excused(group) {
			return true
		}
	}
	return false
}

// Inits finds init functions: what runs before main cannot be tested, ordered
// or refused.
func (t *Tree) Inits() []Fault {
	var faults []Fault
	for _, f := range t.files {
		if f.generated {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				faults = append(faults, t.fault(fn.Pos(), "init function"))
			}
		}
	}
	return faults
}

// pureRoom decides; the same entries must give the same state on each node.
const pureRoom = "fsm"

// impure are packages that pureRoom may not import at all.
func impure() []string {
	return []string{"crypto/rand", "io", "io/fs", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/exec", "runtime", "sync", "sync/atomic", "syscall", "testing/synctest", "context"}
}

// clocks are the functions of package time that read or wait for a clock.
func clocks() []string {
	return []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}
}

// Purity finds what would make the state machine depend on anything but its
// entries.
func (t *Tree) Purity() []Fault {
	var faults []Fault
	for _, f := range t.files {
		if f.test || f.dir != pureRoom && !strings.HasPrefix(f.dir, pureRoom+"/") {
			continue
		}
		clock := ""
		for _, spec := range f.syntax.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if slices.Contains(impure(), path) {
				faults = append(faults, t.fault(spec.Pos(), "%s imports %s", pureRoom, path))
			}
			if path == "time" {
				clock = "time"
				if spec.Name != nil {
					clock = spec.Name.Name
				}
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if at, what := impurity(n, clock); what != "" {
				faults = append(faults, t.fault(at, "%s %s", pureRoom, what))
			}
			return true
		})
	}
	return faults
}

func impurity(n ast.Node, clock string) (token.Pos, string) {
	switch n := n.(type) {
	case *ast.GoStmt:
		return n.Pos(), "starts a goroutine"
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && x.Name == clock && slices.Contains(clocks(), n.Sel.Name) {
			return n.Pos(), "reads a clock: time." + n.Sel.Name
		}
	}
	return token.NoPos, ""
}
