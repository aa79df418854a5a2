package api

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (s leaseService) ListPools(ctx context.Context, req *pointsmanv1.ListPoolsRequest) (*pointsmanv1.ListPoolsResponse, error) {
	f, err := parseFilter(req.GetFilter(), "master")
	if err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	var found []ranked[fsm.PoolSpec]
	for _, p := range state.Spec().Pools {
		if f.want("master", string(p.Master)) {
			found = append(found, ranked[fsm.PoolSpec]{string(p.ID), p})
		}
	}
	cut, next, err := page(found, req, "pools "+req.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &pointsmanv1.ListPoolsResponse{Header: head, NextPageToken: next}
	for _, p := range cut {
		resp.Pools = append(resp.Pools, poolMessage(state, p))
	}
	return resp, nil
}

func (s leaseService) GetPool(ctx context.Context, req *pointsmanv1.GetPoolRequest) (*pointsmanv1.GetPoolResponse, error) {
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	p, ok := state.Spec().Pool(fsm.PoolID(req.GetId()))
	if !ok {
		return nil, notFound("pool", req.GetId())
	}
	m := &pointsmanv1.GetPoolResponse{Header: head, Pool: poolMessage(state, p)}
	all := state.Sessions(p.ID)
	for _, v := range all[:min(len(all), maxPage)] {
		m.Sessions = append(m.Sessions, sessionMessage(v))
	}
	return m, nil
}

const leasePrefix = "LEASE_STATE_"

func (s leaseService) ListLeases(ctx context.Context, req *pointsmanv1.ListLeasesRequest) (*pointsmanv1.ListLeasesResponse, error) {
	f, err := parseFilter(req.GetFilter(), "pool", "worker", "state")
	if err == nil {
		err = f.checkWord("state", leasePrefix, pointsmanv1.LeaseState_name)
	}
	if err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	var found []ranked[fsm.Lease]
	for _, p := range state.Spec().Pools {
		if !f.want("pool", string(p.ID)) {
			continue
		}
		for n := range p.Partitions {
			l := leaseAt(state, p.ID, n)
			if f.want("worker", owner(l)) && f.want("state", l.State.String()) {
				found = append(found, ranked[fsm.Lease]{fmt.Sprintf("%s/%04d", p.ID, n), l})
			}
		}
	}
	cut, next, err := page(found, req, "leases "+req.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &pointsmanv1.ListLeasesResponse{Header: head, NextPageToken: next}
	for _, l := range cut {
		resp.Leases = append(resp.Leases, leaseMessage(state, l))
	}
	return resp, nil
}

// owner is the worker that has the partition now.
func owner(l fsm.Lease) string {
	if !l.State.Owned() {
		return ""
	}
	return l.Worker
}

func (s leaseService) GetLease(ctx context.Context, req *pointsmanv1.GetLeaseRequest) (*pointsmanv1.GetLeaseResponse, error) {
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	l, err := leaseOf(state, req.GetId())
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.GetLeaseResponse{Header: head, Lease: leaseMessage(state, l)}, nil
}

func (s leaseService) WatchLeases(req *pointsmanv1.WatchLeasesRequest, stream grpc.ServerStreamingServer[pointsmanv1.WatchLeasesResponse]) error {
	w := watch[*pointsmanv1.WatchLeasesResponse]{
		collect: func(was, now fsm.State, since uint64) []event[*pointsmanv1.WatchLeasesResponse] {
			if since > 0 && now.Leased() <= since {
				return nil
			}
			return leaseEvents(now, fsm.PoolID(req.GetPool()), since)
		},
		bookmark: func(index uint64) *pointsmanv1.WatchLeasesResponse {
			mark := &pointsmanv1.Bookmark{AppliedIndex: index}
			return &pointsmanv1.WatchLeasesResponse{Event: &pointsmanv1.WatchLeasesResponse_Bookmark{Bookmark: mark}}
		},
		stamp: func(m *pointsmanv1.WatchLeasesResponse, h *pointsmanv1.ResponseHeader, token string) {
			m.Header, m.ResumeToken = h, token
		},
		send: stream.Send,
	}
	return w.run(stream.Context(), s.Server, req.GetResumeToken())
}

func leaseEvents(now fsm.State, id fsm.PoolID, since uint64) (events []event[*pointsmanv1.WatchLeasesResponse]) {
	for _, l := range now.Leases(id) {
		if l.Index > since {
			m := &pointsmanv1.WatchLeasesResponse{Event: &pointsmanv1.WatchLeasesResponse_Lease{Lease: leaseMessage(now, l)}}
			events = append(events, event[*pointsmanv1.WatchLeasesResponse]{l.Index, fmt.Sprintf("%s/%04d", l.Pool, l.Number), m})
		}
	}
	return events
}
