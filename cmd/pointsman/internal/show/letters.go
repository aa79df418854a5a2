package show

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pointsman/pointsman/webhook/letters"
)

// shortLetter is how much of an id a table shows, enough to tell a million apart.
const shortLetter = 12

// LetterView is a letter of webhooks as programs see it.
type LetterView struct {
	ID             string        `json:"id"`
	Kind           string        `json:"kind"`
	App            string        `json:"app"`
	Shop           string        `json:"shop"`
	Topic          string        `json:"topic"`
	Time           time.Time     `json:"time"`
	Reason         string        `json:"reason"`
	Attempts       []AttemptView `json:"attempts"`
	Token          uint64        `json:"token,string"`
	EventKey       string        `json:"eventKey"`
	IdempotencyKey string        `json:"idempotencyKey"`
	WebhookID      string        `json:"webhookId"`
	EventID        string        `json:"eventId"`
	APIVersion     string        `json:"apiVersion"`
	Name           string        `json:"name"`
	TriggeredAt    string        `json:"triggeredAt"`
	ContentType    string        `json:"contentType"`
	Replay         string        `json:"replay"`
	ArriveTime     time.Time     `json:"arriveTime"`
	Size           uint64        `json:"size,string"`
	Sha256         string        `json:"sha256"`
	Redacted       bool          `json:"redacted"`
	Damaged        string        `json:"damaged"`
	DroppedBy      string        `json:"droppedBy"`
	DropReason     string        `json:"dropReason"`
}

// AttemptView is one call of a handler.
type AttemptView struct {
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"`
	Outcome string    `json:"outcome"`
	Worker  string    `json:"worker"`
	Token   uint64    `json:"token,string"`
}

// ViewLetter is a letter without its body. What came in headers and answers is
// made visible.
func ViewLetter(l letters.Letter) LetterView {
	e := l.Event
	v := LetterView{
		ID: l.ID, Kind: string(l.Kind), App: visible(e.App), Shop: visible(e.Shop), Topic: visible(e.Topic), Time: l.At.UTC(), Reason: visible(l.Reason),
		Attempts: []AttemptView{}, Token: l.Token, WebhookID: visible(e.WebhookID), EventID: visible(e.EventID), APIVersion: visible(e.APIVersion),
		Name: visible(e.Name), TriggeredAt: visible(e.TriggeredAt), ContentType: visible(e.ContentType), Replay: visible(e.Replay), ArriveTime: e.Arrived.UTC(),
		Size: l.Size, Redacted: e.Redacted, DroppedBy: visible(l.Drop.GetBy()), DropReason: visible(l.Drop.GetReason()),
	}
	if l.Damaged != nil {
		v.Damaged, v.Time = visible(l.Damaged.Error()), l.Modified.UTC()
		return v
	}
	v.EventKey, v.IdempotencyKey, v.Sha256 = e.Key().String(), e.IdempotencyKey(), hex.EncodeToString(e.Sum[:])
	if l.Kind == letters.Quarantine { // as it would be put in again
		v.IdempotencyKey = e.Released().IdempotencyKey()
	}
	for _, a := range l.Attempts {
		v.Attempts = append(v.Attempts, AttemptView{Time: time.Unix(0, a.GetAtNs()).UTC(), Seconds: time.Duration(a.GetTookNs()).Seconds(),
			Outcome: visible(a.GetOutcome()), Worker: visible(a.GetWorker()), Token: a.GetToken()})
	}
	return v
}

// Letters writes the table of letters of one kind, ages by now.
func (p *Printer) Letters(kind letters.Kind, all []LetterView, now time.Time) {
	if len(all) == 0 {
		p.printf("%s\n", map[letters.Kind]string{letters.Dead: "no dead letters", letters.Quarantine: "nothing in quarantine", letters.Dropped: "nothing was dropped"}[kind])
		return
	}
	heads := []string{"ID", "APP", "SHOP", "TOPIC", "AGE", "ATTEMPTS", "+ARRIVED", "+SIZE", "+WEBHOOK ID", "REASON"}
	if kind == letters.Dropped {
		heads = []string{"ID", "APP", "SHOP", "TOPIC", "AGE", "BY", "DROPPED FOR", "+ARRIVED", "+SIZE", "+WEBHOOK ID", "REASON"}
	}
	g := p.grid(cols(heads...))
	for _, v := range all {
		id, reason := v.ID, v.Reason
		if !p.wide() {
			id = id[:shortLetter]
		}
		if v.Damaged != "" {
			reason = p.paint(bad, v.Damaged)
		}
		if v.Redacted {
			reason = "(redacted) " + reason
		}
		row := []string{id, or(v.App), or(v.Shop), or(v.Topic), Span(max(now.Sub(v.Time), 0))}
		if kind == letters.Dropped {
			row = append(row, or(v.DroppedBy), or(v.DropReason))
		} else {
			row = append(row, fmt.Sprint(len(v.Attempts)))
		}
		g.row(append(row, moment(v.ArriveTime), Size(v.Size), or(v.WebhookID), or(reason))...)
	}
	g.wrapLast()
	g.print()
}

func moment(t time.Time) string { return wall(timestamppb.New(t)) }

// Letter writes one letter in full, without its body.
func (p *Printer) Letter(v LetterView) {
	p.printf("%s  %s\n", p.paint(bold, "LETTER "+v.ID), v.Kind)
	if v.Damaged != "" {
		p.printf("%s\n", p.paint(bad, v.Damaged))
		return
	}
	p.printf("%s   %s   %s\n", or(v.App), or(v.Shop), or(v.Topic))
	p.printf("reason: %s\n", or(v.Reason))
	if v.DroppedBy != "" {
		p.printf("dropped by %s, %s: %s\n", v.DroppedBy, moment(v.Time), or(v.DropReason))
	} else {
		p.printf("set aside %s   token %d\n", moment(v.Time), v.Token)
	}
	p.printf("webhook id %s   event id %s   API version %s   subscription %s\n", or(v.WebhookID), or(v.EventID), or(v.APIVersion), or(v.Name))
	p.printf("arrived %s   triggered %s   replay %s\n", moment(v.ArriveTime), or(v.TriggeredAt), or(v.Replay))
	p.printf("idempotency key %s\n", v.IdempotencyKey)
	if v.Redacted {
		p.printf("body: taken out on request\n")
	} else {
		p.printf("body: %s, %s, sha256 %s\n", Size(v.Size), or(v.ContentType), v.Sha256)
	}
	if len(v.Attempts) == 0 {
		return
	}
	p.printf("\n")
	g := p.grid(cols("ATTEMPT", "AT", "TOOK", "WORKER", "TOKEN", "OUTCOME"))
	for i, a := range v.Attempts {
		g.row(fmt.Sprint(i+1), moment(a.Time), Span(time.Duration(a.Seconds*float64(time.Second))), or(a.Worker), fmt.Sprint(a.Token), or(a.Outcome))
	}
	g.wrapLast()
	g.print()
}

// Readable is a body for a terminal: JSON is indented, and what would steer the
// terminal is written as escapes.
func Readable(body []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, body, "", "  ") != nil {
		return visible(string(body)) + "\n"
	}
	return visible(out.String()) + "\n"
}

// visible writes controls but line ends and tabs, and what reverses or hides text,
// as escapes.
func visible(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\n' || r == '\t' || !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}
