package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (a *App) poolsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "pools", Short: "Show the pools that workers share by lease", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.poolsList(), a.poolsShow())
	return cmd
}

func (a *App) poolsList() *cobra.Command {
	w := &watching{}
	var master string
	cmd := &cobra.Command{
		Use: "list", Short: "List the pools", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := s.Pools(ctx, filterOf("master", master), 0)
				if err != nil {
					return fault.At("list pools", err)
				}
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				p.Header(resp.GetHeader())
				p.Pools(resp.GetPools())
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&master, "master", "", "only those that depend on this master")
	_ = cmd.RegisterFlagCompletionFunc("master", a.complete(masterIDs))
	w.flags(cmd)
	return cmd
}

func (a *App) poolsShow() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use: "show POOL", Short: "Show one pool, and what each worker of it holds", Args: exactly("POOL"),
		ValidArgsFunction: a.complete(poolIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				return showPool(ctx, s, p, args[0])
			})
		},
	}
	w.flags(cmd)
	return cmd
}

func showPool(ctx context.Context, s *remote.Session, p *show.Printer, id string) error {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	resp, err := pointsmanv1.NewLeaseServiceClient(s.Conn()).GetPool(ctx, &pointsmanv1.GetPoolRequest{Read: s.Read(), Id: id})
	if err != nil {
		return fault.About("show pool "+id, "pointsman pools list", err)
	}
	if !p.Format.ForPeople() {
		return p.Message(resp)
	}
	leases, err := s.Leases(ctx, filterOf("pool", id), 0)
	if err != nil {
		return fault.At("list the leases of "+id, err)
	}
	p.Header(resp.GetHeader())
	p.Pool(resp, leases.GetLeases())
	return nil
}
