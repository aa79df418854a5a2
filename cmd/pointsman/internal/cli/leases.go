package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (a *App) leasesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "leases", Short: "Show who holds which partition, and hold one", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.leasesList(), a.leasesShow(), a.leasesWatch(), a.leasesCheck(), a.leasesRelease(), a.leasesRun())
	return cmd
}

func (a *App) leasesList() *cobra.Command {
	w := &watching{}
	var state, worker string
	var limit int
	cmd := &cobra.Command{
		Use: "list [POOL]", Short: "List partitions and who holds them", Args: between(0, "POOL"),
		ValidArgsFunction: a.complete(poolIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("state", state, pointsmanv1.LeaseState(0)); err != nil {
				return err
			}
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := s.Leases(ctx, filterOf("pool", first(args), "worker", worker, "state", state), limit)
				if err != nil {
					return fault.At("list leases", err)
				}
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				p.Header(resp.GetHeader())
				p.Leases(resp.GetLeases())
				older(p, resp.GetNextPageToken())
				return nil
			})
		},
	}
	enumFlag(cmd, &state, "state", pointsmanv1.LeaseState(0))
	cmd.Flags().StringVar(&worker, "worker", "", "only those of this worker")
	limitFlag(cmd, &limit)
	w.flags(cmd)
	return cmd
}

func (a *App) leasesShow() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use: "show LEASE", Short: "Show one partition", Args: exactly("LEASE"),
		Example:           "  pointsman leases show webhooks/17",
		ValidArgsFunction: a.complete(leaseIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewLeaseServiceClient(s.Conn()).GetLease(ctx, &pointsmanv1.GetLeaseRequest{Read: s.Read(), Id: args[0]})
				if err != nil {
					return fault.About("show lease "+args[0], "pointsman leases list", err)
				}
				return showLease(p, resp)
			})
		},
	}
	w.flags(cmd)
	return cmd
}

// leased is an answer about one partition.
type leased interface {
	remote.Message
	GetLease() *pointsmanv1.Lease
}

func showLease(p *show.Printer, resp leased) error {
	if !p.Format.ForPeople() {
		return p.Message(resp)
	}
	p.Header(resp.GetHeader())
	p.Lease(resp.GetLease())
	return nil
}

func (a *App) leasesWatch() *cobra.Command {
	return &cobra.Command{
		Use: "watch [POOL]", Short: "Follow leases as they move, until Ctrl-C", Args: between(0, "POOL"),
		ValidArgsFunction: a.complete(poolIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			p := a.printer()
			p.Stream = true
			return a.follow(s.Stream(cmd.Context()), func(ctx context.Context, token string) (string, error) {
				return watchLeases(ctx, s, p, first(args), token)
			})
		},
	}
}

func watchLeases(ctx context.Context, s *remote.Session, p *show.Printer, pool, token string) (string, error) {
	stream, err := pointsmanv1.NewLeaseServiceClient(s.Conn()).WatchLeases(ctx, &pointsmanv1.WatchLeasesRequest{ResumeToken: token, Pool: pool})
	if err != nil {
		return token, fault.At("watch leases", err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return token, fault.At("watch leases", ended(err))
		}
		token = resp.GetResumeToken()
		if resp.GetLease() == nil {
			continue // a bookmark
		}
		if p.Format.ForPeople() {
			p.LeaseEvent(resp.GetLease())
		} else if err := p.Message(resp); err != nil {
			return token, err
		}
	}
}

// leaseFenced is the reason of a refused token.
const leaseFenced = "LEASE_FENCED"

func (a *App) leasesCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check LEASE TOKEN", Short: "Say whether a token is that of the current holder", Args: exactly("LEASE", "TOKEN"),
		Long: "Ends with 0 when the token is the current holder's, at least at one moment after the question\n" +
			"was asked, and with 3 when it is not. It cannot promise what is true a moment later: where late\n" +
			"writes matter, have the place that is written to compare tokens (docs/leases.md).",
		Example:           "  pointsman leases check \"$POINTSMAN_LEASE\" \"$POINTSMAN_LEASE_TOKEN\"",
		ValidArgsFunction: a.complete(leaseIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := strconv.ParseUint(args[1], 10, 64)
			if err != nil || token == 0 {
				return fault.Wrong(fmt.Sprintf("%q is no token", args[1]), "pointsman leases show "+args[0])
			}
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewLeaseServiceClient(s.Conn()).CheckToken(ctx,
					&pointsmanv1.CheckTokenRequest{Read: s.Read(), Id: args[0], Token: token})
				if client.Reason(err) == leaseFenced {
					e := fault.Explain(fault.At("check token of "+args[0], err))
					e.Code = fault.Unhealthy
					return e
				}
				if err != nil {
					return fault.About("check token of "+args[0], "pointsman leases list", err)
				}
				return showLease(p, resp)
			})
		},
	}
}

func (a *App) leasesRelease() *cobra.Command {
	d, token, now := &decision{}, uint64(0), false
	cmd := &cobra.Command{
		Use: "release LEASE --reason TEXT", Short: "Take a partition from its holder", Args: exactly("LEASE"),
		Long: "Asks the holder to finish, for at most the pool's drain time; then another worker is granted the\n" +
			"partition. With --now it is locked at once: its holder learns of it with its next renewal and may\n" +
			"work on until then, and nobody is granted it before its lease and the lock delay are over or the\n" +
			"holder says that it has stopped. The reason is kept in the log.",
		Example:           "  pointsman leases release webhooks/17 --reason 'its worker hangs'",
		ValidArgsFunction: a.complete(heldIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if d.reason == "" {
				return fault.Wrong("release "+args[0]+" needs a reason", "pointsman leases release "+args[0]+" --reason TEXT")
			}
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewLeaseServiceClient(s.Conn()).RevokeLease(ctx, &pointsmanv1.RevokeLeaseRequest{
					Id: args[0], Token: token, Immediate: now, Reason: d.reason, ValidateOnly: d.dry})
				if err != nil {
					return fault.About("release "+args[0], "pointsman leases list", err)
				}
				tellDry(p, d.dry)
				return showLease(p, resp)
			})
		},
	}
	d.flags(cmd)
	cmd.Flags().Uint64Var(&token, "held-token", 0, "only if its holder's token is this one; 0: whoever holds it")
	cmd.Flags().BoolVar(&now, "now", false, "lock it at once instead of asking its holder to finish")
	return cmd
}
