package show

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pointsman/pointsman/webhook/replay"
)

// ReplayRow is how many events of a shop and topic a dry run has found.
type ReplayRow struct {
	App    string `json:"app"`
	Shop   string `json:"shop"`
	Topic  string `json:"topic"`
	Events int    `json:"events"`
}

// Replayed writes what came of a replay of webhooks.
func (p *Printer) Replayed(cfg replay.Config, d replay.Done) {
	word := "put into the buffer again"
	if cfg.Dry {
		word = "would be put into the buffer again"
		if rows := replayRows(d); len(rows) > 0 {
			g := p.grid(cols("APP", "SHOP", "TOPIC", "EVENTS"))
			for _, r := range rows {
				g.row(or(r.App), or(r.Shop), or(r.Topic), fmt.Sprint(r.Events))
			}
			g.print()
			if d.Others > 0 {
				p.printf("and %s of other shops and topics\n", count(d.Others, "event"))
			}
			p.printf("\n")
		}
	}
	p.printf("%s %s: replay %s\n", count(d.Events, "event"), word, cfg.ID)
	p.printf("left out: %d put in again before, %d redacted   read: %s\n", d.Again, d.Redacted, count(d.Segments, "segment"))
}

// ReplayParts is the same for programs.
func ReplayParts(cfg replay.Config, d replay.Done) []Part {
	return []Part{
		{Name: "id", Value: cfg.ID}, {Name: "from", Value: cfg.From.UTC().Format(time.RFC3339Nano)}, {Name: "to", Value: cfg.To.UTC().Format(time.RFC3339Nano)},
		{Name: "dryRun", Value: cfg.Dry}, {Name: "events", Value: d.Events}, {Name: "redacted", Value: d.Redacted}, {Name: "replays", Value: d.Again},
		{Name: "segments", Value: d.Segments}, {Name: "unreadable", Value: d.Unread}, {Name: "stream", Value: d.Stream},
		{Name: "rows", Value: replayRows(d)}, {Name: "others", Value: d.Others},
	}
}

// replayRows are the most frequent first.
func replayRows(d replay.Done) []ReplayRow {
	rows := []ReplayRow{}
	for r, n := range maps.All(d.Rows) {
		rows = append(rows, ReplayRow{App: visible(r.App), Shop: visible(r.Shop), Topic: visible(r.Topic), Events: n})
	}
	slices.SortFunc(rows, func(a, b ReplayRow) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.App, b.App), cmp.Compare(a.Shop, b.Shop), cmp.Compare(a.Topic, b.Topic))
	})
	return rows
}
