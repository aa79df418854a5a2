package coordinator

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// heardFor is how long a peer's word counts: three reports.
const heardFor = 3*reportEvery + reportTimeout

// Bounds of one report beyond the contract's.
const (
	maxRunID    = 64
	oldRunsKept = 4 // of each node: reports of them that come late are refused
)

// peers is what the other nodes said of themselves, and the newest hand-over
// that anybody told of. At most one entry for each voter.
type peers struct {
	node *cluster.Node

	mu       sync.Mutex
	from     map[fsm.NodeID]peer
	handover handover
}

// peer is the newest report of a node.
type peer struct {
	run      string
	old      []string // runs before this one
	sequence uint64
	at       time.Time // received
	health   *pointsmanv1.NodeHealth
}

// handover is one change of leadership on purpose.
type handover struct {
	from, to fsm.NodeID
	cause    cause
	reason   string
	at       time.Time // zero: none is known
}

func newPeers(n *cluster.Node) *peers { return &peers{node: n, from: map[fsm.NodeID]peer{}} }

// admit takes a report, unless it is of a stranger, too old, or too large.
func (p *peers) admit(r *pointsmanv1.ReportViewRequest) error {
	id := fsm.NodeID(r.GetNodeId())
	if _, met := p.node.State().Member(id); !met {
		return fmt.Errorf("%w: node %.64q is no member", api.ErrReport, r.GetNodeId())
	}
	voter := false
	for _, v := range p.node.Status().Voters {
		voter = voter || v.ID == id
	}
	if !voter || id == p.node.Status().Node {
		return fmt.Errorf("%w: node %q is no other voter", api.ErrReport, id)
	}
	if len(r.GetRunId()) > maxRunID {
		return fmt.Errorf("%w: run_id has %d bytes, at most %d", api.ErrReport, len(r.GetRunId()), maxRunID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	next, err := p.from[id].follow(r)
	if err != nil {
		return fmt.Errorf("%w: node %q: %w", api.ErrReport, id, err)
	}
	next.at, next.health = time.Now(), r.GetHealth()
	p.from[id] = next
	p.hear(r.GetHealth().GetHandover(), next.at)
	return nil
}

// follow says who the peer is after a report, or why that comes too late.
func (p peer) follow(r *pointsmanv1.ReportViewRequest) (peer, error) {
	if p.run == r.GetRunId() {
		if r.GetSequence() <= p.sequence {
			return p, fmt.Errorf("report %d came after report %d", r.GetSequence(), p.sequence)
		}
		p.sequence = r.GetSequence()
		return p, nil
	}
	for _, old := range p.old {
		if old == r.GetRunId() {
			return p, fmt.Errorf("a report of an older run")
		}
	}
	if p.run != "" {
		p.old = append([]string{p.run}, p.old[:min(len(p.old), oldRunsKept-1)]...)
	}
	p.run, p.sequence = r.GetRunId(), r.GetSequence()
	return p, nil
}

// heard is what each peer said of itself, if lately.
func (p *peers) heard() map[fsm.NodeID]peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := maps.Clone(p.from)
	maps.DeleteFunc(out, func(_ fsm.NodeID, one peer) bool { return time.Since(one.at) > heardFor })
	return out
}

// forget drops what an older term was told; who ran stays known, so that late
// reports stay refused.
func (p *peers) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, one := range p.from {
		one.at, one.health = time.Time{}, nil
		p.from[id] = one
	}
}

// note keeps a hand-over of this node.
func (p *peers) note(h handover) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handover = h
}

// hear, under mu, keeps another's if it is newer than what is known. Ages are
// compared by when they came, so one told over and over stays one.
func (p *peers) hear(m *pointsmanv1.Handover, now time.Time) {
	if m == nil {
		return
	}
	at := now.Add(-span(m.GetAge()))
	if !p.handover.at.IsZero() && !at.After(p.handover.at.Add(reportTimeout)) {
		return
	}
	p.handover = handover{from: fsm.NodeID(m.GetFrom()), to: fsm.NodeID(m.GetTo()), cause: causeIn(m.GetCause()), reason: m.GetReason(), at: at}
}

func (p *peers) hearFromLeader(m *pointsmanv1.Handover) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hear(m, time.Now())
}

// last is the newest hand-over that is known.
func (p *peers) last() handover {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.handover
}

// message is nil when there was none.
func (h handover) message(now time.Time) *pointsmanv1.Handover {
	if h.at.IsZero() {
		return nil
	}
	return &pointsmanv1.Handover{
		From: string(h.from), To: string(h.to), Cause: pointsmanv1.HandoverCause(h.cause), Reason: h.reason, Age: durationpb.New(now.Sub(h.at)),
	}
}

// causeIn reads a cause that a newer release may have added.
func causeIn(m pointsmanv1.HandoverCause) cause {
	if m < 0 || m > pointsmanv1.HandoverCause_HANDOVER_CAUSE_DISK {
		return 0
	}
	return cause(m)
}
