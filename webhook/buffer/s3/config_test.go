package s3_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/test/clouds/bucket"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
	"github.com/pointsman/pointsman/webhook/buffer/s3"
)

func TestValidate(t *testing.T) {
	for name, spoil := range map[string]func(*s3.Config){
		"no endpoint":         func(c *s3.Config) { c.Endpoint = "" },
		"no scheme":           func(c *s3.Config) { c.Endpoint = "s3.example.com" },
		"a path":              func(c *s3.Config) { c.Endpoint = "https://s3.example.com/bucket" },
		"secrets in endpoint": func(c *s3.Config) { c.Endpoint = "https://a:b@s3.example.com" },
		"no bucket":           func(c *s3.Config) { c.Bucket = "" },
		"bucket with a slash": func(c *s3.Config) { c.Bucket = "a/b" },
		"region":              func(c *s3.Config) { c.Region = "a b" },
		"prefix without end":  func(c *s3.Config) { c.Prefix = "webhooks" },
		"prefix upwards":      func(c *s3.Config) { c.Prefix = "../" },
		"prefix of a slash":   func(c *s3.Config) { c.Prefix = "/" },
		"prefix too long":     func(c *s3.Config) { c.Prefix = strings.Repeat("a", 256) + "/" },
		"no access key":       func(c *s3.Config) { c.AccessKey = "" },
		"no secret key":       func(c *s3.Config) { c.SecretKey = "" },
		"nobody resolves":     func(c *s3.Config) { c.Resolve = nil },
		"host is an address":  func(c *s3.Config) { c.Endpoint, c.PathStyle = "https://127.0.0.1:1", false },
		"no certificate":      func(c *s3.Config) { c.CA = []byte("x") },
	} {
		t.Run(name, func(t *testing.T) {
			c := config("https://s3.example.com", "webhooks/")
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			spoil(&c)
			if _, err := s3.Open(c); !errors.Is(err, s3.ErrConfig) {
				t.Errorf("Open: %v", err)
			}
		})
	}
	c := config("https://s3.example.com", "")
	c.SecretKey = "env:ANOTHER"
	if _, err := s3.Open(c); err == nil || !strings.Contains(err.Error(), "env:ANOTHER does not resolve") {
		t.Errorf("a reference to nothing: %v", err)
	}
}

func TestCA(t *testing.T) {
	server := httptest.NewTLSServer(bucket.Fake{Store: &buffertest.Memory{}})
	defer server.Close()
	c := config(server.URL, "")
	if _, err := open(t, c).Put(t.Context(), "a", nil, buffer.Condition{}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a stranger's certificate: %v", err)
	}
	c.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if _, err := open(t, c).Put(t.Context(), "a", nil, buffer.Condition{}); err != nil {
		t.Error(err)
	}
}

func TestBucketBeforeTheHost(t *testing.T) {
	_, endpoint := fake(t, bucket.Fake{Store: &buffertest.Memory{}})
	c := config("http://s3.example.com", "")
	c.PathStyle = false
	asked := ""
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		asked = address
		var d net.Dialer
		return d.DialContext(ctx, network, strings.TrimPrefix(endpoint, "http://"))
	}
	s := open(t, c)
	if _, err := s.Put(t.Context(), "a", []byte("a"), buffer.Condition{}); err != nil || asked != bucket.Name+".s3.example.com:80" {
		t.Errorf("asked %s: %v", asked, err)
	}
	if page, _, err := s.List(t.Context(), "", "", 10); err != nil || len(page) != 1 {
		t.Errorf("%v %v", page, err)
	}
}

// Credentials are kept for a while, and read anew after the store refused them.
func TestRotation(t *testing.T) {
	_, endpoint := fake(t, bucket.Fake{Store: &buffertest.Memory{}})
	c := config(endpoint, "")
	access, asked := bucket.AccessKey, 0
	c.Resolve = func(string) (string, error) {
		asked++
		return access, nil
	}
	s := open(t, c)
	list := func() error {
		_, _, err := s.List(t.Context(), "", "", 1)
		return err
	}
	access = "another"
	for range 3 {
		if err := list(); err != nil || asked != 2 {
			t.Fatalf("%v; secrets were read %d times", err, asked)
		}
	}
	s = open(t, c)
	if err := list(); !errors.Is(err, buffer.ErrRefused) {
		t.Fatal(err)
	}
	access = bucket.AccessKey
	if err := list(); err != nil {
		t.Errorf("with the new ones: %v", err)
	}
}

func TestKeysAreReadAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config("https://192.0.2.1", "")
		asked := 0
		c.Resolve = func(string) (string, error) {
			asked++
			return "", errors.New("gone")
		}
		if _, err := s3.Open(c); err == nil {
			t.Error("opened without credentials")
		}
		c.Resolve = func(string) (string, error) {
			if asked++; asked > 3 {
				return "", errors.New("gone")
			}
			return "key", nil
		}
		s := open(t, c)
		time.Sleep(time.Minute)
		if _, err := s.Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "gone") {
			t.Errorf("after a minute: %v", err)
		}
	})
}

// A store that takes a request and says nothing holds nobody up for ever.
func TestSilentStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config("http://s3.example.com", "")
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				_, _ = io.Copy(io.Discard, far)
				far.Close()
			}()
			return near, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		_, err := open(t, c).Get(ctx, "a")
		if took := time.Since(began); err == nil || took < 30*time.Second || took > time.Minute {
			t.Errorf("%v after %s", err, took)
		}
	})
}
