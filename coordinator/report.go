package coordinator

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const (
	reportEvery   = time.Second            // also when nothing changed: reports must stay fresh
	reportAtMost  = 20 * time.Millisecond  // between two reports
	reportTimeout = 500 * time.Millisecond // of one
)

// report tells the leader what this node's Sentinels say, ROLE answers
// included, so that a leader that is cut from them still learns of a switch.
func (c *Coordinator) report(ctx context.Context) error {
	var conn *grpc.ClientConn
	var to string
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	for sequence := uint64(1); ; sequence++ {
		c.sights.mu.Lock()
		stir := c.sights.stir
		c.sights.mu.Unlock()
		if leader := c.leaderAddress(); leader != "" {
			if leader != to {
				if conn != nil {
					_ = conn.Close()
				}
				var err error
				if conn, err = grpc.NewClient(leader, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
					return err
				}
				to = leader
			}
			c.tell(ctx, conn, sequence)
		}
		if !sleep(ctx, reportAtMost, nil) || !sleep(ctx, reportEvery, stir) {
			return nil
		}
	}
}

// leaderAddress is the leader's API address by its member record; empty when
// this node leads or knows no leader.
func (c *Coordinator) leaderAddress() string {
	status := c.node.Status()
	if status.Leader == "" || status.Leader == status.Node {
		return ""
	}
	m, _ := c.node.State().Member(status.Leader)
	return m.GRPC
}

func (c *Coordinator) tell(ctx context.Context, conn *grpc.ClientConn, sequence uint64) {
	me := c.node.Status()
	req := &pointsmanv1.ReportViewRequest{
		NodeId: string(me.Node), RunId: c.boot, Sequence: sequence, SpecRevision: uint64(c.node.State().Spec().Revision),
	}
	now := time.Now()
	c.sights.mu.Lock()
	for _, one := range c.sights.sights {
		req.Masters = append(req.Masters, viewOut(string(me.Node), one.view, now))
	}
	c.sights.mu.Unlock()
	req.Health = &pointsmanv1.NodeHealth{
		AppliedIndex: c.node.State().Index(), BelowDiskFloor: me.DiskDegraded,
		Targets: c.prober.messages(), Handover: c.peers.last().message(now), Probes: c.paths.own(),
	}
	ctx, cancel := context.WithTimeout(client.AsPeer(ctx), reportTimeout)
	defer cancel()
	said, err := pointsmanv1.NewMasterServiceClient(conn).ReportView(ctx, req)
	if err != nil {
		c.Logger.Debug("report to the leader", "leader", conn.Target(), "error", err)
		return
	}
	for _, id := range said.GetUrgent() {
		c.sights.nudge(fsm.MasterID(id))
	}
	c.prober.hurry(said.GetProbe())
	c.peers.hearFromLeader(said.GetHandover())
	c.paths.hear(said.GetProbes())
	c.sights.findings.hear(said.GetAlerts())
}

func (s *sights) nudge(id fsm.MasterID) {
	s.watcher.Nudge(string(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	if one, ok := s.sights[id]; ok {
		one.again()
	}
}

// sleep waits for a span or an earlier nudge; false when ctx ended.
func sleep(ctx context.Context, d time.Duration, nudge <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-nudge:
	case <-timer.C:
	}
	return true
}
