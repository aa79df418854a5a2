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
	cmd := &cobra.Command{Use: "spec", Short: "Show, compare and check the cluster-wide configuration", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.specGet(), a.specDiff(), a.specValidate(), a.specRollback())
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
	return get
}

func specAt(ctx context.Context, s *remote.Session, revision uint64) (*pointsmanv1.GetSpecResponse, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	resp, err := pointsmanv1.NewSpecServiceClient(s.Conn()).GetSpec(ctx, &pointsmanv1.GetSpecRequest{Read: s.Read(), Revision: revision})
	return resp, fault.About("get spec", "pointsman spec get", err)
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

// comparing is which two specs are held against each other.
type comparing struct {
	file     string
	from, to uint64
	check    bool
}

func (a *App) specDiff() *cobra.Command {
	o := &comparing{}
	cmd := &cobra.Command{
		Use: "diff [-f SPEC] [--from REVISION] [--to REVISION]", Short: "Show what differs between two specs", Args: exactly(),
		Long: "Compares field by field what is applied with a file, or one revision with another. Order of\n" +
			"fields and comments do not count. A file is checked as apply does.\n\n" +
			"With --check exit code 3 when they differ, for a pipeline that watches over drift.",
		Example: "  pointsman spec diff -f spec.yaml\n  pointsman spec diff --from 3 --to 4\n  pointsman spec diff -f spec.yaml --check",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.file == "" && o.from == 0 && o.to == 0 {
				return fault.Wrong("diff of what? give a file or a revision", "pointsman spec diff -f spec.yaml, or pointsman spec diff --from 3")
			}
			if o.file != "" && o.to != 0 {
				return fault.Wrong("-f and --to exclude each other", "leave one of them out")
			}
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				return a.diffSpecs(ctx, s, p, o)
			})
		},
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "compare with this spec; - reads stdin")
	cmd.Flags().Uint64Var(&o.from, "from", 0, "revision to start from; 0: the current one")
	cmd.Flags().Uint64Var(&o.to, "to", 0, "revision to compare with; 0: the current one")
	cmd.Flags().BoolVar(&o.check, "check", false, "exit code 3 when they differ")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	return cmd
}

func (a *App) diffSpecs(ctx context.Context, s *remote.Session, p *show.Printer, o *comparing) error {
	fresh, name := (*pointsmanv1.Spec)(nil), o.file
	if o.file != "" {
		spec, _, err := a.readSpec(o.file)
		if err != nil {
			return err
		}
		fresh = spec
	}
	old, err := specAt(ctx, s, o.from)
	if err != nil {
		return err
	}
	if fresh == nil {
		other, err := specAt(ctx, s, o.to)
		if err != nil {
			return err
		}
		fresh, name = other.GetRevision().GetSpec(), fmt.Sprintf("revision %d", other.GetRevision().GetRevision())
	}
	changes := show.Changes(old.GetRevision().GetSpec(), fresh)
	if err := p.Difference(old.GetHeader(), fmt.Sprintf("revision %d", old.GetRevision().GetRevision()), name, changes); err != nil {
		return err
	}
	if o.check && len(changes) > 0 {
		return fault.Quiet(fault.Unhealthy)
	}
	return nil
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

func (a *App) specRollback() *cobra.Command {
	o := &applying{}
	var to uint64
	cmd := &cobra.Command{
		Use: "rollback --to REVISION", Short: "Apply a former revision again", Args: exactly(),
		Long: "Makes a former revision that is still kept the cluster's configuration again, as a new\n" +
			"revision, after the checks of pointsman apply. pointsman spec diff --to N shows what it\n" +
			"changes.",
		Example: "  pointsman spec rollback --to 3 --dry-run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == 0 {
				return fault.Wrong("rollback needs a revision", "pointsman spec rollback --to 3; pointsman spec get tells the current one")
			}
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				former, err := specAt(ctx, s, to)
				if err != nil {
					return err
				}
				return o.run(ctx, s, p, former.GetRevision().GetSpec(), former.GetRevision().GetSource(), fmt.Sprintf("revision %d", to))
			})
		},
	}
	cmd.Flags().Uint64Var(&to, "to", 0, "the revision")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "check everything and show what would change; change nothing")
	return cmd
}
