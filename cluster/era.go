package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

// enlargePeriod is the pause between two looks for nodes that came.
const enlargePeriod = 500 * time.Millisecond

func eraOf(m *journalv1.Era) era {
	return era{Generation: uint16(min(m.GetGeneration(), fsm.MaxGeneration)), Recovery: m.GetRecovery()}
}

func (e era) message() *journalv1.Era {
	if e == (era{}) {
		return nil
	}
	return &journalv1.Era{Generation: uint32(e.Generation), Recovery: e.Recovery}
}

// outdated ends this node when a peer's data is of a later recovery.
func (n *Node) outdated(theirs era) {
	if n.started.Load() && theirs.Generation > n.identity().Era.Generation && n.ctx.Err() == nil {
		n.fail(n.outdatedBy(theirs))
	}
}

func (n *Node) outdatedBy(theirs era) error {
	return fmt.Errorf("%w: %s holds data of %s, the cluster is of %s; empty the directory, and this node is let in anew",
		ErrOutdated, n.cfg.DataDir, n.identity().Era, theirs)
}

// enlarge makes the nodes of the peer list voters again, after a recovery left one:
// each once its store is on record, and has caught up as one that does not vote yet.
func (n *Node) enlarge(t *tenure) {
	for t.ctx.Err() == nil && n.identity().Era != (era{}) {
		for _, p := range n.cfg.Peers {
			if err := n.enlargeBy(t.ctx, p); err != nil && t.ctx.Err() == nil {
				n.logger.Info("not a voter yet", "peer", p.ID, "error", err)
			}
		}
		pause(t.ctx, enlargePeriod)
	}
}

func (n *Node) enlargeBy(ctx context.Context, p Peer) error {
	servers := n.raft.GetConfiguration().Configuration().Servers
	at := slices.IndexFunc(servers, func(s raft.Server) bool { return s.ID == raft.ServerID(p.ID) })
	if at >= 0 && servers[at].Suffrage == raft.Voter {
		return nil
	}
	want := n.machine.state()
	if _, known := want.Member(p.ID); !known {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Timings.RPC)
	defer cancel()
	if at < 0 {
		return n.await(ctx, n.raft.AddNonvoter(raft.ServerID(p.ID), raft.ServerAddress(p.Address), 0, enqueueTimeout))
	}
	peek, _, err := n.peek(ctx, p.ID)
	if err != nil || peek.GetStateIndex() < want.Index() {
		return err // or it still catches up
	}
	n.logger.Info("the node has caught up and becomes a voter", "peer", p.ID, "index", want.Index())
	return n.await(ctx, n.raft.AddVoter(raft.ServerID(p.ID), raft.ServerAddress(p.Address), 0, enqueueTimeout))
}
