package sentinel

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/internal/planted"
)

// Judge decides what may be accepted now. It reads no clock and keeps nothing:
// the caller gives back the Memory of the last call, at least every
// Verdict.Again and on every node, so that a new leader's memory is warm.
// candidates are the declared addresses; reports and roles use their spelling.
// Safe for concurrent use.
func Judge(m Memory, v View, acc Accepted, candidates []string, now time.Time) (Memory, Verdict) {
	j := &judge{old: m, v: v, acc: acc, candidates: candidates, now: now}
	j.out.Again = LookAgain
	if j.gap() {
		j.old.timers = nil
	}
	j.remember()
	if !acc.Known {
		j.seed()
	} else if !j.advance() && !j.resolve() {
		j.rebase()
	}
	j.alerts()
	j.standing()
	j.out.WarmUp = v.Switching || slices.ContainsFunc(j.usable, func(r Report) bool { return r.Failover })
	return j.next, j.out
}

// judge is one call's working space.
type judge struct {
	old, next  Memory
	v          View
	acc        Accepted
	candidates []string
	now        time.Time
	usable     []Report // seen, fresh, naming an address
	out        Verdict
}

func (j *judge) majority() int { return len(j.v.Reports)/2 + 1 }

func (j *judge) candidate(address string) bool { return slices.Contains(j.candidates, address) }

// count of the usable reports that fulfil f.
func (j *judge) count(f func(Report) bool) int {
	n := 0
	for _, r := range j.usable {
		if f(r) {
			n++
		}
	}
	return n
}

// stood returns how long the condition of that key has held in every call, this
// one included, and asks to be called again when it reaches d.
func (j *judge) stood(d time.Duration, format string, args ...any) bool {
	key := fmt.Sprintf(format, args...)
	t := timer{key: key, since: j.now}
	same := func(x timer) bool { return x.key == key }
	if i := slices.IndexFunc(j.old.timers, same); i >= 0 {
		t = j.old.timers[i]
	}
	if !slices.ContainsFunc(j.next.timers, same) {
		j.next.timers = append(j.next.timers, t)
	}
	left := d - j.now.Sub(t.since)
	if left > 0 {
		j.again(left)
	}
	return left <= 0
}

func (j *judge) again(d time.Duration) { j.out.Again = max(time.Millisecond, min(j.out.Again, d)) }

func (j *judge) alert(reason, format string, args ...any) {
	a := Alert{reason, fmt.Sprintf(format, args...)}
	if !slices.Contains(j.out.Alerts, a) {
		j.out.Alerts = append(j.out.Alerts, a)
	}
}

// accept makes the verdict and writes down who said what.
func (j *judge) accept(k Kind, address string, epoch uint64) {
	j.out.Kind, j.out.Address, j.out.Epoch = k, address, epoch
	if k == Advance || k == Resolve {
		j.out.First = j.firstOf(address, epoch)
	}
	for _, r := range j.v.Reports {
		line := fmt.Sprintf("sentinel %s names %s at epoch %d", r.Sentinel, r.Address, r.Epoch)
		if !r.Seen {
			line = fmt.Sprintf("sentinel %s is unreachable", r.Sentinel)
		}
		j.out.Evidence = append(j.out.Evidence, line+via(r.Via))
	}
	for _, r := range j.v.Roles {
		if r.Role != "" {
			j.out.Evidence = append(j.out.Evidence, fmt.Sprintf("%s answers ROLE %s", r.Address, r.Role)+via(r.Via))
		}
	}
}

func via(peer string) string {
	if peer == "" {
		return ""
	}
	return " (seen by " + peer + ")"
}

// sight is what ROLE says about an address.
type sight int

const (
	asking sight = iota // no answer that is recent enough: wait for the next one
	isMaster
	vetoed
	unreachable
)

// role judges the ROLE answer of a node. since is when the claim about it came:
// an older answer other than master says nothing. age bounds a master answer.
func (j *judge) role(address string, since time.Time, age time.Duration) sight {
	i := slices.IndexFunc(j.v.Roles, func(r Role) bool { return r.Address == address })
	if i < 0 || j.v.Roles[i].Role == "" {
		return asking
	}
	r := j.v.Roles[i]
	if r.Via != "" {
		age, since = max(age, PeerFreshFor), since.Add(-PeerFreshFor)
	}
	switch r.Role {
	case RoleUnreachable:
		return unreachable
	case RoleMaster:
		if j.now.Sub(r.At) <= age {
			return isMaster
		}
	default:
		if !r.At.Before(since) && j.now.Sub(r.At) <= FreshFor {
			return vetoed
		}
	}
	return asking
}

// seed: a majority of the declared Sentinels names one candidate and it is
// master. Its epoch is one that a majority's worth of those naming it reach, so
// that one that lies high does not shut out all later ones.
func (j *judge) seed() {
	for _, address := range j.named(func(Report) bool { return true }) {
		voices := j.voices(address, func(Report) bool { return true })
		if len(voices) < j.majority() || !j.candidate(address) {
			continue
		}
		switch j.role(address, time.Time{}, FreshFor) {
		case isMaster:
			epochs := make([]uint64, 0, len(voices))
			for _, r := range voices {
				epochs = append(epochs, r.Epoch)
			}
			slices.Sort(epochs)
			j.accept(Seed, address, epochs[len(epochs)-j.majority()])
		case asking:
			j.again(askAgain)
		case vetoed:
			j.alert(AlertVeto, "%s is named by a majority but is not master", address)
		case unreachable:
			j.alert(AlertUnreachable, "%s is named by a majority but does not answer", address)
		}
		return
	}
}

// named lists the addresses of the usable reports that fulfil f, sorted.
func (j *judge) named(f func(Report) bool) []string {
	var out []string
	for _, r := range j.usable {
		if f(r) && !slices.Contains(out, r.Address) {
			out = append(out, r.Address)
		}
	}
	slices.Sort(out)
	return out
}

func (j *judge) voices(address string, f func(Report) bool) []Report {
	var out []Report
	for _, r := range j.usable {
		if f(r) && r.Address == address {
			out = append(out, r)
		}
	}
	return out
}

// advance looks at every epoch above the accepted one, the highest first.
func (j *judge) advance() bool {
	if planted.Bug(planted.RoleAlone) && j.roleAlone() {
		return true
	}
	var epochs []uint64
	for _, r := range j.usable {
		if r.Epoch > j.acc.Epoch && !slices.Contains(epochs, r.Epoch) {
			epochs = append(epochs, r.Epoch)
		}
	}
	slices.Sort(epochs)
	slices.Reverse(epochs)
	for _, epoch := range epochs {
		if decided := j.advanceTo(epoch); decided {
			return true
		}
	}
	return false
}

// roleAlone is a planted bug: it takes a node's own word for a promotion.
func (j *judge) roleAlone() bool {
	for _, r := range j.v.Roles {
		says := r.Role == RoleMaster && j.candidate(r.Address) && j.now.Sub(r.At) <= RoleFreshFor
		if says && r.Address != j.acc.Address && j.stood(time.Second, "alone %s", r.Address) {
			j.accept(Advance, r.Address, j.acc.Epoch+1)
			return true
		}
	}
	return false
}

// advanceTo reports true when lower epochs must not be looked at: the verdict
// is made, or depends on an answer or a conflict at this one.
func (j *judge) advanceTo(epoch uint64) bool {
	at := func(r Report) bool { return r.Epoch == epoch && j.candidate(r.Address) && !j.next.of(r.Sentinel).alone }
	addresses := j.named(at)
	if len(addresses) > 1 {
		j.alert(AlertConflict, "epoch %d is claimed for %s", epoch, strings.Join(addresses, " and "))
		return j.held(Advance, epoch, addresses)
	}
	if len(addresses) == 0 {
		return false
	}
	address := addresses[0]
	voices := j.voices(address, at)
	most := len(voices) >= j.majority()
	if address == j.acc.Address && !most {
		return false // nothing to repoint, so there is time for a majority
	}
	since := j.next.of(voices[0].Sentinel).since
	for _, r := range voices {
		if s := j.next.of(r.Sentinel).since; s.Before(since) {
			since = s
		}
	}
	switch j.role(address, since, RoleFreshFor) {
	case isMaster:
		if most || slices.ContainsFunc(voices, func(r Report) bool { return j.trusted(r) }) {
			j.accept(Advance, address, epoch)
			return true
		}
	case asking:
		j.again(askAgain)
		return true
	case unreachable:
		if most || planted.Bug(planted.UnreachableAccepted) {
			j.accept(Advance, address, epoch)
			return true
		}
		if j.stood(VetoFor, "unreachable %d %s", epoch, address) {
			j.alert(AlertUnreachable, "%s at epoch %d is named by %d of %d sentinels and does not answer", address, epoch, len(voices), len(j.v.Reports))
		}
	case vetoed:
		if j.stood(VetoFor, "veto %d %s", epoch, address) {
			j.alert(AlertVeto, "%s at epoch %d is named by %d of %d sentinels but is not master", address, epoch, len(voices), len(j.v.Reports))
		}
	}
	return false
}

// trusted: this Sentinel's word alone is enough. It must have been seen to
// change its mind, unless nobody contradicts it: a claim that was already there
// when we came is followed by the others within 2 s, or it is a lie.
func (j *judge) trusted(r Report) bool {
	return !j.next.of(r.Sentinel).first || !j.contradicted(r.Epoch)
}

// contradicted: a majority of the declared Sentinels answers and is below epoch.
func (j *judge) contradicted(epoch uint64) bool {
	return j.count(func(r Report) bool { return r.Epoch < epoch }) >= j.majority()
}

// held is the way out of a conflict: a majority names one candidate at this
// epoch and it is master, for ResolveAfter without interruption.
func (j *judge) held(kind Kind, epoch uint64, addresses []string) bool {
	for _, address := range addresses {
		if planted.Bug(planted.ConflictAccepted) && j.stood(time.Second, "any %d %s", epoch, address) {
			j.accept(kind, address, epoch)
			break
		}
		voices := j.voices(address, func(r Report) bool { return r.Epoch == epoch })
		if len(voices) < j.majority() || !j.candidate(address) {
			continue
		}
		if j.role(address, time.Time{}, FreshFor) == isMaster && j.stood(ResolveAfter, "held %d %s", epoch, address) {
			j.accept(kind, address, epoch)
		}
	}
	return true
}

// resolve handles the accepted epoch under another address.
func (j *judge) resolve() bool {
	other := j.named(func(r Report) bool { return r.Epoch == j.acc.Epoch && r.Address != j.acc.Address })
	if len(other) == 0 {
		return false
	}
	if j.next.rebased {
		j.alert(AlertDifference, "sentinels name %s, accepted is %s: after a rebase only a later epoch moves it", strings.Join(other, " and "), j.acc.Address)
		return false
	}
	j.alert(AlertConflict, "epoch %d was accepted for %s and is claimed for %s", j.acc.Epoch, j.acc.Address, strings.Join(other, " and "))
	j.held(Resolve, j.acc.Epoch, other)
	return j.out.Kind != None
}

// rebase: a majority has lost the accepted epoch, all that can be heard agree,
// none of them holds it, for RebaseAfter. A Sentinel that stands alone is not
// heard.
func (j *judge) rebase() {
	heard, lost, agree := 0, 0, true
	var first Report
	for _, r := range j.usable {
		s := j.next.of(r.Sentinel)
		if s.alone {
			continue
		}
		if heard == 0 {
			first = r
		}
		heard++
		agree = agree && r.Epoch < j.acc.Epoch && r.Epoch == first.Epoch && r.Address == first.Address
		if s.regressed(r, j.acc.Epoch) {
			lost++
		}
	}
	if lost < j.majority() {
		return
	}
	j.alert(AlertRegressed, "%d of %d sentinels have lost epoch %d", lost, len(j.v.Reports), j.acc.Epoch)
	if agree && j.stood(RebaseAfter, "rebase %d %s", first.Epoch, first.Address) {
		j.accept(Rebase, j.acc.Address, first.Epoch)
	}
}
