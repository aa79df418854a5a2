package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// adapter shows the log and the node as the API wants them.
type adapter struct{ c *Coordinator }

var (
	_ api.Log      = adapter{}
	_ api.Operator = adapter{}
)

func (a adapter) Read(ctx context.Context) (fsm.State, error) {
	s, err := a.c.node.Read(ctx)
	return s, said(err)
}

func (a adapter) Watch() (fsm.State, <-chan struct{}) { return a.c.node.Watch() }

func (a adapter) Propose(ctx context.Context, cmd fsm.Command, id fsm.CommandID, actor string) (fsm.Answer, error) {
	opts := []cluster.Option{cluster.WithActor(actor)}
	if id != "" {
		opts = append(opts, cluster.WithID(id))
	}
	answer, err := a.c.node.Propose(ctx, cmd, opts...)
	return answer, said(err)
}

// said gives the cluster's errors the names that the API knows.
func said(err error) error {
	switch {
	case errors.Is(err, cluster.ErrNoLeader), errors.Is(err, cluster.ErrClosed):
		return fmt.Errorf("%w: %w", api.ErrNoQuorum, err)
	case errors.Is(err, cluster.ErrOutcomeUnknown):
		return fmt.Errorf("%w: %w", api.ErrOutcomeUnknown, err)
	case errors.Is(err, cluster.ErrNotReadable):
		return fmt.Errorf("%w: %w", api.ErrOldMember, err)
	case errors.Is(err, cluster.ErrNoTarget):
		return fmt.Errorf("%w: %w", api.ErrUnfit, err)
	case errors.Is(err, cluster.ErrTermOver):
		return &api.NotLeaderError{}
	default:
		return err
	}
}

func (a adapter) Status() api.Status {
	c := a.c
	s, n := c.node.Status(), c.Node
	out := api.Status{
		Node: s.Node, Zone: s.Zone, Store: s.Store, Version: c.Version, Term: s.Term, Leader: s.Leader,
		Raft: n.GetAdvertise().GetRaft(), GRPC: n.GetAdvertise().GetGrpc(), HTTP: n.GetAdvertise().GetHttp(),
		Role: roleOf(s), LastIndex: s.LastIndex, CommitIndex: s.CommitIndex, SnapshotIndex: s.SnapshotIndex,
		LastContact: max(s.LastContact, 0), DiskFree: s.DiskFree, DiskFloor: positive(n.GetDiskFloor(), cluster.DefaultConfig().DiskFloor),
		Uptime: time.Since(c.started), Clock: s.Clock,
	}
	for _, v := range s.Voters {
		out.Voters = append(out.Voters, v.ID)
	}
	if m, ok := c.node.State().Member(s.Leader); ok {
		out.LeaderAddress = m.GRPC
	}
	if s.DiskDegraded {
		out.Degraded = append(out.Degraded, fmt.Sprintf("%d bytes free on %s, the floor is %d", s.DiskFree, n.GetDataDir(), out.DiskFloor))
	}
	if s.Err != nil {
		out.Degraded = append(out.Degraded, s.Err.Error())
	}
	return out
}

// roleOf calls a node leader once the barrier of its term is through, not before.
func roleOf(s cluster.Status) pointsmanv1.NodeRole {
	switch {
	case s.Leading:
		return pointsmanv1.NodeRole_NODE_ROLE_LEADER
	case s.Role == "leader" || s.Role == "candidate":
		return pointsmanv1.NodeRole_NODE_ROLE_CANDIDATE
	case s.Role == "follower":
		return pointsmanv1.NodeRole_NODE_ROLE_FOLLOWER
	default:
		return pointsmanv1.NodeRole_NODE_ROLE_SHUTDOWN
	}
}

func (a adapter) Transfer(ctx context.Context, t api.Transfer) (fsm.NodeID, error) {
	to, err := a.c.placer.byHand(ctx, t)
	if err != nil || t.DryRun {
		return to, said(err)
	}
	for {
		if leader := a.c.node.Status().Leader; leader != "" && leader != fsm.NodeID(a.c.Node.GetId()) {
			return leader, nil
		}
		if !sleep(ctx, 5*time.Millisecond, nil) {
			return "", ctx.Err()
		}
	}
}

func (a adapter) Verify(ctx context.Context) (api.Verified, error) {
	v, err := a.c.node.Verify(ctx)
	if errors.Is(err, cluster.ErrCorrupt) {
		err = fmt.Errorf("%w: %w", api.ErrCorrupt, err)
	}
	return api.Verified{
		Entries: v.Entries, FirstIndex: v.First, LastIndex: v.Last, StateIndex: v.StateIndex, StateHash: v.StateHash[:],
	}, err
}

// Notify takes a Sentinel hook as a nudge: its arguments only tell which master
// to look at. What is true is read from the Sentinels.
func (a adapter) Notify(_ context.Context, _ pointsmanv1.NotifyKind, args []string) ([]fsm.MasterID, error) {
	rev, err := api.DecodeSpec(a.c.node.State().Spec())
	if err != nil {
		return nil, err
	}
	var looked []fsm.MasterID
	for _, m := range rev.GetSpec().GetMasters() {
		if mentions(args, m.GetSentinel().GetName()) {
			a.c.sights.nudge(fsm.MasterID(m.GetId()))
			looked = append(looked, fsm.MasterID(m.GetId()))
		}
	}
	return looked, nil
}

// mentions finds a master's name as a word of the arguments: the first of
// client-reconfig-script, somewhere in the description of notification-script.
func mentions(args []string, name string) bool {
	for _, a := range args {
		for word := range strings.FieldsSeq(a) {
			if word == name {
				return true
			}
		}
	}
	return false
}

func (a adapter) Hash() (uint64, []byte) {
	s := a.c.node.State()
	hash, err := journal.HashOf(s)
	if err != nil {
		a.c.Logger.Error("hash of the state", "error", err)
		return s.Index(), nil
	}
	return s.Index(), hash[:]
}

// compile also resolves the spec's secrets, since one that does not resolve
// here would be found only in the middle of a failover.
func (a adapter) compile(spec *pointsmanv1.Spec) (fsm.Spec, []api.Problem) {
	made, problems := Compile(spec, a.c.Kinds)
	if len(problems) == 0 {
		problems = a.c.unresolved(spec, made)
	}
	out := make([]api.Problem, 0, len(problems))
	for _, p := range problems {
		out = append(out, api.Problem{Path: p.Path, Message: p.Message})
	}
	return made, out
}

// unresolved finds the secrets of a spec that this node cannot read. A target's
// are its kind's to resolve, by opening it, which sends nothing.
func (c *Coordinator) unresolved(spec *pointsmanv1.Spec, made fsm.Spec) []config.Problem {
	problems := config.CheckSecrets(&pointsmanv1.Spec{Masters: spec.GetMasters()})
	for _, t := range made.Targets {
		opened, err := c.Kinds[t.Kind].Open(t, nil)
		if err != nil {
			problems = append(problems, config.Problem{Path: fmt.Sprintf("targets[%q].%s", t.ID, t.Kind), Message: err.Error()})
		}
		if held, ok := opened.(io.Closer); ok {
			_ = held.Close()
		}
	}
	return problems
}
