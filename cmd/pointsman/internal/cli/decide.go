package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// decision is what a human decides about one action, and why.
type decision struct {
	reason string
	dry    bool
}

func (d *decision) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.reason, "reason", "", "why; kept in the log")
	cmd.Flags().BoolVar(&d.dry, "dry-run", false, "check everything, change nothing")
}

func (a *App) actionsRetry() *cobra.Command {
	d := &decision{}
	cmd := &cobra.Command{
		Use: "retry ACTION", Short: "Try a stuck action again, or a delayed one at once", Args: exactly("ACTION"),
		Long: "Makes a stuck action pending again, with as many attempts as its step allows. One in doubt\n" +
			"waits for its window before it writes. On a pending action it ends the delay before the next\n" +
			"attempt.",
		ValidArgsFunction: a.complete(stuckIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewActionServiceClient(s.Conn()).RetryAction(ctx,
					&pointsmanv1.RetryActionRequest{Id: args[0], Reason: d.reason, ValidateOnly: d.dry})
				if err != nil {
					return fault.About("retry "+args[0], "pointsman actions list --state stuck", err)
				}
				return showDecided(p, resp, d.dry)
			})
		},
	}
	d.flags(cmd)
	return cmd
}

func (a *App) actionsAbandon() *cobra.Command {
	d := &decision{}
	cmd := &cobra.Command{
		Use: "abandon ACTION --reason TEXT", Short: "Give a stuck, pending or waiting action up for good", Args: exactly("ACTION"),
		Long: "Ends an action for good: nothing will carry it out; what a waiting one has written already stays.\n" +
			"The reason is kept in the log.\n" +
			"Refused while the action is claimed, since a request of it may be under way, and when it is final.",
		ValidArgsFunction: a.complete(openIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if d.reason == "" {
				return fault.Wrong("abandon "+args[0]+" needs a reason", "pointsman actions abandon "+args[0]+" --reason TEXT")
			}
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewActionServiceClient(s.Conn()).AbandonAction(ctx,
					&pointsmanv1.AbandonActionRequest{Id: args[0], Reason: d.reason, ValidateOnly: d.dry})
				if err != nil {
					return fault.About("abandon "+args[0], "pointsman actions list --open", err)
				}
				return showDecided(p, resp, d.dry)
			})
		},
	}
	d.flags(cmd)
	return cmd
}
