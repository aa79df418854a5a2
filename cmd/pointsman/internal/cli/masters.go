package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (a *App) mastersCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "masters", Short: "Show the Redis masters", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.mastersList(), a.mastersShow())
	return cmd
}

func (a *App) mastersList() *cobra.Command {
	w := &watching{}
	var state string
	cmd := &cobra.Command{
		Use: "list", Short: "List the masters", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf("state", state, pointsmanv1.MasterState(0)); err != nil {
				return err
			}
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := s.Masters(ctx, filterOf("state", state), 0)
				if err != nil {
					return fault.At("list masters", err)
				}
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				p.Header(resp.GetHeader())
				p.Masters(resp.GetMasters(), show.Newest{})
				return nil
			})
		},
	}
	enumFlag(cmd, &state, "state", pointsmanv1.MasterState(0))
	w.flags(cmd)
	return cmd
}

func (a *App) mastersShow() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use: "show MASTER", Short: "Show one master, and what each Sentinel says of it", Args: exactly("MASTER"),
		ValidArgsFunction: a.complete(masterIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewMasterServiceClient(s.Conn()).GetMaster(ctx,
					&pointsmanv1.GetMasterRequest{Read: s.Read(), Id: args[0]})
				if err != nil {
					return fault.About("show master "+args[0], "pointsman masters list", err)
				}
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				p.Header(resp.GetHeader())
				p.Master(resp.GetMaster())
				return nil
			})
		},
	}
	w.flags(cmd)
	return cmd
}
