package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of what is read and told.
const (
	MaxFileBytes = 1 << 20 // as ApplySpecRequest.source
	MaxProblems  = 100     // told of one file; the rest is counted
)

// ErrTooLarge is returned when a file holds more than MaxFileBytes.
var ErrTooLarge = errors.New("file is too large")

// Problem is one thing that is wrong. Path is a field path such as
// masters[0].plan[0].steps[1].ovh_iplb.farms["10.0.1.20:6379"]; empty means
// the file as a whole. Message says what is wrong, the value and what is
// allowed; it never holds a secret.
type Problem struct {
	Path    string
	Message string

	at  place // where the path does not tell: a syntax error, a second key
	key bool  // the key of a map entry is wrong, not its value
}

type place struct{ line, col int }

func (p place) known() bool { return p.line > 0 }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.line, q.line), cmp.Compare(p.col, q.col))
}

// span is where a field stands: its key, and the value beside or below it.
type span struct{ key, value place }

// File is a configuration that was read, and the place of each of its fields.
// It does not change after it was read; any number of goroutines may use it.
type File struct {
	name    string
	source  []byte
	spans   map[string]span
	outside map[string]string // fields that a flag or the environment set, and which one
}

// Name is the path that the file was read from.
func (f *File) Name() string { return f.name }

// Source is the text as it was read. The caller must not change it.
func (f *File) Source() []byte { return f.source }

// Has reports whether the file itself sets the field.
func (f *File) Has(path string) bool {
	_, ok := f.spans[path]
	return ok
}

// Locate renders a problem as "file:line:col: path: message". A field that is
// not in the file is placed at the nearest one around it.
func (f *File) Locate(p Problem) string {
	where := f.where(p)
	if p.Path == "" {
		return where + ": " + p.Message
	}
	return where + ": " + p.Path + ": " + p.Message
}

func (f *File) where(p Problem) string {
	if by, ok := f.outside[p.Path]; ok {
		return by
	}
	at := f.place(p)
	if !at.known() {
		return f.name
	}
	return fmt.Sprintf("%s:%d:%d", f.name, at.line, at.col)
}

func (f *File) place(p Problem) place {
	if p.at.known() {
		return p.at
	}
	for path := p.Path; ; path = parent(path) {
		s, ok := f.spans[path]
		switch {
		case ok && p.key && path == p.Path && s.key.known():
			return s.key
		case ok:
			return s.value
		case path == "":
			return place{}
		}
	}
}

// Invalid makes one error of the problems, in the order of the file; nil when
// there are none. Problems of the same place and text are told once.
func (f *File) Invalid(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	sorted := slices.Clone(problems)
	slices.SortStableFunc(sorted, func(a, b Problem) int { return f.place(a).compare(f.place(b)) })
	return &InvalidError{File: f, Problems: slices.Compact(sorted)}
}

// InvalidError is returned when a configuration has problems. Its text has one
// line for each.
type InvalidError struct {
	File     *File
	Problems []Problem // in the order of the file
}

func (e *InvalidError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i == MaxProblems {
			fmt.Fprintf(&b, "%s: and %d more\n", e.File.name, len(e.Problems)-i)
			break
		}
		fmt.Fprintln(&b, e.File.Locate(p))
	}
	if n := len(e.Problems); n == 1 {
		b.WriteString("1 problem")
	} else {
		fmt.Fprintf(&b, "%d problems", n)
	}
	return b.String()
}
