package layout

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Fault is one place where the tree breaks a rule.
type Fault struct {
	Where string // file:line, or a folder
	What  string
}

func (f Fault) String() string { return f.Where + ": " + f.What }

// Tree is the syntax of every Go file of one module.
type Tree struct {
	module string
	set    *token.FileSet
	files  []file
}

type file struct {
	name      string // from the module's root, with slashes
	dir       string
	test      bool
	generated bool
	syntax    *ast.File
	lines     int
}

// Read parses the module at the root of fsys. It skips hidden folders,
// testdata, bin and nested modules.
func Read(fsys fs.FS) (*Tree, error) {
	module, err := moduleName(fsys)
	if err != nil {
		return nil, err
	}
	t := &Tree{module: module, set: token.NewFileSet()}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && skipped(fsys, name):
			return fs.SkipDir
		case !d.IsDir() && path.Ext(name) == ".go":
			return t.add(fsys, name)
		}
		return nil
	})
	return t, err
}

func skipped(fsys fs.FS, dir string) bool {
	base := path.Base(dir)
	if base[0] == '.' || base[0] == '_' || base == "testdata" || dir == "bin" {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

func (t *Tree) add(fsys fs.FS, name string) error {
	source, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(t.set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("read tree: %w", err)
	}
	t.files = append(t.files, file{
		name:      name,
		dir:       path.Dir(name),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(syntax),
		syntax:    syntax,
		lines:     bytes.Count(source, []byte("\n")),
	})
	return nil
}

func moduleName(fsys fs.FS) (string, error) {
	source, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return "", fmt.Errorf("read tree: %w", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(source)); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "module "); ok {
			return strings.TrimSpace(name), nil
		}
	}
	return "", fmt.Errorf("read tree: go.mod names no module")
}

func (t *Tree) fault(at token.Pos, format string, args ...any) Fault {
	p := t.set.Position(at)
	return Fault{fmt.Sprintf("%s:%d", p.Filename, p.Line), fmt.Sprintf(format, args...)}
}

// own gives the folder of an import of this module; false for others.
func (t *Tree) own(importPath string) (string, bool) {
	if importPath == t.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.module+"/")
}

// Faults runs every rule.
func (t *Tree) Faults() []Fault {
	return slices.Concat(t.Floors(), t.Docs(), t.Sizes(), t.Inits(), t.Purity())
}
