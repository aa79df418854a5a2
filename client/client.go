package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // follows the health service that the service config names
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// EndpointsEnv names the environment variable that lists endpoints, separated
// by commas.
const EndpointsEnv = "POINTSMAN_ENDPOINTS"

// DefaultEndpoint is where a node on this machine listens by default.
const DefaultEndpoint = "127.0.0.1:7801"

// maxAnswer bounds an answer, in bytes; a server's own bound is not larger.
const maxAnswer = 32 << 20

// A node that vanished without a word is noticed after both. A server cuts off
// clients that ping more often than every 20 s.
const (
	pingEvery   = 25 * time.Second
	pingTimeout = 5 * time.Second
)

// CallTime is the deadline of a unary call that the caller gave none. A call
// waits for a leader that long.
const CallTime = 15 * time.Second

// verifyTime is the same for VerifyNode, which reads a whole log.
const verifyTime = 10 * time.Minute

// Client is a connection to a cluster. It may be used concurrently; Close ends
// it and the calls under way.
type Client struct {
	conn *grpc.ClientConn
}

// Dial connects to the leader among the endpoints, host:port each. It returns
// at once; calls wait for a leader until their deadline, and CallTime without
// one. Watches have no deadline of their own.
func Dial(endpoints []string, options ...grpc.DialOption) (*Client, error) {
	return dial(endpoints, serviceConfig(HealthLeader), options)
}

// DialAny connects to any of the endpoints that answers. Use it for reads at
// level STALE, and wherever no leader may be there; the node forwards what only
// the leader can do.
func DialAny(endpoints []string, options ...grpc.DialOption) (*Client, error) {
	return dial(endpoints, serviceConfig(""), options)
}

// DialNode connects to one node, for what is local to it.
func DialNode(endpoint string, options ...grpc.DialOption) (*Client, error) {
	return dial([]string{endpoint}, serviceConfig(""), options)
}

func dial(endpoints []string, config string, options []grpc.DialOption) (*Client, error) {
	if len(endpoints) == 0 {
		return nil, ErrNoEndpoints
	}
	var addresses []resolver.Address
	for _, e := range endpoints {
		host, port, err := net.SplitHostPort(e)
		if err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("%q: %w", e, ErrEndpoint)
		}
		addresses = append(addresses, resolver.Address{Addr: e, ServerName: host})
	}
	// Names are resolved at each dial, by the dialler.
	names := manual.NewBuilderWithScheme("pointsman")
	names.InitialState(resolver.State{Addresses: addresses})
	all := append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithResolvers(names),
		grpc.WithDefaultServiceConfig(config),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.WithChainUnaryInterceptor(identify),
	}, options...)
	conn, err := grpc.NewClient("pointsman:///cluster", all...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", strings.Join(endpoints, ","), err)
	}
	return &Client{conn: conn}, nil
}

// Endpoints is where the cluster is, for a program that was told the given
// list: that, else POINTSMAN_ENDPOINTS, else the node on this machine.
func Endpoints(given []string) []string {
	split := func(r rune) bool { return r == ',' || r == ' ' }
	for _, list := range []string{strings.Join(given, ","), os.Getenv(EndpointsEnv)} {
		if found := strings.FieldsFunc(list, split); len(found) > 0 {
			return slices.Compact(found)
		}
	}
	return []string{DefaultEndpoint}
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Conn is the connection itself, for services that are not listed here.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// Masters calls MasterService.
func (c *Client) Masters() pointsmanv1.MasterServiceClient {
	return pointsmanv1.NewMasterServiceClient(c.conn)
}

// Failovers calls FailoverService.
func (c *Client) Failovers() pointsmanv1.FailoverServiceClient {
	return pointsmanv1.NewFailoverServiceClient(c.conn)
}

// Actions calls ActionService.
func (c *Client) Actions() pointsmanv1.ActionServiceClient {
	return pointsmanv1.NewActionServiceClient(c.conn)
}

// Settings calls SettingService.
func (c *Client) Settings() pointsmanv1.SettingServiceClient {
	return pointsmanv1.NewSettingServiceClient(c.conn)
}

// Specs calls SpecService.
func (c *Client) Specs() pointsmanv1.SpecServiceClient {
	return pointsmanv1.NewSpecServiceClient(c.conn)
}

// Cluster calls ClusterService.
func (c *Client) Cluster() pointsmanv1.ClusterServiceClient {
	return pointsmanv1.NewClusterServiceClient(c.conn)
}

// identify gives a mutation its request_id when the caller gave none, so that
// gRPC's own repeats are one call to the cluster. It works on a copy: the
// caller's message is the caller's.
func identify(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if msg, ok := req.(proto.Message); ok {
		field := msg.ProtoReflect().Descriptor().Fields().ByName("request_id")
		if field != nil && field.Kind() == protoreflect.StringKind && msg.ProtoReflect().Get(field).String() == "" {
			named := proto.Clone(msg)
			named.ProtoReflect().Set(field, protoreflect.ValueOfString(rand.Text()))
			req = named
		}
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}
