package lab

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/shopify"
)

// Deed is something that a provider carried out.
type Deed struct {
	Action        string // of the log
	Before, After string
}

// Tally is what one provider saw against what the log says.
type Tally struct {
	Provider string `json:"provider"`
	Changes  int    `json:"changes"`
	Done     int    `json:"done"` // actions done in the log
	// Duplicates are changes beyond the first of one action, Stale those of a
	// failover below one that came before.
	Duplicates int `json:"duplicates"`
	Stale      int `json:"stale"`
	// Lost are actions that are done and changed, and of which the provider knows
	// nothing; Orphans are deeds of actions that the log has no claim of.
	Lost    int      `json:"lost"`
	Orphans int      `json:"orphans"`
	Details []string `json:"details,omitempty"`
}

// Sound reports whether all that must be 0 is.
func (t Tally) Sound() bool { return t.Duplicates+t.Stale+t.Lost+t.Orphans == 0 }

// tally counts deeds against the actions of one step.
func tally(provider string, deeds []Deed, log []*pointsmanv1.Action) Tally {
	t := Tally{Provider: provider}
	claims, changes, touched, highest := map[string]uint32{}, map[string]int{}, map[string]bool{}, uint64(0)
	for _, a := range log {
		claims[a.Id] = a.Attempts
	}
	for _, d := range deeds {
		number := numberOf(d.Action)
		touched[d.Action] = true
		if claims[d.Action] == 0 {
			t.count(&t.Orphans, "%s is not claimed in the log", d.Action)
		}
		if number < highest && d.Before != d.After {
			t.count(&t.Stale, "%s after number %d", d.Action, highest)
		}
		highest = max(highest, number)
		if d.Before == d.After {
			continue
		}
		t.Changes++
		if changes[d.Action]++; changes[d.Action] > 1 {
			t.count(&t.Duplicates, "change %d under %s", changes[d.Action], d.Action)
		}
	}
	for _, a := range log {
		if a.State != pointsmanv1.ActionState_ACTION_STATE_DONE {
			continue
		}
		t.Done++
		if a.Effect == pointsmanv1.ActionEffect_ACTION_EFFECT_CHANGED && !touched[a.Id] {
			t.count(&t.Lost, "%s is done and did nothing here", a.Id)
		}
	}
	return t
}

func (t *Tally) count(n *int, format string, args ...any) {
	*n++
	t.Details = append(t.Details, fmt.Sprintf(format, args...))
}

// numberOf is the number of an action's failover: 7 of cache/7/lb.
func numberOf(action string) uint64 {
	parts := strings.Split(action, "/")
	if len(parts) < 2 {
		return 0
	}
	n, _ := strconv.ParseUint(parts[1], 10, 64) // 0 where it is none
	return n
}

// Tallies counts each provider of the lab against the log.
func (l *Lab) Tallies(ctx context.Context) (list []Tally, err error) {
	p, err := l.Prove(ctx)
	if err != nil {
		return nil, err
	}
	log, err := l.actions(ctx)
	if err != nil {
		return nil, err
	}
	of := func(step string) []*pointsmanv1.Action {
		return slices.DeleteFunc(slices.Clone(log), func(a *pointsmanv1.Action) bool { return a.Step != step })
	}
	done := tally("", nil, of(l.Cloud.step)).Done
	list = append(list, Tally{
		Provider: "ovh", Changes: p.FrontendChanges, Done: done, Duplicates: p.Duplicates, Stale: p.Stale, Lost: p.Lost, Orphans: p.Orphans, Details: p.Details,
	})
	if l.Shop != nil {
		list = append(list, l.Shop.tally(of(string(Shopify))))
	}
	if h := l.Others.Hook; h != nil {
		deeds, forged := h.Deeds()
		t := tally(string(HTTP), deeds, of("hook"))
		if forged > 0 {
			t.count(&t.Orphans, "%d requests with a wrong signature", forged)
		}
		list = append(list, t)
	}
	if s := l.Others.Script; s != nil {
		deeds, err := s.Deeds()
		if err != nil {
			return nil, err
		}
		list = append(list, tally(string(Command), deeds, of("script")))
	}
	if b := l.Others.HAProxy; b != nil {
		deeds, err := b.Deeds()
		if err != nil {
			return nil, err
		}
		log := of(balancerStep)
		list = append(list, tally(string(HAProxy), shared(deeds, log), log))
	}
	return list, nil
}

// shared gives the changes that are told as those of a step's own action, of
// which a repair may have made the later ones, each to the next action of the
// failover that the log has a claim of.
func shared(deeds []Deed, log []*pointsmanv1.Action) []Deed {
	repairs := map[string][]string{}
	for _, a := range log {
		if base, _, is := strings.Cut(a.Id, "~"); is && a.Attempts > 0 {
			repairs[base] = append(repairs[base], a.Id)
		}
	}
	changed, out := map[string]int{}, slices.Clone(deeds)
	for i, d := range deeds {
		if d.Before == d.After {
			continue
		}
		if n := changed[d.Action]; n > 0 && n <= len(repairs[d.Action]) {
			out[i].Action = repairs[d.Action][n-1]
		}
		changed[d.Action]++
	}
	return out
}

func (s *Shop) tally(log []*pointsmanv1.Action) Tally {
	var deeds []shopify.LoggedAction
	for _, a := range log {
		deeds = append(deeds, shopify.LoggedAction{ID: a.Id, State: stateWord(a.State), Effect: effectWord(a.Effect), Claims: int(a.Attempts)})
	}
	p := s.Sim.Prove(deeds)
	return Tally{
		Provider: "shopify", Changes: p.Changes, Done: tally("", nil, log).Done, Details: p.Details,
		Duplicates: p.Duplicates, Stale: p.Stale, Lost: p.Lost, Orphans: p.Orphans + p.Torn + p.Unfenced,
	}
}
