package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// How long the one that is left may still act and believe.
const (
	stepsDown  = time.Second      // the lease of a leader without followers, and what it had under way
	saysWithin = 10 * time.Second // every surface says that there is no quorum
	answersIn  = 8 * time.Second  // one run of the command line
	changeIn   = 5 * time.Second  // a caller's patience, longer than a node's own with an election
)

// quorumLost kills two coordinators of three, before a failover or in its midst.
// Nothing new starts, every surface says so, and after their return the newest
// state is carried through.
func quorumLost(ctx context.Context, r *run) error {
	leader, others, err := r.leader(ctx)
	if err != nil {
		return err
	}
	victims, survivor := others, leader
	if r.rng.IntN(2) == 0 {
		victims, survivor = []*lab.Node{leader, others[0]}, others[1]
	}
	m := pick(r, atOnce, atWrite, atRefresh)
	var s *shot
	if m != atOnce {
		if s, err = r.fire(ctx, byOrder); err != nil {
			return err
		}
		if err := errors.Join(r.promoted(ctx, s), r.reached(ctx, s, m)); err != nil {
			return err
		}
	}
	if err := r.kill(victims...); err != nil {
		return err
	}
	lost := time.Now()
	if m == atOnce {
		if s, err = r.fire(ctx, byOrder); err != nil {
			return err
		}
		if err := r.promoted(ctx, s); err != nil {
			return err
		}
	}
	if err := r.silent(ctx, survivor, lost); err != nil {
		return err
	}
	r.say("start the two again")
	for _, n := range victims {
		if err := r.l.Nodes.Restart(n); err != nil {
			return err
		}
	}
	return r.carried(ctx, s)
}

// silent checks that nothing starts without a quorum, and that it is told.
func (r *run) silent(ctx context.Context, survivor *lab.Node, lost time.Time) error {
	for _, surface := range []struct {
		name string
		says func(context.Context, *lab.Node) error
	}{
		{"stale read", saysCluster}, {"linearizable read", refusesRead}, {"change", refusesWrite},
		{"/readyz", saysHTTP("/readyz")}, {"/leader", saysHTTP("/leader")},
		{"pointsman status", r.saysStatus},
	} {
		if err := lab.Until(ctx, saysWithin, "no quorum, said by "+surface.name, func(ctx context.Context) error {
			return surface.says(ctx, survivor)
		}); err != nil {
			return err
		}
	}
	if err := rest(ctx, r.between(time.Second, 4*time.Second)); err != nil {
		return err
	}
	n := r.begun(lost.Add(stepsDown))
	r.say("every surface says so; %d writes begun without a quorum", n)
	if n > 0 {
		return fmt.Errorf("%d writes at the provider without a quorum", n)
	}
	return nil
}

func saysCluster(ctx context.Context, n *lab.Node) error {
	answer, err := pointsmanv1.NewClusterServiceClient(n.Conn()).GetCluster(ctx, &pointsmanv1.GetClusterRequest{
		Read: &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_STALE},
	})
	if err != nil {
		return err
	}
	if c, h := answer.Cluster, answer.Header; c.Quorum || c.LeaderId != "" || !h.Stale {
		return fmt.Errorf("quorum %t, leader %q, stale %t", c.Quorum, c.LeaderId, h.Stale)
	}
	return nil
}

func refusesRead(ctx context.Context, n *lab.Node) error {
	_, err := pointsmanv1.NewClusterServiceClient(n.Conn()).GetCluster(ctx, &pointsmanv1.GetClusterRequest{})
	return unavailable(err)
}

// refusesWrite: a change waits for three election time-outs and is then refused
// by name, with nothing written, not by its caller's deadline.
func refusesWrite(ctx context.Context, n *lab.Node) error {
	ctx, cancel := context.WithTimeout(ctx, changeIn)
	defer cancel()
	_, err := pointsmanv1.NewSettingServiceClient(n.Conn()).PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: "chaos/quorum", Value: "none"})
	return unavailable(err)
}

func unavailable(err error) error {
	if code := status.Code(err); code != codes.Unavailable {
		return fmt.Errorf("answered %s (%s), want unavailable", code, status.Convert(err).Message())
	}
	return nil
}

func saysHTTP(path string) func(context.Context, *lab.Node) error {
	return func(ctx context.Context, n *lab.Node) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTP()+path, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusServiceUnavailable {
			err = fmt.Errorf("%s answers %s", path, resp.Status)
		}
		return errors.Join(err, resp.Body.Close())
	}
}

// saysStatus: the command shows what the one that is left knows, marked, and
// ends with 5.
func (r *run) saysStatus(ctx context.Context, n *lab.Node) error {
	ctx, cancel := context.WithTimeout(ctx, answersIn)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.l.Program(), "status", "--endpoints", n.GRPC())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 5 && strings.Contains(string(out), "STALE") {
		return nil
	}
	return errors.Join(err, fmt.Errorf("pointsman status does not say so:\n%s", out))
}
