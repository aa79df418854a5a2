package config

import (
	"fmt"
	"strconv"
	"strings"
)

// A field path is written as protovalidate writes it: names joined by dots,
// list indexes and map keys in brackets, string keys quoted as in Go.

func field(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func entry(path, key string, quoted bool) string {
	if quoted {
		key = strconv.Quote(key)
	}
	return path + "[" + key + "]"
}

// parent cuts the last part off; the parent of a bare name is the root, "".
func parent(path string) string {
	last := 0
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '.':
			last = i
		case '[':
			last = i
			i += len(bracketed(path[i:])) - 1
		}
	}
	return path[:last]
}

// bracketed is the text up to the bracket that closes the first one. A bracket
// inside of a quoted key closes nothing.
func bracketed(s string) string {
	if key, err := strconv.QuotedPrefix(s[1:]); err == nil {
		return s[:min(len(s), 1+len(key)+1)]
	}
	if end := strings.IndexByte(s, ']'); end >= 0 {
		return s[:end+1]
	}
	return s
}

// within reports whether the path is that of outer or of something inside it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}
