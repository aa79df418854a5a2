package config

import (
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// certificateAge is how long a listener's certificate is used before it is read
// again.
const certificateAge = 10 * time.Second

// ServerTLS is how a listener proves itself. The certificate is read now, and
// again at the first handshake after 10 s; one that cannot be read then leaves
// the last good one. The error names the reference that does not resolve, or
// holds no PEM of its kind.
func ServerTLS(t *pointsmanv1.ServerTls) (*tls.Config, error) {
	k := &keeper{from: t}
	if _, err := k.certificate(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: k.certificate}, nil
}

// keeper holds the certificate that was read last.
type keeper struct {
	from *pointsmanv1.ServerTls

	mu   sync.Mutex
	last *tls.Certificate
	read time.Time // when it was read, or could not be
}

func (k *keeper) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last != nil && time.Since(k.read) < certificateAge {
		return k.last, nil
	}
	pair, err := readPair(k.from.GetCert(), k.from.GetKey())
	k.read = time.Now()
	if err != nil {
		if k.last != nil {
			return k.last, nil
		}
		return nil, err
	}
	k.last = pair
	return pair, nil
}

// readPair reads a certificate and its key by their references.
func readPair(certRef, keyRef string) (*tls.Certificate, error) {
	cert, err := ResolveSecret(certRef)
	if err != nil {
		return nil, err
	}
	key, err := ResolveSecret(keyRef)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		return nil, fmt.Errorf("%s and %s are not a certificate and its key", certRef, keyRef)
	}
	return &pair, nil
}
