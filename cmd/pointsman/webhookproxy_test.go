package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/deploy/samples"
	"github.com/pointsman/pointsman/test/clouds/haproxy"
)

// TestReceiverBehindHAProxy runs the sample of HAProxy, with other addresses, in
// front of two real receivers on one store: deliveries come through it byte for
// byte, and still do when one receiver is killed.
func TestReceiverBehindHAProxy(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret"), killedSecret)
	var receivers []*receiver
	for range 2 {
		receivers = append(receivers, startReceiver(t, receiverFile(t, dir)))
	}
	host := func(r *receiver) string {
		return strings.TrimSuffix(strings.TrimPrefix(r.url, "http://"), "/webhooks/orders")
	}
	front := net.JoinHostPort("127.0.0.1", portOf(t))
	proxy, err := haproxy.Start(t.Context(), func(at string) string {
		write(t, filepath.Join(at, "hooks.pem"), selfSigned(t))
		return strings.NewReplacer(
			"10.0.0.5:443", front, "/run/haproxy", at, "/etc/haproxy", at, "10.0.1.30:7810", host(receivers[0]), "10.0.2.30:7810", host(receivers[1]),
		).Replace(samples.WebhookHAProxy())
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	}()
	through := &receiver{url: "https://" + front + "/webhooks/orders", client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // of a certificate made for this test
	}}}
	for _, id := range []string{"1", "2", "3"} {
		if !through.deliver(t.Context(), id) {
			t.Errorf("%s is not taken", id)
		}
	}
	if err := errors.Join(receivers[0].cmd.Process.Kill(), ignoreExit(receivers[0].cmd.Wait())); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"4", "5", "6"} {
		if !through.deliver(t.Context(), id) {
			t.Errorf("%s is not taken after one receiver was killed", id)
		}
	}
	have := storedBodies(t, filepath.Join(dir, "store"))
	for _, id := range []string{"1", "2", "3", "4", "5", "6"} {
		if have[id] != bodyOf(id) {
			t.Errorf("%s was stored as %.40q", id, have[id])
		}
	}
}

// ignoreExit leaves out that a process was killed.
func ignoreExit(err error) error {
	if err != nil && strings.Contains(err.Error(), "killed") {
		return nil
	}
	return err
}

func portOf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// selfSigned is a certificate and its key in one PEM, as HAProxy reads them.
func selfSigned(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}
