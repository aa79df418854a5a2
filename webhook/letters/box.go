package letters

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// Kind is where a letter stands.
type Kind string

// Kinds of letters.
const (
	Dead       Kind = "dead"       // a worker has given the event up
	Quarantine Kind = "quarantine" // it has the id of another event and another body
	Dropped    Kind = "dropped"    // a person has deleted it; the record of that
)

func (k Kind) prefix() string {
	switch k {
	case Quarantine:
		return webhook.PrefixQuarantine
	case Dropped:
		return webhook.PrefixDropped
	case Dead:
	}
	return webhook.PrefixDead
}

// MaxLetters is how many letters of a kind are looked at, the first ones in order
// of their keys. 200 bytes of memory each.
const MaxLetters = 1 << 20

const listPage = 1000

// Ref names a letter.
type Ref struct {
	ID       string // 64 hex digits; of a dead letter the key of its event
	Kind     Kind
	Key      string    // of the object
	Older    []string  // keys of objects for the same event, put there under older tokens
	Modified time.Time // by the store's clock
}

// Box is all letters of one kind. Its methods may be called by any number of
// goroutines and programs at once.
type Box struct {
	Store buffer.Store
	Kind  Kind
}

// Index names the letters, the oldest first by the store's clock. With a shop
// and its app it reads no more than that shop's part. more says that there are
// more than MaxLetters.
func (b Box) Index(ctx context.Context, f Filter) (refs []Ref, more bool, err error) {
	refs, more, err = b.scan(ctx, f.prefix(b.Kind), func(Ref) bool { return true })
	slices.SortStableFunc(refs, func(a, b Ref) int { return cmp.Or(a.Modified.Compare(b.Modified), strings.Compare(a.Key, b.Key)) })
	return refs, more, err
}

// Any reports whether there is a letter.
func (b Box) Any(ctx context.Context) (bool, error) {
	page, _, err := b.Store.List(ctx, b.Kind.prefix(), "", 1)
	return len(page) > 0, err
}

// scan reads keys in their order and keeps those of letters that are wanted.
func (b Box) scan(ctx context.Context, prefix string, want func(Ref) bool) (refs []Ref, more bool, err error) {
	for after, next := "", true; next; {
		var page []buffer.Info
		if page, next, err = b.Store.List(ctx, prefix, after, listPage); err != nil {
			return nil, false, fmt.Errorf("list %s: %w", prefix, err)
		}
		for _, o := range page {
			after = o.Key
			r, ok := b.ref(o)
			if !ok || !want(r) {
				continue
			}
			if last := len(refs) - 1; last >= 0 && refs[last].ID == r.ID {
				r.Older = append(refs[last].Older, refs[last].Key)
				refs[last] = r
			} else if len(refs) == MaxLetters {
				return refs, true, nil
			} else {
				refs = append(refs, r)
			}
		}
		next = next && len(page) > 0
	}
	return refs, false, nil
}

// ref reads a key; false for one that is no letter's.
func (b Box) ref(o buffer.Info) (Ref, bool) {
	r := Ref{Kind: b.Kind, Key: o.Key, Modified: o.Modified}
	rest, ok := strings.CutPrefix(o.Key, b.Kind.prefix())
	slot, name, ok2 := strings.Cut(rest, "/")
	n, err := strconv.Atoi(slot)
	if !ok || !ok2 || err != nil || len(slot) != 3 || n < 0 || n >= webhook.Slots {
		return r, false
	}
	switch b.Kind {
	case Dead:
		r.ID, _, ok = strings.Cut(name, "-")
	case Quarantine:
		_, _, ok = strings.Cut(name, "-")
		sum := sha256.Sum256([]byte(name))
		r.ID = hex.EncodeToString(sum[:])
	case Dropped:
		r.ID = name
	}
	_, err = webhook.ParseID(r.ID)
	return r, ok && err == nil
}

// Errors of Find.
var (
	// ErrNone is returned when no letter's id begins so.
	ErrNone = errors.New("no such letter")
	// ErrMany is returned when the ids of several letters begin so.
	ErrMany = errors.New("several letters begin so")
	// ErrID is returned for what cannot begin an id.
	ErrID = errors.New("must be 4 to 64 hex digits, as the list shows them")
)

// minPrefix is how much of an id has to be given at least.
const minPrefix = 4

// Find answers the letters whose ids begin so, in the order given and each once;
// each beginning has to name one. It reads keys only.
func (b Box) Find(ctx context.Context, begin ...string) ([]Ref, error) {
	begin = slices.Clone(begin)
	for i, p := range begin {
		begin[i] = strings.ToLower(p)
		if len(p) < minPrefix || len(p) > 64 || strings.Trim(begin[i], "0123456789abcdef") != "" {
			return nil, fmt.Errorf("id %.80q: %w", p, ErrID)
		}
	}
	refs, _, err := b.scan(ctx, b.Kind.prefix(), func(r Ref) bool {
		return slices.ContainsFunc(begin, func(p string) bool { return strings.HasPrefix(r.ID, p) })
	})
	if err != nil {
		return nil, err
	}
	var found []Ref
	for _, p := range begin {
		r, err := single(refs, p)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(found, func(have Ref) bool { return have.ID == r.ID }) {
			found = append(found, r)
		}
	}
	return found, nil
}

func single(refs []Ref, begin string) (Ref, error) {
	var ids []string
	var found Ref
	for _, r := range refs {
		if strings.HasPrefix(r.ID, begin) {
			found, ids = r, append(ids, r.ID)
		}
	}
	switch {
	case len(ids) == 0:
		return found, fmt.Errorf("id %s: %w", begin, ErrNone)
	case len(ids) > 1:
		return found, fmt.Errorf("id %s: %w: %s", begin, ErrMany, strings.Join(ids[:min(len(ids), 5)], ", "))
	}
	return found, nil
}
