package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
)

// SetHandover sets what runs before leadership is handed over on purpose: stop
// claiming, finish or release what is under way, return. Its context ends when
// the attempt is over; if the term still lasts then, the hand-over did not
// happen and work goes on. An error or the end of the context stops the
// hand-over, except in Close.
func (n *Node) SetHandover(f func(ctx context.Context) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handover = f
}

// SetSuccessors sets whom to ask first when nobody is named to lead next, the
// fittest first. Other voters are asked after them.
func (n *Node) SetSuccessors(f func() []fsm.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.successors = f
}

// Transfer hands leadership to a node, or for an empty id to the first that is
// fit: it answers and is above its disk floor. It returns once this node no
// longer leads: nil; ErrTermOver when it did not lead; ErrNoTarget when nobody
// is fit, and then it goes on leading. Give ctx a deadline.
func (n *Node) Transfer(ctx context.Context, to fsm.NodeID) error {
	select {
	case n.moving <- struct{}{}:
		defer func() { <-n.moving }()
	case <-ctx.Done():
		return fmt.Errorf("another hand-over is under way: %w", context.Cause(ctx))
	}
	t, _ := n.currentTenure()
	if !t.open() {
		return ErrTermOver
	}
	target, err := n.fit(ctx, to)
	if err != nil {
		return err
	}
	attempt, over := context.WithCancel(ctx)
	defer over()
	n.mu.Lock()
	handover := n.handover
	n.mu.Unlock()
	if handover != nil {
		if err := handover(attempt); err != nil {
			return fmt.Errorf("hand over to %s: %w", target, err)
		}
	}
	f := n.raft.LeadershipTransferToServer(raft.ServerID(target), raft.ServerAddress(n.cfg.address(target)))
	switch err := n.await(ctx, f); {
	case err != nil && ctx.Err() == nil && t.open(): // raft's own limit ran out: this node leads on
		return fmt.Errorf("%w: %s did not take over: %w", ErrNoTarget, target, err)
	case err != nil:
		return fmt.Errorf("hand over to %s: %w", target, err)
	}
	select {
	case <-t.ctx.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("hand over to %s: %w", target, context.Cause(ctx))
	}
}

// fit finds who may lead instead.
func (n *Node) fit(ctx context.Context, to fsm.NodeID) (fsm.NodeID, error) {
	if to == n.cfg.NodeID || to != "" && n.cfg.address(to) == "" {
		return "", fmt.Errorf("%w: %q", ErrNoTarget, to)
	}
	why := "no other voter"
	for _, v := range n.heirs() {
		if v == n.cfg.NodeID || to != "" && v != to {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, peekDeadline)
		peek, _, err := n.peek(ask, v)
		cancel()
		switch {
		case err != nil:
			why = err.Error()
		case peek.GetDegraded():
			why = fmt.Sprintf("node %s is below its disk floor", v)
		default:
			return v, nil
		}
	}
	return "", fmt.Errorf("%w: %s", ErrNoTarget, why)
}

// heirs are the voters in the order in which they are asked.
func (n *Node) heirs() (ids []fsm.NodeID) {
	n.mu.Lock()
	order := n.successors
	n.mu.Unlock()
	voters := n.voters()
	if order != nil {
		for _, id := range order() {
			if slices.Contains(voters, id) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	for _, id := range voters {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
