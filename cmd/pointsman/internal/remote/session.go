package remote

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Options say whom to ask, and how.
type Options struct {
	Endpoints []string              // host:port of any nodes
	Timeout   time.Duration         // for one call
	Level     pointsmanv1.ReadLevel // for reads
	Actor     string                // who asks, for the log
}

// Session is the connection of one command. Close it. It is not safe for
// concurrent use, but what Conn and Node give is.
type Session struct {
	opts  Options
	any   *client.Client
	via   grpc.ClientConnInterface // what Conn gives
	nodes map[string]*client.Client
	stale bool // nobody confirmed an answer: one node is asked for what it knows
}

// Open makes a session. It sends nothing. The error names an endpoint that is
// none.
func Open(o Options) (*Session, error) {
	anyone, err := client.DialAny(o.Endpoints)
	if err != nil {
		return nil, err
	}
	return &Session{opts: o, any: anyone, via: anyone.Conn(), nodes: map[string]*client.Client{}}, nil
}

// Close ends all connections.
func (s *Session) Close() {
	_ = s.any.Close()
	for _, c := range s.nodes {
		_ = c.Close()
	}
}

// Conn asks any node that answers: each forwards what only the leader can do.
func (s *Session) Conn() grpc.ClientConnInterface { return s.via }

// Node asks the node at one address and no other.
func (s *Session) Node(address string) (grpc.ClientConnInterface, error) {
	if c, ok := s.nodes[address]; ok {
		return c.Conn(), nil
	}
	c, err := client.DialNode(address)
	if err != nil {
		return nil, err
	}
	s.nodes[address] = c
	return c.Conn(), nil
}

// Endpoints are the addresses that the session was opened with.
func (s *Session) Endpoints() []string { return s.opts.Endpoints }

// Call bounds one call and names who asks.
func (s *Session) Call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.Stream(ctx), s.opts.Timeout)
}

// Stream names who asks; a watch has no bound.
func (s *Session) Stream(ctx context.Context) context.Context {
	return client.AsActor(ctx, s.opts.Actor)
}

// Read is how fresh an answer has to be.
func (s *Session) Read() *pointsmanv1.ReadOptions {
	return &pointsmanv1.ReadOptions{Level: s.opts.Level}
}
