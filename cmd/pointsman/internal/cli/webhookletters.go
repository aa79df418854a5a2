package cli

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/webhook/letters"
)

const (
	progressEvery = time.Second
	maxDropReason = 512 // bytes
	askedShown    = 20  // letters that are shown before a question
)

func (a *App) dlqRetry() *cobra.Command {
	d := &dlq{app: a}
	cmd := &cobra.Command{
		Use: "retry ID...|--all --config FILE", Short: "Hand dead letters to the workers again",
		Long: "Puts the events into the buffer again and deletes each letter when its event is there. A second\n" +
			"retry, on purpose or after a crash, hands nothing out twice. A dead letter keeps its idempotency\n" +
			"key: a sink that keeps keys and has the effect already will not have it again. A retry that fails\n" +
			"too is a dead letter again. What has arrived for the shop meanwhile may have been worked before.\n\n" +
			"With --quarantine a delivery is put in as an event of its own, under a key of its own.\n\n" +
			"Letters whose body was taken out on request, or that are damaged, stay: exit code 4 with --all,\n" +
			"else 1.",
		Example: "  pointsman webhook dlq retry 3f9a02c1 77b0 --config webhook.yaml\n  pointsman webhook dlq retry --all --reason-contains 'connection refused' --config webhook.yaml",
		Args:    d.idsOrAll,
		RunE: func(cmd *cobra.Command, args []string) error {
			box, err := d.box(cmd)
			if err != nil {
				return err
			}
			refs, err := d.chosen(cmd, box, args)
			if err != nil {
				return err
			}
			done, err := box.Retry(cmd.Context(), refs, d.filter, a.tellLetters("put in again"))
			return d.retried(done, err)
		},
	}
	d.flags(cmd)
	d.filters(cmd)
	cmd.Flags().BoolVar(&d.all, "all", false, "all letters, or those that the other flags choose")
	return cmd
}

// retried says what came of a retry.
func (d *dlq) retried(done letters.Done, err error) error {
	p := d.app.printer()
	if p.Format.ForPeople() {
		fmt.Fprintf(d.app.Out, "%s put into the buffer again\n", counted(done.Letters, "letter"))
	} else if err := p.Object([]show.Part{{Name: "letters", Value: done.Letters}, {Name: "redacted", Value: done.Redacted},
		{Name: "damaged", Value: done.Damaged}, {Name: "stream", Value: done.Stream}}); err != nil {
		return err
	}
	if err != nil {
		return storeFault("retry letters", err)
	}
	if done.Redacted+done.Damaged == 0 {
		return nil
	}
	e := &fault.Error{Code: fault.Failed, What: counted(done.Redacted+done.Damaged, "letter") + " not retried",
		Why:  fmt.Sprintf("%d without a body, which was taken out on request, %d damaged", done.Redacted, done.Damaged),
		Next: "pointsman webhook dlq drop, once nobody needs them"}
	if d.all {
		e.Code = fault.Warnings
	}
	return e
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// tellLetters tells of a long command now and then.
func (a *App) tellLetters(what string) func(letters.Done) {
	last := time.Now()
	return func(d letters.Done) {
		if time.Since(last) >= progressEvery {
			last = time.Now()
			fmt.Fprintf(a.Err, "%s %s so far\n", counted(d.Letters, "letter"), what)
		}
	}
}

func (a *App) dlqDrop() *cobra.Command {
	d := &dlq{app: a}
	var reason string
	var yes bool
	cmd := &cobra.Command{
		Use: "drop ID...|--all --reason TEXT --config FILE", Short: "Delete dead letters for good",
		Long: "Deletes letters with their bodies. Before each goes it is on record who dropped it and why, with\n" +
			"all but the body: pointsman webhook dlq list --dropped. On a terminal the letters are shown and a\n" +
			"word is asked for; --yes skips that.",
		Example: "  pointsman webhook dlq drop 3f9a02c1 --reason 'test shop' --config webhook.yaml",
		Args:    d.idsOrAll,
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason = strings.TrimSpace(reason); reason == "" || len(reason) > maxDropReason {
				return fault.Wrong(fmt.Sprintf("a reason of 1 to %d bytes is missing", maxDropReason), "--reason TEXT, for those who ask later where it is")
			}
			box, err := d.box(cmd)
			if err != nil {
				return err
			}
			refs, err := d.chosen(cmd, box, args)
			if err != nil {
				return err
			}
			if a.Terminal && !yes && len(refs) > 0 {
				if err := d.confirm(cmd, box, refs); err != nil {
					return err
				}
			}
			done, err := box.Drop(cmd.Context(), refs, d.filter, a.actor(), reason, a.tellLetters("dropped"))
			return d.gone(done, err)
		},
	}
	d.flags(cmd)
	d.filters(cmd)
	cmd.Flags().BoolVar(&d.all, "all", false, "all letters, or those that the other flags choose")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept on record")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask on a terminal")
	return cmd
}

func (d *dlq) gone(done letters.Done, err error) error {
	p := d.app.printer()
	if p.Format.ForPeople() {
		fmt.Fprintf(d.app.Out, "%s dropped\n", counted(done.Letters, "letter"))
	} else if err := p.Object([]show.Part{{Name: "letters", Value: done.Letters}}); err != nil {
		return err
	}
	return storeFault("drop letters", err)
}

// confirm shows what would go and asks for a word.
func (d *dlq) confirm(cmd *cobra.Command, box letters.Box, refs []letters.Ref) error {
	var some []show.LetterView
	n := 0
	err := box.Each(cmd.Context(), refs, d.filter, func(l letters.Letter) (bool, error) {
		if n++; n <= askedShown {
			some = append(some, show.ViewLetter(l))
		}
		return true, nil
	})
	if err != nil {
		return storeFault("read letters", err)
	}
	p := d.app.printer()
	p.Out, p.Format = d.app.Err, show.Table
	p.Letters(box.Kind, some, time.Now())
	fmt.Fprintf(d.app.Err, "\ntype drop to delete %s for good: ", counted(n, "letter"))
	line, _ := bufio.NewReader(d.app.In).ReadString('\n')
	if strings.TrimSpace(line) != "drop" {
		return &fault.Error{Code: fault.Failed, What: "drop letters", Why: "not confirmed; nothing was deleted"}
	}
	return nil
}
