package bucket

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer"
)

// Fake answers as S3 does, for one bucket whose name is Name, from any store.
// Errors of the store that are none of package buffer's own become 503.
type Fake struct {
	Store buffer.Store
	// Prefix begins the keys that may be asked for; the store has them without it.
	Prefix string
	// Secretive answers 403 to a Get of what is not there, as to somebody who may
	// list a prefix only.
	Secretive bool
	// BareTags makes conditions with a quoted tag fail, as some stores do.
	BareTags bool
	// Encode makes lists escape keys when that is asked for.
	Encode bool
}

var _ http.Handler = Fake{}

// ServeHTTP implements http.Handler.
func (f Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if host, _, ok := strings.Cut(r.Host, "."); ok && host == Name { // the bucket's name stands before the host
		name, key = Name, strings.TrimPrefix(r.URL.Path, "/")
	}
	body, err := io.ReadAll(r.Body)
	switch sum := sha256.Sum256(body); {
	case err != nil:
		Refuse(w, http.StatusBadRequest, "IncompleteBody")
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="+AccessKey+"/"):
		Refuse(w, http.StatusForbidden, "InvalidAccessKeyId")
	case r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]):
		Refuse(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
	case r.Header.Get("X-Amz-Trailer") != "" || r.Header.Get("X-Amz-Sdk-Checksum-Algorithm") != "" || len(r.TransferEncoding) > 0:
		Refuse(w, http.StatusNotImplemented, "NotImplemented")
	case name != Name:
		Refuse(w, http.StatusNotFound, "NoSuchBucket")
	case !strings.HasPrefix(key+r.URL.Query().Get("prefix"), f.Prefix):
		Refuse(w, http.StatusForbidden, "AccessDenied")
	case key == "" && r.Method == http.MethodGet:
		f.list(w, r)
	default:
		f.object(w, r, strings.TrimPrefix(key, f.Prefix), body)
	}
}

func (f Fake) object(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	c := buffer.Condition{Absent: r.Header.Get("If-None-Match") == "*"}
	if tag := r.Header.Get("If-Match"); tag != "" {
		c.Tag = buffer.Tag(tag)
		if !f.BareTags {
			c.Tag = buffer.Tag(strings.Trim(tag, `"`))
		}
	}
	var o buffer.Object
	var err error
	switch r.Method {
	case http.MethodPut:
		o.Tag, err = f.Store.Put(r.Context(), key, body, c)
	case http.MethodGet:
		o, err = f.Store.Get(r.Context(), key)
	case http.MethodDelete:
		err = f.Store.Delete(r.Context(), key, c)
	default:
		Refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
		return
	}
	if f.Secretive && errors.Is(err, buffer.ErrNotFound) {
		err = buffer.ErrRefused
	}
	if err != nil {
		f.refuse(w, err)
		return
	}
	if r.Method == http.MethodDelete {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Etag", `"`+string(o.Tag)+`"`)
	if r.Method == http.MethodGet {
		w.Header().Set("Last-Modified", o.Modified.UTC().Format(http.TimeFormat))
		_, _ = w.Write(o.Body) // a client that is gone
	}
}

func (f Fake) refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, buffer.ErrNotFound):
		Refuse(w, http.StatusNotFound, "NoSuchKey")
	case errors.Is(err, buffer.ErrCondition):
		Refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
	case errors.Is(err, buffer.ErrRefused):
		Refuse(w, http.StatusForbidden, "AccessDenied")
	default:
		Refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable")
	}
}

// Refuse answers an error as S3 does.
func Refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>The fake says so.</Message><RequestId>FAKE%d</RequestId></Error>`, code, status)
}

type listed struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Name                  string
	IsTruncated           bool
	EncodingType          string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	Contents              []content
}

type content struct {
	Key          string
	LastModified string
	Size         int64
}

func (f Fake) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil || limit < 1 || q.Get("list-type") != "2" {
		Refuse(w, http.StatusBadRequest, "InvalidArgument")
		return
	}
	page, more, err := f.Store.List(r.Context(), strings.TrimPrefix(q.Get("prefix"), f.Prefix), strings.TrimPrefix(q.Get("start-after"), f.Prefix), min(limit, 1000))
	if err != nil {
		f.refuse(w, err)
		return
	}
	l := listed{Name: Name, IsTruncated: more}
	if f.Encode {
		l.EncodingType = q.Get("encoding-type")
	}
	for _, i := range page {
		key := f.Prefix + i.Key
		if l.EncodingType == "url" {
			key = url.QueryEscape(key)
		}
		l.Contents = append(l.Contents, content{key, i.Modified.UTC().Format(time.RFC3339Nano), i.Size})
	}
	var out bytes.Buffer
	if err := xml.NewEncoder(&out).Encode(l); err != nil {
		Refuse(w, http.StatusInternalServerError, "InternalError")
		return
	}
	_, _ = out.WriteTo(w) // a client that is gone
}
