package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
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
	proc   *process
	conn   *grpc.ClientConn
	paused atomic.Bool // by Pause, until Resume or Kill
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
	command := []string{o.Pointsman, "server", "--config", file}
	if len(o.Sites) > 0 {
		command = slices.Concat(o.Sites[i].Exec, command)
	}
	return &Node{place: at, conn: conn, proc: &process{
		name: "coordinator " + at.id, path: command[0], args: command[1:],
		env: o.Env, log: filepath.Join(dir, at.id+".log"),
	}}, nil
}

// ID is the node's name.
func (n *Node) ID() string { return n.id }

// PID is 0 while the node is dead.
func (n *Node) PID() int { return n.proc.pid() }

// Kill ends the node with SIGKILL and returns when the kernel has let it go.
func (n *Node) Kill() error {
	err := n.proc.kill()
	n.paused.Store(false)
	return err
}

// Stop asks the node to end, as a service manager does, and returns when it has.
// The error says that it did not within a bound; then it still runs.
func (n *Node) Stop() error {
	if err := n.proc.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-n.proc.done():
		return nil
	case <-time.After(waitProgram):
		return fmt.Errorf("stop %s: not within %s", n.proc.name, waitProgram)
	}
}

// Pause stops the node with SIGSTOP: its connections stay open and silent.
// Until Resume the lab asks the others.
func (n *Node) Pause() error {
	err := n.proc.signal(syscall.SIGSTOP)
	if err == nil {
		n.paused.Store(true)
	}
	return err
}

// Resume continues a paused node.
func (n *Node) Resume() error {
	err := n.proc.signal(syscall.SIGCONT)
	n.paused.Store(false)
	return err
}

// Paused says that the node was paused and not resumed.
func (n *Node) Paused() bool { return n.paused.Load() }

// Zone is where the node says it stands.
func (n *Node) Zone() string { return n.zone }

// DataDir is the folder of the node's store.
func (n *Node) DataDir() string { return n.dir }

// Config is the path of the node's file.
func (n *Node) Config() string { return n.dir + ".yaml" }

// HTTP is the address of the node's health and metrics.
func (n *Node) HTTP() string { return n.http }

// GRPC is the address of the node's API.
func (n *Node) GRPC() string { return n.grpc }

// Conn is the connection on which the lab asks this node alone.
func (n *Node) Conn() *grpc.ClientConn { return n.conn }

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
