package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const (
	// defaultFollow is how long a switchover is followed.
	defaultFollow = 5 * time.Minute
	// followGrace is what the failover may take beyond the request's own time to
	// be told to us.
	followGrace = 2 * time.Second
	defaultLag  = 1 << 20
)

// switching is one switchover as the command line asks for it.
type switching struct {
	app                *App
	master, to, reason string
	dry, yes, leave    bool
	maxLag             int64
	follow             time.Duration
}

func (a *App) switchoverCommand() *cobra.Command {
	w := &switching{app: a}
	cmd := &cobra.Command{
		Use: "switchover MASTER", Short: "Move a master that is well, by asking one of its Sentinels", Args: exactly("MASTER"),
		Long: "Checks that the master, its Sentinels and the replica to be promoted are well and that nothing is\n" +
			"under way, logs the request with who asks and why, then asks one Sentinel, once (SENTINEL\n" +
			"FAILOVER), and follows the failover that comes of it until every action is settled. Each objection\n" +
			"is named with its values, and then nothing is logged or asked. A lost answer is never asked for\n" +
			"again; a second request is refused while the first may still be running.\n\n" +
			"Sentinel cannot be told whom to promote: --to is refused, with the commands that change it, unless\n" +
			"Sentinel would promote that one for certain. On a terminal the plan is shown and the master's id\n" +
			"asked for; --yes skips that. Writes acknowledged in the last moments may be lost: see\n" +
			"docs/switchover.md.\n\n" +
			"Exit code 3 when an action is stuck, 5 when no failover was seen in time or --wait-for ran out.",
		Example:           "  pointsman switchover cache --dry-run\n  pointsman switchover cache --reason 'kernel update of redis-a'",
		ValidArgsFunction: a.complete(masterIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			w.master = args[0]
			if w.maxLag < 0 || w.follow <= 0 {
				return fault.Wrong("--max-lag must not be less than 0, and --wait-for more", "leave them out")
			}
			return a.ask(cmd, nil, w.run)
		},
	}
	f := cmd.Flags()
	f.StringVar(&w.to, "to", "", "the candidate that shall become master, host:port; refused unless Sentinel would promote it")
	f.StringVar(&w.reason, "reason", "", "why; kept in the log and shown with the failover")
	f.BoolVar(&w.dry, "dry-run", false, "check everything and show the plan with what stands at the providers; log and ask nothing")
	f.BoolVarP(&w.yes, "yes", "y", false, "do not ask on a terminal")
	f.BoolVar(&w.leave, "no-wait", false, "end when the Sentinel has answered")
	f.DurationVar(&w.follow, "wait-for", defaultFollow, "follow the failover for so long at most")
	f.Int64Var(&w.maxLag, "max-lag", defaultLag, "bytes that the replica to be promoted may be behind")
	return cmd
}

func (w *switching) run(ctx context.Context, s *remote.Session, p *show.Printer) error {
	if w.app.Terminal && p.Format.ForPeople() && !w.yes && !w.dry {
		plan, err := w.call(ctx, s, true)
		if err != nil {
			return err
		}
		p.Switchover(plan)
		if err := w.confirm(); err != nil {
			return err
		}
	}
	resp, err := w.call(ctx, s, w.dry)
	if err != nil {
		return err
	}
	if p.Format.ForPeople() {
		p.Header(resp.GetHeader())
		tellDry(p, w.dry)
		p.Switchover(resp)
	} else {
		p.Stream = !w.dry && !w.leave
		if err := p.Message(resp); err != nil {
			return err
		}
	}
	if w.dry || w.leave {
		return nil
	}
	return w.watch(ctx, s, p, resp.GetSwitchover())
}

func (w *switching) call(ctx context.Context, s *remote.Session, dry bool) (*pointsmanv1.SwitchoverResponse, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	resp, err := pointsmanv1.NewMasterServiceClient(s.Conn()).Switchover(ctx, &pointsmanv1.SwitchoverRequest{
		Master: w.master, To: w.to, Reason: w.reason, MaxLagBytes: &w.maxLag, ValidateOnly: dry,
	})
	return resp, fault.About("switch over "+w.master, "pointsman masters list", err)
}

// confirm asks for the master's id, so that nobody moves another one than meant.
func (w *switching) confirm() error {
	fmt.Fprintf(w.app.Err, "\ntype %s to go on: ", w.master)
	line, _ := bufio.NewReader(w.app.In).ReadString('\n')
	if strings.TrimSpace(line) != w.master {
		return &fault.Error{Code: fault.Failed, What: "switch over " + w.master, Why: "not confirmed; nothing was logged or asked"}
	}
	return nil
}

// watch follows the failover that comes of the request. One that is not seen
// before the request's time is over has not come of it.
func (w *switching) watch(ctx context.Context, s *remote.Session, p *show.Printer, asked *pointsmanv1.Switchover) error {
	ctx, cancel := context.WithTimeoutCause(ctx, w.follow, &fault.Error{
		Code: fault.TryLater, What: "follow the switchover of " + w.master, Why: "not settled in " + show.Span(w.follow), Next: "pointsman failovers show " + w.master,
	})
	defer cancel()
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	unseen := time.AfterFunc(asked.GetLeft().AsDuration()+followGrace, func() {
		give(&fault.Error{
			Code: fault.TryLater, What: "follow the switchover of " + w.master, Why: "no failover was seen in its time",
			Next: "pointsman masters show " + w.master + " tells what the Sentinels say; then it may be asked again",
		})
	})
	defer unseen.Stop()
	var last *pointsmanv1.Failover
	progress := &show.Progress{}
	err := w.app.follow(s.Stream(ctx), func(ctx context.Context, token string) (string, error) {
		return followFailover(ctx, s, token, w.master, asked.GetFailover(), func(f *pointsmanv1.Failover) (bool, error) {
			last = f
			unseen.Stop()
			var err error
			if p.Format.ForPeople() {
				p.Progress(progress, f)
			} else {
				err = p.Message(f)
			}
			return settledOrStuck(f), err
		})
	})
	if errors.Is(err, errFollowed) {
		return w.verdict(p, asked, last)
	}
	var over *fault.Error
	if err == nil && errors.As(context.Cause(ctx), &over) {
		return over
	}
	return err
}

// errFollowed ends a watch that has told all that there was to tell.
var errFollowed = errors.New("the failover is settled or stuck")

func settledOrStuck(f *pointsmanv1.Failover) bool {
	return f.GetSettledAt() != nil || f.GetState() == pointsmanv1.FailoverState_FAILOVER_STATE_STUCK
}

func followFailover(ctx context.Context, s *remote.Session, token, master, id string, told func(*pointsmanv1.Failover) (bool, error)) (string, error) {
	stream, err := pointsmanv1.NewFailoverServiceClient(s.Conn()).WatchFailovers(ctx,
		&pointsmanv1.WatchFailoversRequest{ResumeToken: token, Filter: filterOf("master", master)})
	if err != nil {
		return token, fault.At("watch failovers", err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return token, fault.At("watch failovers", ended(err))
		}
		token = resp.GetResumeToken()
		if resp.GetFailover().GetId() != id {
			continue
		}
		over, err := told(resp.GetFailover())
		if err == nil && over {
			err = errFollowed
		}
		if err != nil {
			return token, err
		}
	}
}

// verdict is the exit code of what came of it.
func (w *switching) verdict(p *show.Printer, asked *pointsmanv1.Switchover, f *pointsmanv1.Failover) error {
	if f.GetTo() != asked.GetTo() {
		fmt.Fprintf(p.Talk, "warning: %s became master, expected was %s\n", f.GetTo(), asked.GetTo())
		if w.to != "" {
			return fault.Quiet(fault.Failed)
		}
	}
	switch f.GetState() {
	case pointsmanv1.FailoverState_FAILOVER_STATE_STUCK:
		return &fault.Error{Code: fault.Unhealthy, What: f.GetId() + " is stuck", Next: "pointsman failovers show " + f.GetId()}
	case pointsmanv1.FailoverState_FAILOVER_STATE_DONE:
		return nil
	}
	return &fault.Error{Code: fault.Failed, What: f.GetId() + " is " + show.Word(f.GetState()), Next: "pointsman failovers show " + f.GetId()}
}
