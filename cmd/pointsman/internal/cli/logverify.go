package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
)

func (a *App) logCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "log", Short: "Export and prove the replicated log", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.logExport(), &cobra.Command{
		Use: "verify", Short: "Read every node's log back and compare the states", Args: exactly(),
		Long: "Each node reads the checksum of every entry of its log back from its disk and gives the hash\n" +
			"of its state; states at equal index must have equal hashes. Costs a read of the whole log on\n" +
			"each node: raise --timeout for a long one.\n" +
			"Exit code: 0 verified on all nodes, 3 an entry or a hash does not hold or a node is\n" +
			"missing, 5 the log moved on so that states could not be compared.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd, nil, verifyLog)
		},
	})
	return cmd
}

func verifyLog(ctx context.Context, s *remote.Session, p *show.Printer) error {
	found, err := s.Verify(ctx)
	if err != nil {
		return fault.At("find the nodes to verify", err)
	}
	if p.Format.ForPeople() {
		p.Verified(found)
	} else if err := p.Object(found.Parts()); err != nil {
		return err
	}
	switch {
	case found.Holds():
		return nil
	case found.Compared():
		return fault.Quiet(fault.Unhealthy)
	}
	return fault.Quiet(fault.TryLater)
}
