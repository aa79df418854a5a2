package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape is a replicated log in one process: the real state machine, applied
// under a lock, with nodes that may lag and a leader that may be missing.
type tape struct {
	t     *testing.T
	mu    sync.Mutex
	state fsm.State
	term  fsm.Term
	lead  fsm.NodeID // empty: no quorum
	nodes map[fsm.NodeID]*node
	ports map[string]*bufconn.Listener
	ids   []fsm.NodeID
}

// node is one coordinator's view of the tape. It implements everything that
// api asks for.
type node struct {
	tape     *tape
	id       fsm.NodeID
	state    fsm.State
	changed  chan struct{}
	frozen   bool       // applies nothing
	thinks   fsm.NodeID // who leads, when it is wrong about that
	forget   bool       // loses the next answer after it was logged
	before   func()     // the next proposal; nil: nothing
	fail     error      // of the operator
	sight    Sight
	hints    []string
	asks     []SwitchoverAsk
	switched error // of Switchover
	reports  []*pointsmanv1.ReportViewRequest
	proposed []fsm.CommandID
	subs     map[chan struct{}]fsm.SessionID
	between  func()        // is called by Subscribe
	barrier  chan struct{} // a renewal waits for it; nil: none does
	server   *Server
	grpc     *grpc.Server
}

// newWorld starts nodes n1, n2, ... of one cluster; n1 leads.
func newWorld(t *testing.T, count int, limits Limits) *tape {
	t.Helper()
	w := &tape{t: t, state: fsm.New(), term: 1, lead: "n1", nodes: map[fsm.NodeID]*node{}, ports: map[string]*bufconn.Listener{}}
	for i := range count {
		w.addNode(fsm.NodeID("n"+string(rune('1'+i))), limits)
	}
	w.must(fsm.InitCluster{Cluster: "0123456789abcdef0123456789abcdef"})
	for _, id := range w.ids {
		w.must(fsm.PutMember{Member: fsm.Member{
			Node: id, Zone: "zone-" + string(id), Store: fsm.StoreID("store-" + id), Raft: string(id) + ":7800",
			GRPC: string(id) + ":7801", HTTP: string(id) + ":7802", Version: "test", Reads: fsm.Kinds(),
		}})
	}
	w.setLead("n1")
	return w
}

func (w *tape) addNode(id fsm.NodeID, limits Limits) {
	n := &node{tape: w, id: id, state: w.state, changed: make(chan struct{})}
	port := bufconn.Listen(1 << 16)
	w.mu.Lock()
	w.nodes[id], w.ports[string(id)+":7801"] = n, port
	w.ids = append(w.ids, id)
	w.mu.Unlock()
	server, err := New(Config{
		Log: n, Sights: n, Gates: n, Operator: n, Fitness: n, Switcher: n, Leases: n, Compile: compile, Preflight: n, Limits: limits,
		Dial: w.dialOptions(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	n.server, n.grpc = server, server.NewGRPCServer()
	served := make(chan error, 1)
	go func() { served <- n.grpc.Serve(port) }()
	w.t.Cleanup(func() {
		server.Close()
		n.grpc.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			w.t.Errorf("serve %s: %v", id, err)
		}
	})
}

func (w *tape) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			w.mu.Lock()
			port := w.ports[address]
			w.mu.Unlock()
			if port == nil {
				return nil, &net.OpError{Op: "dial", Err: io.ErrClosedPipe}
			}
			return port.DialContext(ctx)
		}),
	}
}

// at dials one node.
func (w *tape) at(id fsm.NodeID) *client.Client {
	w.t.Helper()
	c, err := client.DialNode(string(id)+":7801", w.dialOptions()...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// apply logs a command as the leader and shows it to every node that is awake.
func (w *tape) apply(cmd fsm.Command, id fsm.CommandID, actor string) fsm.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, answer := w.state.Apply(fsm.Entry{
		Index: w.state.Index() + 1, Term: w.term, ID: id, Clock: w.state.Clock() + fsm.Clock(time.Millisecond),
		Wall: time.Unix(1_700_000_000, 0).UTC(), Node: w.lead, Actor: actor, Command: cmd,
	})
	w.state = next
	w.spread()
	return answer
}

func (w *tape) spread() {
	for _, n := range w.nodes {
		if !n.frozen {
			n.state = w.state
			close(n.changed)
			n.changed = make(chan struct{})
			n.nudge()
		}
	}
}

func (w *tape) must(cmd fsm.Command) fsm.Answer {
	w.t.Helper()
	answer := w.apply(cmd, "", "test")
	if err := answer.Err(); err != nil {
		w.t.Fatalf("%s: %v", cmd.Kind(), err)
	}
	return answer
}

func (w *tape) setLead(id fsm.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lead = id
	w.term++
	for _, n := range w.nodes {
		n.server.SetLeading(n.id == id)
		n.nudge()
	}
}

func (w *tape) freeze(id fsm.NodeID, frozen bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[id].frozen = frozen
	w.spread()
}

func (w *tape) now() fsm.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// Read implements Log: the newest state, wherever it is asked.
func (n *node) Read(ctx context.Context) (fsm.State, error) {
	n.tape.mu.Lock()
	lead, state := n.tape.lead, n.tape.state
	n.tape.mu.Unlock()
	if lead == "" {
		return fsm.State{}, ErrNoQuorum
	}
	return state, ctx.Err()
}

// Watch implements Log.
func (n *node) Watch() (fsm.State, <-chan struct{}) {
	n.tape.mu.Lock()
	defer n.tape.mu.Unlock()
	return n.state, n.changed
}

// Propose implements Log.
func (n *node) Propose(ctx context.Context, cmd fsm.Command, id fsm.CommandID, actor string) (fsm.Answer, error) {
	n.tape.mu.Lock()
	lead, lose, before := n.tape.lead, n.forget, n.before
	n.forget, n.before = false, nil
	n.proposed = append(n.proposed, id)
	n.tape.mu.Unlock()
	if lead == "" {
		return fsm.Answer{}, ErrNoQuorum
	}
	if before != nil {
		before()
	}
	answer := n.tape.apply(cmd, id, actor)
	if lose {
		return fsm.Answer{}, ErrOutcomeUnknown
	}
	return answer, ctx.Err()
}

// Status implements Log.
func (n *node) Status() Status {
	n.tape.mu.Lock()
	defer n.tape.mu.Unlock()
	lead := n.tape.lead
	if n.thinks != "" {
		lead = n.thinks
	}
	st := Status{
		Node: n.id, Zone: "zone-" + string(n.id), Store: fsm.StoreID("store-" + n.id),
		Raft: string(n.id) + ":7800", GRPC: string(n.id) + ":7801", HTTP: string(n.id) + ":7802", Version: "test",
		Role: pointsmanv1.NodeRole_NODE_ROLE_FOLLOWER, Term: n.tape.term, Leader: lead,
		LastIndex: n.state.Index(), CommitIndex: n.state.Index(), Voters: n.tape.ids,
		DiskFree: 2 << 30, DiskFloor: 1 << 28, Uptime: time.Minute, Clock: n.state.Clock(), LastContact: 40 * time.Millisecond,
	}
	switch lead {
	case "":
		st.Role, st.LastContact = pointsmanv1.NodeRole_NODE_ROLE_CANDIDATE, 3*time.Second
	case n.id:
		st.Role, st.LastContact = pointsmanv1.NodeRole_NODE_ROLE_LEADER, 0
	}
	if lead != "" {
		st.LeaderAddress = string(lead) + ":7801"
	}
	if n.fail != nil {
		st.Degraded = []string{n.fail.Error()}
	}
	return st
}

// See implements Sights.
func (n *node) See(fsm.MasterID) Sight {
	n.tape.mu.Lock()
	defer n.tape.mu.Unlock()
	return n.sight
}

// Report implements Sights.
func (n *node) Report(_ context.Context, r *pointsmanv1.ReportViewRequest) (*pointsmanv1.ReportViewResponse, error) {
	n.tape.mu.Lock()
	defer n.tape.mu.Unlock()
	n.reports = append(n.reports, r)
	return &pointsmanv1.ReportViewResponse{Urgent: []string{"cache"}}, nil
}

// Gates implements Gates: as a node that has counted no window out.
func (n *node) Gates(s fsm.State, a fsm.Action) []fsm.Gate {
	gates, _ := s.Gates(a, fsm.Now{Clock: s.Clock(), Term: s.Term(), Window: func(h fsm.Hold) time.Duration { return h.Act + h.Keep }})
	return gates
}

// Transfer implements Operator.
func (n *node) Transfer(_ context.Context, t Transfer) (fsm.NodeID, error) {
	to := t.To
	if n.fail != nil && !t.Force {
		return "", n.fail
	}
	if to == "" {
		to = "n2"
	}
	if t.DryRun {
		return to, nil
	}
	n.tape.setLead(to)
	return to, nil
}

// Targets implements Fitness.
func (n *node) Targets() []*pointsmanv1.TargetReach {
	return []*pointsmanv1.TargetReach{{Target: "lb", Reach: pointsmanv1.Reach_REACH_REACHED}}
}

// Placement implements Fitness.
func (n *node) Placement() *pointsmanv1.Placement {
	return &pointsmanv1.Placement{Reason: "says " + string(n.id)}
}

// Check implements Preflight: every step is as it should be.
func (n *node) Check(_ context.Context, _ fsm.State, spec fsm.Spec) *pointsmanv1.Preflight {
	m := &pointsmanv1.Preflight{SpecRevision: uint64(spec.Revision)}
	for _, one := range spec.Masters {
		for _, stage := range one.Plan {
			for _, step := range stage.Steps {
				m.Checks = append(m.Checks, &pointsmanv1.StepCheck{Master: string(one.ID), Stage: stage.Name, Step: step.Name, Found: "seen by " + string(n.id)})
			}
		}
	}
	return m
}

// Last implements Preflight: the leader has found one step that is not ready.
func (n *node) Last() *pointsmanv1.Preflight {
	if !n.Status().Leads() {
		return nil
	}
	return &pointsmanv1.Preflight{Checks: []*pointsmanv1.StepCheck{{Master: "cache", Step: "lb", Object: "lb/x"}, {Master: "cache", Step: "url", Object: "lb/y", Problems: []string{"gone", "no right"}}}}
}

// Verify implements Operator.
func (n *node) Verify(context.Context) (Verified, error) {
	if n.fail != nil {
		return Verified{}, n.fail
	}
	index := n.Status().LastIndex
	return Verified{Entries: index, FirstIndex: 1, LastIndex: index, StateIndex: index, StateHash: []byte(n.id)}, nil
}

// Notify implements Operator.
func (n *node) Notify(_ context.Context, _ pointsmanv1.NotifyKind, args []string) ([]fsm.MasterID, error) {
	n.tape.mu.Lock()
	defer n.tape.mu.Unlock()
	n.hints = append(n.hints, args...)
	return []fsm.MasterID{"cache"}, nil
}

// Hash implements Operator.
func (n *node) Hash() (uint64, []byte) {
	s, _ := n.Watch()
	return s.Index(), []byte{byte(s.Index())}
}

// compile is a spec compiler that knows settings alone.
func compile(spec *pointsmanv1.Spec) (out fsm.Spec, problems []Problem) {
	for _, m := range spec.GetMasters() {
		next := fsm.MasterSpec{ID: fsm.MasterID(m.GetId())}
		for _, c := range m.GetCandidates() {
			next.Candidates = append(next.Candidates, fsm.Candidate{Address: fsm.Address(c.GetAddress()), Zone: c.GetZone()})
		}
		for _, st := range m.GetPlan() {
			stage := fsm.Stage{Name: st.GetStage()}
			for _, step := range st.GetSteps() {
				if step.GetSetting() == nil {
					problems = append(problems, Problem{Path: "masters." + m.GetId(), Message: "knows settings alone"})
				}
				stage.Steps = append(stage.Steps, fsm.Step{
					Name: step.GetName(), Kind: "setting", Class: fsm.InLog, Act: time.Second,
					Object: fsm.SettingObject(step.GetSetting().GetKey()), MaxAttempts: 3,
				})
			}
			next.Plan = append(next.Plan, stage)
		}
		out.Masters = append(out.Masters, next)
	}
	return out, problems
}

// Switchover implements Switcher: it logs the request as the Sentinel's yes.
func (n *node) Switchover(_ context.Context, ask SwitchoverAsk) (Switched, error) {
	n.tape.mu.Lock()
	n.asks = append(n.asks, ask)
	failed, term := n.switched, n.tape.term
	state := n.tape.state
	n.tape.mu.Unlock()
	if failed != nil {
		return Switched{}, failed
	}
	m, _ := state.Master(ask.Master)
	to := fsm.Address("10.0.2.20:6379")
	if m.Address == to {
		to = "10.0.3.20:6379"
	}
	out := Switched{
		Request: fsm.Switchover{Master: ask.Master, Base: m.Number, From: m.Address, To: to, Sentinel: "10.0.1.10:26379", Actor: ask.Actor, Reason: ask.Reason},
		Certain: true, Why: "the only one",
		Plan:  []*pointsmanv1.PlannedStep{{Stage: "cutover", Step: "url", Kind: "setting", Wanted: "redis/cache/url = x", Found: "not set", Verdict: "absent"}},
		Notes: []string{"sentinel 10.0.3.10:26379: no answer in time"},
	}
	if ask.DryRun {
		return out, nil
	}
	answer := n.tape.apply(fsm.AskSwitchover{
		Master: ask.Master, Base: m.Number, Revision: state.Spec().Revision, Term: term, To: out.Request.To, Sentinel: out.Request.Sentinel,
		Reason: ask.Reason, Sender: string(n.id), Window: 20 * time.Second,
	}, ask.Command, ask.Actor)
	if err := answer.Err(); err != nil {
		return Switched{}, err
	}
	n.tape.apply(fsm.NoteSwitchover{Master: ask.Master, Token: answer.Token, To: fsm.SwitchoverStarted, Detail: "OK"}, "", "test")
	out.Request, _ = n.tape.now().Switchover(ask.Master)
	return out, nil
}
