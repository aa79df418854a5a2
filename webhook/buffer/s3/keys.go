package s3

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// keysFor is how long credentials are used before they are read anew.
const keysFor = 30 * time.Second

// secrets sign requests. They stand in no log and in no error.
type secrets struct{ access, secret, session string }

// String keeps them out of what is printed by accident.
func (secrets) String() string { return "(credentials)" }

// GoString is as String.
func (secrets) GoString() string { return "(credentials)" }

// strike takes them out of a text of the store's.
func (k secrets) strike(text string) string {
	for _, s := range []string{k.secret, k.session, k.access} {
		if s != "" {
			text = strings.ReplaceAll(text, s, "(key)")
		}
	}
	return text
}

// keyring keeps credentials for a while.
type keyring struct {
	mu   sync.Mutex
	keys secrets
	read time.Time // zero: not yet, or refused since
}

// now are the credentials to sign with.
func (r *keyring) now(c Config) (secrets, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.read.IsZero() && time.Since(r.read) < keysFor {
		return r.keys, nil
	}
	var k secrets
	for _, one := range []struct {
		name, reference string
		into            *string
	}{{"access key", c.AccessKey, &k.access}, {"secret key", c.SecretKey, &k.secret}, {"session token", c.SessionToken, &k.session}} {
		if one.reference == "" {
			continue
		}
		value, err := c.Resolve(one.reference)
		if err != nil {
			return secrets{}, fmt.Errorf("%s of bucket %s: %w", one.name, c.Bucket, err)
		}
		*one.into = value
	}
	r.keys, r.read = k, time.Now()
	return k, nil
}

// refused makes the next request read them anew.
func (r *keyring) refused() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = time.Time{}
}
