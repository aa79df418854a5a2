package cluster

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

// maxPeerAnswer bounds how long a node works on a peer's question.
const maxPeerAnswer = 10 * time.Second

// peers asks other nodes. It keeps one idle connection to each; a question runs
// alone on its connection.
type peers struct {
	port    *port
	address func(fsm.NodeID) string

	mu   sync.Mutex
	idle map[fsm.NodeID]net.Conn
}

// ask sends one question and reads its answer. An error after the question was
// written leaves open whether it was acted on; sent says so.
func (p *peers) ask(ctx context.Context, node fsm.NodeID, q *journalv1.PeerRequest) (answer *journalv1.PeerAnswer, them *journalv1.Hello, sent bool, err error) {
	left := maxPeerAnswer
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	if left <= 0 {
		return nil, nil, false, context.DeadlineExceeded
	}
	q.TimeoutMs = uint32(max(1, left.Milliseconds()))
	conn := p.take(node)
	if conn == nil {
		if conn, them, err = p.port.connect(ctx, p.address(node), carriesPeer); err != nil {
			return nil, them, false, fmt.Errorf("ask %s: %w", node, err)
		}
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	_ = conn.SetDeadline(time.Now().Add(left + time.Second)) // the other side answers in time, or is gone
	answer = &journalv1.PeerAnswer{}
	err = writeFrame(conn, q, maxFrameBytes)
	if err == nil {
		err = readFrame(conn, answer, maxFrameBytes)
	}
	if err != nil || ctx.Err() != nil {
		_ = conn.Close()
		if err == nil {
			err = ctx.Err()
		}
		return nil, them, true, fmt.Errorf("ask %s: %w", node, err)
	}
	p.put(node, conn)
	return answer, them, true, nil
}

func (p *peers) take(node fsm.NodeID) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn := p.idle[node]
	delete(p.idle, node)
	return conn
}

func (p *peers) put(node fsm.NodeID, conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle[node] != nil {
		_ = conn.Close()
		return
	}
	p.idle[node] = conn
}

// answerPeer serves one peer connection, a question at a time.
func (n *Node) answerPeer(ctx context.Context, conn net.Conn, them *journalv1.Hello) {
	for {
		var q journalv1.PeerRequest
		_ = conn.SetDeadline(time.Now().Add(peerIdle))
		if err := readFrame(conn, &q, maxFrameBytes); err != nil {
			return
		}
		left := min(time.Duration(q.GetTimeoutMs())*time.Millisecond, maxPeerAnswer)
		asked, cancel := context.WithTimeout(ctx, left)
		answer := n.answer(asked, them, &q)
		cancel()
		_ = conn.SetDeadline(time.Now().Add(n.cfg.Timings.RPC))
		if err := writeFrame(conn, answer, maxFrameBytes); err != nil {
			return
		}
	}
}

func (n *Node) answer(ctx context.Context, them *journalv1.Hello, q *journalv1.PeerRequest) *journalv1.PeerAnswer {
	if q.GetPeek() != nil {
		return n.answerPeek(them)
	}
	if why := n.judge(carriesPeer, them); why != "" {
		return &journalv1.PeerAnswer{Status: journalv1.PeerStatus_PEER_STATUS_INVALID, Detail: why}
	}
	switch {
	case !n.started.Load():
		return &journalv1.PeerAnswer{Status: journalv1.PeerStatus_PEER_STATUS_NOT_LEADER}
	case q.GetPropose() != nil:
		return n.answerPropose(ctx, them, q.GetPropose())
	case q.GetReadIndex() != nil:
		index, err := n.readIndex(ctx)
		return answerOf(index, err)
	default:
		return &journalv1.PeerAnswer{Status: journalv1.PeerStatus_PEER_STATUS_INVALID, Detail: "a question that this release does not know"}
	}
}

func (n *Node) answerPeek(them *journalv1.Hello) *journalv1.PeerAnswer {
	state := n.machine.state()
	known, _ := state.Member(fsm.NodeID(them.GetNode()))
	return &journalv1.PeerAnswer{
		Status: journalv1.PeerStatus_PEER_STATUS_OK,
		Peek: &journalv1.PeekAnswer{
			HasState: n.hasState.Load(), YourStore: string(known.Store), Degraded: n.degraded.Load(),
			Era: n.identity().Era.message(), StateIndex: state.Index(),
		},
	}
}

// judge says why a node that says hello is not one of us, or not yet one to talk
// Raft with; empty when it is.
func (n *Node) judge(kind byte, them *journalv1.Hello) string {
	us := n.identity()
	node, store := fsm.NodeID(them.GetNode()), fsm.StoreID(them.GetStore())
	switch known, ok := n.machine.state().Member(node); {
	case them.GetVersion() != helloVersion:
		return fmt.Sprintf("hello version is %d, ours is %d", them.GetVersion(), helloVersion)
	case node == us.Node:
		return fmt.Sprintf("both nodes call themselves %q", node)
	case n.cfg.address(node) == "":
		return fmt.Sprintf("node %q is not in the peer list of %q", node, us.Node)
	case them.GetCluster() != "" && us.Cluster != "" && fsm.ClusterID(them.GetCluster()) != us.Cluster:
		return fmt.Sprintf("node %q is of cluster %s, node %q of cluster %s", node, them.GetCluster(), us.Node, us.Cluster)
	case ok && known.Store != store:
		return fmt.Sprintf("node %q is known with store %s, it comes with store %s: run `pointsman nodes replace %s`", node, known.Store, store, node)
	case !them.GetFresh() && !n.freshAs(us) && eraOf(them.GetEra()) != us.Era:
		n.outdated(eraOf(them.GetEra()))
		return fmt.Sprintf("node %q has data of %s, node %q of %s: stop the one of before and empty its data directory", node, eraOf(them.GetEra()), us.Node, us.Era)
	case kind == carriesRaft && them.GetFresh() && n.begun():
		return fmt.Sprintf("node %q comes with a new store, and the log has begun: it is let in when the leader has recorded it", node)
	case kind == carriesRaft && them.GetBegun() && n.fresh():
		return fmt.Sprintf("node %q has a new store, and the log of node %q has begun: it waits until the leader has recorded it", us.Node, node)
	}
	return ""
}

func (n *Node) hello() *journalv1.Hello {
	id := n.identity()
	return &journalv1.Hello{
		Version: helloVersion, Node: string(id.Node), Cluster: string(id.Cluster), Store: string(id.Store), Fresh: n.freshAs(id), Begun: n.begun(),
		Era: id.Era.message(),
	}
}
