package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/coordinator"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/leases"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// tape is a replicated log in one process: the real state machine behind the
// real API on real ports, with a leader that may be missing. It lets a script
// put any story into the log without Redis.
type tape struct {
	mu         sync.Mutex
	state      fsm.State
	term       fsm.Term
	lead       fsm.NodeID // empty: no quorum
	ids        []fsm.NodeID
	nodes      map[fsm.NodeID]*node
	hints      []string
	sees       func(*api.Sight) // what a script changes about every sight; under mu
	lost       []fsm.NodeID     // do not reach the target; under mu
	amiss      []string         // what a look at the targets finds wrong; under mu
	objections []api.Objection  // of every switchover
}

type tapeKey struct{}

// node is one coordinator over the tape.
type node struct {
	*tape
	id      fsm.NodeID
	address string
	changed chan struct{}
	salt    string // what is wrong with it: its state, its disk
	server  *api.Server
	grpc    *grpc.Server
	leases  *leases.Engine
	over    func() // ends its count of leases; nil: it counts none
}

// startCluster starts nodes n1, n2, ...; n1 leads.
func startCluster(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: cluster N")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	w := ts.Value(tapeKey{}).(*tape)
	ts.Check(w.start(ts, n))
	var addresses []string
	for _, id := range w.ids {
		addresses = append(addresses, w.nodes[id].address)
		ts.Setenv(strings.ToUpper(string(id)), w.nodes[id].address)
	}
	ts.Setenv("POINTSMAN_ENDPOINTS", strings.Join(addresses, ","))
}

func (w *tape) start(ts *testscript.TestScript, count int) error {
	w.state, w.term, w.nodes = fsm.New(), 2, map[fsm.NodeID]*node{}
	for i := range count {
		if err := w.add(ts, fsm.NodeID(fmt.Sprintf("n%d", i+1))); err != nil {
			return err
		}
	}
	w.setLead("n1")
	if err := w.do(fsm.InitCluster{Cluster: "0123456789abcdef0123456789abcdef"}); err != nil {
		return err
	}
	for _, id := range w.ids {
		member := fsm.Member{
			Node: id, Zone: "zone-" + string(id), Store: fsm.StoreID("store-" + id), Raft: string(id) + ":7800",
			GRPC: w.nodes[id].address, HTTP: string(id) + ":7802", Version: "test", Reads: fsm.Kinds(),
		}
		if err := w.do(fsm.PutMember{Member: member}); err != nil {
			return err
		}
	}
	return nil
}

func (w *tape) add(ts *testscript.TestScript, id fsm.NodeID) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	n := &node{tape: w, id: id, address: l.Addr().String(), changed: make(chan struct{})}
	n.leases = leases.New(leases.Config{Journal: n})
	ts.Defer(n.endTerm)
	w.ids = append(w.ids, id)
	w.nodes[id] = n
	n.server, err = api.New(api.Config{
		Log: n, Sights: n, Gates: n, Operator: n, Fitness: n, Switcher: n, Leases: coordinator.Leaser(n.leases), Compile: n.compile, Preflight: n, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	n.grpc = n.server.NewGRPCServer()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = n.grpc.Serve(l)
	}()
	ts.Defer(func() {
		n.server.Close()
		n.grpc.Stop()
		<-served
	})
	return nil
}

// do logs a command as the leader.
func (w *tape) do(cmd fsm.Command) error { return w.apply(cmd, "", "script").Err() }

func (w *tape) apply(cmd fsm.Command, id fsm.CommandID, actor string) fsm.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, answer := w.state.Apply(fsm.Entry{
		Index: w.state.Index() + 1, Term: w.term, ID: id, Clock: w.state.Clock() + fsm.Clock(250*time.Millisecond),
		Wall: time.Unix(1_800_000_000, 0).UTC(), Node: w.lead, Actor: actor, Command: cmd,
	})
	w.state = next
	for _, n := range w.nodes {
		close(n.changed)
		n.changed = make(chan struct{})
	}
	return answer
}

// observe logs an observation with the values that the real kinds render.
func (w *tape) observe(o fsm.Observe) error {
	state := w.now()
	o.Revision, o.Term = state.Spec().Revision, w.termNow()
	spec, _ := state.Spec().Master(o.Master)
	m, _ := state.Master(o.Master)
	facts := factsOf(o, m)
	for _, stage := range spec.Plan {
		for _, step := range stage.Steps {
			v, err := kinds()[step.Kind].Render(step, facts)
			if err != nil {
				return err
			}
			o.Values = append(o.Values, v)
		}
	}
	if o.As == fsm.Seed {
		o.Values = nil
	}
	return w.do(o)
}

func (w *tape) setLead(id fsm.NodeID) {
	w.mu.Lock()
	w.lead = id
	w.term++
	term := w.term
	for _, n := range w.nodes {
		n.server.SetLeading(n.id == id)
	}
	w.mu.Unlock()
	for _, n := range w.nodes {
		n.endTerm()
		if n.id == id {
			n.beginTerm(term)
		}
	}
}

func (w *tape) now() fsm.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

func (w *tape) termNow() fsm.Term {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.term
}

// Read implements api.Log.
func (n *node) Read(ctx context.Context) (fsm.State, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lead == "" {
		return fsm.State{}, api.ErrNoQuorum
	}
	return n.state, ctx.Err()
}

// Watch implements api.Log.
func (n *node) Watch() (fsm.State, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state, n.changed
}

// Propose implements api.Log.
func (n *node) Propose(ctx context.Context, cmd fsm.Command, id fsm.CommandID, actor string) (fsm.Answer, error) {
	n.mu.Lock()
	lead := n.lead
	n.mu.Unlock()
	if lead == "" {
		return fsm.Answer{}, api.ErrNoQuorum
	}
	return n.apply(cmd, id, actor), ctx.Err()
}

func (n *node) compile(spec *pointsmanv1.Spec) (fsm.Spec, []api.Problem) {
	compiled, found := coordinator.Compile(spec, kinds())
	var problems []api.Problem
	for _, p := range found {
		problems = append(problems, api.Problem{Path: p.Path, Message: p.Message})
	}
	return compiled, problems
}
