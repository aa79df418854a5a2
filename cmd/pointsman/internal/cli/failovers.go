package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// defaultLimit is how many of the newest a list shows.
const defaultLimit = 50

func (a *App) failoversCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "failovers", Short: "Show the failovers", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.failoversList(), a.failoversShow(), a.failoversWatch(), a.failoversExport())
	return cmd
}

func (a *App) failoversList() *cobra.Command {
	w := &watching{}
	var state string
	var limit int
	cmd := &cobra.Command{
		Use: "list [MASTER]", Short: "List failovers, the newest first", Args: between(0, "MASTER"),
		ValidArgsFunction: a.complete(masterIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("state", state, pointsmanv1.FailoverState(0)); err != nil {
				return err
			}
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := s.Failovers(ctx, filterOf("master", first(args), "state", state), limit)
				if err != nil {
					return fault.At("list failovers", err)
				}
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				p.Header(resp.GetHeader())
				p.Failovers(resp.GetFailovers())
				older(p, resp.GetNextPageToken())
				return nil
			})
		},
	}
	enumFlag(cmd, &state, "state", pointsmanv1.FailoverState(0))
	limitFlag(cmd, &limit)
	w.flags(cmd)
	return cmd
}

func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", defaultLimit, "show at most so many; 0 means all")
}

// older says that a list was cut.
func older(p *show.Printer, token string) {
	if token != "" {
		fmt.Fprintln(p.Talk, "there are more: --limit 0 shows all")
	}
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (a *App) failoversShow() *cobra.Command {
	w := &watching{}
	var svg bool
	cmd := &cobra.Command{
		Use: "show FAILOVER", Short: "Show one failover as a timeline", Args: exactly("FAILOVER"),
		Long: "Shows how a failover stands, a bar for each action (in a terminal), then what happened in its\n" +
			"order, and upon which evidence it was accepted. Times are relative to acceptance, by the log\n" +
			"clock. -o wide adds the provider's request ids. A master's id instead of a failover's shows\n" +
			"its newest one.\n\n" +
			"Without a leader it shows what a node knows by itself, marked STALE, and ends with 5.",
		Example:           "  pointsman failovers show cache/7\n  pointsman failovers show cache\n  pointsman failovers show cache/7 --svg > cache-7.svg",
		ValidArgsFunction: a.complete(failoverIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if svg && w.on {
				return fault.Wrong("--svg and --watch exclude each other", "leave one of them out")
			}
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				return showFailover(ctx, s, p, args[0], svg)
			})
		},
	}
	cmd.Flags().BoolVar(&svg, "svg", false, "write a drawing (SVG) instead, a file that loads nothing")
	w.flags(cmd)
	return cmd
}

func showFailover(ctx context.Context, s *remote.Session, p *show.Printer, id string, svg bool) error {
	s, cluster, err := s.OrStale(ctx)
	if err != nil {
		return fault.At("show failover "+id, err)
	}
	ctx, cancel := s.Call(ctx)
	defer cancel()
	resp, err := getFailover(ctx, s, id)
	if err != nil {
		return err
	}
	now := cluster.GetCluster().GetLogClock()
	switch {
	case svg:
		err = show.FailoverSVG(p.Out, resp.GetFailover(), now)
	case !p.Format.ForPeople():
		err = p.Message(resp)
	default:
		p.Header(resp.GetHeader())
		p.Failover(resp.GetFailover(), now)
	}
	if err == nil && s.Fallback() {
		return fault.Quiet(fault.TryLater)
	}
	return err
}

// getFailover finds one by its id, or the newest one of a master.
func getFailover(ctx context.Context, s *remote.Session, id string) (*pointsmanv1.GetFailoverResponse, error) {
	if id != "" && !strings.Contains(id, "/") {
		list, err := s.Failovers(ctx, filterOf("master", id), 1)
		if err != nil {
			return nil, fault.At("find the newest failover of "+id, err)
		}
		if len(list.GetFailovers()) > 0 {
			return &pointsmanv1.GetFailoverResponse{Header: list.GetHeader(), Failover: list.GetFailovers()[0]}, nil
		}
		return nil, &fault.Error{Code: fault.Failed, What: "show failover " + id, Why: "no failover of a master " + strconv.Quote(id) + " is known",
			Next: "pointsman failovers list shows what there is, by ids such as cache/7"}
	}
	resp, err := pointsmanv1.NewFailoverServiceClient(s.Conn()).GetFailover(ctx, &pointsmanv1.GetFailoverRequest{Read: s.Read(), Id: id})
	return resp, fault.About("show failover "+id, "pointsman failovers list", err)
}

func (a *App) failoversWatch() *cobra.Command {
	return &cobra.Command{
		Use: "watch [MASTER]", Short: "Follow failovers as they happen, until Ctrl-C", Args: between(0, "MASTER"),
		Long: "Tells each failover that there is, then each change. A broken connection is taken up again\n" +
			"where it was left. With -o json one message a line.",
		ValidArgsFunction: a.complete(masterIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			p := a.printer()
			p.Stream = true
			return a.follow(s.Stream(cmd.Context()), func(ctx context.Context, token string) (string, error) {
				return watchFailovers(ctx, s, p, filterOf("master", first(args)), token)
			})
		},
	}
}

func watchFailovers(ctx context.Context, s *remote.Session, p *show.Printer, filter, token string) (string, error) {
	stream, err := pointsmanv1.NewFailoverServiceClient(s.Conn()).WatchFailovers(ctx,
		&pointsmanv1.WatchFailoversRequest{ResumeToken: token, Filter: filter})
	if err != nil {
		return token, fault.At("watch failovers", err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return token, fault.At("watch failovers", ended(err))
		}
		token = resp.GetResumeToken()
		if resp.GetFailover() == nil {
			continue // a bookmark
		}
		if p.Format.ForPeople() {
			p.FailoverEvent(resp.GetFailover())
		} else if err := p.Message(resp); err != nil {
			return token, err
		}
	}
}

// ended makes the end of a stream that the server closed an error to go on
// from.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return &fault.Error{Code: fault.TryLater, What: "watch", Why: "the node ended the stream"}
	}
	return err
}
