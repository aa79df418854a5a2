package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// ClientTLS is how a server is dialled. Its authorities are read here, the
// client's own certificate anew at each handshake, so that a renewed one is
// used; it is looked at here too, so that a wrong one is told now. The error
// names the reference that does not resolve, or holds no PEM of its kind.
func ClientTLS(t *pointsmanv1.ClientTls) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.GetServerName()}
	if t.GetCa() != "" {
		pem, err := ResolveSecret(t.GetCa())
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(pem)) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", t.GetCa())
		}
	}
	if t.GetCert() == "" {
		return c, nil
	}
	if _, err := keyPair(t); err != nil {
		return nil, err
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return keyPair(t) }
	return c, nil
}

func keyPair(t *pointsmanv1.ClientTls) (*tls.Certificate, error) {
	return readPair(t.GetCert(), t.GetKey())
}
