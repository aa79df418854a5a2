package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// checkTime is a little more than a node takes for CheckSpec at most
// (api.Limits.CallTime): providers are slow, and each has its rate.
const checkTime = 35 * time.Second

func (a *App) specCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "Look at every object of a spec at its provider, and change nothing", Args: between(0, "FILE"),
		Long: "The leader reads the object of each step: what stands there, how that stands to the present master\n" +
			"(applied, staged, absent, foreign, newer, busy), what a failover to each other candidate would make\n" +
			"of it, how long the step took in past failovers (median), and what would keep it from being done:\n" +
			"an object that is missing, a right that is not granted, a credential that is refused.\n\n" +
			"Without FILE: the current spec, which the leader looks at by itself too, at each apply and every\n" +
			"10 min: pointsman status shows what it found. A FILE need not be applied; - reads stdin.\n" +
			"Takes up to half a minute. Exit code 3 when something is wrong.",
		Example: "  pointsman spec check\n  pointsman spec check spec.yaml -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			var spec *pointsmanv1.Spec
			if len(args) > 0 {
				var err error
				if spec, _, err = a.readSpec(args[0]); err != nil {
					return err
				}
			}
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				resp, err := checkSpec(ctx, s, p, spec)
				if err != nil {
					return fault.At("check the spec", err)
				}
				return showCheck(p, resp)
			})
		},
	}
	return cmd
}

// checkSpec asks the leader to look; nil means the current spec.
func checkSpec(ctx context.Context, s *remote.Session, p *show.Printer, spec *pointsmanv1.Spec) (*pointsmanv1.CheckSpecResponse, error) {
	ctx, cancel := context.WithTimeout(s.Stream(ctx), checkTime)
	defer cancel()
	fmt.Fprintln(p.Talk, "looking at the objects at their providers, up to half a minute")
	return pointsmanv1.NewSpecServiceClient(s.Conn()).CheckSpec(ctx, &pointsmanv1.CheckSpecRequest{Spec: spec})
}

func showCheck(p *show.Printer, resp *pointsmanv1.CheckSpecResponse) error {
	if p.Format.ForPeople() {
		p.Header(resp.GetHeader())
		p.Preflight(resp.GetPreflight())
	} else if err := p.Message(resp); err != nil {
		return err
	}
	for _, c := range resp.GetPreflight().GetChecks() {
		if len(c.GetProblems()) > 0 {
			return fault.Quiet(fault.Unhealthy)
		}
	}
	return nil
}
