package api

import (
	"context"
	"strconv"
	"strings"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

type failoverService struct {
	pointsmanv1.UnimplementedFailoverServiceServer
	*Server
}

func failoverFilter(text string) (filter, error) {
	f, err := parseFilter(text, "master", "state", "kind")
	if err != nil {
		return f, err
	}
	if err := f.checkWord("state", "FAILOVER_STATE_", pointsmanv1.FailoverState_name); err != nil {
		return f, err
	}
	return f, f.checkWord("kind", "FAILOVER_KIND_", pointsmanv1.FailoverKind_name)
}

// wantFailover decides before the message is built, which costs more.
func (f filter) wantFailover(state fsm.State, v fsm.Failover) bool {
	return f.want("master", string(v.ID.Master)) &&
		f.want("kind", word(failoverKind(v.As), "FAILOVER_KIND_")) &&
		f.want("state", word(failoverState(state.Actions(v.ID)), "FAILOVER_STATE_"))
}

func (s failoverService) ListFailovers(ctx context.Context, req *pointsmanv1.ListFailoversRequest) (*pointsmanv1.ListFailoversResponse, error) {
	f, err := failoverFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	var found []ranked[fsm.Failover]
	for _, v := range state.Failovers(fsm.MasterID(f.terms["master"])) {
		if f.wantFailover(state, v) {
			found = append(found, ranked[fsm.Failover]{newest(v.Index), v})
		}
	}
	cut, next, err := page(found, req, "failovers "+req.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &pointsmanv1.ListFailoversResponse{Header: head, NextPageToken: next}
	for _, v := range cut {
		resp.Failovers = append(resp.Failovers, s.failoverMessage(state, v))
	}
	return resp, nil
}

func (s failoverService) GetFailover(ctx context.Context, req *pointsmanv1.GetFailoverRequest) (*pointsmanv1.GetFailoverResponse, error) {
	id, err := parseFailover(req.GetId())
	if err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	v, ok := state.Failover(id)
	if !ok {
		return nil, notFound("failover", req.GetId())
	}
	return &pointsmanv1.GetFailoverResponse{Header: head, Failover: s.failoverMessage(state, v)}, nil
}

func (s failoverService) ListScores(ctx context.Context, req *pointsmanv1.ListScoresRequest) (*pointsmanv1.ListScoresResponse, error) {
	f, err := parseFilter(req.GetFilter(), "master")
	if err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	var found []ranked[*pointsmanv1.MasterScore]
	for _, spec := range state.Spec().Masters {
		if !f.want("master", string(spec.ID)) {
			continue
		}
		if m, ok := masterScore(state, spec.ID); ok {
			found = append(found, ranked[*pointsmanv1.MasterScore]{m.GetMaster(), m})
		}
	}
	scores, next, err := page(found, req, "scores "+req.GetFilter())
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.ListScoresResponse{Header: head, Scores: scores, NextPageToken: next}, nil
}

func (s failoverService) WatchFailovers(req *pointsmanv1.WatchFailoversRequest, stream grpc.ServerStreamingServer[pointsmanv1.WatchFailoversResponse]) error {
	f, err := failoverFilter(req.GetFilter())
	if err != nil {
		return err
	}
	w := watch[*pointsmanv1.WatchFailoversResponse]{
		collect: func(_, now fsm.State, since uint64) (events []event[*pointsmanv1.WatchFailoversResponse]) {
			for _, v := range now.Failovers(fsm.MasterID(f.terms["master"])) {
				index := failoverIndex(now, v)
				if index <= since || !f.wantFailover(now, v) {
					continue
				}
				m := &pointsmanv1.WatchFailoversResponse{Event: &pointsmanv1.WatchFailoversResponse_Failover{Failover: s.failoverMessage(now, v)}}
				events = append(events, event[*pointsmanv1.WatchFailoversResponse]{index, v.ID.String(), m})
			}
			return events
		},
		bookmark: func(index uint64) *pointsmanv1.WatchFailoversResponse {
			mark := &pointsmanv1.Bookmark{AppliedIndex: index}
			return &pointsmanv1.WatchFailoversResponse{Event: &pointsmanv1.WatchFailoversResponse_Bookmark{Bookmark: mark}}
		},
		stamp: func(m *pointsmanv1.WatchFailoversResponse, h *pointsmanv1.ResponseHeader, token string) {
			m.Header, m.ResumeToken = h, token
		},
		send: stream.Send,
	}
	return w.run(stream.Context(), s.Server, req.GetResumeToken())
}

// parseFailover reads "cache/7".
func parseFailover(text string) (fsm.FailoverID, error) {
	master, number, ok := strings.Cut(text, "/")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || master == "" || n == 0 {
		return fsm.FailoverID{}, invalid("id", "%q is not master/number, such as cache/7", text)
	}
	return fsm.FailoverID{Master: fsm.MasterID(master), Number: fsm.Number(n)}, nil
}
