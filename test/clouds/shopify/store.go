package shopify

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// place names a metafield of the app's installation.
type place struct{ namespace, key string }

// metafield is one with what it was, the newest last. An entry without digest
// says that there was none.
type metafield struct {
	id      int
	created time.Time
	entries []entry
}

type entry struct {
	at     time.Time
	kind   string // type
	text   string
	digest string
}

// ownerID is the app's installation.
const ownerID = "gid://shopify/AppInstallation/4711"

// reservedNamespace is taken where a call names none.
const reservedNamespace = "app--4711"

// at is what stood at a moment; false when there was nothing. The caller holds mu.
func (s *Sim) at(p place, moment time.Time) (entry, bool) {
	m, ok := s.fields[p]
	if !ok {
		return entry{}, false
	}
	for i := len(m.entries) - 1; i >= 0; i-- {
		if e := m.entries[i]; !e.at.After(moment) {
			return e, e.digest != ""
		}
	}
	return entry{}, false
}

// put stores a value; an empty kind deletes. The caller holds mu.
func (s *Sim) put(p place, kind, text string) entry {
	now := time.Now()
	m, ok := s.fields[p]
	if !ok {
		m = &metafield{id: 1000 + len(s.fields), created: now}
		s.fields[p] = m
	}
	s.writes++
	e := entry{at: now, kind: kind, text: text}
	if kind != "" {
		e.digest = s.digest(text)
	}
	m.entries = append(m.entries, e)
	if len(m.entries) > MaxHistory {
		m.entries = m.entries[1:]
	}
	return e
}

func (s *Sim) digest(text string) string {
	if s.knobs.DigestForm == DigestWrite {
		text = fmt.Sprintf("%d %s", s.writes, text)
	}
	sum := sha256.Sum256([]byte(text))
	if s.knobs.DigestForm == DigestBase64 {
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	return hex.EncodeToString(sum[:])
}

// told is a stored value as a read shows it.
func (s *Sim) told(e entry) string {
	if e.kind != "json" || s.knobs.ValueForm == ValueVerbatim {
		return e.text
	}
	var v any
	if json.Unmarshal([]byte(e.text), &v) != nil {
		return e.text
	}
	text, err := json.Marshal(v) // sorts
	if err != nil {
		return e.text
	}
	if s.knobs.ValueForm == ValueSpaced {
		var b bytes.Buffer
		if json.Indent(&b, text, "", "  ") == nil {
			return b.String()
		}
	}
	return string(text)
}

// Value is the text of a metafield as it stands; false when there is none.
func (s *Sim) Value(namespace, key string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.at(place{namespace, key}, time.Now())
	return e.text, ok
}

// Edit has somebody else write a metafield of type json.
func (s *Sim) Edit(namespace, key, text string) {
	s.foreign(place{namespace, key}, "json", text)
}

// Delete has somebody else delete a metafield.
func (s *Sim) Delete(namespace, key string) { s.foreign(place{namespace, key}, "", "") }

func (s *Sim) foreign(p place, kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.record(OpWrite)
	c.Foreign, c.Accepted, c.Phase = true, true, PhaseAnswered
	before, _ := s.at(p, time.Now())
	s.effect(c)
	after := s.put(p, kind, text)
	c.Sets = []Set{{Namespace: p.namespace, Key: p.key, Before: before.text, After: after.text, Compare: CompareAbsent}}
	s.tell(c)
}

// input is one MetafieldsSetInput as it came.
type input struct {
	place
	owner, kind, value string
	typed              bool
	compare            Compare
	digest             string
}

func inputOf(v any) (input, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return input{}, errors.New("metafield is no object")
	}
	in := input{compare: CompareAbsent}
	in.owner, _ = m["ownerId"].(string)
	in.key, _ = m["key"].(string)
	in.value, _ = m["value"].(string)
	in.kind, in.typed = m["type"].(string)
	if in.namespace, ok = m["namespace"].(string); !ok {
		in.namespace = reservedNamespace
	}
	if d, given := m["compareDigest"]; given && d == nil {
		in.compare = CompareNull
	} else if given {
		in.compare = CompareDigest
		in.digest, _ = d.(string)
	}
	return in, nil
}

// problem is a user error.
type problem struct {
	index         int
	field         string
	code, message string
}

// check finds what is wrong with one input. The caller holds mu.
func (s *Sim) check(i int, in input) *problem {
	stands, there := s.at(in.place, time.Now())
	wrong := func(field, code, message string) *problem { return &problem{i, field, code, message} }
	switch {
	case in.owner != ownerID:
		return wrong("ownerId", "INVALID", "Owner does not exist.")
	case len(in.key) < 2:
		return wrong("key", "TOO_SHORT", "Key is too short (minimum is 2 characters)")
	case len(in.key) > 64:
		return wrong("key", "TOO_LONG", "Key is too long (maximum is 64 characters)")
	case len(in.namespace) < 3:
		return wrong("namespace", "TOO_SHORT", "Namespace is too short (minimum is 3 characters)")
	case len(in.namespace) > 255:
		return wrong("namespace", "TOO_LONG", "Namespace is too long (maximum is 255 characters)")
	case !in.typed:
		return wrong("type", "BLANK", "Type can't be blank")
	case in.kind != "json" && in.kind != "single_line_text_field":
		return wrong("type", "INCLUSION", "Type is not included in the list")
	case in.kind == "json" && !json.Valid([]byte(in.value)):
		return wrong("value", "INVALID_VALUE", "Value is invalid JSON.")
	case len(in.value) > MaxValue:
		return wrong("value", "TOO_LONG", "Value is too long.")
	case in.compare == CompareDigest && in.digest == "":
		return wrong("compareDigest", "INVALID_COMPARE_DIGEST", "Compare digest is invalid.")
	case in.compare == CompareNull && there, in.compare == CompareDigest && (!there || in.digest != stands.digest):
		return wrong("compareDigest", "STALE_OBJECT", "The resource has been updated since it was loaded. Try again with an updated `compareDigest` value.")
	}
	return nil
}

// set carries out one metafieldsSet: all of it, or nothing. The caller holds mu.
func (s *Sim) set(c *Call, list []input) []problem {
	var found []problem
	if len(list) > MaxSet {
		found = append(found, problem{0, "metafields", "LESS_THAN_OR_EQUAL_TO", "Exceeded the maximum metafields input limit of 25."})
	}
	seen := map[place]bool{}
	for i, in := range list {
		p := s.check(i, in)
		if p == nil && seen[in.place] {
			p = &problem{i, "key", "TAKEN", "Key is named twice."}
		}
		if p != nil {
			found = append(found, *p)
		}
		seen[in.place] = true
	}
	for _, in := range list {
		before, _ := s.at(in.place, time.Now())
		c.Sets = append(c.Sets, Set{Namespace: in.namespace, Key: in.key, Before: before.text, After: in.value, Compare: in.compare})
	}
	if len(found) > 0 {
		c.Refused = found[0].code
		return found
	}
	s.effect(c)
	c.Accepted = true
	for _, in := range list {
		s.put(in.place, in.kind, in.value)
	}
	return nil
}
