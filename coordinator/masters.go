package coordinator

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/sentinel"
)

// mastersOf says what to watch for a spec. A master whose certificates cannot
// be read on this node is left out and named in the error; the others are watched.
func mastersOf(spec fsm.Spec) ([]sentinel.Master, error) {
	rev, err := api.DecodeSpec(spec)
	if err != nil {
		return nil, err
	}
	var masters []sentinel.Master
	var errs []error
	for _, m := range rev.GetSpec().GetMasters() {
		made, err := masterOf(m)
		if err != nil {
			errs = append(errs, fmt.Errorf("master %s: %w", m.GetId(), err))
			continue
		}
		masters = append(masters, made)
	}
	return masters, errors.Join(errs...)
}

func masterOf(m *pointsmanv1.MasterSpec) (out sentinel.Master, err error) {
	s, r := m.GetSentinel(), m.GetRedis()
	out = sentinel.Master{ID: m.GetId(), Name: s.GetName(), Sentinels: s.GetAddresses()}
	for _, c := range m.GetCandidates() {
		out.Candidates = append(out.Candidates, c.GetAddress())
	}
	if out.Sentinel, err = accessOf(s.GetUser(), s.GetPassword(), s.GetTls()); err != nil {
		return out, fmt.Errorf("sentinel: %w", err)
	}
	if out.Redis, err = accessOf(r.GetUser(), r.GetPassword(), r.GetTls()); err != nil {
		return out, fmt.Errorf("redis: %w", err)
	}
	return out, out.Validate()
}

// accessOf resolves no password: that is done at each dial, so that a rotated
// one is found.
func accessOf(user, password string, t *pointsmanv1.ClientTls) (a sentinel.Access, err error) {
	a.User = user
	if password != "" {
		secret, err := config.ParseSecret(password)
		if err != nil {
			return a, err
		}
		a.ID, a.Password = password, secret.Resolve
	}
	if t != nil {
		a.ID += "|" + t.GetCa() + "|" + t.GetCert() + "|" + t.GetServerName()
		a.TLS, err = tlsOf(t)
	}
	return a, err
}

func tlsOf(t *pointsmanv1.ClientTls) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.GetServerName()}
	if t.GetCa() != "" {
		pem, err := resolve(t.GetCa())
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

// keyPair is read anew for each handshake, so that a renewed one is used.
func keyPair(t *pointsmanv1.ClientTls) (*tls.Certificate, error) {
	cert, err := resolve(t.GetCert())
	if err != nil {
		return nil, err
	}
	key, err := resolve(t.GetKey())
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		return nil, fmt.Errorf("%s and %s are not a certificate and its key", t.GetCert(), t.GetKey())
	}
	return &pair, nil
}

func resolve(ref string) (string, error) {
	s, err := config.ParseSecret(ref)
	if err != nil {
		return "", err
	}
	return s.Resolve()
}
