package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
)

func (a *App) statusCommand() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the whole cluster on one screen",
		Long: "Shows nodes, masters, open actions and alerts, and who answered.\n\n" +
			"Without a leader it shows what any node that answers knows by itself, marked STALE.\n" +
			"Exit code: 0 healthy, 3 unhealthy, 4 warnings only, 5 no leader or no answer.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.ask(cmd, w, showStatus) },
	}
	w.flags(cmd)
	return cmd
}

func showStatus(ctx context.Context, s *remote.Session, p *show.Printer) error {
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if p.Format.ForPeople() {
		p.Status(status)
	} else if err := p.Object(status.Parts()); err != nil {
		return err
	}
	return fault.Quiet(codeOf(status.Health()))
}

func codeOf(h show.Health) fault.Code {
	switch h {
	case show.Healthy:
		return fault.OK
	case show.Warning:
		return fault.Warnings
	case show.NoLeader:
		return fault.TryLater
	}
	return fault.Unhealthy
}
