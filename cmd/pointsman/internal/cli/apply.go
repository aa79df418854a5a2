package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/coordinator"
	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// applying is one apply: what is to be applied, and how.
type applying struct {
	file  string
	dry   bool
	etag  string
	why   string
	place *config.File // where the cluster's problems are shown; nil: at their paths
}

func (a *App) applyCommand() *cobra.Command {
	o := &applying{}
	cmd := &cobra.Command{
		Use: "apply -f SPEC", Short: "Make a spec the cluster's configuration", Args: exactly(),
		Long: "Checks the file here, then on the cluster, shows what changes, and replaces the whole spec.\n" +
			"Problems are told all at once with file:line:col, and nothing is changed. Between the look\n" +
			"and the change nobody else may change the spec: then the apply is refused.\n\n" +
			"With --dry-run nothing is changed, and the leader reads the object of every step at its provider:\n" +
			"what stands there, what a failover to each other candidate would make of it, how long that took\n" +
			"so far, and what would keep it from being done. pointsman spec check has the same for programs.",
		Example: "  pointsman apply -f spec.yaml --dry-run\n  pointsman spec get | sed s/6379/6380/ | pointsman apply -f -",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.file == "" {
				return fault.Wrong("apply needs a file", "pointsman apply -f spec.yaml; pointsman config init spec writes one to begin with")
			}
			spec, file, err := a.readSpec(o.file)
			if err != nil {
				return err
			}
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				o.place = file
				return o.run(ctx, s, p, spec, string(file.Source()), file.Name())
			})
		},
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "the spec; - reads stdin")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "check everything and show what would change; change nothing")
	cmd.Flags().StringVar(&o.etag, "etag", "", "apply only if this is the etag of the current spec")
	cmd.Flags().StringVar(&o.why, "reason", "", "why; kept with the revision")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	return cmd
}

// readSpec reads a spec and finds all that is wrong with it, by form and by
// meaning, without asking the cluster.
func (a *App) readSpec(name string) (*pointsmanv1.Spec, *config.File, error) {
	spec, file, err := a.parseSpec(name)
	if err == nil {
		_, problems := coordinator.Compile(spec, a.Kinds)
		err = file.Invalid(problems)
	}
	return spec, file, a.badConfig(err)
}

func (a *App) parseSpec(name string) (*pointsmanv1.Spec, *config.File, error) {
	if name != "-" {
		return config.LoadSpec(name)
	}
	source, err := io.ReadAll(io.LimitReader(a.In, config.MaxFileBytes+1))
	if err != nil {
		return nil, nil, err
	}
	if len(source) > config.MaxFileBytes {
		return nil, nil, config.ErrTooLarge
	}
	return config.ParseSpec("stdin", source)
}

// badConfig writes the problems of a configuration, one a line, so that
// editors find their way; the exit code says the rest.
func (a *App) badConfig(err error) error {
	if err == nil {
		return nil
	}
	var invalid *config.InvalidError
	if errors.As(err, &invalid) {
		fmt.Fprintln(a.Err, invalid)
		return fault.Quiet(fault.Usage)
	}
	return &fault.Error{Code: fault.Usage, What: err.Error(), Err: err}
}

func (o *applying) run(ctx context.Context, s *remote.Session, p *show.Printer, spec *pointsmanv1.Spec, source, name string) error {
	within, cancel := s.Call(ctx)
	defer cancel()
	c := pointsmanv1.NewSpecServiceClient(s.Conn())
	current, err := c.GetSpec(within, &pointsmanv1.GetSpecRequest{})
	if err != nil && status.Code(err) != codes.NotFound {
		return fault.At("read the current spec", err)
	}
	req := &pointsmanv1.ApplySpecRequest{Spec: spec, Source: source, Etag: o.etag, Reason: o.why, ValidateOnly: true}
	if req.Etag == "" {
		req.Etag = current.GetRevision().GetEtag()
	}
	resp, err := c.ApplySpec(within, req)
	if err != nil {
		return o.refused(p, name, err)
	}
	if !o.dry && resp.GetChanged() {
		req.ValidateOnly = false
		if resp, err = c.ApplySpec(within, req); err != nil {
			return o.refused(p, name, err)
		}
	}
	if err := showApplied(p, current.GetRevision().GetSpec(), resp, o.dry); err != nil || !o.dry || !p.Format.ForPeople() {
		return err
	}
	found, err := checkSpec(ctx, s, p, spec)
	if err != nil { // the spec itself is good: what was asked for first has been answered
		fmt.Fprintf(p.Talk, "warning: the targets were not looked at: %v\n", fault.At("check the spec", err))
		return nil
	}
	p.Preflight(found.GetPreflight())
	return nil
}

// refused puts the cluster's problems at their places in the file.
func (o *applying) refused(p *show.Printer, name string, err error) error {
	var problems []config.Problem
	for _, v := range client.Violations(err) {
		problems = append(problems, config.Problem{Path: strings.TrimPrefix(strings.TrimPrefix(v.Field, "spec"), "."), Message: v.Description})
	}
	if len(problems) == 0 || o.place == nil {
		return fault.At("apply "+name, err)
	}
	fmt.Fprintln(p.Talk, o.place.Invalid(problems))
	return fault.Quiet(fault.Usage)
}

// applied is what changed the spec, or would.
type applied interface {
	remote.Message
	GetRevision() *pointsmanv1.SpecRevision
	GetChanged() bool
	GetWarnings() []string
}

func showApplied(p *show.Printer, old *pointsmanv1.Spec, resp applied, dry bool) error {
	for _, w := range resp.GetWarnings() {
		fmt.Fprintf(p.Talk, "warning: %s\n", w)
	}
	tellDry(p, dry)
	if !p.Format.ForPeople() {
		return p.Message(resp)
	}
	p.Header(resp.GetHeader())
	r := resp.GetRevision()
	if !resp.GetChanged() {
		fmt.Fprintf(p.Out, "unchanged: revision %d\n", r.GetRevision())
		return nil
	}
	p.Changes(show.Changes(old, r.GetSpec()))
	if dry {
		fmt.Fprintf(p.Out, "would be revision %d\n", r.GetRevision())
		return nil
	}
	fmt.Fprintf(p.Out, "applied: revision %d\n", r.GetRevision())
	return nil
}
