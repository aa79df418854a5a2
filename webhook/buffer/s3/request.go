package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/pointsman/pointsman/webhook/buffer"
)

// conflicts is how often a conditional write is sent that the store answers with
// a conflict, and conflictPause the longest time before the first repeat.
const (
	conflicts     = 5
	conflictPause = 20 * time.Millisecond
)

// request is one question to the store.
type request struct {
	method string
	key    string // empty: the bucket
	query  url.Values
	header http.Header
	body   []byte
	limit  int64            // bytes of a good answer
	cond   buffer.Condition // that the header says
}

// answer is a whole answer, of a good status.
type answer struct {
	header http.Header
	body   []byte
	keys   secrets // that the request was signed with
}

// ask sends a request, and again what met another one under way.
func (s *Store) ask(ctx context.Context, r request) (answer, error) {
	for try := 1; ; try++ {
		a, err := s.send(ctx, r)
		if try == conflicts || !isConflict(err) {
			return a, err
		}
		if err := pause(ctx, rand.N(conflictPause<<try)); err != nil { //nolint:gosec // jitter
			return answer{}, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// send is one request and its whole answer.
func (s *Store) send(ctx context.Context, r request) (answer, error) {
	keys, err := s.keys.now(s.config)
	if err != nil {
		return answer{}, err
	}
	req, err := s.signed(ctx, r, keys)
	if err != nil {
		return answer{}, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", r.what(), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // the status says most of it
		if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
			s.keys.refused()
		}
		return answer{}, judge(r, resp.StatusCode, resp.Header, text, keys)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.limit+1))
	if err != nil {
		return answer{}, fmt.Errorf("%s: answer %s was cut: %w", r.what(), resp.Status, err)
	}
	if int64(len(body)) > r.limit {
		return answer{}, fmt.Errorf("%s: answer of more than %d bytes: %w", r.what(), r.limit, buffer.ErrRefused)
	}
	return answer{resp.Header, body, keys}, nil
}

func (s *Store) signed(ctx context.Context, r request, keys secrets) (*http.Request, error) {
	u := s.base
	if r.key != "" {
		u.Path += "/" + s.config.Prefix + r.key
	} else {
		u.Path += "/"
	}
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.what(), err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	sum := sha256.Sum256(r.body)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	req.Header.Set("User-Agent", "pointsman")
	return signer.SignV4(*req, keys.access, keys.secret, keys.session, s.config.Region), nil
}

// what the request is, for errors.
func (r request) what() string {
	if r.key == "" {
		return "list " + r.query.Get("prefix")
	}
	return r.method + " " + r.key
}
