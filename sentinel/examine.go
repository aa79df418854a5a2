package sentinel

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a switchover.
const (
	// DefaultMaxLag is how many bytes a replica may be behind where nobody says:
	// what Patroni allows in a failover.
	DefaultMaxLag = 1 << 20
	// MaxQuiet is how long a replica may not have heard its master. An idle master
	// sends a PING every 10 s by default.
	MaxQuiet = 15 * time.Second
	// orderGrace is what a request may stay open beyond the time after which the
	// Sentinel itself has given up: once failover-timeout to reach the replica that
	// it chose, once more to see it promoted.
	orderGrace = 10 * time.Second
	// longestOrder bounds how long a request may stay open.
	longestOrder = 10 * time.Minute
	// usualFailoverTimeout is Sentinel's own default.
	usualFailoverTimeout = 3 * time.Minute
)

// Reasons of an Objection.
const (
	AgainstNoMajority    = "NO_SENTINEL_MAJORITY" // too few Sentinels answer
	AgainstDisagree      = "SENTINELS_DISAGREE"   // a Sentinel names another address, or a newer epoch
	AgainstInProgress    = "FAILOVER_RUNNING"     // a Sentinel leads a failover, or votes were seen
	AgainstInTilt        = "SENTINEL_TILT"        // a Sentinel has stopped judging
	AgainstMasterDown    = "MASTER_DOWN"          // it does not answer as master, or a Sentinel takes it for down
	AgainstQuorumMissing = "SENTINEL_QUORUM"      // CKQUORUM complains
	AgainstOrderDenied   = "SENTINEL_NOPERM"      // the ACL does not allow SENTINEL FAILOVER
	AgainstNoReplica     = "NO_GOOD_REPLICA"      // Sentinel would promote nobody
	AgainstPickUnlisted  = "REPLICA_UNLISTED"     // Sentinel has replicas that it does not list
	AgainstPickStranger  = "PICK_NOT_A_CANDIDATE" // it may promote a node that is not declared
	AgainstNotThePick    = "NOT_THE_PICK"         // it would promote another node than the one asked for, or may
	AgainstIsMaster      = "ALREADY_MASTER"       // the one asked for is the master
	AgainstNotDeclared   = "NOT_A_CANDIDATE"      // the one asked for is not declared
	AgainstLinkBad       = "REPLICA_UNHEALTHY"    // the pick does not follow its master
	AgainstLags          = "REPLICA_LAGS"         // the pick is too far behind
	AgainstNotSeen       = "MASTER_UNSEEN"        // nothing was accepted for the master yet
)

// Question is all that Examine goes by.
type Question struct {
	Master   Master
	Accepted Accepted
	Heard    Testimony
	View     View   // with what other nodes report
	To       string // the candidate that a human names; empty: whoever Sentinel picks
	MaxLag   int64  // bytes
}

// Objection is a reason against a switchover, with its values.
type Objection struct {
	Reason, Detail string
}

// Opinion is what Examine makes of a Question. Without objections the Sentinel
// may be asked.
type Opinion struct {
	Objections []Objection
	Notes      []string // what is worth knowing and no objection
	Sentinel   string   // to ask: the first declared one that is as it should be
	Pick       string   // whom it would promote
	Why        string
	Certain    bool          // see Choice
	Window     time.Duration // the Sentinel gives up within it
	Standings  []Follower    // of the replicas, the pick first
}

// Follower is how one replica stands.
type Follower struct {
	Address  string
	Priority int
	Offset   int64
	Lag      int64 // bytes behind the master; negative: not known
	LastIO   time.Duration
	Link     string
	Passed   string // why Sentinel would not promote it; empty: it might
}

// Examine checks everything that stands against asking for a switchover. It is
// a function of values, and finds all objections, not the first.
func Examine(q Question) Opinion {
	x := &examination{Question: q}
	x.sentinels()
	x.master()
	if x.asked != nil {
		x.choose()
		x.opinion.Window = min(2*cmp.Or(x.asked.FailoverTimeout, usualFailoverTimeout)+orderGrace, longestOrder)
	}
	return x.opinion
}

type examination struct {
	Question
	opinion Opinion
	asked   *Word
	choice  Choice
}

func (x *examination) object(reason, format string, args ...any) {
	x.opinion.Objections = append(x.opinion.Objections, Objection{reason, fmt.Sprintf(format, args...)})
}

func (x *examination) note(format string, args ...any) {
	x.opinion.Notes = append(x.opinion.Notes, fmt.Sprintf(format, args...))
}

// sentinels wants a majority of the declared ones to say what was accepted.
// Nobody may be ahead of it, and nobody in the middle of something.
func (x *examination) sentinels() {
	var silent, behind []string
	agree, declared := 0, len(x.Heard.Sentinels)
	for i, s := range x.Heard.Sentinels {
		if s.Err != "" {
			silent = append(silent, s.Sentinel+": "+s.Err)
			continue
		}
		x.busy(s)
		switch {
		case s.Address == x.Accepted.Address && s.Epoch == x.Accepted.Epoch:
			agree++
			if x.asked == nil && s.Quorum == "" && !s.Denied {
				x.asked = &x.Heard.Sentinels[i]
				x.opinion.Sentinel = s.Sentinel
			}
		case s.Epoch < x.Accepted.Epoch:
			behind = append(behind, fmt.Sprintf("%s names %s at epoch %d", s.Sentinel, s.Address, s.Epoch))
		default:
			x.object(AgainstDisagree, "%s names %s at epoch %d, accepted is %s at epoch %d", s.Sentinel, s.Address, s.Epoch, x.Accepted.Address, x.Accepted.Epoch)
		}
	}
	for _, text := range silent {
		x.note("sentinel %s", text)
	}
	for _, text := range behind {
		x.note("sentinel %s, behind", text)
	}
	if agree <= declared/2 {
		x.object(AgainstNoMajority, "%d of %d declared Sentinels name %s at epoch %d; %s", agree, declared, x.Accepted.Address, x.Accepted.Epoch,
			cmp.Or(strings.Join(append(silent, behind...), "; "), "the others disagree"))
	}
	if agree > 0 && x.asked == nil {
		x.unwilling()
	}
	if reason, detail := Stirs(x.View, x.Accepted); reason != "" && !x.objected(reason) {
		x.object(reason, "%s", detail)
	}
}

// Stirs says why a view is not at rest at what was accepted, by the reason of an
// objection; empty: it is. It knows what peers report, and events: votes that no
// Sentinel tells of when it is asked.
func Stirs(v View, acc Accepted) (reason, detail string) {
	if v.Switching {
		return AgainstInProgress, fmt.Sprintf("votes or a failover were seen in the last %s", switchingFor)
	}
	for _, r := range v.Reports {
		ahead := r.Epoch > acc.Epoch || r.Epoch == acc.Epoch && r.Address != acc.Address
		if r.Seen && ahead {
			return AgainstDisagree, fmt.Sprintf("%s named %s at epoch %d, accepted is %s at epoch %d", r.Sentinel, r.Address, r.Epoch, acc.Address, acc.Epoch)
		}
	}
	for _, r := range v.Roles {
		if r.Role == RoleMaster && r.Address != acc.Address {
			return AgainstInProgress, secondMaster(r.Address)
		}
	}
	return "", ""
}

// unwilling says why no Sentinel that agrees can be asked.
func (x *examination) unwilling() {
	for _, s := range x.Heard.Sentinels {
		switch {
		case s.Err != "":
		case s.Denied:
			x.object(AgainstOrderDenied, "%s: %s", s.Sentinel, Permission(x.Master.ordering().User))
		case s.Quorum != "":
			x.object(AgainstQuorumMissing, "%s: %s", s.Sentinel, s.Quorum)
		}
	}
}

func (x *examination) objected(reason string) bool {
	return slices.ContainsFunc(x.opinion.Objections, func(o Objection) bool { return o.Reason == reason })
}

// busy: what one Sentinel is in the middle of.
func (x *examination) busy(s Word) {
	if s.State != "" && s.State != "none" || slices.Contains(s.Flags, "failover_in_progress") {
		x.object(AgainstInProgress, "%s leads a failover (failover-state %s)", s.Sentinel, cmp.Or(s.State, "not told"))
	}
	tilt := slices.ContainsFunc(x.View.Reports, func(r Report) bool { return r.Sentinel == s.Sentinel && r.Tilt })
	if s.Tilt || tilt {
		x.object(AgainstInTilt, "%s is in tilt", s.Sentinel)
	}
	for _, flag := range []string{"s_down", "o_down", "master_reboot"} {
		if slices.Contains(s.Flags, flag) {
			x.object(AgainstMasterDown, "%s has flag %s for %s", s.Sentinel, flag, x.Accepted.Address)
		}
	}
}

// master wants the accepted one to answer as master, to this node.
func (x *examination) master() {
	if !x.Accepted.Known {
		x.object(AgainstNotSeen, "no majority of its Sentinels has been seen yet")
		return
	}
	if n := x.node(x.Accepted.Address); n.Err != "" {
		x.object(AgainstMasterDown, "%s does not answer: %s", x.Accepted.Address, n.Err)
	} else if n.Role != RoleMaster {
		x.object(AgainstMasterDown, "%s answers ROLE %s", x.Accepted.Address, n.Role)
	}
	for _, n := range x.Heard.Nodes {
		if n.Address != x.Accepted.Address && n.Err == "" && n.Role == RoleMaster {
			x.object(AgainstInProgress, "%s", secondMaster(n.Address))
		}
	}
}

func secondMaster(address string) string {
	return address + " answers ROLE master too: promoted and not announced yet, or left over"
}

func (x *examination) node(address string) NodeWord {
	for _, n := range x.Heard.Nodes {
		if n.Address == address {
			return n
		}
	}
	return NodeWord{Address: address, Err: "not declared", LastIO: -1}
}

// choose finds whom the asked Sentinel would promote, and whether that is well.
func (x *examination) choose() {
	fresh := map[string]int64{}
	for _, n := range x.Heard.Nodes {
		if n.Err == "" && n.Role == RoleSlave {
			fresh[n.Address] = n.Offset
		}
	}
	x.choice = Choose(*x.asked, fresh)
	x.opinion.Why, x.opinion.Certain = x.choice.why(), x.choice.Certain
	x.standings()
	if hidden := x.asked.Known - len(x.asked.Replicas); hidden > 0 {
		x.object(AgainstPickUnlisted, "%s knows %d replicas and lists %d (replica-announced no): one of the others may be promoted unless its replica-priority is 0",
			x.asked.Sentinel, x.asked.Known, len(x.asked.Replicas))
	}
	if len(x.choice.Ranked) == 0 {
		x.object(AgainstNoReplica, "%s would promote none: %s", x.asked.Sentinel, cmp.Or(x.outs(), "it knows no replica"))
		x.named()
		return
	}
	pick := x.choice.Ranked[0]
	x.opinion.Pick = pick.Address
	for _, r := range x.choice.Ranked {
		if r.Priority == pick.Priority && !slices.Contains(x.Master.Candidates, r.Address) {
			x.object(AgainstPickStranger, "%s may promote %s (replica-priority %d), which is no declared candidate", x.asked.Sentinel, r.Address, r.Priority)
		}
	}
	if x.named() {
		x.fit(pick)
	}
}

func (x *examination) outs() string {
	var all []string
	for _, p := range x.choice.Out {
		all = append(all, p.Address+": "+p.Why)
	}
	return strings.Join(all, "; ")
}

// named wants the one that a human names to be picked for certain; false when
// the pick is not the one that matters.
func (x *examination) named() bool {
	switch {
	case x.To == "":
		return true
	case x.To == x.Accepted.Address:
		x.object(AgainstIsMaster, "%s is the master already", x.To)
	case !slices.Contains(x.Master.Candidates, x.To):
		x.object(AgainstNotDeclared, "%s is none of %s", x.To, strings.Join(x.Master.Candidates, ", "))
	case len(x.choice.Ranked) == 0:
	case x.To == x.opinion.Pick && x.choice.Certain:
		return true
	case x.To == x.opinion.Pick:
		x.object(AgainstNotThePick, "%s may promote another one: %s has the same replica-priority %d, and the larger offset of the moment decides. To make it certain: %s",
			x.asked.Sentinel, x.choice.Ranked[1].Address, x.choice.Ranked[0].Priority, x.remedy())
	default:
		for _, p := range x.choice.Out {
			if p.Address == x.To {
				x.object(AgainstNotThePick, "%s would promote %s (%s), and not %s at all: %s", x.asked.Sentinel, x.opinion.Pick, x.opinion.Why, x.To, p.Why)
				return false
			}
		}
		if remedy := x.remedy(); remedy != "" {
			x.object(AgainstNotThePick, "%s would promote %s (%s). To change that: %s", x.asked.Sentinel, x.opinion.Pick, x.opinion.Why, remedy)
		} else {
			x.object(AgainstNotThePick, "%s would promote %s (%s), and does not know %s as a replica", x.asked.Sentinel, x.opinion.Pick, x.opinion.Why, x.To)
		}
	}
	return false
}

// remedy is what a human may type. Sentinel reads priorities with INFO.
func (x *examination) remedy() string {
	lines := x.choice.Prefer(x.To)
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, " && ") + " ; then wait 10s for Sentinel's next INFO, and set it back afterwards"
}

// fit wants the pick to follow its master closely.
func (x *examination) fit(pick Replica) {
	n := x.node(pick.Address)
	switch {
	case pick.Link != "ok":
		x.object(AgainstLinkBad, "%s: link to its master is %s by %s, for %s", pick.Address, cmp.Or(pick.Link, "not told"), x.asked.Sentinel, pick.LinkDown)
	case n.Err != "":
		x.object(AgainstLinkBad, "%s does not answer: %s", pick.Address, n.Err)
		return
	case n.Role != RoleSlave || n.Link != "connected":
		x.object(AgainstLinkBad, "%s answers ROLE %s, link %s", pick.Address, n.Role, cmp.Or(n.Link, "not told"))
		return
	}
	if n.LastIO > MaxQuiet {
		x.object(AgainstLinkBad, "%s has not heard its master for %s (at most %s)", pick.Address, n.LastIO, MaxQuiet)
	}
	if n.Err == "" && n.LastIO < 0 {
		x.note("%s does not tell when it last heard its master: +info is not allowed", pick.Address)
	}
	if lag := x.lag(n); lag > x.MaxLag {
		x.object(AgainstLags, "%s is %d bytes behind (at most %d): offset %d, master %d", pick.Address, lag, x.MaxLag, n.Offset, x.node(x.Accepted.Address).Offset)
	}
}

// lag in bytes; negative when it is not known.
func (x *examination) lag(n NodeWord) int64 {
	master := x.node(x.Accepted.Address)
	if n.Err != "" || master.Err != "" || master.Role != RoleMaster || n.Role != RoleSlave {
		return -1
	}
	return max(0, master.Offset-n.Offset)
}

func (x *examination) standings() {
	add := func(r Replica, why string) {
		n := x.node(r.Address)
		x.opinion.Standings = append(x.opinion.Standings, Follower{
			Address: r.Address, Priority: r.Priority, Offset: r.Offset, Lag: x.lag(n), LastIO: n.LastIO, Link: cmp.Or(n.Link, r.Link), Passed: why,
		})
	}
	for _, r := range x.choice.Ranked {
		add(r, "")
	}
	for _, p := range x.choice.Out {
		for _, r := range x.asked.Replicas {
			if r.Address == p.Address {
				add(r, p.Why)
			}
		}
	}
}

// Values are the numbers of an opinion for programs.
func (o Opinion) Values() map[string]string {
	return map[string]string{"sentinel": o.Sentinel, "pick": o.Pick, "certain": strconv.FormatBool(o.Certain)}
}
