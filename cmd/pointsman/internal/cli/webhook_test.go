package cli

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/bucket"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

func TestOpenStore_Bucket(t *testing.T) {
	server := httptest.NewTLSServer(bucket.Fake{Store: &buffertest.Memory{}, Prefix: "shop/"})
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_ACCESS_KEY", bucket.AccessKey)
	t.Setenv("TEST_SECRET_KEY", bucket.SecretKey)
	s3 := &pointsmanv1.S3Store{
		Endpoint: server.URL, Region: bucket.Region, Bucket: bucket.Name, Prefix: "shop/", PathStyle: true,
		AccessKey: "env:TEST_ACCESS_KEY", SecretKey: "env:TEST_SECRET_KEY", Ca: "file:" + ca,
	}
	store, err := openStore(&pointsmanv1.WebhookStore{Kind: &pointsmanv1.WebhookStore_S3{S3: s3}})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := buffer.Probe(t.Context(), store); err != nil || !a.CAS() {
		t.Errorf("%v, %v", a, err)
	}
	s3.SecretKey = "env:TEST_NO_SUCH_KEY"
	if _, err := openStore(&pointsmanv1.WebhookStore{Kind: &pointsmanv1.WebhookStore_S3{S3: s3}}); err == nil || !strings.Contains(err.Error(), "TEST_NO_SUCH_KEY") {
		t.Errorf("a secret that is not there: %v", err)
	}
	s3.Ca = "file:/no/such/file"
	if _, err := openStore(&pointsmanv1.WebhookStore{Kind: &pointsmanv1.WebhookStore_S3{S3: s3}}); err == nil || !strings.Contains(err.Error(), "ca: ") {
		t.Errorf("authorities that are not there: %v", err)
	}
}
