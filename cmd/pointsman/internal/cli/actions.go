package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (a *App) actionsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "actions", Short: "Show the actions, and decide on stuck ones", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.actionsList(), a.actionsShow(), a.actionsWatch(), a.actionsRetry(), a.actionsAbandon())
	return cmd
}

// actionFilter is what a list of actions is narrowed to.
type actionFilter struct {
	master, failover, state, kind, target string
	open                                  bool
	limit                                 int
}

func (f *actionFilter) flags(cmd *cobra.Command, a *App) {
	fs := cmd.Flags()
	fs.StringVar(&f.master, "master", "", "only those of this master")
	fs.StringVar(&f.failover, "failover", "", "only those of this failover, such as cache/7")
	fs.StringVar(&f.kind, "kind", "", "only those of this kind, such as ovh_iplb")
	fs.StringVar(&f.target, "target", "", "only those on this target")
	enumFlag(cmd, &f.state, "state", pointsmanv1.ActionState(0))
	_ = cmd.RegisterFlagCompletionFunc("master", a.complete(masterIDs))
	_ = cmd.RegisterFlagCompletionFunc("failover", a.complete(failoverIDs))
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(a.kindNames(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("target", a.complete(targetIDs))
}

func (f *actionFilter) text() string {
	return filterOf("master", f.master, "failover", f.failover, "state", f.state, "kind", f.kind, "target", f.target)
}

func (f *actionFilter) check() error {
	if f.open && f.state != "" {
		return fault.Wrong("--open and --state exclude each other", "leave one of them out")
	}
	return oneOf("state", f.state, pointsmanv1.ActionState(0))
}

func (a *App) actionsList() *cobra.Command {
	w, f := &watching{}, &actionFilter{}
	cmd := &cobra.Command{
		Use: "list", Short: "List actions, those of the newest failovers first", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				return listActions(ctx, s, p, f)
			})
		},
	}
	f.flags(cmd, a)
	cmd.Flags().BoolVar(&f.open, "open", false, "only those that are not final")
	limitFlag(cmd, &f.limit)
	w.flags(cmd)
	return cmd
}

func listActions(ctx context.Context, s *remote.Session, p *show.Printer, f *actionFilter) error {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	list := s.Actions
	if f.open {
		list = s.OpenActions
	}
	resp, err := list(ctx, f.text(), f.limit)
	if err != nil {
		return fault.At("list actions", err)
	}
	if !p.Format.ForPeople() {
		return p.Message(resp)
	}
	cluster, err := s.Cluster(ctx)
	if err != nil {
		return fault.At("ask for the log clock", err)
	}
	p.Header(resp.GetHeader())
	p.Actions(resp.GetActions(), cluster.GetCluster().GetLogClock())
	older(p, resp.GetNextPageToken())
	return nil
}

func (a *App) actionsShow() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use: "show ACTION", Short: "Show one action and its attempts", Args: exactly("ACTION"),
		Example:           "  pointsman actions show cache/7/lb",
		ValidArgsFunction: a.complete(actionIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewActionServiceClient(s.Conn()).GetAction(ctx,
					&pointsmanv1.GetActionRequest{Read: s.Read(), Id: args[0]})
				if err != nil {
					return fault.About("show action "+args[0], "pointsman actions list", err)
				}
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				cluster, err := s.Cluster(ctx)
				if err != nil {
					return fault.At("ask for the log clock", err)
				}
				p.Header(resp.GetHeader())
				p.Action(resp.GetAction(), cluster.GetCluster().GetLogClock())
				return nil
			})
		},
	}
	w.flags(cmd)
	return cmd
}

func (a *App) actionsWatch() *cobra.Command {
	f := &actionFilter{}
	cmd := &cobra.Command{
		Use: "watch", Short: "Follow actions as they change, until Ctrl-C", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			p := a.printer()
			p.Stream = true
			return a.follow(s.Stream(cmd.Context()), func(ctx context.Context, token string) (string, error) {
				return watchActions(ctx, s, p, f.text(), token)
			})
		},
	}
	f.flags(cmd, a)
	return cmd
}

func watchActions(ctx context.Context, s *remote.Session, p *show.Printer, filter, token string) (string, error) {
	stream, err := pointsmanv1.NewActionServiceClient(s.Conn()).WatchActions(ctx,
		&pointsmanv1.WatchActionsRequest{ResumeToken: token, Filter: filter})
	if err != nil {
		return token, fault.At("watch actions", err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return token, fault.At("watch actions", ended(err))
		}
		token = resp.GetResumeToken()
		if resp.GetAction() == nil {
			continue // a bookmark
		}
		if p.Format.ForPeople() {
			p.ActionEvent(resp.GetAction())
		} else if err := p.Message(resp); err != nil {
			return token, err
		}
	}
}

// decided is the answer to a retry or an abandon.
type decided interface {
	remote.Message
	GetAction() *pointsmanv1.Action
}

func showDecided(p *show.Printer, resp decided, dry bool) error {
	if !p.Format.ForPeople() {
		return p.Message(resp)
	}
	p.Header(resp.GetHeader())
	tellDry(p, dry)
	p.ActionEvent(resp.GetAction())
	return nil
}
