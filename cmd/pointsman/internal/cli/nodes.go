package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (a *App) nodesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "nodes", Short: "Show the nodes of the cluster", RunE: group, Args: subcommandOnly}
	w := &watching{}
	var zone string
	list := &cobra.Command{
		Use: "list", Short: "List the nodes", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := s.Nodes(ctx, filterOf("zone", zone), 0)
				if err != nil {
					return fault.At("list nodes", err)
				}
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				p.Header(resp.GetHeader())
				p.Nodes(resp.GetNodes())
				return nil
			})
		},
	}
	list.Flags().StringVar(&zone, "zone", "", "only nodes of this zone")
	_ = list.RegisterFlagCompletionFunc("zone", a.complete(zoneIDs))
	w.flags(list)
	cmd.AddCommand(list)
	return cmd
}

func (a *App) leaderCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "leader", Short: "Show or move the leadership", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(
		&cobra.Command{
			Use: "show", Short: "Show who leads", Args: exactly(),
			Long: "Shows who leads, its address and the term, why it leads and not another, and the last\n" +
				"hand-over on purpose that is known. Exit code 5 when nobody leads.",
			RunE: func(cmd *cobra.Command, _ []string) error { return a.ask(cmd, nil, showLeader) },
		},
		a.transferCommand(),
	)
	return cmd
}

func showLeader(ctx context.Context, s *remote.Session, p *show.Printer) error {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	resp, err := s.Cluster(ctx)
	if err != nil {
		return fault.At("ask who leads", err)
	}
	if !p.Format.ForPeople() {
		err = p.Message(resp)
	} else {
		p.Header(resp.GetHeader())
		p.Leader(resp.GetCluster(), resp.GetHeader())
	}
	if err == nil && resp.GetCluster().GetLeaderId() == "" {
		return fault.Quiet(fault.TryLater)
	}
	return err
}

func (a *App) transferCommand() *cobra.Command {
	var to string
	var dry, force bool
	cmd := &cobra.Command{
		Use: "transfer", Short: "Hand the leadership to another node", Args: exactly(),
		Long: "Asks the leader to finish or release its claims and to hand over, to a fit node of its\n" +
			"choice or to the one named by --to. Refused when no other node is as fit: one that was not\n" +
			"heard lately, lags, or does not reach a target that the leader reaches, unless --force is\n" +
			"given; one whose disk is below its floor in any case.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewClusterServiceClient(s.Conn()).TransferLeadership(ctx,
					&pointsmanv1.TransferLeadershipRequest{To: to, ValidateOnly: dry, Force: force})
				if err != nil {
					return fault.About("transfer the leadership", "pointsman nodes list", err)
				}
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				p.Header(resp.GetHeader())
				tellDry(p, dry)
				fmt.Fprintf(p.Out, "leader %s\n", resp.GetLeaderId())
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "id of the node that is to lead")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "check everything, change nothing")
	cmd.Flags().BoolVar(&force, "force", false, "hand over to a node that is less fit, its disk excepted")
	_ = cmd.RegisterFlagCompletionFunc("to", a.complete(nodeIDs))
	return cmd
}
