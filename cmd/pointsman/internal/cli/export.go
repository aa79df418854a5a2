package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (a *App) failoversExport() *cobra.Command {
	var svg bool
	cmd := &cobra.Command{
		Use: "export [FAILOVER|MASTER]", Short: "Write failovers with all their actions for other programs", Args: between(0, "FAILOVER|MASTER"),
		Long: "Writes all failovers, those of one master, or one, the oldest first: one JSON object a line,\n" +
			"each the API's message with its actions and attempts (-o yaml: one document each).\n\n" +
			"With --svg the one failover named, or the newest of the master, is written as a drawing.",
		Example:           "  pointsman failovers export > failovers.ndjson\n  pointsman failovers export cache/7 --svg > cache-7.svg",
		ValidArgsFunction: a.complete(failoverIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if svg && len(args) == 0 {
				return fault.Wrong("--svg draws one failover: which?", "pointsman failovers export cache/7 --svg; pointsman failovers list shows what there is")
			}
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				if svg {
					return showFailover(ctx, s, p, args[0], true)
				}
				return exportFailovers(ctx, s, p, first(args))
			})
		},
	}
	cmd.Flags().BoolVar(&svg, "svg", false, "write a drawing (SVG) of one failover, a file that loads nothing")
	return cmd
}

func exportFailovers(ctx context.Context, s *remote.Session, p *show.Printer, id string) error {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	lines(p)
	all, header, err := failoversOf(ctx, s, id)
	if err != nil {
		return err
	}
	tellSource(p, header)
	for _, f := range slices.Backward(all) {
		if err := p.Message(f); err != nil {
			return err
		}
	}
	return nil
}

// failoversOf gives one failover, those of a master, or all: the newest first.
func failoversOf(ctx context.Context, s *remote.Session, id string) ([]*pointsmanv1.Failover, *pointsmanv1.ResponseHeader, error) {
	list, err := s.Failovers(ctx, filterOf("master", id), 0)
	if err != nil {
		return nil, nil, fault.At("export failovers", err)
	}
	if id == "" || len(list.GetFailovers()) > 0 {
		return list.GetFailovers(), list.GetHeader(), nil
	}
	one, err := getFailover(ctx, s, id)
	if err != nil {
		return nil, nil, err
	}
	return []*pointsmanv1.Failover{one.GetFailover()}, one.GetHeader(), nil
}

// lines makes a printer write one value a line: an export is read by programs.
func lines(p *show.Printer) {
	p.Stream = true
	if p.Format.ForPeople() {
		p.Format = show.JSON
	}
}

// tellSource says who answered, off the data.
func tellSource(p *show.Printer, h *pointsmanv1.ResponseHeader) {
	talk := *p
	talk.Out = p.Talk
	talk.Header(h)
}

func (a *App) logExport() *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Write the action log for other programs", Args: exactly(),
		Long: "Writes what the log holds, one JSON object a line, each with one field that says what it is:\n" +
			"cluster, then spec, then each failover with its actions and attempts (the oldest first), each\n" +
			"refresh of a target (action), and each setting. For an archive, or for another program to\n" +
			"check. Secrets stand as references.",
		Example: "  pointsman log export > actions.ndjson",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd, nil, exportLog)
		},
	}
}

func exportLog(ctx context.Context, s *remote.Session, p *show.Printer) error {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	lines(p)
	cluster, err := s.Cluster(ctx)
	if err != nil {
		return fault.At("export the log", err)
	}
	tellSource(p, cluster.GetHeader())
	all := []show.Part{{Name: "cluster", Value: cluster.GetCluster()}}
	for _, read := range []func(context.Context, *remote.Session) ([]show.Part, error){specPart, failoverParts, refreshParts, settingParts} {
		some, err := read(ctx, s)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	for _, part := range all {
		if err := p.Object([]show.Part{part}); err != nil {
			return err
		}
	}
	return nil
}

func specPart(ctx context.Context, s *remote.Session) ([]show.Part, error) {
	spec, err := pointsmanv1.NewSpecServiceClient(s.Conn()).GetSpec(ctx, &pointsmanv1.GetSpecRequest{Read: s.Read()})
	return []show.Part{{Name: "spec", Value: spec.GetRevision()}}, fault.At("export the spec", err)
}

func failoverParts(ctx context.Context, s *remote.Session) (all []show.Part, err error) {
	resp, err := s.Failovers(ctx, "", 0)
	for _, f := range slices.Backward(resp.GetFailovers()) {
		all = append(all, show.Part{Name: "failover", Value: f})
	}
	return all, fault.At("export failovers", err)
}

// refreshParts are the actions that stand in no failover.
func refreshParts(ctx context.Context, s *remote.Session) (all []show.Part, err error) {
	resp, err := s.Actions(ctx, "", 0)
	for _, action := range slices.Backward(resp.GetActions()) {
		if action.GetFailover() == "" {
			all = append(all, show.Part{Name: "action", Value: action})
		}
	}
	return all, fault.At("export actions", err)
}

func settingParts(ctx context.Context, s *remote.Session) (all []show.Part, err error) {
	resp, err := s.Settings(ctx, "", 0)
	for _, v := range resp.GetSettings() {
		all = append(all, show.Part{Name: "setting", Value: v})
	}
	return all, fault.At("export settings", err)
}
