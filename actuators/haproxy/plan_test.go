package haproxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/haproxy"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestPlan(t *testing.T) {
	k := haproxy.New(haproxy.Config{})
	good := func() actuators.StepInput {
		return actuators.StepInput{
			Master: "cache", Step: "lb", Target: "edge", TargetMsg: &pb.HaproxyTarget{Address: "10.0.0.5:9999"},
			Message:    &pb.HaproxyStep{Backend: "redis", Server: "master"},
			Candidates: []fsm.Candidate{{Address: "10.0.1.20:6379"}, {Address: "[2001:db8::1]:6379"}},
		}
	}
	planned, problems := k.Plan(good())
	if len(problems) > 0 || planned.Object != "edge/redis/master" || planned.Class != fsm.Readable {
		t.Errorf("%+v, %v", planned, problems)
	}
	for want, wrong := range map[string]func(*actuators.StepInput){
		`target "edge" is not of kind haproxy`:  func(in *actuators.StepInput) { in.TargetMsg = &pb.CommandTarget{} },
		`"" is not a name in HAProxy`:           func(in *actuators.StepInput) { in.Message = &pb.HaproxyStep{Server: "master"} },
		`"a b" is not a name in HAProxy`:        func(in *actuators.StepInput) { in.Message = &pb.HaproxyStep{Backend: "redis", Server: "a b"} },
		`"m; quit" is not a name`:               func(in *actuators.StepInput) { in.Message = &pb.HaproxyStep{Backend: "redis", Server: "m; quit"} },
		"candidate redis-a:6379 of cache: redi": func(in *actuators.StepInput) { in.Candidates[0].Address = "redis-a:6379" },
		"candidate 10.0.1.20:0 of cache: 10.0.": func(in *actuators.StepInput) { in.Candidates[0].Address = "10.0.1.20:0" },
		"candidate [fe80::1%eth0]:1 of cache: ": func(in *actuators.StepInput) { in.Candidates[0].Address = "[fe80::1%eth0]:1" },
		"of cache: redis-a:6379 is no IP addre": func(in *actuators.StepInput) { in.Message = via("10.0.1.20:6379", "redis-a:6379") },
		"stand both at [2001:db8::1]:6379":      func(in *actuators.StepInput) { in.Message = via("10.0.1.20:6379", "[2001:db8::1]:6379") },
		"no candidate of cache":                 func(in *actuators.StepInput) { in.Message = via("10.0.9.9:6379", "10.0.9.10:6379") },
	} {
		in := good()
		wrong(&in)
		if _, problems := k.Plan(in); len(problems) != 1 || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%v, want %q", problems, want)
		}
	}
	for address, want := range map[string]int{"10.0.0.5:9999": 0, "lb.internal:9999": 0, "[::1]:9999": 0, "unix:/run/haproxy/admin.sock": 0, "unix:run": 1, "10.0.0.5": 1, ":9999": 1, "": 1} {
		if problems := k.CheckTarget(&pb.HaproxyTarget{Address: address}); len(problems) != want {
			t.Errorf("%q: %v", address, problems)
		}
	}
	if problems := k.CheckTarget(&pb.HaproxyTarget{Address: "unix:/run/a.sock", Tls: &pb.ClientTls{}}); len(problems) != 1 || problems[0].Path != "tls" {
		t.Errorf("%v", problems)
	}
}

// via is a step with one backend that is not the candidate's own address.
func via(candidate, backend string) *pb.HaproxyStep {
	return &pb.HaproxyStep{Backend: "redis", Server: "master", Backends: map[string]string{candidate: backend}}
}

// TestBackends: a candidate with a name, or behind another address.
func TestBackends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, tool, _ := sim(t)
		msg := via("redis-b:6379", addressB)
		for n, to := range []fsm.Address{"redis-b:6379", addressA} {
			w := work(t, msg, fsm.Number(n+1), to)
			if err := act(t, tool, w, look(t, tool, w)); err != nil {
				t.Fatal(err)
			}
			if want := []fsm.Address{addressB, addressA}[n]; p.Value() != want {
				t.Errorf("%s is sent to %s, want %s", to, p.Value(), want)
			}
		}
	})
}

// TestOpen: a target that cannot be used is refused before anything is sent.
func TestOpen(t *testing.T) {
	for want, target := range map[string]fsm.TargetSpec{
		"read target edge":   {ID: "edge", Params: []byte{0xff}},
		"neither host:port":  {ID: "edge", Params: encode(t, &pb.HaproxyTarget{Address: "nowhere"})},
		"speaks no TLS to H": {ID: "edge", Params: encode(t, &pb.HaproxyTarget{Address: "10.0.0.5:9999", Tls: &pb.ClientTls{}})},
	} {
		if _, err := haproxy.New(haproxy.Config{}).Open(target, free{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestValueOfAnother: what an action wants elsewhere is never written here.
func TestValueOfAnother(t *testing.T) {
	p, tool, w := sim(t)
	seen := look(t, tool, w)
	for name, value := range map[string]string{
		"another server": `{"backend":"redis","server":"other","address":"10.0.2.20:6379"}`, "no address": `{"backend":"redis","server":"master"}`, "none": "",
	} {
		w.Action.Value = []byte(value)
		if s := tool.Judge(seen.Reading, w); s.Verdict != actuators.Foreign || !strings.Contains(s.Detail, haproxy.ErrValue.Error()) {
			t.Errorf("%s: %s, %q", name, s.Verdict, s.Detail)
		}
		if err := act(t, tool, w, seen); !actuators.Explain(err).Permanent {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := p.Seen().Mutating; n != 0 {
		t.Errorf("%d requests that could change something", n)
	}
}

// TestRealTLS: HAProxy itself puts TLS in front of its socket.
func TestRealTLS(t *testing.T) {
	file, roots := certificate(t)
	front := unused(t)
	r := newSite(t, "\nlisten runtime\n    bind "+front+" ssl crt "+file+"\n    server cli unix@DIR/admin.sock\n")
	for _, c := range []struct {
		conf  *tls.Config
		works bool
	}{{&tls.Config{RootCAs: roots}, true}, {&tls.Config{}, false}, {&tls.Config{RootCAs: roots, ServerName: "elsewhere.test"}, false}} {
		kind := haproxy.New(haproxy.Config{TLS: func(*pb.ClientTls) (*tls.Config, error) { return c.conf, nil }})
		tool := open(t, kind, &pb.HaproxyTarget{Address: front, Tls: &pb.ClientTls{}})
		if c.works {
			r.moves(tool, 1, r.b, "b")
			continue
		}
		err := tool.(actuators.Prober).Probe(t.Context())
		var verify *tls.CertificateVerificationError
		if !errors.As(err, &verify) || actuators.Explain(err).Doubt {
			t.Errorf("a certificate that is not trusted: %v", err)
		}
	}
}

// certificate is a file with a certificate of 127.0.0.1 and its key, and who
// vouches for it.
func certificate(t *testing.T) (file string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	s.Close()
	made := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	file = filepath.Join(t.TempDir(), "front.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return file, roots
}
