package api

import (
	"context"

	"google.golang.org/grpc/codes"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

type masterService struct {
	pointsmanv1.UnimplementedMasterServiceServer
	*Server
}

func (s masterService) ListMasters(ctx context.Context, req *pointsmanv1.ListMastersRequest) (*pointsmanv1.ListMastersResponse, error) {
	f, err := parseFilter(req.GetFilter(), "id", "state", "address")
	if err != nil {
		return nil, err
	}
	if err := f.checkWord("state", "MASTER_STATE_", pointsmanv1.MasterState_name); err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	var found []ranked[*pointsmanv1.Master]
	for _, spec := range state.Spec().Masters {
		m := s.masterMessage(state, spec)
		if f.want("id", m.GetId()) && f.want("address", m.GetAddress()) && f.want("state", word(m.GetState(), "MASTER_STATE_")) {
			found = append(found, ranked[*pointsmanv1.Master]{m.GetId(), m})
		}
	}
	masters, next, err := page(found, req, "masters "+req.GetFilter())
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.ListMastersResponse{Header: head, Masters: masters, NextPageToken: next}, nil
}

func (s masterService) GetMaster(ctx context.Context, req *pointsmanv1.GetMasterRequest) (*pointsmanv1.GetMasterResponse, error) {
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	spec, ok := state.Spec().Master(fsm.MasterID(req.GetId()))
	if !ok {
		return nil, notFound("master", req.GetId())
	}
	return &pointsmanv1.GetMasterResponse{Header: head, Master: s.masterMessage(state, spec)}, nil
}

// ReportView is for the leader alone: a node that thinks another one leads
// must learn that it is wrong.
func (s masterService) ReportView(ctx context.Context, req *pointsmanv1.ReportViewRequest) (*pointsmanv1.ReportViewResponse, error) {
	if incoming(ctx, client.RoleKey) != client.RolePeer {
		return nil, &fault{code: codes.PermissionDenied, reason: ReasonPeerOnly, message: "only coordinators report views"}
	}
	st := s.cfg.Log.Status()
	if !st.Leads() {
		return nil, (&NotLeaderError{Leader: st.Leader, Address: st.LeaderAddress}).fault(codes.FailedPrecondition)
	}
	resp, err := s.cfg.Sights.Report(ctx, req)
	if err != nil {
		return nil, err
	}
	state, _ := s.cfg.Log.Watch()
	resp.Header = header(state, st)
	return resp, nil
}
