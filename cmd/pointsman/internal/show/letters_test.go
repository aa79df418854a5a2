package show

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/letters"
)

// Nothing of a letter, whatever its headers, answers and body hold, steers a
// terminal.
func TestLettersAreHarmless(t *testing.T) {
	evil := "a\x1b[2J\u009b1m\u202eb\x00\xffc\rd"
	l := letters.Letter{Ref: letters.Ref{ID: strings.Repeat("0123456789abcdef", 4), Kind: letters.Dead},
		Event:  webhook.Event{App: evil, Shop: evil, Topic: evil, WebhookID: evil, EventID: evil, APIVersion: evil, Name: evil, TriggeredAt: evil, ContentType: evil, Replay: evil},
		Reason: evil, Attempts: []*webhookv1.Attempt{{Outcome: evil, Worker: evil}}, Drop: &webhookv1.Dropped{By: evil, Reason: evil}}
	broken := letters.Letter{Ref: l.Ref, Damaged: errors.New(evil)}
	var out bytes.Buffer
	for _, format := range []Format{Table, Wide, JSON, YAML} {
		p := &Printer{Out: &out, Talk: &out, Format: format}
		views := []LetterView{ViewLetter(l), ViewLetter(broken)}
		for _, kind := range []letters.Kind{letters.Dead, letters.Quarantine, letters.Dropped} {
			p.Letters(kind, views, time.Unix(0, 0))
		}
		p.Letter(views[0])
		p.Letter(views[1])
		if err := p.Object([]Part{{Name: "letters", Value: views}}); err != nil {
			t.Fatal(err)
		}
	}
	out.WriteString(Readable([]byte(evil)))
	out.WriteString(Readable([]byte(`{"a":"` + "\u009b\u202e" + `"}`)))
	for _, r := range out.String() {
		if r != '\n' && r < ' ' || r >= 0x7f && r <= 0x9f || r == '\u202e' {
			t.Fatalf("%q reaches the terminal:\n%q", r, out.String())
		}
	}
}
