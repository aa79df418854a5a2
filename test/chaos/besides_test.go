package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/pointsman/pointsman/test/clouds/haproxy"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// balancing is the kind of the step that swings the traffic.
const balancing = "ovh_iplb"

// Words of -chaos.also.
const (
	alsoDrawn = "drawn"
	alsoNone  = "none"
	alsoFence = lab.Kind("fence") // no provider: a stage that fences the old master
)

// errNoSuchKind: -chaos.also names what the lab does not have.
var errNoSuchKind = errors.New("no such kind")

// alsoOn are the providers that the next playground has besides OVH: on every
// other one all of them or some, by the seed, and on half of all a fence. In namespaces only what the
// coordinators reach without a network.
func alsoOn(on ground, before int, seed uint64) (list []lab.Kind, err error) {
	switch *flags.also {
	case alsoDrawn:
		if before%2 == 0 {
			list = drawKinds(seed)
		}
		if on != points && rand.New(rand.NewPCG(seed, 4)).IntN(2) == 0 { // its claim would come first
			list = append(list, alsoFence)
		}
	case alsoNone:
	default:
		for name := range strings.SplitSeq(*flags.also, ",") {
			k := lab.Kind(name)
			if k != alsoFence && !slices.Contains(lab.Kinds(), k) {
				return nil, fmt.Errorf("-chaos.also: %q: %w", name, errNoSuchKind)
			}
			list = append(list, k)
		}
	}
	if _, err := haproxy.Binary(); err != nil && slices.Contains(list, lab.HAProxy) {
		fmt.Printf("NOT PLAYED besides: %v\n", err)
		list = slices.DeleteFunc(list, func(k lab.Kind) bool { return k == lab.HAProxy })
	}
	if on == spaces {
		list = slices.DeleteFunc(list, func(k lab.Kind) bool { return k != lab.Command && k != lab.HAProxy && k != alsoFence })
	}
	return list, nil
}

// providersOf leaves the fence out.
func providersOf(list []lab.Kind) []lab.Kind {
	return slices.DeleteFunc(slices.Clone(list), func(k lab.Kind) bool { return k == alsoFence })
}

func drawKinds(seed uint64) []lab.Kind {
	rng, all := rand.New(rand.NewPCG(seed, 2)), lab.Kinds()
	if rng.IntN(2) == 0 {
		return all
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+rng.IntN(len(all)-1)]
}

func alsoText(list []lab.Kind) string {
	if len(list) == 0 {
		return alsoNone
	}
	var names []string
	for _, k := range list {
		names = append(names, string(k))
	}
	return strings.Join(names, ",")
}

// hurt lets something go wrong with the next deed at a third of the further
// providers, from a stream of its own.
func (r *run) hurt() (err error) {
	rng, hurts := rand.New(rand.NewPCG(r.seed, 3)), lab.Hurts()[1:]
	for _, k := range r.also {
		if rng.IntN(3) == 0 {
			h := hurts[rng.IntN(len(hurts))]
			r.say("the next deed at %s: %s", k, h)
			err = errors.Join(err, r.l.Hurt(k, h))
		}
	}
	return err
}

// besides is what the further providers count, by their names.
func (r *run) besides(ctx context.Context) (map[string]lab.Tally, error) {
	if len(r.also) == 0 {
		return nil, nil
	}
	list, err := r.l.Tallies(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]lab.Tally{}
	for _, one := range list[1:] { // the first is OVH, which has its own proof
		out[one.Provider] = one
	}
	if len(out) != len(r.also) {
		return nil, fmt.Errorf("%d of the providers %v were counted", len(out), r.also)
	}
	return out, nil
}

// provedBesides adds what each further provider saw beyond what it had seen
// before.
func (r *run) provedBesides(ctx context.Context, t *tally) error {
	now, err := r.besides(ctx)
	if err != nil {
		return err
	}
	for name, is := range now {
		was := r.base.besides[name]
		t.duplicates += is.Duplicates - was.Duplicates
		t.stale += is.Stale - was.Stale
		t.lost += is.Lost - was.Lost
		t.orphans += is.Orphans - was.Orphans
		if more := is.Details[min(len(was.Details), len(is.Details)):]; len(more) > 0 {
			r.say("the proof of %s: %q", name, more)
		}
	}
	return nil
}

// standingBesides: each further provider holds the master.
func (r *run) standingBesides(ctx context.Context, master string) error {
	at, err := r.l.Standing(ctx)
	if err != nil {
		return err
	}
	for _, k := range r.also {
		if at[k] != master {
			return fmt.Errorf("the sentinels name %s, %s holds %q", master, k, at[k])
		}
	}
	return nil
}
