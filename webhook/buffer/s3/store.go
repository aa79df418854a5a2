package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer"
)

var (
	_ buffer.Store  = (*Store)(nil)
	_ buffer.Styled = (*Store)(nil)
)

// Store is a bucket. Its errors beside those of package buffer are of type Error
// where the store answered.
type Store struct {
	config Config
	base   url.URL // of the bucket, without a slash at its end
	client *http.Client
	keys   keyring
	bare   atomic.Bool
}

// Styles of tags in conditions.
const (
	Quoted = "quoted" // as HTTP has it, and as ETags are answered
	Bare   = "bare"
)

// TagStyles implements buffer.Styled.
func (s *Store) TagStyles() []string {
	if s.bare.Load() {
		return []string{Bare, Quoted}
	}
	return []string{Quoted, Bare}
}

// UseTagStyle implements buffer.Styled.
func (s *Store) UseTagStyle(style string) { s.bare.Store(style == Bare) }

// Put implements buffer.Store.
func (s *Store) Put(ctx context.Context, key string, body []byte, c buffer.Condition) (buffer.Tag, error) {
	if err := usable(ctx, key); err != nil {
		return "", err
	}
	if len(body) > buffer.MaxObject {
		return "", fmt.Errorf("object %s of %d bytes (at most %d): %w", key, len(body), buffer.MaxObject, buffer.ErrRefused)
	}
	header := s.conditions(c)
	header.Set("Content-Type", "application/octet-stream")
	r := request{method: http.MethodPut, key: key, header: header, body: body, limit: maxErrorBody, cond: c}
	a, err := s.ask(ctx, r)
	if err != nil {
		return "", err
	}
	if err := hidden(r, a); err != nil {
		return "", err
	}
	return tagOf(r, a)
}

// Get implements buffer.Store.
func (s *Store) Get(ctx context.Context, key string) (buffer.Object, error) {
	if err := usable(ctx, key); err != nil {
		return buffer.Object{}, err
	}
	r := request{method: http.MethodGet, key: key, limit: buffer.MaxObject}
	a, err := s.ask(ctx, r)
	if err != nil {
		return buffer.Object{}, s.whetherMissing(ctx, key, err)
	}
	tag, err := tagOf(r, a)
	if err != nil {
		return buffer.Object{}, err
	}
	modified, err := http.ParseTime(a.header.Get("Last-Modified"))
	if err != nil {
		return buffer.Object{}, fmt.Errorf("%s: Last-Modified: %w", r.what(), err)
	}
	return buffer.Object{Body: a.body, Tag: tag, Modified: modified}, nil
}

// whetherMissing tells what a 403 to a Get means. A store does not say of a key
// that it is missing to somebody who may list no more than a prefix, since the
// Get names none: so the list is asked.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (s *Store) whetherMissing(ctx context.Context, key string, refused error) error {
	var e *Error
	if !errors.As(refused, &e) || e.Code != "AccessDenied" {
		return refused
	}
	page, _, err := s.List(ctx, key, "", 1)
	if err != nil || len(page) > 0 && page[0].Key == key {
		return refused
	}
	return fmt.Errorf("object %s: %w", key, buffer.ErrNotFound)
}

// Delete implements buffer.Store.
func (s *Store) Delete(ctx context.Context, key string, c buffer.Condition) error {
	if err := usable(ctx, key); err != nil {
		return err
	}
	r := request{method: http.MethodDelete, key: key, header: s.conditions(c), limit: maxErrorBody, cond: c}
	a, err := s.ask(ctx, r)
	if errors.Is(err, buffer.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return hidden(r, a)
}

// conditions are the headers that say a condition.
func (s *Store) conditions(c buffer.Condition) http.Header {
	h := http.Header{}
	if c.Absent {
		h.Set("If-None-Match", "*")
	}
	if c.Tag != "" {
		tag := string(c.Tag)
		if !s.bare.Load() {
			tag = `"` + tag + `"`
		}
		h.Set("If-Match", tag)
	}
	return h
}

func usable(ctx context.Context, key string) error {
	if err := buffer.ValidKey(key); err != nil {
		return err
	}
	return ctx.Err()
}

// tagOf reads the ETag of an answer. Without one nothing was answered that could
// be relied on.
func tagOf(r request, a answer) (buffer.Tag, error) {
	tag := strings.Trim(a.header.Get("Etag"), `"`)
	if tag == "" || len(tag) > 256 {
		return "", fmt.Errorf("%s: answered without an ETag", r.what())
	}
	return buffer.Tag(tag), nil
}

// emptyPages bounds how many pages without a key are skipped.
const emptyPages = 20

// List implements buffer.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]buffer.Info, bool, error) {
	if limit < 1 || limit > 1000 {
		return nil, false, fmt.Errorf("limit of a list is %d, must be 1 to 1000: %w", limit, buffer.ErrRefused)
	}
	query := url.Values{"list-type": {"2"}, "encoding-type": {"url"}, "max-keys": {strconv.Itoa(limit)}}
	query.Set("prefix", s.config.Prefix+prefix)
	if after != "" {
		query.Set("start-after", s.config.Prefix+after)
	}
	for range emptyPages {
		r := request{method: http.MethodGet, query: query, limit: maxListBody}
		a, err := s.ask(ctx, r)
		if err != nil {
			return nil, false, err
		}
		page, err := s.page(r, a.body, after)
		if err != nil || len(page.infos) > 0 || !page.IsTruncated || page.NextContinuationToken == "" {
			return page.infos, page.IsTruncated, err
		}
		query.Set("continuation-token", page.NextContinuationToken)
	}
	return nil, false, fmt.Errorf("list %s: %d pages without a key", prefix, emptyPages)
}

// listed is the body of a list's answer.
type listed struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	IsTruncated           bool
	EncodingType          string
	NextContinuationToken string
	Contents              []struct {
		Key          string
		Size         int64
		LastModified time.Time
	}
	infos []buffer.Info
}

// page reads a list, and refuses one that a caller would go round in: keys must
// have the prefix and rise from the one that was asked for.
func (s *Store) page(r request, body []byte, after string) (listed, error) {
	var l listed
	if err := xml.Unmarshal(body, &l); err != nil {
		return l, fmt.Errorf("%s: %w", r.what(), err)
	}
	prefix := r.query.Get("prefix")
	for _, c := range l.Contents {
		key := c.Key
		if l.EncodingType == "url" {
			var err error
			if key, err = url.QueryUnescape(key); err != nil {
				return l, fmt.Errorf("%s: key %.200q: %w", r.what(), c.Key, err)
			}
		}
		rest, ok := strings.CutPrefix(key, s.config.Prefix)
		if !ok || !strings.HasPrefix(key, prefix) || rest <= after {
			return l, fmt.Errorf("%s: the store answers %.200q after %.200q", r.what(), key, s.config.Prefix+after)
		}
		l.infos, after = append(l.infos, buffer.Info{Key: rest, Size: c.Size, Modified: c.LastModified}), rest
	}
	if l.IsTruncated && len(l.infos) == 0 && l.NextContinuationToken == "" {
		return l, fmt.Errorf("%s: more is said to follow a page without a key", r.what())
	}
	return l, nil
}
