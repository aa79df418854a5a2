package api

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

type actionService struct {
	pointsmanv1.UnimplementedActionServiceServer
	*Server
}

func actionFilter(text string) (filter, error) {
	f, err := parseFilter(text, "master", "failover", "state", "kind", "target", "object")
	if err != nil {
		return f, err
	}
	return f, f.checkWord("state", "ACTION_STATE_", pointsmanv1.ActionState_name)
}

func (f filter) wantAction(a fsm.Action) bool {
	failover := ""
	if !a.IsRefresh() {
		failover = a.For.String()
	}
	return f.want("master", string(a.For.Master)) && f.want("failover", failover) &&
		f.want("state", word(actionState(a.Phase), "ACTION_STATE_")) && f.want("kind", a.Step.Kind) &&
		f.want("target", string(a.Target.ID)) && f.want("object", string(a.Step.Object))
}

// actionKey ranks the actions of the newest failovers first, and those of one
// failover in the order of its plan: by what never changes of an action.
func actionKey(a fsm.Action, position int) string {
	group := a.For.String()
	if a.IsRefresh() {
		group = string(a.Target.ID)
	}
	return fmt.Sprintf("%s/%s/%03d/%s", newest(uint64(a.Created)), group, position, a.ID)
}

// positions maps every action of a plan to its place in it.
func positions(state fsm.State) map[fsm.ActionID]int {
	at := map[fsm.ActionID]int{}
	for _, f := range state.Failovers("") {
		for i, id := range f.Actions {
			at[id] = i
		}
	}
	return at
}

func (s actionService) ListActions(ctx context.Context, req *pointsmanv1.ListActionsRequest) (*pointsmanv1.ListActionsResponse, error) {
	f, err := actionFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	at := positions(state)
	var found []ranked[fsm.Action]
	for _, a := range state.AllActions() {
		if f.wantAction(a) {
			found = append(found, ranked[fsm.Action]{actionKey(a, at[a.ID]), a})
		}
	}
	cut, next, err := page(found, req, "actions "+req.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &pointsmanv1.ListActionsResponse{Header: head, NextPageToken: next}
	for _, a := range cut {
		resp.Actions = append(resp.Actions, s.actionMessage(state, a))
	}
	return resp, nil
}

func (s actionService) GetAction(ctx context.Context, req *pointsmanv1.GetActionRequest) (*pointsmanv1.GetActionResponse, error) {
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	a, ok := state.Action(fsm.ActionID(req.GetId()))
	if !ok {
		return nil, notFound("action", req.GetId())
	}
	return &pointsmanv1.GetActionResponse{Header: head, Action: s.actionMessage(state, a)}, nil
}

func (s actionService) WatchActions(req *pointsmanv1.WatchActionsRequest, stream grpc.ServerStreamingServer[pointsmanv1.WatchActionsResponse]) error {
	f, err := actionFilter(req.GetFilter())
	if err != nil {
		return err
	}
	w := watch[*pointsmanv1.WatchActionsResponse]{
		collect: func(_, now fsm.State, since uint64) (events []event[*pointsmanv1.WatchActionsResponse]) {
			for _, a := range now.AllActions() {
				if v, ok := now.Score(a.ID); ok {
					a.Index = max(a.Index, v.Index) // what became of it is beside it
				}
				if a.Index <= since || !f.wantAction(a) {
					continue
				}
				m := &pointsmanv1.WatchActionsResponse{Event: &pointsmanv1.WatchActionsResponse_Action{Action: s.actionMessage(now, a)}}
				events = append(events, event[*pointsmanv1.WatchActionsResponse]{a.Index, string(a.ID), m})
			}
			return events
		},
		bookmark: func(index uint64) *pointsmanv1.WatchActionsResponse {
			mark := &pointsmanv1.Bookmark{AppliedIndex: index}
			return &pointsmanv1.WatchActionsResponse{Event: &pointsmanv1.WatchActionsResponse_Bookmark{Bookmark: mark}}
		},
		stamp: func(m *pointsmanv1.WatchActionsResponse, h *pointsmanv1.ResponseHeader, token string) {
			m.Header, m.ResumeToken = h, token
		},
		send: stream.Send,
	}
	return w.run(stream.Context(), s.Server, req.GetResumeToken())
}

func (s actionService) RetryAction(ctx context.Context, req *pointsmanv1.RetryActionRequest) (*pointsmanv1.RetryActionResponse, error) {
	id := fsm.ActionID(req.GetId())
	c, err := s.commit(ctx, req, fsm.Retry{Action: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	a, _ := c.state.Action(id)
	return &pointsmanv1.RetryActionResponse{Header: c.header, Action: s.actionMessage(c.state, a)}, nil
}

func (s actionService) AbandonAction(ctx context.Context, req *pointsmanv1.AbandonActionRequest) (*pointsmanv1.AbandonActionResponse, error) {
	id := fsm.ActionID(req.GetId())
	c, err := s.commit(ctx, req, fsm.Abandon{Action: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	a, _ := c.state.Action(id)
	return &pointsmanv1.AbandonActionResponse{Header: c.header, Action: s.actionMessage(c.state, a)}, nil
}
