package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
)

// scoreShown is how many observed failovers of a master are told one by one.
const scoreShown = 10

func (a *App) scoreCommand() *cobra.Command {
	w := &watching{}
	var limit int
	cmd := &cobra.Command{
		Use: "score [MASTER]", Short: "Show what became of masters that are only observed", Args: between(0, "MASTER"),
		Long: "While a master has observe_only in the spec, Pointsman accepts its failovers and plans them, and\n" +
			"writes nothing. It reads the objects of the plan again and again instead. This shows, for each\n" +
			"step, what became of its object without Pointsman: came, detour (it came, not at once or not for\n" +
			"good), stored (and never applied), pending, never, wrong, set_back, unknown (nothing tells which\n" +
			"value stands there), not_seen, no_object (there is nothing to look at). WOULD BEGIN is when\n" +
			"Pointsman would have begun and CAME BY when a look first saw the value, both medians after the\n" +
			"promotion; WOULD BE STUCK counts failovers at which it would have needed a human.\n\n" +
			"With a master's id its observed failovers follow one by one, the newest first. A change that was\n" +
			"taken back between two looks is not seen, nor is a repeat of the same value.",
		Example:           "  pointsman score\n  pointsman score cache\n  pointsman score -o json",
		ValidArgsFunction: a.complete(masterIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				return showScore(ctx, s, p, first(args), limit)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", scoreShown, "tell at most so many failovers of MASTER one by one; 0 means all that are kept")
	w.flags(cmd)
	return cmd
}

func showScore(ctx context.Context, s *remote.Session, p *show.Printer, master string, limit int) error {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	resp, err := s.Scores(ctx, filterOf("master", master))
	if err != nil {
		return fault.At("show the score", err)
	}
	if !p.Format.ForPeople() {
		return p.Message(resp)
	}
	p.Header(resp.GetHeader())
	p.Scores(resp.GetScores())
	if master == "" || len(resp.GetScores()) == 0 {
		return nil
	}
	observed, err := s.Failovers(ctx, filterOf("master", master, "state", "observed"), limit)
	if err != nil {
		return fault.At("list the observed failovers of "+master, err)
	}
	p.Observed(observed.GetFailovers())
	older(p, observed.GetNextPageToken())
	return nil
}
