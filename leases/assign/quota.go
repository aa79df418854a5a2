package assign

import (
	"cmp"
	"slices"
)

// share is a part of the pool by capacity, exact: whole, and part/of of one
// more. A share without a remainder rounds nowhere.
type share struct {
	whole int
	part  int // numerator of the remainder, over the sum of capacities
}

func shareOf(seated, capacity, sum int) share {
	if sum == 0 {
		return share{}
	}
	return share{whole: seated * capacity / sum, part: seated * capacity % sum}
}

// zone is the account of one zone: its share, and how many of its workers are
// rounded up.
type zone struct {
	name  string
	seats []*seat
	share share
	quota int
	floor int // sum of its workers' whole shares
	keep  int // workers that already hold their share rounded up
}

// setQuotas gives each worker its quota. They sum up to the partitions, or to
// the capacities where these are fewer; each is its share rounded down or up,
// and so is the sum of each zone. Among all such quotas, these ask for the
// fewest moves: a zone or worker is rounded up first where one more is held.
func setQuotas(seats []*seat, partitions int) {
	sum := 0
	for _, w := range seats {
		sum += w.Capacity
	}
	seated := min(partitions, sum)
	left := seated
	zones := gather(seats, seated, sum)
	for _, z := range zones {
		left -= z.quota
	}
	slices.SortStableFunc(zones, func(a, b *zone) int {
		return cmp.Or(cmp.Compare(b.gain(), a.gain()), cmp.Compare(b.share.part, a.share.part))
	})
	for _, z := range zones {
		if left > 0 && z.share.part > 0 {
			z.quota++
			left--
		}
		z.deal()
	}
}

// gather sorts the workers by zone and takes every share.
func gather(seats []*seat, seated, sum int) []*zone {
	byName := map[string]*zone{}
	var zones []*zone
	for _, w := range seats {
		z := byName[w.Zone]
		if z == nil {
			z = &zone{name: w.Zone}
			byName[w.Zone] = z
			zones = append(zones, z)
		}
		w.share = shareOf(seated, w.Capacity, sum)
		z.seats = append(z.seats, w)
		z.floor += w.share.whole
		if w.keepsUp() {
			z.keep++
		}
	}
	for _, z := range zones {
		capacity := 0
		for _, w := range z.seats {
			capacity += w.Capacity
		}
		z.share = shareOf(seated, capacity, sum)
		z.quota = z.share.whole
	}
	slices.SortFunc(zones, func(a, b *zone) int { return cmp.Compare(a.name, b.name) })
	return zones
}

// keepsUp reports whether rounding the worker up saves a move.
func (w *seat) keepsUp() bool { return w.share.part > 0 && w.held > w.share.whole }

// gain is 1 when rounding the zone up saves a move.
func (z *zone) gain() int {
	if z.share.part > 0 && z.keep > z.share.whole-z.floor {
		return 1
	}
	return 0
}

// deal rounds as many workers up as the zone's quota asks for.
func (z *zone) deal() {
	up := z.quota - z.floor
	order := slices.Clone(z.seats)
	slices.SortStableFunc(order, func(a, b *seat) int {
		keep := func(w *seat) int {
			if w.keepsUp() {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(keep(b), keep(a)), cmp.Compare(b.share.part, a.share.part), cmp.Compare(b.hash, a.hash))
	})
	for _, w := range order {
		w.quota = w.share.whole
		if up > 0 && w.share.part > 0 {
			w.quota++
			up--
		}
	}
}
