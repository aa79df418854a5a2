package buffer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Bounds of a probe.
const (
	probeRivals = 8 // writes at once, of which one may win
	probeRounds = 3 // races of each kind
	probeTries  = 3 // of a step whose outcome the store left unclear
	probeAge    = time.Hour
	probeTidied = 100 // leftovers of older probes that one probe removes, at most
	probePrefix = "probe/"
)

// Styled is a store that can write the tag of a condition in several ways, of
// which some stores understand only one.
type Styled interface {
	TagStyles() []string // the one in use first
	UseTagStyle(style string)
}

// Abilities are what a probe found a store to do.
type Abilities struct {
	CreateOnly        bool   // Condition.Absent holds, in races too
	Swap              bool   // Condition.Tag of Put holds, in races too
	ConditionalDelete bool   // Condition.Tag of Delete holds
	TagStyle          string // the style of a Styled store that worked, and is used from now on; else empty
	Why               string // what the first one lacked did instead; empty when none is lacked
}

// CAS reports whether heads can be kept by compare-and-swap: a store that does
// some of it may be one that does all of it most of the time.
func (a Abilities) CAS() bool { return a.CreateOnly && a.Swap && a.ConditionalDelete }

func (a Abilities) String() string {
	text := fmt.Sprintf("create-only %s, swap %s, conditional delete %s", yes(a.CreateOnly), yes(a.Swap), yes(a.ConditionalDelete))
	if a.TagStyle != "" {
		text += ", tags " + a.TagStyle
	}
	if a.Why != "" {
		text += " (" + a.Why + ")"
	}
	return text
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// Probe tries what conditions a store honours, on objects of its own under
// probe/, which it removes. It writes about 70 objects of a few bytes. An error
// says that the store could not be asked: nothing is known then. The store may be
// used meanwhile; but until the first probe of a Styled one has ended, its
// conditions with a tag may fail that would hold.
func Probe(ctx context.Context, store Store) (Abilities, error) {
	p := &probe{store: store}
	if err := p.again(ctx, p.plain); err != nil {
		return Abilities{}, fmt.Errorf("probe of the store: %w", err)
	}
	for _, step := range []struct {
		able *bool
		run  func(context.Context, string) error
	}{
		{&p.found.CreateOnly, p.create},
		{&p.found.Swap, p.swap},
		{&p.found.ConditionalDelete, p.remove},
	} {
		err := p.again(ctx, step.run)
		var lack lacking
		switch {
		case err == nil:
			*step.able = true
		case !errors.As(err, &lack):
			p.tidy(ctx)
			return Abilities{}, fmt.Errorf("probe of the store: %w", err)
		case p.found.Why == "":
			p.found.Why = string(lack)
		}
	}
	p.tidy(ctx)
	return p.found, nil
}

// lacking says what a store did instead of honouring a condition.
type lacking string

func (l lacking) Error() string { return string(l) }

type probe struct {
	store Store
	found Abilities
	mine  []string // keys that were put
}

// again runs a step under a key of its own, and under others while the store
// leaves its outcome unclear.
func (p *probe) again(ctx context.Context, step func(context.Context, string) error) error {
	for try := 1; ; try++ {
		key := probePrefix + strings.ToLower(rand.Text())
		p.mine = append(p.mine, key)
		err := step(ctx, key)
		var lack lacking
		if err == nil || try == probeTries || errors.As(err, &lack) || errors.Is(err, ErrRefused) || ctx.Err() != nil {
			return err
		}
	}
}

// plain is what every store must do.
func (p *probe) plain(ctx context.Context, key string) error {
	if _, err := p.store.Put(ctx, key, []byte("plain"), Condition{}); err != nil {
		return err
	}
	if err := p.holds(ctx, key, "plain"); err != nil {
		return err
	}
	page, _, err := p.store.List(ctx, key, "", 1)
	if err == nil && (len(page) != 1 || page[0].Key != key) {
		err = errors.New("an object that was written is in no list")
	}
	if err != nil {
		return err
	}
	return p.store.Delete(ctx, key, Condition{})
}

// create tries Condition.Absent.
func (p *probe) create(ctx context.Context, key string) error {
	if _, err := p.put(ctx, key, "first", Condition{Absent: true}); err != nil {
		return notAble(err, "a new object was not created on condition")
	}
	if err := p.mustFail(p.put(ctx, key, "second", Condition{Absent: true})); err != nil {
		return notAble(err, "an object was created over another one")
	}
	if err := p.holds(ctx, key, "first"); err != nil {
		return err
	}
	for range probeRounds {
		key := key + "-race"
		if err := p.store.Delete(ctx, key, Condition{}); err != nil {
			return err
		}
		if err := p.race(ctx, key, Condition{Absent: true}); err != nil {
			return err
		}
	}
	return nil
}

// swap tries Condition.Tag of Put, in each style.
func (p *probe) swap(ctx context.Context, key string) error {
	styles := []string{""}
	styled, ok := p.store.(Styled)
	if ok {
		styles = styled.TagStyles()
	}
	var err error
	for _, style := range styles {
		if ok {
			styled.UseTagStyle(style)
		}
		if err = p.swapIn(ctx, key+style); err == nil {
			p.found.TagStyle = style
			return nil
		}
		var lack lacking
		if !errors.As(err, &lack) {
			return err
		}
	}
	if ok {
		styled.UseTagStyle(styles[0])
	}
	return err
}

func (p *probe) swapIn(ctx context.Context, key string) error {
	stale, err := p.put(ctx, key, "first", Condition{})
	if err != nil {
		return err
	}
	tag, err := p.put(ctx, key, "second", Condition{Tag: stale})
	if err != nil {
		return notAble(err, "an object was not replaced under the tag that it has")
	}
	if err := p.mustFail(p.put(ctx, key, "third", Condition{Tag: stale})); err != nil {
		return notAble(err, "an object was replaced under a stale tag")
	}
	if err := p.mustFail(p.put(ctx, key+"-none", "first", Condition{Tag: tag})); err != nil {
		return notAble(err, "an object was put where there is none, under a tag")
	}
	if err := p.holds(ctx, key, "second"); err != nil {
		return err
	}
	for range probeRounds {
		if err := p.race(ctx, key, Condition{Tag: tag}); err != nil {
			return err
		}
		if tag, err = p.put(ctx, key, "between", Condition{}); err != nil {
			return err
		}
	}
	return nil
}

// remove tries Condition.Tag of Delete.
func (p *probe) remove(ctx context.Context, key string) error {
	stale, err := p.put(ctx, key, "first", Condition{})
	if err != nil {
		return err
	}
	tag, err := p.put(ctx, key, "second", Condition{})
	if err != nil {
		return err
	}
	if err := p.mustFail("", p.store.Delete(ctx, key, Condition{Tag: stale})); err != nil {
		return notAble(err, "an object was deleted under a stale tag")
	}
	if err := p.holds(ctx, key, "second"); err != nil {
		return err
	}
	return notAble(p.store.Delete(ctx, key, Condition{Tag: tag}), "an object was not deleted under the tag that it has")
}

// race lets rivals put at once: one must win, and be what is read.
func (p *probe) race(ctx context.Context, key string, c Condition) error {
	var errs [probeRivals]error
	var all sync.WaitGroup
	p.mine = append(p.mine, key)
	for i := range errs {
		all.Go(func() { _, errs[i] = p.store.Put(ctx, key, fmt.Append(nil, "rival ", i), c) })
	}
	all.Wait()
	winner, won := 0, 0
	for i, err := range errs {
		switch {
		case err == nil:
			winner, won = i, won+1
		case !errors.Is(err, ErrCondition):
			return notAble(err, "a conditional write was refused")
		}
	}
	if won != 1 {
		return lacking(fmt.Sprintf("%d of %d conditional writes at once were taken", won, probeRivals))
	}
	return p.holds(ctx, key, fmt.Sprint("rival ", winner))
}

func (p *probe) put(ctx context.Context, key, body string, c Condition) (Tag, error) {
	p.mine = append(p.mine, key)
	return p.store.Put(ctx, key, []byte(body), c)
}

// errTaken is what mustFail makes of a success.
var errTaken = errors.New("condition was ignored")

// mustFail turns a success and ErrCondition round.
func (p *probe) mustFail(_ Tag, err error) error {
	if err == nil {
		return errTaken
	}
	if errors.Is(err, ErrCondition) {
		return nil
	}
	return err
}

// notAble tells what the store cannot do from what it left unclear.
func notAble(err error, what string) error {
	if errors.Is(err, errTaken) || errors.Is(err, ErrCondition) || errors.Is(err, ErrNotFound) {
		return lacking(what)
	}
	if errors.Is(err, ErrRefused) {
		return lacking(what + ": " + err.Error())
	}
	return err
}

// holds reads an object back. Another content than the one that won is a
// condition that did not hold.
func (p *probe) holds(ctx context.Context, key, want string) error {
	o, err := p.store.Get(ctx, key)
	if err != nil {
		return err
	}
	if string(o.Body) != want {
		return lacking(fmt.Sprintf("an object holds %.20q where %q was written last", o.Body, want))
	}
	return nil
}

// tidy removes the probe's objects, and those of probes that were cut, by the
// store's clock. What stays is no harm.
func (p *probe) tidy(ctx context.Context) {
	page, _, err := p.store.List(ctx, probePrefix, "", probeTidied)
	if err != nil {
		page = nil
	}
	var newest time.Time
	for _, i := range page {
		if i.Modified.After(newest) {
			newest = i.Modified
		}
	}
	for _, i := range page {
		if newest.Sub(i.Modified) > probeAge {
			p.mine = append(p.mine, i.Key)
		}
	}
	seen := map[string]bool{}
	for _, key := range p.mine {
		if !seen[key] && p.store.Delete(ctx, key, Condition{}) != nil {
			return
		}
		seen[key] = true
	}
}
