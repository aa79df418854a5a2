package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// Nodes are the three coordinators of a lab. All methods may be called
// concurrently; two that start or stop the same node race for it.
type Nodes struct {
	opt     Options
	dir     string
	spawner *spawner
	ports   *redis.Ports
	all     []*Node
	close   sync.Once
	err     error // of Close
}

// quickBackoff makes the lab's connections return soon after a restart.
func quickBackoff() backoff.Config {
	return backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.3, Jitter: 0.1, MaxDelay: 200 * time.Millisecond}
}

// StartNodes starts three coordinators with empty stores in a folder that
// exists, and returns when they agree on a leader. Close ends them.
func StartNodes(ctx context.Context, o Options, dir string) (*Nodes, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Nodes{opt: o, dir: dir, spawner: newSpawner()}
	if err := n.boot(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Nodes) boot(ctx context.Context) error {
	sample, err := sampleNode()
	if err != nil {
		return err
	}
	if n.ports, err = redis.ReservePorts(3 * len(sample.Peers)); err != nil {
		return err
	}
	places := make([]place, len(sample.Peers))
	if k := len(n.opt.Sites); k != 0 && k != len(places) {
		return fmt.Errorf("%d sites for %d coordinators", k, len(places))
	}
	for i, p := range sample.Peers {
		host := "127.0.0.1"
		if len(n.opt.Sites) > 0 {
			host = n.opt.Sites[i].Host
		}
		port := func(k int) string { return net.JoinHostPort(host, strconv.Itoa(n.ports.Numbers[3*i+k])) }
		places[i] = place{id: p.ID, zone: p.Zone, raft: port(0), grpc: port(1), http: port(2), dir: filepath.Join(n.dir, p.ID)}
	}
	for i := range places {
		node, err := newNode(n.opt, n.dir, i, places)
		if err != nil {
			return err
		}
		n.all = append(n.all, node)
	}
	for _, node := range n.all {
		if err := node.proc.start(n.spawner); err != nil {
			return err
		}
	}
	_, err = n.WaitLeader(ctx)
	return err
}

// Close kills the coordinators and removes their files. It may be called again.
func (n *Nodes) Close() error {
	n.close.Do(func() {
		for _, node := range n.all {
			if err := node.Kill(); err != nil && !errors.Is(err, ErrNotRunning) {
				n.err = errors.Join(n.err, err)
			}
			n.err = errors.Join(n.err, node.conn.Close(), os.RemoveAll(node.dir))
			for _, suffix := range []string{".yaml", ".log"} {
				n.err = errors.Join(n.err, gone(os.Remove(filepath.Join(n.dir, node.id+suffix))))
			}
		}
		n.spawner.stop()
		if n.ports != nil {
			n.ports.Release()
		}
	})
	return n.err
}

func gone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// List is the nodes in the order of their peer list.
func (n *Nodes) List() []*Node { return n.all }

// Endpoints is the API addresses, as POINTSMAN_ENDPOINTS takes them.
func (n *Nodes) Endpoints() string {
	var list []string
	for _, node := range n.all {
		list = append(list, node.grpc)
	}
	return strings.Join(list, ",")
}

// Restart starts a dead node with the files it had.
func (n *Nodes) Restart(node *Node) error { return node.proc.start(n.spawner) }

// Leader is the node that leads: of those that say so, the one of the highest
// term.
func (n *Nodes) Leader(ctx context.Context) (*Node, error) {
	var leader *Node
	var term uint64
	var errs []error
	for _, node := range n.all {
		if node.PID() == 0 || node.Paused() {
			continue
		}
		_, self, err := node.stale(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if self.Role == pointsmanv1.NodeRole_NODE_ROLE_LEADER && self.Term >= term {
			leader, term = node, self.Term
		}
	}
	if leader == nil {
		return nil, errors.Join(append(errs, errors.New("no node says that it leads"))...)
	}
	return leader, nil
}

// Transfer makes a node the leader and returns when it says that it leads.
func (n *Nodes) Transfer(ctx context.Context, to *Node) error {
	return Until(ctx, waitProgram, "leadership of "+to.id, func(ctx context.Context) error {
		if now, err := n.Leader(ctx); err == nil && now == to {
			return nil
		}
		err := n.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
			_, err := pointsmanv1.NewClusterServiceClient(c).TransferLeadership(ctx, &pointsmanv1.TransferLeadershipRequest{To: to.id})
			return err
		})
		if err != nil {
			return err
		}
		return fmt.Errorf("%s does not lead yet", to.id)
	})
}

// WaitLeader waits until all nodes run and name the same leader as a voter among
// voters, and returns it.
func (n *Nodes) WaitLeader(ctx context.Context) (leader *Node, err error) {
	err = Until(ctx, waitProgram, "three voters with one leader", func(ctx context.Context) error {
		leader, err = n.agreed(ctx)
		return err
	})
	return leader, err
}

// WaitCaughtUp waits until every node has applied what any of them had applied
// when it began. A node that was away may need 10.24 s for that: raft waits so
// long before it sends to it again (replication.go, failureWait doubled ten
// times), though its heartbeats go on, and it answers no linearizable read.
func (n *Nodes) WaitCaughtUp(ctx context.Context) error {
	applied := func(ctx context.Context) (least, most uint64, err error) {
		for i, node := range n.all {
			_, self, err := node.stale(ctx)
			if err != nil {
				return 0, 0, err
			}
			if most = max(most, self.AppliedIndex); i == 0 || self.AppliedIndex < least {
				least = self.AppliedIndex
			}
		}
		return least, most, nil
	}
	_, goal, err := applied(ctx)
	if err != nil {
		return err
	}
	return Until(ctx, waitReady, "every node at one index", func(ctx context.Context) error {
		least, _, err := applied(ctx)
		if err == nil && least < goal {
			err = fmt.Errorf("a node is at index %d, others at %d", least, goal)
		}
		return err
	})
}

func (n *Nodes) agreed(ctx context.Context) (*Node, error) {
	names := map[string]int{}
	for _, node := range n.all {
		if node.PID() == 0 {
			return nil, hopeless{fmt.Errorf("%s ended; its log ends:\n%s", node.proc.name, node.Log())}
		}
		c, self, err := node.stale(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w; its log ends:\n%s", err, node.Log())
		}
		if !self.Voter || c.LeaderId == "" || !c.Quorum {
			return nil, fmt.Errorf("%s: voter %t, leader %q, quorum %t", node.id, self.Voter, c.LeaderId, c.Quorum)
		}
		names[c.LeaderId]++
	}
	for _, node := range n.all {
		if names[node.id] == len(n.all) {
			return node, nil
		}
	}
	return nil, fmt.Errorf("leaders named: %v", names)
}

// Ask calls f with one running node after another until one answers. Paused ones
// are left out.
func (n *Nodes) Ask(ctx context.Context, f func(context.Context, grpc.ClientConnInterface) error) error {
	errs := []error{errors.New("no node runs")}
	for _, node := range n.all {
		if node.PID() == 0 || node.Paused() {
			continue
		}
		call, cancel := context.WithTimeout(ctx, waitAnswer)
		err := f(call, node.conn)
		cancel()
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("ask %s: %w", node.id, err))
	}
	return errors.Join(errs...)
}
