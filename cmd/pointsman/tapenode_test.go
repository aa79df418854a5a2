package main

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func factsOf(o fsm.Observe, m fsm.Master) actuators.Facts {
	return actuators.Facts{
		Failover: fsm.FailoverID{Master: o.Master, Number: o.Base + 1}, From: m.Address, To: o.Address, Epoch: o.Epoch,
	}
}

// Status implements api.Log.
func (n *node) Status() api.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	st := api.Status{
		Node: n.id, Zone: "zone-" + string(n.id), Store: fsm.StoreID("store-" + n.id), Version: "test",
		Raft: string(n.id) + ":7800", GRPC: n.address, HTTP: string(n.id) + ":7802",
		Role: pointsmanv1.NodeRole_NODE_ROLE_FOLLOWER, Term: n.term, Leader: n.lead, FirstIndex: 1,
		LastIndex: n.state.Index(), CommitIndex: n.state.Index(), Voters: n.ids, LastContact: 40 * time.Millisecond,
		DiskFree: 2 << 30, DiskFloor: 1 << 28, Uptime: time.Minute, Clock: n.state.Clock() + fsm.Clock(90*time.Second),
	}
	switch n.lead {
	case "":
		st.Role, st.LastContact = pointsmanv1.NodeRole_NODE_ROLE_CANDIDATE, 3*time.Second
	case n.id:
		st.Role, st.LastContact = pointsmanv1.NodeRole_NODE_ROLE_LEADER, 0
	}
	if leader, ok := n.nodes[n.lead]; ok {
		st.LeaderAddress = leader.address
	}
	return st
}

// See implements api.Sights: every Sentinel names the accepted address and the
// other candidates follow it, unless a script said otherwise.
func (n *node) See(id fsm.MasterID) api.Sight {
	state := n.now()
	m, _ := state.Master(id)
	if !m.Known() {
		return api.Sight{}
	}
	sight := api.Sight{Standing: pointsmanv1.MasterState_MASTER_STATE_STEADY}
	for _, s := range []string{"10.0.1.10:26379", "10.0.2.10:26379", "10.0.3.10:26379"} {
		sight.Sentinels = append(sight.Sentinels, &pointsmanv1.SentinelReport{
			Address: s, RunId: "run-" + s, Reachable: true, Master: string(m.Address), Epoch: uint64(m.Epoch),
			KnownSentinels: 2, Subscribed: true, Age: durationpb.New(80 * time.Millisecond), NodeId: string(n.id), DownAfterMs: 2000,
		})
	}
	spec, _ := state.Spec().Master(id)
	for _, c := range spec.Candidates {
		r := &pointsmanv1.RoleReport{
			Address: string(c.Address), Role: pointsmanv1.RedisRole_REDIS_ROLE_REPLICA, Master: string(m.Address), Link: "connected",
			Offset: 30, Age: durationpb.New(120 * time.Millisecond), NodeId: string(n.id),
		}
		if c.Address == m.Address {
			r.Role, r.Master, r.Link, r.Offset = pointsmanv1.RedisRole_REDIS_ROLE_MASTER, "", "", 42
		}
		sight.Roles = append(sight.Roles, r)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sees != nil {
		n.sees(&sight)
	}
	return sight
}

// Report implements api.Sights.
func (n *node) Report(context.Context, *pointsmanv1.ReportViewRequest) (*pointsmanv1.ReportViewResponse, error) {
	return &pointsmanv1.ReportViewResponse{}, nil
}

// Targets implements api.Fitness.
func (n *node) Targets() []*pointsmanv1.TargetReach {
	t := &pointsmanv1.TargetReach{Target: "lb-par", Reach: pointsmanv1.Reach_REACH_REACHED, Probed: durationpb.New(time.Second)}
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Contains(n.lost, n.id) {
		t.Reach, t.Since, t.Error = pointsmanv1.Reach_REACH_LOST, durationpb.New(20*time.Second), "503 Service Unavailable"
	}
	return []*pointsmanv1.TargetReach{t}
}

// Placement implements api.Fitness.
func (n *node) Placement() *pointsmanv1.Placement {
	return &pointsmanv1.Placement{
		Policy: pointsmanv1.LeaderPlacement_LEADER_PLACEMENT_AUTO, Reason: "zone zone-n1 holds no master",
		Last: &pointsmanv1.Handover{From: "n2", To: "n1", Cause: pointsmanv1.HandoverCause_HANDOVER_CAUSE_ZONE, Reason: "zone zone-n2 holds 1 of 1 masters", Age: durationpb.New(time.Hour)},
	}
}

// Check implements api.Preflight: what a script says is amiss, is so everywhere.
func (n *node) Check(_ context.Context, state fsm.State, spec fsm.Spec) *pointsmanv1.Preflight {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := &pointsmanv1.Preflight{SpecRevision: uint64(spec.Revision), Age: durationpb.New(0), Took: durationpb.New(120 * time.Millisecond)}
	for _, one := range spec.Masters {
		now, _ := state.Master(one.ID)
		for _, stage := range one.Plan {
			for _, step := range stage.Steps {
				c := &pointsmanv1.StepCheck{
					Master: string(one.ID), Stage: stage.Name, Step: step.Name, Kind: step.Kind, Target: string(step.Target), Object: string(step.Object),
					Found: "points at " + string(one.Candidates[0].Address), Verdict: "applied", Problems: n.amiss, Typical: durationpb.New(530 * time.Millisecond),
				}
				for _, a := range one.Candidates {
					if a.Address != now.Address {
						c.Outcomes = append(c.Outcomes, &pointsmanv1.StepOutcome{Address: string(a.Address), Wanted: "points at " + string(a.Address), Verdict: "absent"})
					}
				}
				m.Checks = append(m.Checks, c)
			}
		}
	}
	return m
}

// Last implements api.Preflight.
func (n *node) Last() *pointsmanv1.Preflight {
	state := n.now()
	if !n.Status().Leads() || state.Spec().Revision == 0 {
		return nil
	}
	return n.Check(context.Background(), state, state.Spec())
}

// Gates implements api.Gates: as a node that has counted no window out.
func (n *node) Gates(s fsm.State, a fsm.Action) []fsm.Gate {
	gates, _ := s.Gates(a, fsm.Now{Clock: s.Clock(), Term: s.Term(), Window: func(h fsm.Hold) time.Duration { return h.Act + h.Keep }})
	return gates
}

// Transfer implements api.Operator.
func (n *node) Transfer(_ context.Context, t api.Transfer) (fsm.NodeID, error) {
	to := t.To
	if t.DryRun {
		return to, nil
	}
	if len(n.ids) == 1 {
		return "", api.ErrUnfit
	}
	if to == "" {
		to = n.ids[1]
	}
	n.setLead(to)
	return to, nil
}

// Verify implements api.Operator.
func (n *node) Verify(context.Context) (api.Verified, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.salt == "disk" {
		return api.Verified{}, api.ErrCorrupt
	}
	i := n.state.Index()
	return api.Verified{Entries: i, FirstIndex: 1, LastIndex: i, StateIndex: i, StateHash: []byte("state" + n.salt)}, nil
}

// Notify implements api.Operator.
func (n *node) Notify(_ context.Context, _ pointsmanv1.NotifyKind, args []string) ([]fsm.MasterID, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hints = args
	if args[0] != "mymaster" && args[0] != "-sdown" {
		return nil, nil
	}
	return []fsm.MasterID{"cache"}, nil
}

// Hash implements api.Operator.
func (n *node) Hash() (uint64, []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	hash := []byte{byte(n.state.Index())}
	if n.salt == "hash" {
		hash = append(hash, 'x')
	}
	return n.state.Index(), hash
}
