package shopify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// hooks are the webhook subscriptions of the app in one shop.
type hooks struct {
	client *client
	count  func(hookCount) // told what each look has counted

	mu sync.Mutex // guards made
	// asked are subscriptions that were asked for and not listed since, until when
	// the list may lack them; at most those of a few steps.
	asked map[place]time.Time
}

func newHooks(c *client, counted func(hookCount)) *hooks {
	return &hooks{client: c, count: counted, asked: map[place]time.Time{}}
}

// listed is one subscription as Shopify tells it.
type listed struct {
	ID     string   `json:"id"`
	Topic  string   `json:"topic"` // "ORDERS_CREATE"
	URI    string   `json:"uri"`
	Format string   `json:"format"`
	Name   string   `json:"name"`
	Filter string   `json:"filter"`
	Fields []string `json:"includeFields"`
}

// hookList is what a Read saw.
type hookList struct {
	found   map[place][]listed
	names   map[string]string // what has each name, for people; "": none has
	asked   map[place]bool    // asked for lately, and not listed
	warning string            // about the shop's API; empty: none
}

// Read lists all subscriptions, page by page.
func (h *hooks) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	r := actuators.Reading{At: time.Now()}
	want, err := hooksIn(s.Step)
	if err != nil {
		return r, actuators.Permanent(err)
	}
	l := &hookList{found: map[place][]listed{}, names: map[string]string{}}
	r.Requests, err = h.readInto(ctx, l)
	if err != nil {
		e := actuators.Explain(fmt.Errorf("read %s: %w", s.Step.Object, err))
		e.Requests = append(r.Requests, e.Requests...)
		return r, &e
	}
	l.asked = h.unlisted(l)
	h.count(l.countOf(want.Subscriptions))
	r.Body = l
	return r, nil
}

func (h *hooks) readInto(ctx context.Context, l *hookList) (ids []string, err error) {
	after, pages, most := "", 0, MaxListed/hooksPage
	for {
		next, said, err := h.page(ctx, l, after)
		ids = append(ids, said.ids...)
		if err != nil {
			return ids, err
		}
		if l.warning = said.warning; next == "" {
			return ids, nil
		}
		if pages++; pages == most || next == after {
			return ids, actuators.Permanent(fmt.Errorf("the app has more than %d webhook subscriptions in this shop, or their list does not end", MaxListed))
		}
		after = next
	}
}

// page asks for one page of the list, and returns the cursor of the next one;
// empty: there is none.
func (h *hooks) page(ctx context.Context, l *hookList, after string) (next string, s said, err error) {
	name := ""
	if h.client.version >= namedFrom {
		name = " name"
	}
	query := fmt.Sprintf("query PointsmanHooks($first: Int!, $after: String) { webhookSubscriptions(first: $first, after: $after, sortKey: ID) { "+
		"nodes { id topic uri format filter includeFields%s } pageInfo { hasNextPage endCursor } } }", name)
	variables := map[string]any{"first": hooksPage}
	if after != "" {
		variables["after"] = after
	}
	var data struct {
		List *struct {
			Nodes []listed `json:"nodes"`
			Page  *struct {
				More bool   `json:"hasNextPage"`
				End  string `json:"endCursor"`
			} `json:"pageInfo"`
		} `json:"webhookSubscriptions"`
	}
	s, err = h.client.do(ctx, call{name: "list webhook subscriptions", query: query, variables: variables, out: &data})
	if err != nil {
		return "", s, err
	}
	if data.List == nil || data.List.Page == nil || data.List.Nodes == nil || data.List.Page.More && data.List.Page.End == "" {
		return "", s, fmt.Errorf("list webhook subscriptions: %w", wire.ErrAnswer)
	}
	for _, n := range data.List.Nodes {
		if n.ID == "" || n.Topic == "" || n.URI == "" || n.Format == "" {
			return "", s, fmt.Errorf("webhook subscription lacks id, topic, uri or format: %w", wire.ErrAnswer)
		}
		slices.Sort(n.Fields)
		at := place{n.Topic, n.URI}
		l.found[at] = append(l.found[at], n)
		if n.Name != "" {
			l.names[n.Name] = n.Topic + " to " + n.URI
		}
	}
	if data.List.Page.More {
		next = data.List.Page.End
	}
	return next, s, nil
}

// note remembers what was asked for: a list that lacks it tells nothing for so long.
func (h *hooks) note(list []hook, span time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	until := time.Now().Add(span)
	for _, one := range list {
		if until.After(h.asked[one.place()]) {
			h.asked[one.place()] = until
		}
	}
}

// unlisted are those that were asked for lately and are not on the list.
func (h *hooks) unlisted(l *hookList) map[place]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.asked, func(at place, until time.Time) bool {
		return len(l.found[at]) > 0 || time.Now().After(until)
	})
	out := map[place]bool{}
	for at := range h.asked {
		out[at] = true
	}
	return out
}
