package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (a *App) specList() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"history"}, Short: "List the revisions of the spec that are kept, the newest first", Args: exactly(),
		Long: "Who applied each revision, when and why. The current one and up to 20 former ones are kept, at\n" +
			"most 16 MiB together; pointsman spec get --revision shows one, pointsman spec rollback returns to it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := s.Revisions(ctx, limit)
				if err != nil {
					return fault.At("list spec revisions", err)
				}
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				p.Header(resp.GetHeader())
				p.Revisions(resp.GetRevisions())
				older(p, resp.GetNextPageToken())
				return nil
			})
		},
	}
	limitFlag(cmd, &limit)
	return cmd
}

// side is one of the two specs that a diff compares: a revision, or a file.
type side struct {
	revision uint64 // 0: the current one
	file     string
	spec     *pointsmanv1.Spec
	name     string
}

// sideOf reads a file at once, before anybody is asked. A number is a revision.
func (a *App) sideOf(word string) (side, error) {
	if n, err := strconv.ParseUint(word, 10, 64); err == nil {
		if n == 0 {
			return side{}, fault.Wrong("there is no spec revision 0", "pointsman spec list")
		}
		return side{revision: n}, nil
	}
	spec, _, err := a.readSpec(word)
	return side{file: word, spec: spec, name: word}, err
}

// load asks for a revision; a file is there already.
func (d *side) load(ctx context.Context, s *remote.Session) (*pointsmanv1.ResponseHeader, error) {
	if d.file != "" {
		return nil, nil
	}
	resp, err := specAt(ctx, s, d.revision)
	d.spec, d.name = resp.GetRevision().GetSpec(), fmt.Sprintf("revision %d", resp.GetRevision().GetRevision())
	return resp.GetHeader(), err
}

func (a *App) specDiff() *cobra.Command {
	var file string
	var check bool
	cmd := &cobra.Command{
		Use: "diff [REVISION|FILE] [REVISION|FILE]", Short: "Show what differs between two specs: revisions, or files", Args: between(0, "REVISION|FILE", "REVISION|FILE"),
		Long: "Compares field by field; a file is checked as apply does. Order of fields and comments do not count.\n\n" +
			"Without arguments: what the last apply changed. With one file (or -f): the current revision against\n" +
			"it. With one number: that revision against the current one. A file whose name is a number is\n" +
			"written as ./7.\n\n" +
			"With --check exit code 3 when they differ, for a pipeline that watches over drift.",
		Example: "  pointsman spec diff\n  pointsman spec diff spec.yaml --check\n  pointsman spec diff 3\n  pointsman spec diff 3 5",
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" {
				args = append(args, file)
			}
			if len(args) > 2 {
				return fault.Wrong("diff compares two specs, not three", "leave one of them out")
			}
			sides := make([]side, len(args))
			for i, word := range args {
				var err error
				if sides[i], err = a.sideOf(word); err != nil {
					return err
				}
			}
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				return diffSpecs(ctx, s, p, sides, check)
			})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the spec; - reads stdin")
	cmd.Flags().BoolVar(&check, "check", false, "exit code 3 when they differ")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	return cmd
}

func diffSpecs(ctx context.Context, s *remote.Session, p *show.Printer, sides []side, check bool) error {
	old, fresh, err := pair(ctx, s, sides)
	if err != nil {
		return err
	}
	head, err := old.load(ctx, s)
	if err != nil {
		return err
	}
	newer, err := fresh.load(ctx, s)
	if err != nil {
		return err
	}
	if newer != nil {
		head = newer
	}
	changes := show.Changes(old.spec, fresh.spec)
	if err := p.Difference(head, old.name, fresh.name, changes); err != nil {
		return err
	}
	if check && len(changes) > 0 {
		return fault.Quiet(fault.Unhealthy)
	}
	return nil
}

// pair says what is compared with what: the older one first.
func pair(ctx context.Context, s *remote.Session, sides []side) (old, fresh side, err error) {
	switch {
	case len(sides) == 2:
		return sides[0], sides[1], nil
	case len(sides) == 1 && sides[0].file != "":
		return side{}, sides[0], nil
	case len(sides) == 1:
		return sides[0], side{}, nil
	}
	to, err := formerRevision(ctx, s)
	return side{revision: to}, side{}, err
}

// formerRevision finds the newest revision that is not the current one.
func formerRevision(ctx context.Context, s *remote.Session) (uint64, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	resp, err := s.Revisions(ctx, 2)
	if err != nil {
		return 0, fault.At("list spec revisions", err)
	}
	if len(resp.GetRevisions()) < 2 {
		return 0, &fault.Error{
			Code: fault.Failed, What: "no former spec revision is kept", Why: "the spec was applied once at most since revisions are kept",
			Next: "pointsman spec list; pointsman spec diff -f spec.yaml compares with a file",
		}
	}
	return resp.GetRevisions()[1].GetRevision(), nil
}

// rollback is one way back.
type rollback struct {
	to     uint64
	etag   string
	reason string
	dry    bool
}

func (a *App) specRollback() *cobra.Command {
	o := &rollback{}
	cmd := &cobra.Command{
		Use: "rollback [--to REVISION]", Short: "Apply the text of a former revision again, as a new revision", Args: exactly(),
		Long: "Shows what changes and applies it, checked as pointsman apply does; without --to the revision\n" +
			"before the current one. A failover that is under way keeps the plan that it was accepted with.\n" +
			"Between the look and the change nobody else may change the spec: then it is refused.",
		Example: "  pointsman spec rollback --dry-run\n  pointsman spec rollback --to 3 --reason 'wrong farm'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd, nil, o.run)
		},
	}
	cmd.Flags().Uint64Var(&o.to, "to", 0, "the revision to return to; 0: the one before the current")
	cmd.Flags().StringVar(&o.etag, "etag", "", "roll back only if this is the etag of the current spec")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; kept with the new revision")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "check everything and show what would change; change nothing")
	_ = cmd.RegisterFlagCompletionFunc("to", a.complete(specRevisions))
	return cmd
}

func (o *rollback) run(ctx context.Context, s *remote.Session, p *show.Printer) error {
	now, err := specAt(ctx, s, 0)
	if err != nil {
		return err
	}
	to := o.to
	if to == 0 {
		if to, err = formerRevision(ctx, s); err != nil {
			return err
		}
	}
	req := &pointsmanv1.RollbackSpecRequest{Revision: to, Etag: o.etag, Reason: o.reason, ValidateOnly: o.dry}
	if req.Etag == "" {
		req.Etag = now.GetRevision().GetEtag()
	}
	ctx, cancel := s.Call(ctx)
	defer cancel()
	resp, err := pointsmanv1.NewSpecServiceClient(s.Conn()).RollbackSpec(ctx, req)
	if err != nil {
		return fault.About(fmt.Sprintf("roll back to revision %d", to), "pointsman spec list", err)
	}
	return showApplied(p, now.GetRevision().GetSpec(), resp, o.dry)
}
