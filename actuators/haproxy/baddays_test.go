package haproxy_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/haproxy"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestBadDays: what an action on a server stands at when HAProxy, or what lies
// between, does what it should not.
func TestBadDays(t *testing.T) {
	actuatortest.RunBadDays(t, actuatortest.Bad{
		Kind: haproxy.Name, Open: openBad, More: append(badLooks(), badOrders()...),
		Heal: func(w actuatortest.World) {
			p := w.Outside.(*process)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.bad, p.level, p.other = nil, "admin", "1"
		},
	})
}

func openBad(t *testing.T, scheme string, through func(actuatortest.Dial) actuatortest.Dial) actuatortest.World {
	t.Helper()
	p := newProcess(t)
	w := world(p, t)
	target := &pb.HaproxyTarget{Address: "haproxy.example:9999"}
	if scheme == "https" {
		target.Tls = &pb.ClientTls{}
	}
	w.TargetOf, w.Target.Params = target, encode(t, target)
	w.Kind = haproxy.New(haproxy.Config{
		Dial: through(p.net.Dial), TLS: func(*pb.ClientTls) (*tls.Config, error) { return &tls.Config{MinVersion: tls.VersionTLS12}, nil },
	})
	return w
}

type (
	more = actuatortest.More
	of   = actuatortest.Case
	want = actuatortest.Want
)

func so(end actuatortest.End, doubt bool, says, do string) want {
	return want{End: end, Doubt: doubt, Says: says, Do: do}
}

// turn changes the simulated process.
func turn(f func(p *process)) func(actuatortest.World) {
	return func(w actuatortest.World) {
		p := w.Outside.(*process)
		p.mu.Lock()
		defer p.mu.Unlock()
		f(p)
	}
}

// reads and orders spoil the answers of one sort.
func reads(change func(answer string) string) func(actuatortest.World) {
	return turn(func(p *process) {
		p.bad = func(write bool, answer func() string) string {
			if write {
				return answer()
			}
			return change(answer())
		}
	})
}

func orders(f func(answer func() string) string) func(actuatortest.World) {
	return turn(func(p *process) {
		p.bad = func(write bool, answer func() string) string {
			if !write {
				return answer()
			}
			return f(answer)
		}
	})
}

func always(text string) func(string) string { return func(string) string { return text } }

const (
	passing = "Nothing, if it was a passing fault: it goes on by itself. Else find what answers in HAProxy's place, or why it ends."
	again   = "; then `pointsman actions retry`."
	sawIt   = "Nothing: the read after it saw the address."
)

func badLooks() []more {
	open, stuck, done := actuatortest.Open, actuatortest.Stuck, actuatortest.Done
	return []more{
		{Day: "read: a garbage line", Case: of{Do: reads(always("\x00\xff<html>\n")), Want: so(open, false, "answer not understood", passing)}},
		{Day: "read: 100 MB without a newline", Case: of{Do: reads(always(flood)), Want: so(open, false, "more than 1048576 bytes", passing)}},
		{Day: "read: half an answer", Case: of{Do: reads(func(answer string) string { return answer[:len(answer)/2] }), Want: so(open, false, "answer not understood", passing)}},
		{Day: "read: the connection ends without an answer", Case: of{Do: reads(always("")), Want: so(open, false, "connection ended without an answer", passing)}},
		{Day: "read: no answer", Case: of{Do: reads(always(silence)), Want: so(open, false, "deadline exceeded", "Nothing, if HAProxy is only busy. Else look why it hangs: it is asked again for 5 s each time.")}},
		{Day: "read: a level below operator", Case: of{Do: turn(func(p *process) { p.level = "user" }), Want: so(stuck, false, "is the socket's level admin?", "Give the socket `level admin`"+again)}},
		{Day: "read: no such backend", Case: of{Do: reads(func(answer string) string {
			return strings.ReplaceAll(answer, p0(answer), "Can't find backend.\n")
		}), Want: so(stuck, false, "Can't find backend", "Name the backend as the configuration does"+again)}},
		{Day: "read: no such server", Case: of{Do: reads(func(answer string) string {
			return strings.ReplaceAll(answer, " master ", " minister ")
		}), Want: so(stuck, false, "has no server master", "Name the server as the configuration does"+again)}},
		{Day: "read: a state of the server that is no number", Case: of{Do: reads(func(answer string) string {
			return strings.ReplaceAll(answer, " 2 0 1 1 ", " quarantined 0 1 1 ")
		}), Want: so(open, false, "answer not understood", "Look at the server; report the reason, it quotes the row.")}},
		{Day: "read: a state of the server that is not known here", Case: of{Do: reads(func(answer string) string {
			return strings.ReplaceAll(answer, " 2 0 1 1 ", " 9 0 1 1 ")
		}), Want: want{End: done, Do: "Nothing: address and marker decide. Only state 0 is told as down."}}},
		{Day: "read: another server of the backend may take traffic", Case: of{Do: turn(func(p *process) { p.other = "0" }), Want: so(stuck, false, "which would split writes", "Take the other server out, or disable it"+again)}},
	}
}

// p0 is the answer to "show servers state" within a whole one.
func p0(answer string) string {
	from := strings.Index(answer, "1\n# be_id")
	return answer[from : from+strings.Index(answer[from:], "\n\n")+1]
}

func badOrders() []more {
	open, stuck, done := actuatortest.Open, actuatortest.Stuck, actuatortest.Done
	not := func(text string) func(func() string) string { return func(func() string) string { return text } }
	then := func(text string) func(func() string) string {
		return func(answer func() string) string {
			_ = answer()
			return text
		}
	}
	return []more{
		{Day: "write: level operator", Case: of{Do: turn(func(p *process) { p.level = "operator" }), Want: so(stuck, false, "is the socket's level admin?", "Give the socket `level admin`"+again)}},
		{Day: "write: a garbage line, nothing carried out", Case: of{Do: orders(not("\x00\xff<html>\n")), Want: so(open, true, "answer not understood", passing)}},
		{Day: "write: no answer, nothing carried out", Case: of{Do: orders(not("")), Want: so(open, true, "connection ended without an answer", passing)}},
		{Day: "write: 100 MB without a newline, nothing carried out", Case: of{Do: orders(not(flood)), Want: so(open, true, "more than 1048576 bytes", passing)}},
		{Day: "write: the server is gone", Case: of{Do: orders(not("No such server.\n\nPid: 4711\n")), Want: so(stuck, false, "No such server", "Name the server as the configuration does"+again)}},
		{Day: "write: carried out, then a garbage line", Case: of{Do: orders(then("\x00\xff<html>\n")), Want: want{End: done, Do: sawIt}}},
		{Day: "write: carried out, then half an answer", Case: of{Do: orders(func(answer func() string) string {
			text := answer()
			return text[:len(text)/2]
		}), Want: want{End: done, Do: sawIt}}},
		{Day: "write: carried out, then no answer", Case: of{Do: orders(then("")), Want: want{End: done, Do: sawIt}}},
		{Day: "write: carried out, then 100 MB", Case: of{Do: orders(then(flood)), Want: want{End: done, Do: sawIt}}},
	}
}
