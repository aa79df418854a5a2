package buffer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// tidyAge is the age from which a temporary file belongs to nobody.
const tidyAge = time.Hour

// List implements Store.
func (d *Dir) List(ctx context.Context, prefix, after string, limit int) ([]Info, bool, error) {
	if limit < 1 || limit > 1000 {
		return nil, false, fmt.Errorf("limit of a list is %d, must be 1 to 1000: %w", limit, ErrRefused)
	}
	w := listing{ctx: ctx, prefix: prefix, after: after, limit: limit}
	err := w.walk(filepath.Join(d.root, "objects"), "")
	if errors.Is(err, errFull) {
		return w.page, true, nil
	}
	return w.page, false, err
}

// errFull ends a walk whose page is full.
var errFull = errors.New("page is full")

type listing struct {
	ctx           context.Context
	prefix, after string
	limit         int
	page          []Info
}

// walk visits a folder whose keys begin with at, in order of the keys: os.ReadDir
// sorts by name, and "/" sorts before every letter of a key but dot and dash.
// A file and a folder whose names differ by such an end only are told apart by
// comparing with the slash.
func (w *listing) walk(folder, at string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = w.ctx.Err()
	}
	if err != nil {
		return err
	}
	for _, e := range inKeyOrder(entries) {
		key := at + e.name
		if e.shelf {
			key = at + strings.TrimSuffix(e.Name(), shelfMark)
		}
		if e.IsDir() {
			if w.mayHold(key) {
				if e.shelf {
					err = w.walk(filepath.Join(folder, e.Name()), at)
				} else {
					err = w.walk(filepath.Join(folder, e.Name()), key)
				}
			}
		} else {
			err = w.take(key, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mayHold reports whether keys that begin with start can belong to the page.
func (w *listing) mayHold(start string) bool {
	if !strings.HasPrefix(start, w.prefix) && !strings.HasPrefix(w.prefix, start) {
		return false
	}
	return start > w.after || strings.HasPrefix(w.after, start)
}

func (w *listing) take(key string, e fs.DirEntry) error {
	if !strings.HasPrefix(key, w.prefix) || key <= w.after {
		return nil
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	if len(w.page) == w.limit {
		return errFull
	}
	w.page = append(w.page, Info{Key: key, Size: info.Size(), Modified: info.ModTime()})
	return nil
}

// entry is a directory entry with the name that its keys go on with.
type entry struct {
	fs.DirEntry
	name  string
	shelf bool
}

func inKeyOrder(entries []fs.DirEntry) []entry {
	out := make([]entry, 0, len(entries))
	for _, e := range entries {
		shelf := strings.HasSuffix(e.Name(), shelfMark)
		name := e.Name()
		if e.IsDir() && !shelf {
			name += "/"
		}
		out = append(out, entry{DirEntry: e, name: name, shelf: shelf})
	}
	slices.SortFunc(out, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return out
}
