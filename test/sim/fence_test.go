package sim

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// fenceName is the name of the fence's stage, step and target.
const fenceName = "fence"

// fences are the Redis nodes as who fences them meets them: roles, replication
// ids, and connections that a change of role ends. A promoted replica keeps its
// master's id as its second one and takes a new one. An old master answers as a
// master until the fence, or after a while a Sentinel, makes it a replica.
type fences struct {
	r *run

	mu     sync.Mutex // guards what follows
	rng    *rand.Rand
	slowly bool // replicas follow a new master only at the next promotion
	ids    int
	sets   map[string]*replicas // by master
	wrote  []fencing
}

// replicas is a master with its replicas.
type replicas struct {
	truth string
	known int // promotions that were played
	nodes map[string]*redisNode
}

type redisNode struct {
	up, master      bool
	replid, replid2 string
	life            int // rises when a change of role, or a stop, ends its connections
}

// fencing is a transaction that a node carried out.
type fencing struct {
	master, node, to string
	replid           string // that it had
	at               time.Time
	truth            bool // it was the master that Redis had elected
}

const noReplid = "0000000000000000000000000000000000000000"

func newFences(r *run, seed uint64) *fences {
	f := &fences{r: r, rng: rand.New(rand.NewPCG(seed, 0x66656e6365)), sets: map[string]*replicas{}}
	f.slowly = f.rng.IntN(2) == 0
	for _, m := range r.plan.Masters {
		set := &replicas{truth: m.Candidates[0], nodes: map[string]*redisNode{}}
		id := f.id()
		for i, c := range m.Candidates {
			set.nodes[c] = &redisNode{up: true, master: i == 0, replid: id, replid2: noReplid}
		}
		f.sets[m.ID] = set
	}
	return f
}

func (f *fences) id() string {
	f.ids++
	return fmt.Sprintf("%040x", f.ids)
}

// follow plays the promotions that Sentinels announced since the last call.
func (f *fences) follow(id string, promoted []promotion) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set := f.sets[id]
	for ; set.known < len(promoted); set.known++ {
		f.promote(id, set, promoted[set.known].Address)
	}
}

// promote makes a node the master; the caller holds mu.
func (f *fences) promote(id string, set *replicas, to string) {
	if to == set.truth {
		return
	}
	old, next := set.nodes[set.truth], set.nodes[to]
	if next.master || !f.slowly { // a Sentinel promotes replicas only
		next.replid = old.replid
	}
	next.become(true)
	next.up, next.replid2, next.replid = true, next.replid, f.id()
	for address, n := range set.nodes {
		if n != old && n != next && !n.master && !f.slowly {
			n.replid, n.replid2 = next.replid, noReplid
		}
		if address == set.truth {
			f.depose(id, address)
		}
	}
	set.truth = to
}

// depose draws what becomes of an old master: it still answers or is stopped for
// a while, and is found by a Sentinel later. The caller holds mu.
func (f *fences) depose(id, address string) {
	n := f.sets[id].nodes[address]
	down := time.Duration(0)
	if f.rng.IntN(3) == 0 {
		down = time.Duration(100+f.rng.IntN(15000)) * time.Millisecond
		n.up = false
		n.life++
	}
	found, life := down+time.Duration(8000+f.rng.IntN(20000))*time.Millisecond, n.life
	f.r.graves.Go(func() {
		time.Sleep(down)
		f.mu.Lock()
		if n.life == life {
			n.up = true
		}
		f.mu.Unlock()
		time.Sleep(found - down)
		f.mu.Lock()
		defer f.mu.Unlock()
		if n.life == life && n.master {
			f.demote(id, address, f.sets[id].truth)
		}
	})
}

// demote makes a node a replica; the caller holds mu.
func (f *fences) demote(id, address, of string) {
	set := f.sets[id]
	n := set.nodes[address]
	n.become(false)
	n.replid, n.replid2 = set.nodes[of].replid, noReplid
}

func (n *redisNode) become(master bool) {
	n.master = master
	n.life++
}

// serve opens the nodes' ports.
func (f *fences) serve(s *side) (io.Closer, error) {
	var all closers
	for _, m := range f.r.plan.Masters {
		for _, address := range m.Candidates {
			host, _, _ := net.SplitHostPort(address)
			l, err := f.r.hub.join(host).Listen(address)
			if err != nil {
				return nil, err
			}
			all = append(all, f.r.desk(l, func(c net.Conn) { f.converse(s.edge, m.ID, address, c) }))
		}
	}
	return all, nil
}

type closers []io.Closer

func (c closers) Close() (err error) {
	for _, one := range c {
		err = one.Close()
	}
	return err
}

// converse speaks RESP for one node, on one connection.
func (f *fences) converse(e *sideEdge, id, address string, conn net.Conn) {
	node := f.sets[id].nodes[address]
	f.mu.Lock()
	up, life := node.up, node.life
	f.mu.Unlock()
	lives := func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return up && node.life == life
	}
	in, to := bufio.NewReader(conn), ""
	for lives() {
		words, err := readCommand(in)
		if err != nil || !lives() {
			return
		}
		answer, do := "+QUEUED\r\n", sideDeed("")
		switch strings.ToUpper(words[0]) {
		case "ROLE":
			answer, do = pass(e, false, func() string { return f.role(id, address) })
		case "INFO":
			answer = f.info(id, address)
		case "MULTI":
			answer = "+OK\r\n"
		case "REPLICAOF":
			to = net.JoinHostPort(words[1], words[2])
		case "CLIENT":
		case "EXEC":
			answer, do = pass(e, true, func() string { return f.exec(id, address, to, life) })
		default:
			answer = "-ERR unknown command\r\n"
		}
		switch do {
		case sideRefuses:
			answer = "-LOADING Redis is loading the dataset in memory\r\n"
		case sideBusy:
			answer = "-BUSY Redis is busy running a script\r\n"
		case sideFails, sideLoses, sideCuts:
			return
		}
		if _, err := io.WriteString(conn, answer); answer == "" || err != nil {
			return
		}
	}
}

// readCommand takes one array of RESP.
func readCommand(in *bufio.Reader) (words []string, err error) {
	count, err := length(in, '*')
	for range count {
		size, err := length(in, '$')
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	if err == nil && len(words) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return words, err
}

func length(in *bufio.Reader, sign byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != sign {
		return 0, fmt.Errorf("%q: %w", line, io.ErrUnexpectedEOF)
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if n > 1<<16 {
		return 0, io.ErrShortBuffer
	}
	return n, err
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func (f *fences) role(id, address string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	set := f.sets[id]
	if set.nodes[address].master {
		return "*3\r\n" + bulk("master") + ":100\r\n*0\r\n"
	}
	host, port, _ := net.SplitHostPort(set.truth)
	return "*5\r\n" + bulk("slave") + bulk(host) + ":" + port + "\r\n" + bulk("connected") + ":100\r\n"
}

func (f *fences) info(id, address string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.sets[id].nodes[address]
	return bulk("# Replication\r\nmaster_replid:" + n.replid + "\r\nmaster_replid2:" + n.replid2 + "\r\n")
}

// exec carries the transaction out where its connection still stands; empty:
// there is nobody left to answer.
func (f *fences) exec(id, address, to string, life int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	set := f.sets[id]
	n := set.nodes[address]
	if !n.up || n.life != life || set.nodes[to] == nil {
		return ""
	}
	f.wrote = append(f.wrote, fencing{master: id, node: address, to: to, replid: n.replid, at: time.Now(), truth: set.truth == address})
	f.demote(id, address, to)
	return "*3\r\n+OK\r\n:1\r\n:0\r\n"
}

// fenceSide is the fence in the spec; its world is opened with the run.
func fenceSide(p *plan) *side {
	return &side{
		name: fenceName, close: func() {},
		target: fmt.Sprintf("  %s: {hold: %s, rate: %d, redis_fence: {}}\n", fenceName, p.Hold, p.Rate),
		step:   func(int, masterPlan) string { return "redis_fence: {wait: 300ms}" },
	}
}

// fenced judges what the nodes carried out, and that in the end no fence is left
// for a human.
func (r *run) fenced(state fsm.State, claims []*grant) {
	f := r.redis.fences
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r.fencings(f.wrote, state.Failover, claims)
	for _, m := range r.plan.Masters {
		if a, ok := newestAction(state, m, fenceName); ok && a.Phase == fsm.Stuck {
			r.fail("fence left open", "%s is stuck: %s", a.ID, a.Reason)
		}
	}
}

// fencings judges transactions: each under a claim that names the replication id
// the node had, and none on the master that Redis had elected.
func (r *run) fencings(wrote []fencing, failover func(fsm.FailoverID) (fsm.Failover, bool), claims []*grant) {
	for _, w := range wrote {
		owned := slices.ContainsFunc(claims, func(g *grant) bool {
			over, _ := failover(g.action.For)
			return g.action.Step.Target == fenceName && string(over.From) == w.node && string(over.To) == w.to &&
				g.action.Version == w.replid && !g.by.at.After(w.at)
		})
		if !owned {
			r.fail("fence orphans", "%s was told to follow %s at %s, and no claim stands for that", w.node, w.to, w.at.Sub(r.story.began))
		}
		if w.truth {
			r.fail("fence of the master", "%s was told to follow %s at %s, when it was the master", w.node, w.to, w.at.Sub(r.story.began))
		}
	}
	r.figures.Fenced += len(wrote)
}
