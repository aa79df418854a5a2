package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (a *App) specCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "spec", Short: "Show, compare, check and roll back the cluster-wide configuration", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.specGet(), a.specList(), a.specDiff(), a.specCheck(), a.specRollback(), a.specValidate())
	return cmd
}

func (a *App) specGet() *cobra.Command {
	var revision uint64
	get := &cobra.Command{
		Use: "get", Short: "Show the spec as pointsman apply reads it", Args: exactly(),
		Long: "Writes the YAML that was applied, comments included, ready to be edited and applied again.\n" +
			"With -o json the API's answer: spec, revision and etag.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				resp, err := specAt(ctx, s, revision)
				if err != nil {
					return err
				}
				return showSpec(p, resp)
			})
		},
	}
	get.Flags().Uint64Var(&revision, "revision", 0, "a former revision that is still kept; 0: the current one")
	_ = get.RegisterFlagCompletionFunc("revision", a.complete(specRevisions))
	return get
}

func specAt(ctx context.Context, s *remote.Session, revision uint64) (*pointsmanv1.GetSpecResponse, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	resp, err := pointsmanv1.NewSpecServiceClient(s.Conn()).GetSpec(ctx, &pointsmanv1.GetSpecRequest{Read: s.Read(), Revision: revision})
	return resp, fault.About("get spec", "pointsman spec list", err)
}

func showSpec(p *show.Printer, resp *pointsmanv1.GetSpecResponse) error {
	if p.Format == show.JSON {
		return p.Message(resp)
	}
	r := resp.GetRevision()
	if resp.GetHeader().GetStale() && p.Format == show.YAML {
		fmt.Fprint(p.Out, "# STALE\n")
	} else {
		p.Header(resp.GetHeader())
	}
	if r.GetRevision() == 0 {
		fmt.Fprintln(p.Talk, "no spec was ever applied: pointsman config init spec > spec.yaml")
		return nil
	}
	fmt.Fprintf(p.Talk, "revision %d, etag %s\n", r.GetRevision(), r.GetEtag())
	if r.GetSource() != "" {
		_, err := io.WriteString(p.Out, r.GetSource())
		return err
	}
	return config.PrintYAML(p.Out, r.GetSpec())
}

func (a *App) specValidate() *cobra.Command {
	var secrets bool
	cmd := &cobra.Command{
		Use: "validate FILE...", Short: "Check specs without asking the cluster, all problems at once",
		Long: "The same as pointsman config validate --kind spec: form and meaning, each problem a line\n" +
			"file:line:col: field: what is wrong. What only the cluster knows (open actions, etags) is\n" +
			"checked by pointsman apply --dry-run. Exit code 2 when there are problems.",
		Args: atLeastOne("FILE"),
		RunE: func(_ *cobra.Command, args []string) error { return a.validateAll(args, kindSpec, secrets) },
	}
	cmd.Flags().BoolVar(&secrets, "secrets", false, "also resolve the references to secrets, on this machine")
	return cmd
}
