package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

// A store that was emptied looks like that of a node that starts for the first
// time. Its votes and its acknowledgements must not count before somebody who
// would know has said which of the two it is; the member records do not say it
// everywhere, since a node that has just started has applied none yet. So:
//
//   - A store is fresh until it holds a vote beyond the founding term or a second
//     entry, or the leader has recorded it. A term alone says nothing: anybody's
//     refusal teaches it. A log has begun with its second entry, and, wherever its
//     entries are, once its store is recorded or knows the cluster's identity.
//   - Raft is not spoken between a fresh store and a node whose log has begun.
//     Fresh stores among themselves may found a cluster.
//   - A fresh store asks to be recorded. The leader that does it was elected, and
//     commits the record, without it: by a majority of the others, which hold all
//     that the store which is gone may have acknowledged.
//
// knockWait is the pause between two rounds at all peers.
const knockWait = 100 * time.Millisecond

// fresh says that this store may stand in the place of one that is gone.
func (n *Node) fresh() bool { return n.freshAs(n.identity()) }

func (n *Node) freshAs(us identity) bool {
	return !n.logs.voted.Load() && !n.logs.begun.Load() && !us.Admitted && !planted.Bug(planted.StoreUnidentified)
}

// begun says that a majority may have acknowledged something: this node's log
// holds entries, or it was told by those that have some.
func (n *Node) begun() bool {
	return n.logs.begun.Load() || n.machine.state().Index() > 0 || n.joined()
}

// joined says that this store belongs to a cluster, even if it holds no entry yet.
func (n *Node) joined() bool {
	id := n.identity()
	return (id.Admitted || id.Cluster != "") && !planted.Bug(planted.StoreUnidentified)
}

// knock asks every peer at once to record this store, and looks whether one of
// them has it on record. Only a leader takes the request, and what a peer shows
// is committed. It returns after one round.
func (n *Node) knock(me fsm.Member) {
	payload, err := journal.EncodeCommand(fsm.PutMember{Member: me})
	if err != nil {
		n.fail(err)
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, n.patience())
	defer cancel()
	var wait sync.WaitGroup
	known := make(chan *journalv1.PeekAnswer, len(n.cfg.Peers))
	for _, p := range n.cfg.Peers {
		if p.ID != n.cfg.NodeID {
			wait.Go(func() { known <- n.knockAt(ctx, p.ID, payload) })
		}
	}
	wait.Wait()
	close(known)
	for peek := range known {
		switch store := fsm.StoreID(peek.GetYourStore()); {
		case store == "":
		case store != me.Store:
			n.fail(n.replaced(store))
			return
		default:
			n.admitted(eraOf(peek.GetEra()))
			return
		}
	}
	pause(ctx, knockWait)
}

// knockAt returns what a peer knows, once it was asked to record this node; nil
// when it does not answer.
func (n *Node) knockAt(ctx context.Context, peer fsm.NodeID, payload []byte) *journalv1.PeekAnswer {
	peek, _, err := n.peek(ctx, peer)
	if err != nil || peek.GetYourStore() != "" {
		return peek
	}
	_, _, _, err = n.peers.ask(ctx, peer, &journalv1.PeerRequest{Question: &journalv1.PeerRequest_Propose{Propose: &journalv1.Propose{
		Kind: uint32(fsm.KindMember), Id: randomID(), Actor: "cluster", Payload: payload,
	}}})
	if err != nil {
		return nil
	}
	peek, _, err = n.peek(ctx, peer)
	if err != nil {
		return nil
	}
	return peek
}

// admitted notes for ever that the log has this store on record, and whose log.
func (n *Node) admitted(e era) {
	id := n.identity()
	id.Admitted, id.Era = true, e
	n.keep(id)
}

// keep writes an identity and takes it over. Only tend calls it.
func (n *Node) keep(id identity) {
	if err := writeIdentity(n.cfg.DataDir, n.logs, id); err != nil {
		n.fail(err)
		return
	}
	n.mu.Lock()
	n.id = id
	n.mu.Unlock()
}
