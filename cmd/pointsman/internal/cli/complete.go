package cli

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Bounds of a completion: a shell waits for it at each Tab.
const (
	completeWait  = time.Second
	completeLimit = 100
)

// words asks the cluster for the ids that an argument may be.
type words func(ctx context.Context, s *remote.Session) []string

// complete makes a completion of ids. Any node's own state is fresh enough; no
// answer is no suggestion.
func (a *App) complete(ask words) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && cmd.ValidArgsFunction != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		a.global.consistency = "stale"
		if a.prepare(cmd) != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		a.global.timeout = min(a.global.timeout, completeWait)
		s, err := a.open()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer s.Close()
		ctx, cancel := s.Call(cmd.Context())
		defer cancel()
		return ask(ctx, s), cobra.ShellCompDirectiveNoFileComp
	}
}

func nodeIDs(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Nodes(ctx, "", completeLimit)
	return ids(resp.GetNodes())
}

func masterIDs(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Masters(ctx, "", completeLimit)
	return ids(resp.GetMasters())
}

func failoverIDs(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Failovers(ctx, "", completeLimit)
	return ids(resp.GetFailovers())
}

func actionIDs(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Actions(ctx, "", completeLimit)
	return ids(resp.GetActions())
}

func stuckIDs(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Actions(ctx, "state=stuck", completeLimit)
	return ids(resp.GetActions())
}

func openIDs(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.OpenActions(ctx, "", completeLimit)
	return ids(resp.GetActions())
}

func poolIDs(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Pools(ctx, "", completeLimit)
	return ids(resp.GetPools())
}

func leaseIDs(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Leases(ctx, "", completeLimit)
	return ids(resp.GetLeases())
}

// heldIDs are those that somebody could be asked to give back.
func heldIDs(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Leases(ctx, "state=held", completeLimit)
	return ids(resp.GetLeases())
}

func settingKeys(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Settings(ctx, "", completeLimit)
	var keys []string
	for _, v := range resp.GetSettings() {
		keys = append(keys, v.GetKey())
	}
	return keys
}

// targetIDs are those of the current spec.
func targetIDs(ctx context.Context, s *remote.Session) []string {
	spec, _ := s.Spec(ctx)
	return slices.Sorted(maps.Keys(spec.GetTargets()))
}

// specRevisions are those that are kept, the newest first.
func specRevisions(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Revisions(ctx, completeLimit)
	var found []string
	for _, r := range resp.GetRevisions() {
		found = append(found, strconv.FormatUint(r.GetRevision(), 10))
	}
	return found
}

// zoneIDs are those in which nodes stand.
func zoneIDs(ctx context.Context, s *remote.Session) []string {
	resp, _ := s.Nodes(ctx, "", completeLimit)
	var zones []string
	for _, n := range resp.GetNodes() {
		zones = append(zones, n.GetZone())
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

// kindNames are the kinds of actions that this program can carry out.
func (a *App) kindNames() []string { return slices.Sorted(maps.Keys(a.Kinds)) }

type identified interface {
	*pointsmanv1.Node | *pointsmanv1.Master | *pointsmanv1.Failover | *pointsmanv1.Action | *pointsmanv1.Pool | *pointsmanv1.Lease
	GetId() string
}

func ids[T identified](all []T) []string {
	var found []string
	for _, v := range all {
		found = append(found, v.GetId())
	}
	return found
}
