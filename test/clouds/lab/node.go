package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Node is one coordinator: a process that may be dead, its files and the
// connection on which the lab asks it. All methods may be called concurrently.
type Node struct {
	place
	proc *process
	conn *grpc.ClientConn
}

func newNode(o Options, dir string, i int, places []place) (*Node, error) {
	at := places[i]
	text, err := renderNode(i, places)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, at.id+".yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+at.grpc,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: quickBackoff(), MinConnectTimeout: time.Second}))
	if err != nil {
		return nil, err
	}
	return &Node{place: at, conn: conn, proc: &process{
		name: "coordinator " + at.id, path: o.Pointsman, args: []string{"server", "--config", file},
		env: o.Env, log: filepath.Join(dir, at.id+".log"),
	}}, nil
}

// ID is the node's name.
func (n *Node) ID() string { return n.id }

// PID is 0 while the node is dead.
func (n *Node) PID() int { return n.proc.pid() }

// Kill ends the node with SIGKILL and returns when the kernel has let it go.
func (n *Node) Kill() error { return n.proc.kill() }

// Pause stops the node with SIGSTOP: its connections stay open and silent.
func (n *Node) Pause() error { return n.proc.signal(syscall.SIGSTOP) }

// Resume continues a paused node.
func (n *Node) Resume() error { return n.proc.signal(syscall.SIGCONT) }

// Log is the end of what the node has said.
func (n *Node) Log() string { return n.proc.tail() }

// stale asks the node for its own picture, quorum or not.
func (n *Node) stale(ctx context.Context) (*pointsmanv1.Cluster, *pointsmanv1.Node, error) {
	if n.PID() == 0 {
		return nil, nil, fmt.Errorf("%s does not run; its log ends:\n%s", n.proc.name, n.Log())
	}
	ctx, cancel := context.WithTimeout(ctx, waitAnswer)
	defer cancel()
	answer, err := pointsmanv1.NewClusterServiceClient(n.conn).GetCluster(ctx, &pointsmanv1.GetClusterRequest{
		Read: &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_STALE},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("ask %s: %w", n.proc.name, err)
	}
	c := answer.GetCluster()
	if len(c.GetNodes()) == 0 || c.Nodes[0].Id != n.id {
		return nil, nil, fmt.Errorf("%s does not name itself first", n.proc.name)
	}
	return c, c.Nodes[0], nil
}
