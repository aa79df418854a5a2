package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Sizes of a page.
const (
	defaultPage = 100
	maxPage     = 1000
)

// paged is a List request.
type paged interface {
	GetPageSize() int32
	GetPageToken() string
}

// ranked is one item with the key that it is listed by. The key never changes
// during the item's life, so a page that begins after a key leaves nothing out
// and repeats nothing, whatever happens between two pages.
type ranked[T any] struct {
	key  string
	item T
}

// page cuts one page out of the items and names the next one. The token holds
// the last key of the page and a mark of the filter that it belongs to.
func page[T any](items []ranked[T], req paged, scope string) (cut []T, next string, err error) {
	size := int(req.GetPageSize())
	switch {
	case size < 0:
		return nil, "", invalid("page_size", "must not be negative")
	case size == 0:
		size = defaultPage
	}
	size = min(size, maxPage)
	after, begun, err := parsePage(req.GetPageToken(), scope)
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(items, func(a, b ranked[T]) int { return strings.Compare(a.key, b.key) })
	if begun {
		at, found := slices.BinarySearchFunc(items, after, func(r ranked[T], key string) int { return strings.Compare(r.key, key) })
		if found {
			at++
		}
		items = items[at:]
	}
	more := len(items) > size
	items = items[:min(size, len(items))]
	for _, r := range items {
		cut = append(cut, r.item)
	}
	if more {
		next = pageToken(items[len(items)-1].key, scope)
	}
	return cut, next, nil
}

const scopeBytes = 8

func scopeMark(scope string) []byte {
	sum := sha256.Sum256([]byte(scope))
	return sum[:scopeBytes]
}

func pageToken(key, scope string) string {
	return base64.RawURLEncoding.EncodeToString(append(scopeMark(scope), key...))
}

func parsePage(token, scope string) (after string, begun bool, err error) {
	if token == "" {
		return "", false, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < scopeBytes {
		return "", false, invalid("page_token", "not a token of this API")
	}
	if string(raw[:scopeBytes]) != string(scopeMark(scope)) {
		return "", false, invalid("page_token", "belongs to another list or filter")
	}
	return string(raw[scopeBytes:]), true, nil
}

// newest ranks high numbers first.
func newest(n uint64) string { return fmt.Sprintf("%020d", math.MaxUint64-n) }

// cursor is the place up to which a watch has told everything.
type cursor struct {
	cluster    string
	generation uint16
	index      uint64
}

const cursorVersion = 1

// token is the opaque form of a cursor.
func (c cursor) token() string {
	raw := []byte{cursorVersion}
	raw = binary.BigEndian.AppendUint16(raw, c.generation)
	raw = binary.BigEndian.AppendUint64(raw, c.index)
	return base64.RawURLEncoding.EncodeToString(append(raw, c.cluster...))
}

func parseCursor(token string) (cursor, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < 11 || raw[0] != cursorVersion {
		return cursor{}, invalid("resume_token", "not a token of this API")
	}
	return cursor{
		generation: binary.BigEndian.Uint16(raw[1:3]),
		index:      binary.BigEndian.Uint64(raw[3:11]),
		cluster:    string(raw[11:]),
	}, nil
}
