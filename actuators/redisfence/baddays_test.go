package redisfence

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/pipe"
)

const (
	oldAddress fsm.Address = "redis-a.example:6379"
	newAddress fsm.Address = "redis-b.example:6379"
	oldID                  = "0123456789012345678901234567890123456789"
	newID                  = "9876543210987654321098765432109876543210"
)

// pair is an old master and the node that was promoted, as far as a fence goes.
type pair struct {
	nets map[fsm.Address]*pipe.Net
	open sync.WaitGroup

	mu     sync.Mutex // guards what follows
	fenced bool       // the old one is a replica
	seen   actuatortest.Requests
	bad    func(at fsm.Address, order string, answer func() string) string // nil: nothing is bad
}

// Answers of a bad day that stand for more than their text.
const (
	flood   = "flood"   // bytes without a newline, until nobody takes them
	silence = "silence" // none
	ends    = "ends"    // the connection ends
	cut     = "cut:"    // and after what follows
)

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{nets: map[fsm.Address]*pipe.Net{oldAddress: pipe.New(), newAddress: pipe.New()}}
	for at, l := range p.nets {
		p.open.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				p.open.Go(func() {
					defer conn.Close()
					p.serve(at, conn)
				})
			}
		})
	}
	t.Cleanup(func() {
		for _, l := range p.nets {
			_ = l.Close()
		}
		p.open.Wait()
	})
	return p
}

func (p *pair) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return p.nets[fsm.Address(address)].Dial(ctx, network, address)
}

// serve answers commands, which a client sends as arrays of strings.
func (p *pair) serve(at fsm.Address, conn net.Conn) {
	r, queued := bufio.NewReader(conn), [][]string(nil)
	for {
		words, err := command(r)
		if err != nil {
			return
		}
		order := strings.ToUpper(words[0])
		plain := func() string { return p.answer(at, order, words, &queued) }
		text := p.reply(at, order, plain)
		switch {
		case text == ends:
			return
		case text == flood:
			for chunk := strings.Repeat("x", 32<<10); err == nil; {
				_, err = io.WriteString(conn, chunk)
			}
			return
		case text == silence:
			continue
		case strings.HasPrefix(text, cut):
			_, _ = io.WriteString(conn, strings.TrimPrefix(text, cut))
			return
		}
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

// reply is the answer to an order, as the day has it.
func (p *pair) reply(at fsm.Address, order string, plain func() string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bad == nil {
		return plain()
	}
	return p.bad(at, order, plain)
}

func command(r *bufio.Reader) (words []string, err error) {
	number := func(mark string) (n int) {
		line, e := r.ReadString('\n')
		n, bad := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), mark))
		err = errors.Join(err, e, bad)
		return n
	}
	for range number("*") {
		word := make([]byte, number("$")+2)
		if err == nil {
			_, err = io.ReadFull(r, word)
		}
		words = append(words, strings.TrimSuffix(string(word), "\r\n"))
	}
	if err == nil && len(words) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return words, err
}

// answer carries a command out. The caller holds mu.
func (p *pair) answer(at fsm.Address, order string, words []string, queued *[][]string) string {
	p.seen.All++
	switch order {
	case "HELLO":
		return "-ERR unknown command 'HELLO'\r\n"
	case "AUTH":
		return "+OK\r\n"
	case "MULTI":
		*queued = [][]string{}
		return "+OK\r\n"
	case "REPLICAOF", "CLIENT":
		*queued = append(*queued, words)
		return "+QUEUED\r\n"
	case "EXEC":
		p.seen.Mutating++
		if len(*queued) != 3 {
			return "-EXECABORT Transaction discarded because of previous errors.\r\n"
		}
		if at == oldAddress && !p.fenced && slices.Equal((*queued)[0], []string{"REPLICAOF", "redis-b.example", "6379"}) {
			p.fenced = true
			p.seen.Changes++
		}
		return "*3\r\n+OK\r\n:4\r\n:1\r\n"
	case "ROLE":
		if at == oldAddress && p.fenced {
			return "*5\r\n$5\r\nslave\r\n$15\r\nredis-b.example\r\n:6379\r\n$9\r\nconnected\r\n:1\r\n"
		}
		return asMaster
	case "INFO":
		ids := map[fsm.Address][2]string{oldAddress: {oldID, strings.Repeat("0", 40)}, newAddress: {newID, oldID}}[at]
		text := fmt.Sprintf("master_replid:%s\r\nmaster_replid2:%s\r\n", ids[0], ids[1])
		return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
	}
	return "-ERR unknown command\r\n"
}

// Value is who takes the writes of whoever still reaches the old master.
func (p *pair) Value() fsm.Address {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fenced {
		return newAddress
	}
	return oldAddress
}

func (p *pair) Seen() actuatortest.Requests {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

func (p *pair) Break(actuatortest.Fault) { panic("a bad day is turned, not broken") }

func (p *pair) Mend() { p.turn(nil) }

func (p *pair) turn(bad func(at fsm.Address, order string, answer func() string) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad = bad
}

// TestBadDays: what a fence stands at when the old master, or what lies between,
// does what it should not.
func TestBadDays(t *testing.T) {
	unreached := actuatortest.Want{End: actuatortest.Done, Do: "Nothing: what does not answer cannot be fenced, and the action's warning says so. Sentinel makes it a replica when it is back."}
	cases := map[actuatortest.Day]actuatortest.Case{}
	for _, d := range []actuatortest.Day{
		actuatortest.UnknownAuthority, actuatortest.WrongName, actuatortest.CertificateEnded, actuatortest.NoSuchHost, actuatortest.ConnRefused,
	} {
		cases[d] = actuatortest.Case{Want: unreached}
	}
	actuatortest.RunBadDays(t, actuatortest.Bad{
		Kind: Name, Open: openBad, Cases: cases, More: append(badAnswers(unreached), badTransactions()...),
		// A look that gets no answer asks each node every 50 ms for a second, and a
		// busy one again after 0.2 s: the target's rate is what bounds both.
		Round: 2 * float64(DefaultWait/AskAgain), Lastly: actuatortest.Rate + 2*int(DefaultWait/AskAgain),
		Heal: func(w actuatortest.World) { w.Outside.Mend() },
	})
}

func openBad(t *testing.T, scheme string, through func(actuatortest.Dial) actuatortest.Dial) actuatortest.World {
	t.Helper()
	p := newPair(t)
	target := &pb.RedisFenceTarget{User: "fencer", Password: "env:FENCE"}
	if scheme == "https" {
		target.Tls = &pb.ClientTls{}
	}
	params, err := proto.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	return actuatortest.World{
		Kind: New(Config{
			Dial: through(p.dial), Getenv: func(string) string { return password },
			TLS: func(*pb.ClientTls) (*tls.Config, error) { return &tls.Config{MinVersion: tls.VersionTLS12}, nil },
		}),
		Name: Name, Target: fsm.TargetSpec{ID: "old", Kind: Name, Params: params}, Message: &pb.RedisFenceStep{}, TargetOf: target,
		A: oldAddress, B: newAddress, Secrets: []string{password}, Outside: p,
	}
}

// says answers one order at one node in its place; an empty order: each.
func says(where fsm.Address, which, text string) func(actuatortest.World) {
	return spoil(where, which, func(func() string) string { return text })
}

func spoil(where fsm.Address, which string, f func(answer func() string) string) func(actuatortest.World) {
	return func(w actuatortest.World) {
		w.Outside.(*pair).turn(func(at fsm.Address, order string, answer func() string) string {
			if at != where || which != "" && order != which {
				return answer()
			}
			return f(answer)
		})
	}
}

func badAnswers(unreached actuatortest.Want) []actuatortest.More {
	day := func(name actuatortest.Day, do func(actuatortest.World), want actuatortest.Want) actuatortest.More {
		return actuatortest.More{Day: name, Case: actuatortest.Case{Do: do, Want: want}}
	}
	stuck := func(words, do string) actuatortest.Want {
		return actuatortest.Want{End: actuatortest.Stuck, Says: words, Do: do + "; then `pointsman actions retry`."}
	}
	open := func(words, do string) actuatortest.Want {
		return actuatortest.Want{End: actuatortest.Open, Says: words, Do: do}
	}
	const grant = "Grant what the target's page lists to the fence's user, on each node"
	return []actuatortest.More{
		day("old master: a garbage line", says(oldAddress, "ROLE", "\x00\xff<html>\r\n"), unreached),
		day("old master: 100 MB without a newline", says(oldAddress, "ROLE", flood), unreached),
		day("old master: half an answer", says(oldAddress, "ROLE", cut+"*3\r\n$6\r\nmas"), unreached),
		day("old master: no answer", says(oldAddress, "", silence), unreached),
		day("old master: loading its data", says(oldAddress, "ROLE", "-LOADING Redis is loading the dataset in memory\r\n"), unreached),
		day("old master: a role that is not known here", says(oldAddress, "ROLE", "*2\r\n$9\r\narbitrator\r\n*0\r\n"), unreached),
		day("old master: a wrong password", says(oldAddress, "AUTH", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
			stuck("WRONGPASS", "Put the password that Redis has where the target's reference points, on each node")),
		day("old master: permission missing for ROLE alone", says(oldAddress, "ROLE", "-NOPERM User fencer has no permissions to run the 'role' command\r\n"), stuck("NOPERM", grant)),
		day("old master: a replica already", func(w actuatortest.World) {
			p := w.Outside.(*pair)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.fenced = true
		}, actuatortest.Want{End: actuatortest.Done, Do: "Nothing: Sentinel, or an operator, was sooner."}),
		day("new master: a garbage line", says(newAddress, "ROLE", "\x00\xff<html>\r\n"), open("does not answer", "Nothing: it is asked again every 0.2 s. Nothing is fenced while the new master does not say that it is one.")),
		day("new master: not promoted yet", says(newAddress, "ROLE", "*5\r\n$5\r\nslave\r\n$15\r\nredis-a.example\r\n:6379\r\n$9\r\nconnected\r\n:1\r\n"),
			open("is none yet", "Nothing: it is asked again every 0.2 s.")),
		day("new master: it never followed the old one", says(newAddress, "INFO", "$91\r\nmaster_replid:"+newID+"\r\nmaster_replid2:\r\nx:"+strings.Repeat("y", 15)+"\r\n\r\n"),
			actuatortest.Want{End: actuatortest.Done, Do: "Look which of the two holds the data: the old one was left alone, and the action's warning says so."}),
	}
}

func badTransactions() []actuatortest.More {
	day := func(name actuatortest.Day, do func(actuatortest.World), want actuatortest.Want) actuatortest.More {
		return actuatortest.More{Day: name, Case: actuatortest.Case{Do: do, Want: want}}
	}
	doubt := actuatortest.Want{End: actuatortest.Open, Doubt: true, Says: string(oldAddress), Do: "Nothing: it is asked for its role, and ordered again while it is a master."}
	saw := actuatortest.Want{End: actuatortest.Done, Do: "Nothing: the look after it saw a replica."}
	after := func(text string) func(func() string) string {
		return func(answer func() string) string {
			_ = answer()
			return text
		}
	}
	return []actuatortest.More{
		day("write: permission missing for REPLICAOF alone", says(oldAddress, "REPLICAOF", "-NOPERM User fencer has no permissions to run the 'replicaof' command\r\n"),
			actuatortest.Want{End: actuatortest.Stuck, Says: "NOPERM", Do: "Grant what the target's page lists to the fence's user, on each node; then `pointsman actions retry`."}),
		day("write: the connection ends at EXEC, nothing carried out", says(oldAddress, "EXEC", ends), doubt),
		day("write: a garbage line, nothing carried out", says(oldAddress, "EXEC", "\x00\xff<html>\r\n"), doubt),
		day("write: 100 MB without a newline, nothing carried out", says(oldAddress, "EXEC", flood), doubt),
		day("write: carried out, then the connection ends", spoil(oldAddress, "EXEC", after(ends)), saw),
		day("write: carried out, then half an answer", spoil(oldAddress, "EXEC", after(cut+"*3\r\n+O")), saw),
		day("write: carried out, then 100 MB without a newline", spoil(oldAddress, "EXEC", after(flood)), saw),
	}
}
