package s3_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/test/clouds/bucket"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
	"github.com/pointsman/pointsman/webhook/buffer/s3"
)

// config is of a bucket of package bucket; references are read by their names.
func config(endpoint, prefix string) s3.Config {
	return s3.Config{
		Endpoint: endpoint, Region: bucket.Region, Bucket: bucket.Name, Prefix: prefix, PathStyle: true,
		AccessKey: "env:ACCESS", SecretKey: "env:SECRET",
		Resolve: func(reference string) (string, error) {
			value, ok := map[string]string{"env:ACCESS": bucket.AccessKey, "env:SECRET": bucket.SecretKey}[reference]
			if !ok {
				return "", fmt.Errorf("%s does not resolve", reference)
			}
			return value, nil
		},
	}
}

func open(t *testing.T, c s3.Config) *s3.Store {
	t.Helper()
	s, err := s3.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fake is a bucket of this process, with a front before it.
func fake(t *testing.T, f bucket.Fake) (*bucket.Front, string) {
	front := &bucket.Front{Next: f}
	server := httptest.NewServer(front)
	t.Cleanup(server.Close)
	return front, server.URL
}

// versitygw starts the real one, which `make test` builds.
func versitygw(t *testing.T) *bucket.Process {
	t.Helper()
	if _, err := bucket.Binary(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED ON A REAL STORE: %v", err)
	}
	p, err := bucket.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestFake(t *testing.T) {
	for _, prefix := range []string{"", "shop/webhooks/"} {
		t.Run("prefix="+strings.ReplaceAll(prefix, "/", "."), func(t *testing.T) {
			buffertest.Run(t, func(t *testing.T) buffer.Store {
				_, endpoint := fake(t, bucket.Fake{Store: &buffertest.Memory{}, Prefix: prefix, Encode: prefix != "", Secretive: prefix != ""})
				return open(t, config(endpoint, prefix))
			})
		})
	}
}

func TestVersitygw(t *testing.T) {
	p := versitygw(t)
	n := 0
	buffertest.Run(t, func(t *testing.T) buffer.Store {
		n++
		return open(t, config(p.Endpoint(), fmt.Sprintf("case-%d/", n)))
	})
	got, err := buffer.Probe(t.Context(), open(t, config(p.Endpoint(), "probed/")))
	if err != nil || !got.CAS() || got.TagStyle != s3.Quoted {
		t.Errorf("probe: %v, %v", got, err)
	}
}

func TestProbeFindsBareTags(t *testing.T) {
	bare := func() *s3.Store {
		_, endpoint := fake(t, bucket.Fake{Store: &buffertest.Memory{}, BareTags: true})
		return open(t, config(endpoint, ""))
	}
	s := bare()
	got, err := buffer.Probe(t.Context(), s)
	if err != nil || !got.CAS() || got.TagStyle != s3.Bare {
		t.Errorf("%v, %v", got, err)
	}
	buffertest.Run(t, func(*testing.T) buffer.Store {
		s := bare()
		s.UseTagStyle(s3.Bare)
		return s
	})
}

func TestProbeOfABucketThatIgnoresConditions(t *testing.T) {
	f := buffertest.NewFaulty(&buffertest.Memory{}, 1)
	f.Break(buffertest.Ignore)
	_, endpoint := fake(t, bucket.Fake{Store: f})
	got, err := buffer.Probe(t.Context(), open(t, config(endpoint, "")))
	if err != nil || got.CreateOnly || got.Swap || got.ConditionalDelete || got.Why == "" {
		t.Errorf("%v, %v", got, err)
	}
}
