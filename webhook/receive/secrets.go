package receive

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxSecrets  = 16              // of one app
	secretsRead = 5 * time.Second // from one reading of the secrets to the next
)

// keyring holds the secrets of one app that are good now. Any number of
// goroutines may verify while one reads anew.
type keyring struct {
	from []Secret
	live atomic.Pointer[[]*signer]
	text []string // what was read last, by place; of the goroutine that reads
}

// signer makes MACs with one secret.
type signer struct {
	secret string
	pool   sync.Pool
}

func newSigner(secret string) *signer {
	s := &signer{secret: secret}
	s.pool.New = func() any { return hmac.New(sha256.New, []byte(secret)) }
	return s
}

// made reports whether the MAC is this secret's of the body.
func (s *signer) made(mac, body []byte) bool {
	h := s.pool.Get().(hash.Hash) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer s.pool.Put(h)
	h.Reset()
	h.Write(body)
	var sum [sha256.Size]byte
	return hmac.Equal(mac, h.Sum(sum[:0]))
}

// openKeyring reads all secrets; each place must have one.
func openKeyring(from []Secret) (*keyring, error) {
	k := &keyring{from: from, text: make([]string, len(from))}
	k.live.Store(&[]*signer{})
	return k, k.read()
}

// verify finds the secret that made the MAC of the body, and answers its place in
// the list.
func (k *keyring) verify(mac, body []byte) (int, bool) {
	place, found := 0, false
	for i, s := range *k.live.Load() {
		if s.made(mac, body) && !found {
			place, found = i, true
		}
	}
	return place, found
}

// read reads every place again. One that cannot be read keeps its last secrets,
// since a file that is being replaced revokes none; the error names it.
func (k *keyring) read() error {
	var wrong []error
	for i, s := range k.from {
		text, err := s.Read()
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		k.text[i] = text
	}
	var lines []string
	for _, text := range k.text {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	switch {
	case len(lines) == 0:
		return errors.Join(append(wrong, errors.New("no secret"))...)
	case len(lines) > maxSecrets:
		return errors.Join(append(wrong, fmt.Errorf("%d secrets, at most %d", len(lines), maxSecrets))...)
	}
	k.use(lines)
	return errors.Join(wrong...)
}

// use makes these the live secrets.
func (k *keyring) use(secrets []string) {
	known := map[string]*signer{}
	for _, s := range *k.live.Load() {
		known[s.secret] = s
	}
	live := make([]*signer, 0, len(secrets))
	for _, secret := range secrets {
		s := known[secret]
		if s == nil {
			s = newSigner(secret)
		}
		live = append(live, s)
	}
	k.live.Store(&live)
}
