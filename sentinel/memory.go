package sentinel

import (
	"slices"
	"time"
)

// regressed is not behind: it reported the accepted epoch earlier, or it has
// another id than before, or it moved on since the acceptance and is still
// below. A Sentinel whose peers voted for the accepted epoch cannot do that.
func (s remembered) regressed(r Report, accepted uint64) bool {
	return r.Epoch < accepted && (s.highest >= accepted || s.renewed || r.Epoch > s.mark)
}

// remember carries the memory over to this call.
func (j *judge) remember() {
	for _, r := range j.v.Reports {
		if r.Seen && r.Address != "" && j.now.Sub(r.At) <= FreshFor {
			j.usable = append(j.usable, r)
		}
	}
	j.next.last, j.next.accepted = j.now, j.acc
	moved := j.acc != j.old.accepted
	j.next.moved = j.old.moved
	if moved || j.old.moved.IsZero() {
		j.next.moved = j.now
	}
	fell := moved && j.acc.Known && j.old.accepted.Known && j.acc.Epoch < j.old.accepted.Epoch
	j.next.rebased = j.acc.Rebased || fell || (!moved && j.old.rebased)
	for _, r := range j.v.Reports {
		s := j.old.of(r.Sentinel)
		if fell {
			s.highest, s.renewed = 0, false
		}
		if slices.ContainsFunc(j.usable, func(u Report) bool { return u.Sentinel == r.Sentinel }) {
			s = j.learn(s, r)
		}
		if moved {
			s.mark = s.epoch
		}
		j.next.sentinels = append(j.next.sentinels, s)
	}
	for i := range j.next.sentinels {
		j.next.sentinels[i].alone = j.stands(j.next.sentinels[i])
	}
}

func (j *judge) learn(s remembered, r Report) remembered {
	if r.RunID != "" {
		s.renewed = s.renewed || (s.runID != "" && s.runID != r.RunID)
		s.runID = r.RunID
	}
	if j.acc.Known && r.Epoch >= j.acc.Epoch {
		s.renewed = false
	}
	if r.Address != s.address || r.Epoch != s.epoch {
		s.first = s.address == "" || j.gap()
		s.address, s.epoch, s.since, s.told = r.Address, r.Epoch, j.now, r.At
	}
	s.highest = max(s.highest, r.Epoch)
	return s
}

// firstOf is when the first Sentinel made a claim; zero where one had made it
// before we listened.
func (j *judge) firstOf(address string, epoch uint64) (first time.Time) {
	for _, s := range j.next.sentinels {
		switch {
		case s.address != address || s.epoch != epoch:
		case s.first:
			return time.Time{}
		case first.IsZero() || s.told.Before(first):
			first = s.told
		}
	}
	return first
}

// gap: nobody called Judge for so long that a change may have been slept through.
func (j *judge) gap() bool { return j.now.Sub(j.old.last) > FreshFor }

// stands says whether the Sentinel stands alone: a majority has answered below
// its epoch for AloneAfter. It ends when a majority says what it says.
func (j *judge) stands(s remembered) bool {
	with := j.count(func(r Report) bool { return r.Epoch == s.epoch && r.Address == s.address })
	if with >= j.majority() {
		return false
	}
	heard := slices.ContainsFunc(j.usable, func(r Report) bool { return r.Sentinel == s.sentinel })
	if heard && j.contradicted(s.epoch) && j.stood(AloneAfter, "alone %s %d", s.sentinel, s.epoch) {
		return true
	}
	return s.alone
}
