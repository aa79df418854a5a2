package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/bucket"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
	"github.com/pointsman/pointsman/webhook/buffer/s3"
)

// clearError reports whether an error says what is the case; any other leaves it open.
func clearError(err error) bool {
	return err == nil || errors.Is(err, buffer.ErrCondition) || errors.Is(err, buffer.ErrNotFound) || errors.Is(err, buffer.ErrRefused)
}

// After each fault a Put is unclear; what is there afterwards is all or nothing,
// and a repeat makes it clear.
func TestPutThroughFaults(t *testing.T) {
	for _, row := range []struct {
		fault   bucket.Fault
		written bool
	}{
		{bucket.Busy, false},
		{bucket.Hang, false},
		{bucket.Reset, false},
		{bucket.FalseGood, false},
		{bucket.Silent, false},
		{bucket.Page, false},
		{bucket.Drop, true},
		{bucket.Cut, true},
		{bucket.BadGateway, true},
	} {
		t.Run(string(row.fault), func(t *testing.T) {
			var m buffertest.Memory
			front, endpoint := fake(t, bucket.Fake{Store: &m})
			s := open(t, config(endpoint, ""))
			body := []byte(strings.Repeat("body ", 20_000))
			put := func() (buffer.Tag, error) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				if row.fault == bucket.Hang {
					time.AfterFunc(100*time.Millisecond, cancel)
				}
				return s.Put(ctx, "in/s/0", body, buffer.Condition{Absent: true})
			}
			front.Break(http.MethodPut, row.fault)
			tag, err := put()
			if clearError(err) || tag != "" {
				t.Fatalf("answered %q, %v", tag, err)
			}
			if got := len(m.Keys("")) == 1; got != row.written {
				t.Fatalf("written: %v", got)
			}
			_, err = s.Put(t.Context(), "in/s/0", body, buffer.Condition{Absent: true})
			if row.written != errors.Is(err, buffer.ErrCondition) || !clearError(err) {
				t.Errorf("again: %v", err)
			}
			if o, err := s.Get(t.Context(), "in/s/0"); err != nil || string(o.Body) != string(body) {
				t.Errorf("read back %d bytes, %v", len(o.Body), err)
			}
			if n := front.Count(http.MethodPut); n != 2 {
				t.Errorf("%d requests for 2 puts", n)
			}
		})
	}
}

// A conflict is not done, so it is sent again, and not for ever.
func TestConflicts(t *testing.T) {
	front, endpoint := fake(t, bucket.Fake{Store: &buffertest.Memory{}})
	s := open(t, config(endpoint, ""))
	front.Break(http.MethodPut, bucket.Conflict, bucket.Conflict)
	if _, err := s.Put(t.Context(), "a", nil, buffer.Condition{Absent: true}); err != nil {
		t.Errorf("after two: %v", err)
	}
	front.Always(http.MethodPut, bucket.Conflict)
	before := front.Count(http.MethodPut)
	if _, err := s.Put(t.Context(), "b", nil, buffer.Condition{Absent: true}); clearError(err) {
		t.Errorf("always: %v", err)
	}
	if n := front.Count(http.MethodPut) - before; n != 5 {
		t.Errorf("sent %d times", n)
	}
	before = front.Count(http.MethodPut)
	if _, err := s.Put(t.Context(), "c", nil, buffer.Condition{}); clearError(err) || front.Count(http.MethodPut) != before+1 {
		t.Errorf("without a condition: %v, sent %d times", err, front.Count(http.MethodPut)-before)
	}
}

func TestReadsThroughFaults(t *testing.T) {
	for _, fault := range []bucket.Fault{bucket.Busy, bucket.Hang, bucket.FalseGood, bucket.Silent, bucket.Page, bucket.Drop, bucket.Cut, bucket.BadGateway} {
		t.Run(string(fault), func(t *testing.T) {
			front, endpoint := fake(t, bucket.Fake{Store: &buffertest.Memory{}})
			s := open(t, config(endpoint, ""))
			if _, err := s.Put(t.Context(), "a", []byte("a"), buffer.Condition{}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if fault == bucket.Hang {
				time.AfterFunc(100*time.Millisecond, cancel)
			}
			front.Always(http.MethodGet, fault)
			if fault != bucket.FalseGood { // with an ETag it is an object that holds these words
				if o, err := s.Get(ctx, "a"); clearError(err) {
					t.Errorf("Get: %q, %v", o.Body, err)
				}
			}
			if page, more, err := s.List(ctx, "", "", 10); clearError(err) {
				t.Errorf("List: %v %v %v", page, more, err)
			}
			front.Always(http.MethodDelete, fault)
			if fault == bucket.Silent { // is how a delete is answered
				return
			}
			if err := s.Delete(ctx, "a", buffer.Condition{}); clearError(err) {
				t.Errorf("Delete: %v", err)
			}
		})
	}
}

// A Get that is refused is not a missing object unless a list says so.
func TestRefusedGet(t *testing.T) {
	m := &buffertest.Memory{}
	front, endpoint := fake(t, bucket.Fake{Store: m, Secretive: true})
	s := open(t, config(endpoint, ""))
	if _, err := s.Put(t.Context(), "a-longer", nil, buffer.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, buffer.ErrNotFound) {
		t.Errorf("none: %v", err)
	}
	front.Break(http.MethodGet, bucket.Denied)
	if _, err := s.Get(t.Context(), "a-longer"); !errors.Is(err, buffer.ErrRefused) {
		t.Errorf("one that may not be read: %v", err)
	}
	front.Break(http.MethodGet, bucket.Denied, bucket.Busy)
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, buffer.ErrRefused) {
		t.Errorf("with a list that fails: %v", err)
	}
}

// What answers mean, by status and the store's word.
func TestAnswers(t *testing.T) {
	type ops struct{ put, create, swap, get, remove, removeThis error }
	unclear := errors.New("unclear")
	all := func(err error) ops { return ops{err, err, err, err, err, err} }
	for _, row := range []struct {
		status int
		code   string
		want   ops
	}{
		{403, "AccessDenied", all(buffer.ErrRefused)},
		{403, "SignatureDoesNotMatch", all(buffer.ErrRefused)},
		{403, "RequestTimeTooSkewed", all(buffer.ErrRefused)},
		{401, "", all(buffer.ErrRefused)},
		{404, "NoSuchBucket", all(buffer.ErrRefused)},
		{404, "NoSuchKey", ops{unclear, unclear, buffer.ErrCondition, buffer.ErrNotFound, nil, buffer.ErrCondition}},
		{404, "", all(unclear)},
		{301, "PermanentRedirect", all(buffer.ErrRefused)},
		{307, "TemporaryRedirect", all(unclear)},
		{412, "PreconditionFailed", ops{unclear, buffer.ErrCondition, buffer.ErrCondition, unclear, unclear, buffer.ErrCondition}},
		{400, "InvalidArgument", all(buffer.ErrRefused)},
		{400, "RequestTimeout", all(unclear)},
		{409, "OperationAborted", all(unclear)},
		{409, "", all(unclear)},
		{429, "", all(unclear)},
		{501, "NotImplemented", all(buffer.ErrRefused)},
		{500, "InternalError", all(unclear)},
		{503, "SlowDown", all(unclear)},
	} {
		t.Run(fmt.Sprint(row.status, row.code), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { bucket.Refuse(w, row.status, row.code) }))
			defer server.Close()
			s := open(t, config(server.URL, ""))
			_, put := s.Put(t.Context(), "a", nil, buffer.Condition{})
			_, create := s.Put(t.Context(), "a", nil, buffer.Condition{Absent: true})
			_, swap := s.Put(t.Context(), "a", nil, buffer.Condition{Tag: "b"})
			_, get := s.Get(t.Context(), "a")
			got := ops{put, create, swap, get, s.Delete(t.Context(), "a", buffer.Condition{}), s.Delete(t.Context(), "a", buffer.Condition{Tag: "b"})}
			for _, one := range []struct {
				name      string
				got, want error
			}{
				{"put", got.put, row.want.put}, {"create", got.create, row.want.create}, {"swap", got.swap, row.want.swap},
				{"get", got.get, row.want.get}, {"delete", got.remove, row.want.remove}, {"delete this", got.removeThis, row.want.removeThis},
			} {
				if open := errors.Is(one.want, unclear); open && clearError(one.got) || !open && !errors.Is(one.got, one.want) {
					t.Errorf("%s: %v, want %v", one.name, one.got, one.want)
				}
			}
			var e *s3.Error
			if !errors.As(put, &e) || e.Status != row.status || e.Code != row.code || e.RequestID != fmt.Sprintf("FAKE%d", row.status) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// Nothing that a store says may bring credentials into a log.
func TestErrorsHoldNoCredentials(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s signed\x07\n%s %s</Message><AWSAccessKeyId>%s</AWSAccessKeyId></Error>",
			bucket.SecretKey, bucket.AccessKey, bucket.SecretKey, r.Header.Get("Authorization"), bucket.AccessKey)
	}))
	defer server.Close()
	_, err := open(t, config(server.URL, "")).Get(t.Context(), "a")
	if text := fmt.Sprintf("%v %+v %#v", err, err, err); !errors.Is(err, buffer.ErrRefused) || strings.Contains(text, bucket.SecretKey) || strings.Contains(text, bucket.AccessKey+"/") || strings.ContainsAny(err.Error(), "\n\x07") {
		t.Errorf("%s", text)
	}
}

// Nor what it says with a good status.
func TestHiddenErrorsHoldNoCredentials(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>%s</AWSAccessKeyId><StringToSign>%s</StringToSign></Error>", bucket.AccessKey, bucket.SecretKey)
	}))
	defer server.Close()
	store := open(t, config(server.URL, ""))
	_, err := store.Put(t.Context(), "a", nil, buffer.Condition{})
	for what, err := range map[string]error{"Put": err, "Delete": store.Delete(t.Context(), "a", buffer.Condition{})} {
		if err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch") || strings.Contains(err.Error(), bucket.SecretKey) || strings.Contains(err.Error(), bucket.AccessKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A list that a caller would go round in is refused.
func TestListsThatAreNone(t *testing.T) {
	entry := func(key string) string {
		return "<Contents><Key>" + key + "</Key><Size>1</Size><LastModified>2026-11-24T00:00:00.000Z</LastModified></Contents>"
	}
	for name, body := range map[string]string{
		"no XML":         "<html>",
		"another answer": "<Error><Code>InternalError</Code></Error>",
		"start ignored":  "<ListBucketResult>" + entry("p/a") + "</ListBucketResult>",
		"out of order":   "<ListBucketResult>" + entry("p/d") + entry("p/c") + "</ListBucketResult>",
		"prefix ignored": "<ListBucketResult>" + entry("q/c") + "</ListBucketResult>",
		"no next":        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
		"never a key":    "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken></ListBucketResult>",
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
			defer server.Close()
			if page, more, err := open(t, config(server.URL, "")).List(t.Context(), "p/", "p/b", 10); clearError(err) {
				t.Errorf("%v %v %v", page, more, err)
			}
		})
	}
}

// A page without a key may be followed by others.
func TestListSkipsEmptyPages(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("continuation-token") == "" {
			fmt.Fprint(w, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x+/=</NextContinuationToken></ListBucketResult>")
			return
		}
		fmt.Fprint(w, "<ListBucketResult><Contents><Key>a</Key><Size>1</Size><LastModified>2026-11-24T00:00:00.000Z</LastModified></Contents></ListBucketResult>")
	}))
	defer server.Close()
	page, more, err := open(t, config(server.URL, "")).List(t.Context(), "", "", 10)
	if err != nil || more || len(page) != 1 || page[0].Key != "a" {
		t.Errorf("%v %v %v", page, more, err)
	}
}
