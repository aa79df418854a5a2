package shopify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
)

// Judge follows the table of webhooks in doc.go.
func (h *hooks) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	l, ok := r.Body.(*hookList)
	if !ok {
		return actuators.Sight{Verdict: actuators.Busy, Detail: "not read yet", After: notRead, Reading: r}
	}
	s := l.judge(w)
	s.Reading = r
	return s
}

// account is how wanted subscriptions stand on a list.
type account struct {
	stand, missing, unlisted []hook
	barred                   []string // why one that is wanted cannot be made
	notes                    []string // what will need care, though all stand
}

func (l *hookList) account(want []hook) account {
	var a account
	uris := map[string][]string{} // wanted, by topic
	for _, h := range want {
		uris[topicWord(h.Topic)] = append(uris[topicWord(h.Topic)], h.URI)
		found := l.found[h.place()]
		fits := slices.IndexFunc(found, func(f listed) bool { return f.Format == h.Format })
		switch {
		case len(found) == 0 && l.asked[h.place()]:
			a.unlisted = append(a.unlisted, h)
		case len(found) == 0 && l.names[h.Name] != "":
			a.barred = append(a.barred, fmt.Sprintf("%s to %s: its name %s is that of %s", h.Topic, h.URI, h.Name, l.names[h.Name]))
		case len(found) == 0:
			a.missing = append(a.missing, h)
		case fits < 0:
			a.barred = append(a.barred, fmt.Sprintf("%s to %s stands in %s, not %s: delete it to have it made anew", h.Topic, h.URI, found[0].Format, h.Format))
		default:
			a.stand = append(a.stand, h)
			a.notes = append(a.notes, differences(h, found[fits])...)
		}
		if n := len(found); n > 1 {
			a.notes = append(a.notes, fmt.Sprintf("%s to %s stands %d times, so each event comes %d times: delete what is too much", h.Topic, h.URI, n, n))
		}
	}
	for _, h := range want {
		if uris[topicWord(h.Topic)][0] == h.URI { // once for each topic
			a.notes = append(a.notes, l.elsewhere(h.Topic, uris[topicWord(h.Topic)])...)
		}
	}
	return a
}

// differences are told and left: what the spec says of them counts when a
// subscription is made.
func differences(want hook, is listed) []string {
	var what []string
	if want.Name != "" && want.Name != is.Name {
		what = append(what, "name")
	}
	if strings.Join(strings.Fields(want.Filter), " ") != strings.Join(strings.Fields(is.Filter), " ") {
		what = append(what, "filter")
	}
	if !slices.Equal(want.Fields, is.Fields) {
		what = append(what, "include_fields")
	}
	if len(what) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s to %s stands with another %s: delete it to have it made anew", want.Topic, want.URI, strings.Join(what, " and "))}
}

// elsewhere tells of subscriptions to a wanted topic with other addresses.
func (l *hookList) elsewhere(topic string, uris []string) []string {
	n, one := 0, ""
	for at, found := range l.found {
		if at.topic == topicWord(topic) && !slices.Contains(uris, at.uri) {
			n += len(found)
			if one == "" || at.uri < one {
				one = at.uri
			}
		}
	}
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s goes to %d other addresses too (%s), left alone", topic, n, one)}
}

func (l *hookList) judge(w actuators.Work) actuators.Sight {
	want, err := hooksWanted(w.Action)
	if err != nil {
		return actuators.Sight{Verdict: actuators.Foreign, Detail: err.Error()}
	}
	a := l.account(want)
	if l.warning != "" {
		a.notes = append([]string{l.warning}, a.notes...)
	}
	s := actuators.Sight{Detail: a.detail(len(want)), Warning: wire.Cut(strings.Join(a.notes, "; "), fsm.MaxReasonBytes/2)}
	switch {
	case len(a.barred) > 0:
		s.Verdict = actuators.Foreign
	case len(a.missing) > 0 && w.Action.Phase == fsm.Done && !w.Action.Mend:
		s.Verdict = actuators.Foreign
	case len(a.missing) > 0:
		s.Verdict, s.Owed = actuators.Absent, true
	case len(a.unlisted) > 0:
		s.Verdict, s.After = actuators.Busy, madeDelay
	default:
		s.Verdict = actuators.Applied
	}
	return s
}

// detail says for people what stands there, the worst first.
func (a account) detail(wanted int) string {
	var parts []string
	if len(a.missing) > 0 {
		parts = append(parts, "missing: "+listing(a.missing))
	}
	parts = append(parts, a.barred...)
	if len(a.unlisted) > 0 {
		parts = append(parts, "asked for, and not listed yet: "+listing(a.unlisted))
	}
	parts = append(parts, fmt.Sprintf("%d of %d stand", len(a.stand), wanted))
	return wire.Cut(strings.Join(append(parts, a.notes...), "; "), fsm.MaxReasonBytes/2)
}

// Compare tells whether all stand, whoever made them.
func (h *hooks) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	l, ok := r.Body.(*hookList)
	want, err := hooksWanted(action)
	if !ok || err != nil {
		return 0
	}
	return actuators.ShownIf(len(l.account(want).stand) == len(want))
}
