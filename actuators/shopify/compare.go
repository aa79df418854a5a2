package shopify

import (
	"encoding/json"
	"fmt"
)

// compare is the field compareDigest of one metafield. Shopify tells three
// forms apart: a digest (write only if the stored value still has it), null
// (write only if there is no such metafield), and the field left out (write
// over whatever stands). The zero value is the last one; nothing of ours sends
// it.
type compare struct {
	known  bool
	digest *string
}

// unchanged compares with a digest that was read.
func unchanged(digest string) compare { return compare{known: true, digest: &digest} }

// missing wants that there is no such metafield.
func missing() compare { return compare{known: true} }

// IsZero has encoding/json leave the field out.
func (c compare) IsZero() bool { return !c.known }

// MarshalJSON implements json.Marshaler.
func (c compare) MarshalJSON() ([]byte, error) { return json.Marshal(c.digest) }

// metafield is one MetafieldsSetInput.
type metafield struct {
	OwnerID       string  `json:"ownerId"`
	Namespace     string  `json:"namespace"`
	Key           string  `json:"key"`
	Type          string  `json:"type"`
	Value         string  `json:"value"`
	CompareDigest compare `json:"compareDigest,omitzero"`
}

// version is what a claim names: the digest of each key, nil where there is no
// such metafield.
type version map[string]*string

func (v version) String() string {
	text, err := json.Marshal(v) // in the order of the keys
	if err != nil {
		return ""
	}
	return string(text)
}

// versionOf reads a claim's version, which must know each key and no other.
func versionOf(text string, keys []string) (version, error) {
	var v version
	if err := json.Unmarshal([]byte(text), &v); err != nil || len(v) != len(keys) {
		return nil, fmt.Errorf("version of the claim: %w", ErrValue)
	}
	for _, key := range keys {
		if _, ok := v[key]; !ok {
			return nil, fmt.Errorf("version of the claim has no %q: %w", key, ErrValue)
		}
	}
	return v, nil
}

// of is what the claim says of one key.
func (v version) of(key string) compare {
	digest, known := v[key]
	switch {
	case !known:
		return compare{}
	case digest == nil:
		return missing()
	}
	return unchanged(*digest)
}
