package remote

import (
	"context"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Masters lists masters by id; a limit of 0 means all.
func (s *Session) Masters(ctx context.Context, filter string, limit int) (*pointsmanv1.ListMastersResponse, error) {
	c := pointsmanv1.NewMasterServiceClient(s.Conn())
	return Pages(limit, func(r *pointsmanv1.ListMastersResponse) int { return len(r.GetMasters()) },
		func(token string, size int32) (*pointsmanv1.ListMastersResponse, error) {
			return c.ListMasters(ctx, &pointsmanv1.ListMastersRequest{Read: s.Read(), PageSize: size, PageToken: token, Filter: filter})
		})
}

// Failovers lists failovers, the newest first; a limit of 0 means all.
func (s *Session) Failovers(ctx context.Context, filter string, limit int) (*pointsmanv1.ListFailoversResponse, error) {
	c := pointsmanv1.NewFailoverServiceClient(s.Conn())
	return Pages(limit, func(r *pointsmanv1.ListFailoversResponse) int { return len(r.GetFailovers()) },
		func(token string, size int32) (*pointsmanv1.ListFailoversResponse, error) {
			return c.ListFailovers(ctx, &pointsmanv1.ListFailoversRequest{Read: s.Read(), PageSize: size, PageToken: token, Filter: filter})
		})
}

// Scores lists the scores of masters, by master.
func (s *Session) Scores(ctx context.Context, filter string) (*pointsmanv1.ListScoresResponse, error) {
	c := pointsmanv1.NewFailoverServiceClient(s.Conn())
	return Pages(0, func(r *pointsmanv1.ListScoresResponse) int { return len(r.GetScores()) },
		func(token string, size int32) (*pointsmanv1.ListScoresResponse, error) {
			return c.ListScores(ctx, &pointsmanv1.ListScoresRequest{Read: s.Read(), PageSize: size, PageToken: token, Filter: filter})
		})
}

// Actions lists actions, those of the newest failovers first; a limit of 0
// means all.
func (s *Session) Actions(ctx context.Context, filter string, limit int) (*pointsmanv1.ListActionsResponse, error) {
	c := pointsmanv1.NewActionServiceClient(s.Conn())
	return Pages(limit, func(r *pointsmanv1.ListActionsResponse) int { return len(r.GetActions()) },
		func(token string, size int32) (*pointsmanv1.ListActionsResponse, error) {
			return c.ListActions(ctx, &pointsmanv1.ListActionsRequest{Read: s.Read(), PageSize: size, PageToken: token, Filter: filter})
		})
}

// OpenActions lists the actions in no final state, those that need a human
// first. The filter must not name a state.
func (s *Session) OpenActions(ctx context.Context, filter string, limit int) (*pointsmanv1.ListActionsResponse, error) {
	all := &pointsmanv1.ListActionsResponse{}
	for _, state := range []string{"stuck", "claimed", "waiting", "pending"} {
		left := 0
		if limit > 0 {
			if left = limit - len(all.GetActions()); left <= 0 {
				break
			}
		}
		some, err := s.Actions(ctx, strings.TrimSpace(filter+" state="+state), left)
		if err != nil {
			return nil, err
		}
		all.Header = some.GetHeader()
		all.Actions = append(all.Actions, some.GetActions()...)
	}
	return all, nil
}

// Settings lists settings by key; a limit of 0 means all.
func (s *Session) Settings(ctx context.Context, prefix string, limit int) (*pointsmanv1.ListSettingsResponse, error) {
	c := pointsmanv1.NewSettingServiceClient(s.Conn())
	return Pages(limit, func(r *pointsmanv1.ListSettingsResponse) int { return len(r.GetSettings()) },
		func(token string, size int32) (*pointsmanv1.ListSettingsResponse, error) {
			return c.ListSettings(ctx, &pointsmanv1.ListSettingsRequest{Read: s.Read(), PageSize: size, PageToken: token, Prefix: prefix})
		})
}

// Pools lists pools by name; a limit of 0 means all.
func (s *Session) Pools(ctx context.Context, filter string, limit int) (*pointsmanv1.ListPoolsResponse, error) {
	c := pointsmanv1.NewLeaseServiceClient(s.Conn())
	return Pages(limit, func(r *pointsmanv1.ListPoolsResponse) int { return len(r.GetPools()) },
		func(token string, size int32) (*pointsmanv1.ListPoolsResponse, error) {
			return c.ListPools(ctx, &pointsmanv1.ListPoolsRequest{Read: s.Read(), PageSize: size, PageToken: token, Filter: filter})
		})
}

// Leases lists partitions by pool and number; a limit of 0 means all.
func (s *Session) Leases(ctx context.Context, filter string, limit int) (*pointsmanv1.ListLeasesResponse, error) {
	c := pointsmanv1.NewLeaseServiceClient(s.Conn())
	return Pages(limit, func(r *pointsmanv1.ListLeasesResponse) int { return len(r.GetLeases()) },
		func(token string, size int32) (*pointsmanv1.ListLeasesResponse, error) {
			return c.ListLeases(ctx, &pointsmanv1.ListLeasesRequest{Read: s.Read(), PageSize: size, PageToken: token, Filter: filter})
		})
}

// Revisions lists the revisions of the spec that are kept, the newest first; a
// limit of 0 means all.
func (s *Session) Revisions(ctx context.Context, limit int) (*pointsmanv1.ListSpecRevisionsResponse, error) {
	c := pointsmanv1.NewSpecServiceClient(s.Conn())
	return Pages(limit, func(r *pointsmanv1.ListSpecRevisionsResponse) int { return len(r.GetRevisions()) },
		func(token string, size int32) (*pointsmanv1.ListSpecRevisionsResponse, error) {
			return c.ListSpecRevisions(ctx, &pointsmanv1.ListSpecRevisionsRequest{Read: s.Read(), PageSize: size, PageToken: token})
		})
}

// Nodes lists nodes by id; a limit of 0 means all.
func (s *Session) Nodes(ctx context.Context, filter string, limit int) (*pointsmanv1.ListNodesResponse, error) {
	c := pointsmanv1.NewClusterServiceClient(s.Conn())
	return Pages(limit, func(r *pointsmanv1.ListNodesResponse) int { return len(r.GetNodes()) },
		func(token string, size int32) (*pointsmanv1.ListNodesResponse, error) {
			return c.ListNodes(ctx, &pointsmanv1.ListNodesRequest{Read: s.Read(), PageSize: size, PageToken: token, Filter: filter})
		})
}

// Cluster asks how the cluster stands; its log clock is the present.
func (s *Session) Cluster(ctx context.Context) (*pointsmanv1.GetClusterResponse, error) {
	return pointsmanv1.NewClusterServiceClient(s.Conn()).GetCluster(ctx, &pointsmanv1.GetClusterRequest{Read: s.Read()})
}
