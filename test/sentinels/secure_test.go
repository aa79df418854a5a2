package sentinels

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/sentinel"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// The narrowest observers: what the Watcher may do and no more.
const (
	onSentinel = "user observer on >seen-only resetchannels -@all +ping +hello " +
		"+sentinel|get-master-addr-by-name +sentinel|master +sentinel|myid +subscribe " +
		"&+switch-master &+promoted-slave &+config-update-from &+new-epoch &-role-change"
	onRedis = "user observer on >role-only resetchannels -@all +role +ping +hello"
)

// certificates writes a CA and a server pair for 127.0.0.1.
func certificates(t *testing.T) *redislab.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert := write("cert.pem", "CERTIFICATE", der)
	pool := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return &redislab.TLS{CA: cert, Cert: cert, Key: write("key.pem", "PRIVATE KEY", private), Client: &tls.Config{RootCAs: pool}}
}

func password(text string) func() (string, error) { return func() (string, error) { return text, nil } }

// TestSecure: TLS and narrow ACL users everywhere, the default user off.
func TestSecure(t *testing.T) {
	certs := certificates(t)
	p := start(t, redislab.Options{
		Redis:         redislab.Login{User: "admin", Password: "redis-admin"},
		Sentinel:      redislab.Login{User: "admin", Password: "sentinel-admin"},
		RedisExtra:    []string{onRedis},
		SentinelExtra: []string{onSentinel},
		TLS:           certs,
	}, func(m *sentinel.Master) {
		m.Sentinel = sentinel.Access{ID: "sentinel", User: "observer", Password: password("seen-only"), TLS: certs.Client}
		m.Redis = sentinel.Access{ID: "redis", User: "observer", Password: password("role-only"), TLS: certs.Client}
	})
	v, _ := until(t, p.w, "cache", 2*time.Second, "all seen", allSeen)
	if v.Reports[0].RunID == "" {
		t.Error("the run id is not known")
	}
	p.fail(t)
	promoted := p.log.accepted.Address
	denied, err := p.lab.Do(t.Context(), promoted, "ACL", "LOG")
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(denied); strings.Contains(text, "observer") {
		t.Errorf("the observer tried what it may not on Redis: %s", text)
	}
}

// TestWrongPassword: a wrong password and an unreadable one are reported without
// the secret, and a corrected one is used without a restart.
func TestWrongPassword(t *testing.T) {
	lab, err := redislab.Start(t.Context(), redislab.Options{
		Replicas: 1, Sentinels: 1, Quorum: 1,
		Redis: redislab.Login{Password: "right-redis"}, Sentinel: redislab.Login{Password: "right-sentinel"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("wrong-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := declare(lab)
	m.Sentinel.Password = func() (string, error) {
		b, err := os.ReadFile(file)
		return string(b), err
	}
	broken := errors.New("no such credential")
	m.Redis.Password = func() (string, error) { return "", broken }
	w := watch(t, m)
	v, _ := until(t, w, "cache", 3*time.Second, "refused", func(v sentinel.View) bool {
		return strings.Contains(v.Reports[0].Err, "WRONGPASS") && strings.Contains(v.Roles[0].Err, broken.Error())
	})
	if strings.Contains(fmt.Sprint(v), "secret") {
		t.Fatalf("the password is in the view: %+v", v)
	}
	if err := os.WriteFile(file, []byte("right-sentinel"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, w, "cache", 3*time.Second, "allowed", allSeen)

	// No password at all, and TLS to a plain port.
	m.ID, m.Sentinel, m.Redis = "other", sentinel.Access{ID: "none"}, sentinel.Access{ID: "tls", TLS: &tls.Config{MinVersion: tls.VersionTLS12}}
	if err := w.SetMasters([]sentinel.Master{m}); err != nil {
		t.Fatal(err)
	}
	until(t, w, "other", 5*time.Second, "NOAUTH", func(v sentinel.View) bool {
		return strings.Contains(v.Reports[0].Err, "NOAUTH") && v.Roles[0].Role == sentinel.RoleUnreachable
	})
}
