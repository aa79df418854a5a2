package api

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

type clusterService struct {
	pointsmanv1.UnimplementedClusterServiceServer
	*Server
}

func (s clusterService) GetCluster(ctx context.Context, req *pointsmanv1.GetClusterRequest) (*pointsmanv1.GetClusterResponse, error) {
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	st := s.cfg.Log.Status()
	nodes, led := s.nodes(ctx, state, st)
	c := &pointsmanv1.Cluster{
		Id:             string(state.Cluster()),
		Generation:     uint64(state.Generation()),
		LeaderId:       string(st.Leader),
		Nodes:          nodes,
		Quorum:         st.Leader != "",
		LogClock:       span(clockNow(state, st)),
		SpecRevision:   uint64(state.Spec().Revision),
		CommandVersion: votersRead(state, st),
		Masters:        uint32(len(state.Spec().Masters)),
		OpenActions:    uint32(len(state.Open())),
		Alerts:         slices.Concat(clusterAlerts(state, st, nodes), led.placement.GetAlerts(), preflightAlerts(led.preflight)),
		Placement:      led.placement,
		Preflight:      led.preflight,
	}
	return &pointsmanv1.GetClusterResponse{Header: head, Cluster: c}, nil
}

// votersRead is the command version that every voter can read; 0 while one has
// not announced any.
func votersRead(state fsm.State, st Status) uint32 {
	var least uint32
	for i, v := range st.Voters {
		m, _ := state.Member(v)
		version := commandVersion(m.Reads)
		if i == 0 || version < least {
			least = version
		}
	}
	return least
}

// led is what the leader alone knows, as it says itself if it can be asked.
type led struct {
	placement *pointsmanv1.Placement // where the leadership stands
	preflight *pointsmanv1.Preflight // nil: not known
}

// nodes shows this node first, then the others by id, each as it says itself
// when it can be asked, and what the leader says. A call of another node gets
// this one alone, so that asking around ends.
func (s *Server) nodes(ctx context.Context, state fsm.State, st Status) ([]*pointsmanv1.Node, led) {
	nodes, own := []*pointsmanv1.Node{s.selfMessage(state, st)}, led{s.cfg.Fitness.Placement(), s.cfg.Preflight.Last()}
	if incoming(ctx, client.HopKey) != "" {
		return nodes, own
	}
	for _, m := range state.Members() {
		if m.Node != st.Node {
			nodes = append(nodes, memberMessage(m, st))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.PeerTime)
	defer cancel()
	var asked sync.WaitGroup
	var told *pointsmanv1.Cluster // by the leader, which is one
	for i, n := range nodes[1:] {
		asked.Go(func() {
			c, err := s.ask(ctx, n.GetGrpcAddress())
			if err != nil || c.GetNodes()[0].GetId() != n.GetId() {
				return
			}
			said := c.GetNodes()[0]
			said.JoinTime, said.Voter, said.Reachable = n.GetJoinTime(), n.GetVoter(), true
			nodes[i+1] = said
			if said.GetId() == string(st.Leader) {
				told = c
			}
		})
	}
	asked.Wait()
	if told.GetPlacement() != nil {
		own = led{told.GetPlacement(), told.GetPreflight()}
	}
	return nodes, own
}

// ask gets another node's own description: a cluster with that node alone.
func (s *Server) ask(ctx context.Context, address string) (*pointsmanv1.Cluster, error) {
	if address == "" {
		return nil, context.Canceled
	}
	conn, err := s.peers.conn(address)
	if err != nil {
		return nil, err
	}
	ctx = metadata.NewOutgoingContext(ctx, metadata.Pairs(
		client.HopKey, string(s.cfg.Log.Status().Node), client.RoleKey, client.RolePeer))
	resp, err := pointsmanv1.NewClusterServiceClient(conn).GetCluster(ctx, &pointsmanv1.GetClusterRequest{
		Read: &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_STALE},
	})
	if err != nil {
		return nil, err
	}
	if len(resp.GetCluster().GetNodes()) == 0 {
		return nil, fmt.Errorf("node at %s says nothing of itself", address)
	}
	return resp.GetCluster(), nil
}

func (s clusterService) ListNodes(ctx context.Context, req *pointsmanv1.ListNodesRequest) (*pointsmanv1.ListNodesResponse, error) {
	f, err := parseFilter(req.GetFilter(), "zone", "role")
	if err != nil {
		return nil, err
	}
	if err := f.checkWord("role", "NODE_ROLE_", pointsmanv1.NodeRole_name); err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	var found []ranked[*pointsmanv1.Node]
	nodes, _ := s.nodes(ctx, state, s.cfg.Log.Status())
	for _, n := range nodes {
		if f.want("zone", n.GetZone()) && f.want("role", word(n.GetRole(), "NODE_ROLE_")) {
			found = append(found, ranked[*pointsmanv1.Node]{n.GetId(), n})
		}
	}
	shown, next, err := page(found, req, "nodes "+req.GetFilter())
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.ListNodesResponse{Header: head, Nodes: shown, NextPageToken: next}, nil
}

// TransferLeadership runs on the leader; the forward interceptor brings it
// there. A node that leads already is a success: so is a repeat.
func (s clusterService) TransferLeadership(ctx context.Context, req *pointsmanv1.TransferLeadershipRequest) (*pointsmanv1.TransferLeadershipResponse, error) {
	st := s.cfg.Log.Status()
	if !st.Leads() {
		return nil, &NotLeaderError{Leader: st.Leader, Address: st.LeaderAddress}
	}
	to := fsm.NodeID(req.GetTo())
	leader := st.Node
	switch {
	case to != "" && !slices.Contains(st.Voters, to):
		return nil, notFound("voter", req.GetTo())
	case to == st.Node:
	case to == "" && len(st.Voters) < 2:
		return nil, &fault{code: codes.FailedPrecondition, reason: ReasonUnfit, message: "there is no other voter"}
	default:
		var err error
		if leader, err = s.cfg.Operator.Transfer(ctx, Transfer{To: to, Force: req.GetForce(), DryRun: req.GetValidateOnly()}); err != nil {
			return nil, err
		}
	}
	state, _ := s.cfg.Log.Watch()
	return &pointsmanv1.TransferLeadershipResponse{Header: header(state, s.cfg.Log.Status()), LeaderId: string(leader)}, nil
}

// Notify takes the hint here and gives it to the leader too. The hint has done
// its work when one node took it, so the leader's absence is no error.
func (s clusterService) Notify(ctx context.Context, req *pointsmanv1.NotifyRequest) (*pointsmanv1.NotifyResponse, error) {
	masters, err := s.cfg.Operator.Notify(ctx, req.GetKind(), req.GetArgs())
	if err != nil {
		return nil, err
	}
	st := s.cfg.Log.Status()
	if !st.Leads() && st.LeaderAddress != "" && incoming(ctx, client.HopKey) == "" {
		bounded, cancel := context.WithTimeout(ctx, s.limits.PeerTime)
		defer cancel()
		if _, err := s.forward(bounded, st.LeaderAddress, pointsmanv1.ClusterService_Notify_FullMethodName, req); err != nil {
			s.log.Warn("hint did not reach the leader", "leader", st.Leader, "err", err)
		}
	}
	state, _ := s.cfg.Log.Watch()
	resp := &pointsmanv1.NotifyResponse{Header: streamHeader(state, st)}
	for _, id := range masters {
		resp.Masters = append(resp.Masters, string(id))
	}
	return resp, nil
}

func (s clusterService) VerifyNode(ctx context.Context, _ *pointsmanv1.VerifyNodeRequest) (*pointsmanv1.VerifyNodeResponse, error) {
	v, err := s.cfg.Operator.Verify(ctx)
	if err != nil {
		return nil, err
	}
	state, _ := s.cfg.Log.Watch()
	return &pointsmanv1.VerifyNodeResponse{
		Header:     streamHeader(state, s.cfg.Log.Status()),
		Entries:    v.Entries,
		FirstIndex: v.FirstIndex,
		LastIndex:  v.LastIndex,
		StateIndex: v.StateIndex,
		StateHash:  v.StateHash,
	}, nil
}
