package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// Prove counts what the provider saw against every action that the log holds.
func (l *Lab) Prove(ctx context.Context) (proof ovh.Proof, err error) {
	log, err := l.deeds(ctx)
	if err != nil {
		return ovh.Proof{}, err
	}
	err = Until(ctx, proveWait, "the log to stand still", func(ctx context.Context) error {
		proof = l.Cloud.Sim.Prove(log)
		before := log
		if log, err = l.deeds(ctx); err != nil {
			return err
		}
		if !slices.Equal(before, log) { // the journal is of another moment than the log
			return errMoved
		}
		return nil
	})
	return proof, err
}

// proveWait bounds the wait for a log that does not change while it is proven.
const proveWait = 10 * time.Second

var errMoved = errors.New("an action changed meanwhile")

// deeds is every action of the log as the proof wants it.
func (l *Lab) deeds(ctx context.Context) ([]ovh.LoggedAction, error) {
	list, err := l.actions(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := l.clusterID(ctx)
	if err != nil {
		return nil, err
	}
	log := make([]ovh.LoggedAction, 0, len(list))
	for _, a := range list {
		logged := ovh.LoggedAction{
			ID: a.Id, Kind: a.Kind, State: stateWord(a.State), Effect: effectWord(a.Effect), Object: a.Object, Claims: int(a.Attempts),
		}
		if a.Failover != "" && a.Target == l.Cloud.target {
			f, err := l.failover(ctx, a.Failover)
			if err != nil {
				return nil, err
			}
			logged.Farm = l.Cloud.farms[f.GetTo()]
			logged.Marker = fmt.Sprintf("[pm %.8s %s]", cluster, a.Failover)
		}
		log = append(log, logged)
	}
	return log, nil
}

// actions is every action of the log, refreshes included.
func (l *Lab) actions(ctx context.Context) (list []*pointsmanv1.Action, err error) {
	for token, more := "", true; more; more = token != "" {
		err := l.Nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
			answer, err := pointsmanv1.NewActionServiceClient(c).ListActions(ctx, &pointsmanv1.ListActionsRequest{PageSize: 1000, PageToken: token})
			if err == nil {
				list, token = append(list, answer.Actions...), answer.NextPageToken
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list actions: %w", err)
		}
	}
	return list, nil
}

// failover is one failover as it stands in the log, or nil.
func (l *Lab) failover(ctx context.Context, id string) (f *pointsmanv1.Failover, err error) {
	err = l.Nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
		answer, err := pointsmanv1.NewFailoverServiceClient(c).GetFailover(ctx, &pointsmanv1.GetFailoverRequest{Id: id})
		if status.Code(err) == codes.NotFound {
			return nil
		}
		f = answer.GetFailover()
		return err
	})
	return f, err
}

// Failovers is every failover of the lab's master as it stands in the log,
// oldest first.
func (l *Lab) Failovers(ctx context.Context) (list []*pointsmanv1.Failover, err error) {
	for token, more := "", true; more; more = token != "" {
		err := l.Nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
			answer, err := pointsmanv1.NewFailoverServiceClient(c).ListFailovers(ctx, &pointsmanv1.ListFailoversRequest{PageSize: 200, PageToken: token})
			if err == nil {
				list, token = append(list, answer.Failovers...), answer.NextPageToken
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list failovers: %w", err)
		}
	}
	slices.SortFunc(list, func(a, b *pointsmanv1.Failover) int { return cmp.Compare(a.Number, b.Number) })
	return list, nil
}

// Setting is the value that the plan wrote, and what it would write for the
// master that a majority of the Sentinels names.
func (l *Lab) Setting(ctx context.Context) (is, due string, err error) {
	if is, err = l.settingValue(ctx); err != nil {
		return "", "", err
	}
	master, err := l.Redis.Master(ctx)
	return is, strings.ReplaceAll(l.urlValue, "{{.New}}", master), err
}

func (l *Lab) clusterID(ctx context.Context) (id string, err error) {
	err = l.Nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
		answer, err := pointsmanv1.NewClusterServiceClient(c).GetCluster(ctx, &pointsmanv1.GetClusterRequest{})
		id = answer.GetCluster().GetId()
		return err
	})
	return id, err
}

// setting is the value that the plan wrote; empty when there is none.
func (l *Lab) settingValue(ctx context.Context) (value string, err error) {
	err = l.Nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
		answer, err := pointsmanv1.NewSettingServiceClient(c).GetSetting(ctx, &pointsmanv1.GetSettingRequest{Key: l.url})
		if status.Code(err) == codes.NotFound {
			return nil
		}
		value = strings.Clone(answer.GetSetting().GetValue())
		return err
	})
	return value, err
}
