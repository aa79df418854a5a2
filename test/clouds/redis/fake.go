package redis

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
)

// Fake is a TCP server that answers like a Sentinel or a Redis node, with
// whatever it was told to say: for lies, hangs and load that real processes
// cannot be asked for. Its methods may be called concurrently.
type Fake struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex // guards what follows
	id       string
	masters  map[string]Claim
	role     string
	hang     chan struct{} // not nil: closed at the end of the hang
	conns    map[net.Conn]*subscription
	commands map[string]int
	scripts  map[string]string
	largest  int // commands in the largest pipelined write
	closed   bool
}

// Claim is what a Fake says about one master. An empty Flags means "master".
type Claim struct {
	Address        string
	Epoch          uint64
	Flags          string
	OtherSentinels int
}

type subscription struct {
	mu       sync.Mutex // one writer at a time
	w        *bufio.Writer
	channels []string
}

// NewFake listens on a free loopback port. role is what it answers to ROLE:
// "sentinel", "master" or "slave".
func NewFake(role string) (*Fake, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Fake{
		listener: l, role: role, id: fmt.Sprintf("%040x", l.Addr().(*net.TCPAddr).Port),
		masters: map[string]Claim{}, conns: map[net.Conn]*subscription{}, commands: map[string]int{}, scripts: map[string]string{},
	}
	f.wg.Go(f.accept)
	return f, nil
}

// Address is host:port.
func (f *Fake) Address() string { return f.listener.Addr().String() }

// Say sets what is claimed about a master.
func (f *Fake) Say(name string, c Claim) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.masters[name] = c
}

// SetRole sets the answer to ROLE; a text of two words is an error reply, for
// example "LOADING still".
func (f *Fake) SetRole(role string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.role = role
}

// Script makes every later such command be answered with these bytes, for
// example "SENTINEL FAILOVER" with "+OK\r\n"; Bulks and ErrorReply make some. Without
// bytes the connection is cut instead: the answer is lost.
func (f *Fake) Script(command, reply string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripts[command] = reply
}

// Bulks is the reply of one string, or of a flat array of several.
func Bulks(values ...string) string {
	var b strings.Builder
	w := bufio.NewWriter(&b)
	writeBulks(w, values...)
	_ = w.Flush()
	return b.String()
}

// ErrorReply is an error, for example "NOPERM no permissions".
func ErrorReply(text string) string { return "-" + text + "\r\n" }

// SetID sets the Sentinel's own id, or the Redis node's run id.
func (f *Fake) SetID(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.id = id
}

// Hang makes every later command wait, with its connection open, until
// hang is false again.
func (f *Fake) Hang(hang bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if hang && f.hang == nil {
		f.hang = make(chan struct{})
	}
	if !hang && f.hang != nil {
		close(f.hang)
		f.hang = nil
	}
}

// Cut closes every connection; new ones are accepted.
func (f *Fake) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
	}
}

// Publish sends an event and returns how many connections got it.
func (f *Fake) Publish(channel, payload string) int {
	f.mu.Lock()
	var to []*subscription
	for _, s := range f.conns {
		to = append(to, s)
	}
	f.mu.Unlock()
	n := 0
	for _, s := range to {
		s.mu.Lock()
		if slices.Contains(s.channels, channel) {
			writeBulks(s.w, "message", channel, payload)
			if s.w.Flush() == nil {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}

// Count returns how often a command came, for example "ROLE" or "SENTINEL MASTER".
func (f *Fake) Count(command string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commands[command]
}

// Commands returns how often each command came.
func (f *Fake) Commands() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.commands)
}

// LargestWrite is the most commands that arrived without an answer between them.
func (f *Fake) LargestWrite() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.largest
}

// Close ends the server and all its connections.
func (f *Fake) Close() {
	f.Hang(false)
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.listener.Close()
	f.Cut()
	f.wg.Wait()
}

func (f *Fake) accept() {
	for {
		raw, err := f.listener.Accept()
		if err != nil {
			return
		}
		s := &subscription{w: bufio.NewWriter(raw)}
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			raw.Close()
			continue
		}
		f.conns[raw] = s
		f.mu.Unlock()
		f.wg.Go(func() {
			f.serve(raw, s)
			raw.Close()
			f.mu.Lock()
			delete(f.conns, raw)
			f.mu.Unlock()
		})
	}
}

func (f *Fake) serve(raw net.Conn, s *subscription) {
	c := &conn{Conn: raw, r: bufio.NewReaderSize(raw, 64<<10)}
	pending := 0
	for {
		v, err := c.read()
		if err != nil {
			return
		}
		list, _ := v.([]any)
		args := make([]string, 0, len(list))
		for _, x := range list {
			a, _ := x.(string)
			args = append(args, a)
		}
		if len(args) == 0 {
			return
		}
		f.wait()
		pending++
		s.mu.Lock()
		cut := f.answer(s, args)
		if c.r.Buffered() == 0 || cut {
			err = s.w.Flush()
			f.mu.Lock()
			f.largest = max(f.largest, pending)
			f.mu.Unlock()
			pending = 0
		}
		s.mu.Unlock()
		if err != nil || cut {
			return
		}
	}
}

func (f *Fake) wait() {
	f.mu.Lock()
	hang := f.hang
	f.mu.Unlock()
	if hang != nil {
		<-hang
	}
}

// answer writes the reply; true when the connection is to be cut instead.
func (f *Fake) answer(s *subscription, args []string) (cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := strings.ToUpper(args[0])
	if name == "SENTINEL" && len(args) > 1 {
		name += " " + strings.ToUpper(args[1])
	}
	f.commands[name]++
	if reply, ok := f.scripts[name]; ok {
		fmt.Fprint(s.w, reply)
		return reply == ""
	}
	switch name {
	case "PING":
		if len(s.channels) > 0 {
			writeBulks(s.w, "pong", "")
		} else {
			fmt.Fprint(s.w, "+PONG\r\n")
		}
	case "SUBSCRIBE":
		for _, c := range args[1:] {
			s.channels = append(s.channels, c)
			fmt.Fprintf(s.w, "*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:%d\r\n", len(c), c, len(s.channels))
		}
	case "ROLE":
		f.sayRole(s.w)
	case "INFO":
		writeBulks(s.w, "# Server\r\nrun_id:"+f.id+"\r\n")
	case "SENTINEL MYID":
		writeBulks(s.w, f.id)
	case "SENTINEL GET-MASTER-ADDR-BY-NAME", "SENTINEL MASTER":
		f.sayMaster(s.w, name, args)
	default:
		fmt.Fprintf(s.w, "-ERR unknown command '%s'\r\n", args[0])
	}
	return false
}

func (f *Fake) sayRole(w *bufio.Writer) {
	if strings.Contains(f.role, " ") {
		fmt.Fprintf(w, "-%s\r\n", f.role)
		return
	}
	fmt.Fprintf(w, "*1\r\n$%d\r\n%s\r\n", len(f.role), f.role)
}

func (f *Fake) sayMaster(w *bufio.Writer, command string, args []string) {
	var c Claim
	known := false
	if len(args) == 3 {
		c, known = f.masters[args[2]]
	}
	if command == "SENTINEL GET-MASTER-ADDR-BY-NAME" {
		host, port, err := net.SplitHostPort(c.Address)
		if !known || err != nil {
			fmt.Fprint(w, "*-1\r\n")
			return
		}
		fmt.Fprint(w, "*2\r\n")
		writeBulk(w, host)
		writeBulk(w, port)
		return
	}
	if !known {
		fmt.Fprint(w, "-ERR No such master with that name\r\n")
		return
	}
	flags := c.Flags
	if flags == "" {
		flags = "master"
	}
	writeBulks(w, "name", args[2], "flags", flags, "config-epoch", fmt.Sprint(c.Epoch),
		"num-slaves", "2", "num-other-sentinels", fmt.Sprint(c.OtherSentinels))
}

// writeBulks writes one string, or an array of several.
func writeBulks(w *bufio.Writer, values ...string) {
	if len(values) > 1 {
		fmt.Fprintf(w, "*%d\r\n", len(values))
	}
	for _, v := range values {
		writeBulk(w, v)
	}
}

func writeBulk(w *bufio.Writer, v string) { fmt.Fprintf(w, "$%d\r\n%s\r\n", len(v), v) }
