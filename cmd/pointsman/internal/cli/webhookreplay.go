package cli

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/replay"
)

// replaying is one run of webhook replay.
type replaying struct {
	app            *App
	path, from, to string
	cfg            replay.Config
}

func (a *App) webhookReplay() *cobra.Command {
	r := &replaying{app: a}
	cmd := &cobra.Command{
		Use: "replay --from TIME --config FILE", Short: "Have webhooks that arrived before worked once more", Args: exactly(),
		Long: "Puts events that arrived in a span of time into the buffer again, those of one shop in their\n" +
			"order. Each gets an idempotency key of its own: a sink that keeps keys has its effect once more,\n" +
			"which is what a replay is for. What failed and is a dead letter is better retried.\n\n" +
			"Times are RFC 3339 or how long ago: 2026-11-24T02:00:00Z, 90m, 3d. They are compared with the\n" +
			"clock of the receiver that took the event.\n\n" +
			"The replay's id is printed. With --id and the same times it goes on where it was interrupted: an\n" +
			"event that is finished under that id is not worked again, as long as workers remember it.",
		Example: "  pointsman webhook replay --from 3h --to 1h --topic orders/create --dry-run --config webhook.yaml\n" +
			"  pointsman webhook replay --from 2026-11-24T02:00:00Z --to 2026-11-24T03:00:00Z --app orders --shop a.myshopify.com --config webhook.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	webhookFlag(cmd, &r.path)
	f := cmd.Flags()
	f.StringVar(&r.from, "from", "", "the first time, that one included")
	f.StringVar(&r.to, "to", "", "the last time, that one not included; now when left out")
	f.StringVar(&r.cfg.App, "app", "", "only events of this app")
	f.StringVar(&r.cfg.Shop, "shop", "", "only events of this shop, by its domain")
	f.StringVar(&r.cfg.Topic, "topic", "", "only events of this topic, such as orders/create")
	f.StringVar(&r.cfg.ID, "id", "", "id of an earlier replay that is to go on, or a name for this one")
	f.BoolVar(&r.cfg.Replays, "replays", false, "events too that were put in again themselves, by when that was")
	f.DurationVar(&r.cfg.Late, "late", replay.DefaultLate, "how long events may have stood in a receiver's spill and still be found")
	f.BoolVar(&r.cfg.Dry, "dry-run", false, "count per shop and topic, write nothing")
	return cmd
}

func (r *replaying) run(cmd *cobra.Command) error {
	if err := r.check(time.Now()); err != nil {
		return err
	}
	store, err := r.app.webhookStore(cmd, r.path)
	if err != nil {
		return err
	}
	r.cfg.Store, r.cfg.Told = store, r.tell()
	span := fmt.Sprintf("--from %s --to %s", r.cfg.From.UTC().Format(time.RFC3339Nano), r.cfg.To.UTC().Format(time.RFC3339Nano))
	fmt.Fprintf(r.app.Err, "replay %s: %s\n", r.cfg.ID, span)
	done, err := replay.Run(cmd.Context(), r.cfg)
	if err != nil {
		e, _ := storeFault("replay "+r.cfg.ID, err).(*fault.Error) //nolint:errorlint // made there
		e.Next = "the same command with " + span + " --id " + r.cfg.ID + " goes on: what is worked is not worked again"
		return e
	}
	p := r.app.printer()
	if p.Format.ForPeople() {
		p.Replayed(r.cfg, done)
	} else if err := p.Object(show.ReplayParts(r.cfg, done)); err != nil {
		return err
	}
	tellDry(p, r.cfg.Dry)
	if done.Unread > 0 {
		return &fault.Error{Code: fault.Failed, What: counted(done.Unread, "segment") + " cannot be read, and their events are not replayed",
			Why: strings.Join(done.Damaged, "\n"), Next: "another copy of these objects, if the store keeps versions"}
	}
	return nil
}

// check reads the times and the id.
func (r *replaying) check(now time.Time) error {
	if r.from == "" {
		return fault.Wrong("--from is missing", "--from 2h, or --from 2026-11-24T02:00:00Z")
	}
	var err error
	if r.cfg.From, err = momentOf("--from", r.from, now); err != nil {
		return err
	}
	if r.cfg.To, err = momentOf("--to", cmp.Or(r.to, "0s"), now); err != nil {
		return err
	}
	if r.cfg.To.After(now) {
		r.cfg.To = now // what arrives meanwhile is no part of it
	}
	if !r.cfg.From.Before(r.cfg.To) {
		return fault.Wrong("--from does not lie before --to and now", "--from 3h --to 1h: from three hours ago to one hour ago")
	}
	if r.cfg.Late < 0 {
		return fault.Wrong("--late must not be less than 0", "--late "+replay.DefaultLate.String())
	}
	if r.cfg.ID == "" {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		r.cfg.ID = hex.EncodeToString(random[:])
	}
	if !webhook.ValidReplay(r.cfg.ID) {
		return fault.Wrong("--id must be 1 to 64 lower-case letters, digits and inner dashes, and begin with neither retry- nor quarantine-", "--id monday-orders")
	}
	return nil
}

// momentOf reads a time, or how long ago it was.
func momentOf(flag, text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fault.Wrong(fmt.Sprintf("%s %.80q is neither a time nor how long ago", flag, text), flag+" 2026-11-24T02:00:00Z, "+flag+" 90m, "+flag+" 3d")
}

// tell tells of a long replay now and then.
func (r *replaying) tell() func(replay.Done) {
	last := time.Now()
	return func(d replay.Done) {
		if time.Since(last) >= progressEvery {
			last = time.Now()
			fmt.Fprintf(r.app.Err, "%s so far, arrived by %s\n", counted(d.Events, "event"), d.At.UTC().Format(time.RFC3339))
		}
	}
}
