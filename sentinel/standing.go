package sentinel

import (
	"slices"
	"strings"
	"time"
)

// Standing is how a master stands between two acceptances, for those who use it.
type Standing int

// The standings.
const (
	Unclear Standing = iota // what was last known still holds
	Calm                    // a majority sees the accepted master up, and nothing is under way
	Coming                  // a switch was begun after the last acceptance: votes, a chosen replica
	Down                    // the Sentinels see the accepted master down or name another, and nothing is under way
)

func (s Standing) String() string {
	names := [...]string{"unclear", "calm", "coming", "down"}
	if s < 0 || int(s) >= len(names) {
		return "unknown"
	}
	return names[s]
}

// Spans that damp the standing. A failover goes from s_down to votes in 0.1 s:
// without DownFor each would show as down first.
const (
	DownFor = 2 * time.Second
	CalmFor = time.Second
	// ElsewhereFor is longer than it takes to accept what the Sentinels name, and
	// than any of their elections: by then it is not going to be.
	ElsewhereFor = 15 * time.Second
)

// standing judges the master at its accepted address. A switch is coming only
// when it was begun after the acceptance: the leading Sentinel says that a
// failover is in progress for seconds after the promotion.
func (j *judge) standing() {
	if !j.acc.Known {
		return
	}
	accepted := func(r Report) bool { return r.Epoch == j.acc.Epoch && r.Address == j.acc.Address && !r.Failover }
	down := j.count(func(r Report) bool { return accepted(r) && hasFlag(r, "s_down") })
	agreed := slices.ContainsFunc(j.usable, func(r Report) bool { return accepted(r) && hasFlag(r, "o_down") })
	up := j.count(func(r Report) bool { return accepted(r) && !hasFlag(r, "s_down") && !hasFlag(r, "o_down") })
	isDown, isUp := down >= j.majority() || agreed, up >= j.majority()
	isDown = isDown && j.stood(DownFor, "down %s", j.acc.Address) // it stands while a switch is tried, too
	elsewhere := j.count(func(r Report) bool { return r.Address != j.acc.Address }) >= j.majority()
	elsewhere = elsewhere && j.stood(ElsewhereFor, "elsewhere than %s", j.acc.Address)
	isUp = isUp && j.stood(CalmFor, "calm %s", j.acc.Address)
	switch {
	case j.v.Switching && j.v.Began.After(j.next.moved):
		j.out.Standing, j.out.Why = Coming, "the Sentinels have begun a failover"
	case isDown:
		j.out.Standing, j.out.Why = Down, "the Sentinels see "+j.acc.Address+" down and no failover is under way"
	case elsewhere:
		j.out.Standing, j.out.Why = Down, "a majority of the Sentinels names another master than "+j.acc.Address
	case isUp && down < j.majority() && !agreed:
		j.out.Standing = Calm
	}
}

func hasFlag(r Report, flag string) bool {
	for f := range strings.SplitSeq(r.Flags, ",") {
		if f == flag {
			return true
		}
	}
	return false
}
