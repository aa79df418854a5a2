package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/webhook/again"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/letters"
)

func (a *App) webhookDlq() *cobra.Command {
	cmd := &cobra.Command{Use: "dlq", Short: "Look at webhooks that were set aside, and decide about them", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.dlqList(), a.dlqShow(), a.dlqRetry(), a.dlqDrop())
	return cmd
}

// dlq is what the commands about letters share.
type dlq struct {
	app        *App
	path       string
	quarantine bool
	dropped    bool
	all        bool
	filter     letters.Filter
}

func (d *dlq) flags(cmd *cobra.Command) {
	webhookFlag(cmd, &d.path)
	cmd.Flags().BoolVar(&d.quarantine, "quarantine", false, "deliveries in quarantine instead: the id of another event, and another body")
}

func (d *dlq) filters(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.filter.App, "app", "", "only those of this app")
	f.StringVar(&d.filter.Shop, "shop", "", "only those of this shop, by its domain")
	f.StringVar(&d.filter.Topic, "topic", "", "only those of this topic, such as orders/create")
	f.StringVar(&d.filter.Reason, "reason-contains", "", "only those whose reason has these words, whatever their case")
}

// box opens the letters that the flags mean.
func (d *dlq) box(cmd *cobra.Command) (letters.Box, error) {
	kind := letters.Dead
	switch {
	case d.quarantine && d.dropped:
		return letters.Box{}, fault.Wrong("--quarantine and --dropped exclude each other", "leave one of them out; --dropped tells of both")
	case d.quarantine:
		kind = letters.Quarantine
	case d.dropped:
		kind = letters.Dropped
	}
	store, err := d.app.webhookStore(cmd, d.path)
	return letters.Box{Store: store, Kind: kind}, err
}

// webhookStore opens the store of a webhook file, for a person: what fails is
// tried again a few times.
func (a *App) webhookStore(cmd *cobra.Command, path string) (buffer.Store, error) {
	c, _, err := a.loadWebhook(cmd, path)
	if err != nil {
		return nil, err
	}
	store, err := openStore(c.GetStore())
	if err != nil {
		return nil, fault.At("open the store of "+path, err)
	}
	return again.Patient{Store: store}, nil
}

// chosen finds the letters that arguments or --all mean.
func (d *dlq) chosen(cmd *cobra.Command, box letters.Box, ids []string) ([]letters.Ref, error) {
	if !d.all {
		refs, err := box.Find(cmd.Context(), ids...)
		return refs, storeFault("find letters", err)
	}
	refs, more, err := box.Index(cmd.Context(), d.filter)
	if more {
		fmt.Fprintf(d.app.Err, "only the first %d letters are looked at: the same command again does the rest\n", letters.MaxLetters)
	}
	return refs, storeFault("list letters", err)
}

// idsOrAll wants ids, or --all and with it perhaps filters.
func (d *dlq) idsOrAll(cmd *cobra.Command, args []string) error {
	switch {
	case d.all && len(args) > 0:
		return fault.Wrong("--all and ids exclude each other", "leave one of them out")
	case !d.all && len(args) == 0:
		return fault.Wrong("which letters? ids or --all are missing", "pointsman webhook dlq list shows ids; --all, with --shop, --topic and others, means many")
	case !d.all && d.filter != letters.Filter{}:
		return fault.Wrong("--app, --shop, --topic and --reason-contains choose among --all", cmd.CommandPath()+" --all")
	}
	return nil
}

func (a *App) dlqList() *cobra.Command {
	d := &dlq{app: a}
	var limit int
	cmd := &cobra.Command{
		Use: "list --config FILE", Short: "List dead letters, the newest first", Args: exactly(),
		Long: "Lists events that workers have given up, never their bodies. Ids may be cut to what tells them\n" +
			"apart wherever one is asked for. With --app and --shop no more than that shop's part of the store\n" +
			"is read. AGE is since the letter was written, by the clocks of that machine and of this one.",
		Example: "  pointsman webhook dlq list --config webhook.yaml --topic orders/create --reason-contains 422",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return fault.Wrong("--limit must not be less than 0", "--limit 0 shows all")
			}
			box, err := d.box(cmd)
			if err != nil {
				return err
			}
			return d.list(cmd.Context(), box, limit)
		},
	}
	d.flags(cmd)
	d.filters(cmd)
	cmd.Flags().BoolVar(&d.dropped, "dropped", false, "what was dropped instead: by whom and why")
	limitFlag(cmd, &limit)
	return cmd
}

func (d *dlq) list(ctx context.Context, box letters.Box, limit int) error {
	refs, more, err := box.Index(ctx, d.filter)
	if err != nil {
		return storeFault("list letters", err)
	}
	slices.Reverse(refs) // the newest first
	views := []show.LetterView{}
	err = box.Each(ctx, refs, d.filter, func(l letters.Letter) (bool, error) {
		if limit > 0 && len(views) == limit {
			more = true
			return false, nil
		}
		views = append(views, show.ViewLetter(l))
		return true, nil
	})
	if err != nil {
		return storeFault("list letters", err)
	}
	p := d.app.printer()
	if !p.Format.ForPeople() {
		return p.Object([]show.Part{{Name: "letters", Value: views}, {Name: "more", Value: more}})
	}
	p.Letters(box.Kind, views, time.Now())
	if more {
		fmt.Fprintln(d.app.Err, "there are more: --limit 0 shows all")
	}
	return d.hint(ctx, box)
}

// hint says that there is a quarantine to look at.
func (d *dlq) hint(ctx context.Context, box letters.Box) error {
	if box.Kind != letters.Dead {
		return nil
	}
	held, err := letters.Box{Store: box.Store, Kind: letters.Quarantine}.Any(ctx)
	if held {
		fmt.Fprintln(d.app.Err, "there are deliveries in quarantine: pointsman webhook dlq list --quarantine")
	}
	return storeFault("list letters", err)
}

func (a *App) dlqShow() *cobra.Command {
	d := &dlq{app: a}
	var body bool
	cmd := &cobra.Command{
		Use: "show ID --config FILE", Short: "Show one dead letter: what came, why it stands there, what was tried", Args: exactly("ID"),
		Long: "Shows a letter without its body. --body writes nothing but the body: to a file or pipe byte by\n" +
			"byte, to a terminal as indented JSON, with what would steer the terminal as escapes.",
		Example: "  pointsman webhook dlq show 3f9a02c1 --config webhook.yaml --body > body.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			box, err := d.box(cmd)
			if err != nil {
				return err
			}
			refs, err := box.Find(cmd.Context(), args[0])
			if err != nil {
				return storeFault("show letter "+args[0], err)
			}
			l, err := box.Read(cmd.Context(), refs[0])
			if err != nil {
				return storeFault("show letter "+args[0], err)
			}
			if body {
				return a.writeBody(l)
			}
			return showLetter(a.printer(), show.ViewLetter(l))
		},
	}
	d.flags(cmd)
	cmd.Flags().BoolVar(&d.dropped, "dropped", false, "one that was dropped instead")
	cmd.Flags().BoolVar(&body, "body", false, "only the body")
	return cmd
}

func showLetter(p *show.Printer, v show.LetterView) error {
	if !p.Format.ForPeople() {
		return p.Object([]show.Part{{Name: "letter", Value: v}})
	}
	p.Letter(v)
	return nil
}

func (a *App) writeBody(l letters.Letter) error {
	why := ""
	switch {
	case l.Damaged != nil:
		why = l.Damaged.Error()
	case l.Event.Redacted:
		why = "it was taken out on request"
	case l.Kind == letters.Dropped:
		why = "it went with the letter"
	}
	if why != "" {
		return &fault.Error{Code: fault.Failed, What: "show the body of letter " + l.ID, Why: why}
	}
	body := l.Event.Body
	if a.Terminal {
		body = []byte(show.Readable(body))
	}
	_, err := a.Out.Write(body)
	return err
}

// storeFault is an error of commands that work in the store themselves.
func storeFault(doing string, err error) error {
	if err == nil {
		return nil
	}
	e := &fault.Error{Code: fault.TryLater, What: doing, Why: err.Error(), Err: err,
		Next: "the same command again: what is done already is not done twice"}
	switch {
	case errors.Is(err, letters.ErrID):
		e.Code, e.Next = fault.Usage, "pointsman webhook dlq list shows ids"
	case errors.Is(err, letters.ErrNone), errors.Is(err, buffer.ErrNotFound):
		e.Code, e.Next = fault.Failed, "pointsman webhook dlq list shows what there is; --quarantine and --dropped show the others"
	case errors.Is(err, letters.ErrMany):
		e.Code, e.Next = fault.Failed, "more digits of the id: -o wide shows them all"
	case errors.Is(err, buffer.ErrRefused):
		e.Code, e.Next = fault.Failed, "the store section of the webhook file, and the rights of its keys"
	case errors.Is(err, context.Canceled):
		e.Code, e.Why = fault.Failed, "interrupted"
	case errors.Is(err, context.DeadlineExceeded):
		e.Why = "the store gives no answer"
	}
	return e
}
