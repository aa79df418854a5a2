package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// pair writes a certificate of that serial number and its key.
func pair(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(serial)}, &x509.Certificate{SerialNumber: big.NewInt(serial)}, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	return write("cert.pem", "CERTIFICATE", made), write("key.pem", "EC PRIVATE KEY", der)
}

func TestClientTLSReadsARenewedCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, dir, 1)
	c, err := ClientTLS(&pointsmanv1.ClientTls{Ca: cert, Cert: cert, Key: key, ServerName: "redis.example"})
	if err != nil || c.RootCAs == nil || c.ServerName != "redis.example" {
		t.Fatalf("%+v, %v", c, err)
	}
	pair(t, dir, 2)
	shown, err := c.GetClientCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(shown.Certificate[0])
	if err != nil || leaf.SerialNumber.Int64() != 2 {
		t.Errorf("serial %v, %v", leaf.SerialNumber, err)
	}
}

func TestClientTLSNamesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, dir, 1)
	if _, err := ClientTLS(&pointsmanv1.ClientTls{Ca: key}); err == nil || !strings.Contains(err.Error(), key+" holds no certificate") {
		t.Errorf("a key as authority: %v", err)
	}
	if _, err := ClientTLS(&pointsmanv1.ClientTls{Cert: cert, Key: cert}); err == nil || !strings.Contains(err.Error(), "are not a certificate and its key") {
		t.Errorf("no key: %v", err)
	}
	if _, err := ClientTLS(&pointsmanv1.ClientTls{Ca: "file:" + dir + "/none"}); !errors.Is(err, ErrUnresolved) {
		t.Errorf("no file: %v", err)
	}
}
