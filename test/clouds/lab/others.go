package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	debian "github.com/pointsman/pointsman/test/clouds/haproxy"
	"github.com/pointsman/pointsman/test/clouds/shopify"
)

// Kind is a provider that a lab can have beside OVH.
type Kind string

// The kinds, by the name of their step in the spec.
const (
	Shopify Kind = "shopify"
	HTTP    Kind = "http"
	Command Kind = "command"
	HAProxy Kind = "haproxy" // a process of the machine's own HAProxy
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{Shopify, HTTP, Command, HAProxy} }

// Pool is the pool of workers that Options.All brings.
const Pool = "webhooks"

// Others are what a lab has beside OVH and the shop, each told by a step of the
// second stage; nil where Options.Besides lacks it.
type Others struct {
	Hook    *Hook
	Script  *Script
	HAProxy *Balancer
}

// Hurt is what goes wrong with the next deed at a provider of the lab.
type Hurt string

// The faults.
const (
	HurtNone   Hurt = ""       // nothing
	HurtBefore Hurt = "before" // it is refused in words that do not say for good
	HurtCut    Hurt = "cut"    // the connection, or the program, ends before it
	HurtDelay  Hurt = "delay"  // it is carried out hurtDelay later
	HurtAfter  Hurt = "after"  // it is carried out, and the answer says otherwise
	HurtLost   Hurt = "lost"   // it is carried out, and there is no answer
)

// Hurts are all of them, HurtNone first.
func Hurts() []Hurt {
	return []Hurt{HurtNone, HurtBefore, HurtCut, HurtDelay, HurtAfter, HurtLost}
}

// hurtDelay is less than an attempt's bound (5 s): the sender still waits.
const hurtDelay = time.Second

// addition is what a provider of the second stage adds to the spec.
type addition struct {
	step, target string // without their indentation; a step inside the log has no target
}

// announce adds a second stage with the providers' steps, and their targets, to
// a spec.
func announce(spec string, list []addition) (string, error) {
	if len(list) == 0 {
		return spec, nil
	}
	var steps, targets strings.Builder
	for _, a := range list {
		fmt.Fprintf(&steps, "          - %s\n", a.step)
		if a.target != "" {
			fmt.Fprintf(&targets, "  %s\n", a.target)
		}
	}
	return swap(spec, "\ntargets:\n", "\n      - stage: announce\n        steps:\n"+steps.String()+"\ntargets:\n"+targets.String())
}

// share adds a pool of workers that the second stage moves, for whoever works for
// it beside the lab.
func share(spec string) (string, error) {
	s, err := sampleSpec()
	if err != nil {
		return "", err
	}
	return swap(spec, "\ntargets:\n", fmt.Sprintf("          - {name: workers, leases: {pool: %s}}\n\npools:\n  %s: {partitions: 16, master: %s}\n\ntargets:\n", Pool, Pool, s.master.GetId()))
}

// FenceStep is the name of the step that Options.Fence adds.
const FenceStep = "fence"

// fence adds a first stage that makes the old master a replica. What does not
// answer is asked again for less long than by default: a lab makes many
// failovers, and most of its old masters are dead.
func fence(spec string) (string, error) {
	const stage = "\n      - stage: cutover\n"
	return swap(spec,
		stage, "\n      - stage: fence\n        steps:\n          - {name: "+FenceStep+", target: old-master, redis_fence: {wait: 0.2s}}"+stage,
		"\ntargets:\n", "\ntargets:\n  old-master: {redis_fence: {}, rate: 6000}\n")
}

// besides starts the providers beside the load balancer, in their order.
func (l *Lab) besides(ctx context.Context, first string) (list []addition, err error) {
	for _, k := range Kinds() {
		if !slices.Contains(l.opt.Besides, k) {
			continue
		}
		a, err := l.begin(ctx, k, first)
		if errors.Is(err, debian.ErrNone) && l.opt.All {
			l.Missing = append(l.Missing, fmt.Sprintf("%s: %v", k, err))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("start the lab's %s: %w", k, err)
		}
		list = append(list, a)
	}
	return list, nil
}

func (l *Lab) begin(ctx context.Context, k Kind, first string) (a addition, err error) {
	switch k {
	case Shopify:
		if l.Shop, err = startShop(l.dir); err == nil {
			a = l.Shop.addition(l.opt.Rate)
		}
	case HTTP:
		if l.Others.Hook, err = startHook(l.dir); err == nil {
			a = l.Others.Hook.addition(l.opt.Rate)
		}
	case Command:
		if l.Others.Script, err = newScript(l.dir); err == nil {
			a = l.Others.Script.addition(l.opt.Rate)
		}
	case HAProxy:
		if l.Others.HAProxy, err = startBalancer(ctx, first); err == nil {
			a = l.Others.HAProxy.addition(l.opt.Rate)
		}
	default:
		err = ErrNoKind
	}
	return a, err
}

// Hurt says what goes wrong with the next deed at a provider beside OVH.
func (l *Lab) Hurt(k Kind, h Hurt) error {
	switch {
	case h == HurtNone:
	case k == Shopify && l.Shop != nil:
		return l.Shop.hurt(h)
	case k == HTTP && l.Others.Hook != nil:
		l.Others.Hook.Break(h)
	case k == Command && l.Others.Script != nil:
		return l.Others.Script.Break(h)
	case k == HAProxy && l.Others.HAProxy != nil:
		l.Others.HAProxy.Break(h)
	default:
		return fmt.Errorf("%s: %w here", k, ErrNoKind)
	}
	return nil
}

// Mend takes away what is still to go wrong at the providers beside OVH.
func (l *Lab) Mend() error {
	if l.Shop != nil {
		l.Shop.Sim.ClearFaults()
		l.Shop.Sim.ReleaseHeld()
	}
	if h := l.Others.Hook; h != nil {
		h.mend()
	}
	if b := l.Others.HAProxy; b != nil {
		b.mend()
	}
	if s := l.Others.Script; s != nil {
		return s.mend()
	}
	return nil
}

func (o Others) close() (err error) {
	if o.Hook != nil {
		err = errors.Join(err, o.Hook.close())
	}
	if o.Script != nil {
		err = errors.Join(err, o.Script.remove())
	}
	if o.HAProxy != nil {
		err = errors.Join(err, o.HAProxy.close())
	}
	return err
}

// Standing is the Redis address that each provider beside OVH holds now; empty,
// or what it holds, where that is none.
func (l *Lab) Standing(ctx context.Context) (at map[Kind]string, err error) {
	at = map[Kind]string{}
	bare := func(url string) string { return strings.TrimSuffix(strings.TrimPrefix(url, "redis://"), "/0") }
	if l.Shop != nil {
		text, _ := l.Shop.Sim.Value(ShopNamespace, ShopKey)
		words, _ := shopify.ParseWords(text) // none: empty
		at[Shopify] = bare(words.Value)
	}
	if h := l.Others.Hook; h != nil {
		at[HTTP] = bare(h.holds())
	}
	if s := l.Others.Script; s != nil {
		if at[Command], err = s.holds(); err != nil {
			return nil, err
		}
	}
	if b := l.Others.HAProxy; b != nil {
		if at[HAProxy], err = b.holds(ctx); err != nil {
			return nil, err
		}
	}
	return at, nil
}
