package actuatortest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"
)

// certificate is what a server shows to a client that asks for a name.
type certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// signedByItself is a certificate that no authority knows. A name instead of the
// one asked for, and an end, may be given.
func signedByItself(name string, ends time.Duration) certificate {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		shown := name
		if shown == "" {
			shown = hello.ServerName
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		form := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: shown}, DNSNames: []string{shown},
			NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(ends), KeyUsage: x509.KeyUsageDigitalSignature,
		}
		der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
		if err != nil {
			return nil, err
		}
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
	}
}
