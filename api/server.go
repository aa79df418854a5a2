package api

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Server answers for one node. All methods may be called concurrently.
type Server struct {
	cfg       Config
	limits    Limits
	log       *slog.Logger
	health    *health.Server
	validator protovalidate.Validator
	peers     *peers
	metrics   *metrics
	gateway   *jsonGateway
	registry  *prometheus.Registry
	specs     specCache
	kept      keptStates

	streams    atomic.Int64 // watches under way
	keepAlives atomic.Int64 // streams of workers

	mu      sync.Mutex
	closed  bool           // under mu
	senders sync.WaitGroup // goroutines of watches; added to under mu, while not closed
	done    chan struct{}  // closed by Close
}

// New makes a server. It starts nothing and listens nowhere. The error is
// about the config, or a metric that the registry holds already.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("make validator: %w", err)
	}
	if cfg.Dial == nil {
		cfg.Dial = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	if cfg.Registry == nil {
		cfg.Registry = prometheus.NewRegistry()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Server{
		cfg: cfg, limits: cfg.Limits.withDefaults(), log: cfg.Logger, registry: cfg.Registry,
		health: health.NewServer(), validator: validator, peers: newPeers(cfg.Dial), done: make(chan struct{}),
	}
	if s.metrics, err = newMetrics(s); err != nil {
		return nil, err
	}
	s.gateway = newGateway(s)
	s.SetLeading(false)
	return s, nil
}

// SetLeading says on the health service "leader" whether this node leads.
// Leader-aware clients follow it, so it is called at both ends of a term.
func (s *Server) SetLeading(leading bool) {
	serving := healthpb.HealthCheckResponse_NOT_SERVING
	if leading {
		serving = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus(client.HealthLeader, serving)
}

// Register adds the services of the contract and the health service. The
// interceptors of NewGRPCServer are part of what they promise.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	pointsmanv1.RegisterMasterServiceServer(r, masterService{Server: s})
	pointsmanv1.RegisterFailoverServiceServer(r, failoverService{Server: s})
	pointsmanv1.RegisterActionServiceServer(r, actionService{Server: s})
	pointsmanv1.RegisterSettingServiceServer(r, settingService{Server: s})
	pointsmanv1.RegisterSpecServiceServer(r, specService{Server: s})
	pointsmanv1.RegisterClusterServiceServer(r, clusterService{Server: s})
	pointsmanv1.RegisterLeaseServiceServer(r, leaseService{Server: s})
	healthpb.RegisterHealthServer(r, s.health)
}

// Bounds of the gRPC transport. A spec with its source text is the largest
// request; a page of failovers with their history the largest answer.
const (
	MaxRequestBytes   = 4 << 20
	MaxResponseBytes  = 32 << 20
	maxHeaderBytes    = 16 << 10
	maxStreamsPerConn = 128
	connectTimeout    = 10 * time.Second
	pingEvery         = 30 * time.Second // when a connection is silent
	pingTimeout       = 10 * time.Second
	pingLeast         = 20 * time.Second // a client that pings more often is cut off
	connIdle          = 5 * time.Minute
	connAge           = 30 * time.Minute // so that clients spread again, and certificates are looked at again
	connGrace         = time.Minute
)

// NewGRPCServer makes a gRPC server with bounds and interceptors, and with all
// services, health and reflection registered. Options come on top, such as
// transport credentials.
func (s *Server) NewGRPCServer(options ...grpc.ServerOption) *grpc.Server {
	all := append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxRequestBytes),
		grpc.MaxSendMsgSize(MaxResponseBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreamsPerConn),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingLeast}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: connIdle, MaxConnectionAge: connAge, MaxConnectionAgeGrace: connGrace,
			Time: pingEvery, Timeout: pingTimeout,
		}),
		grpc.ChainUnaryInterceptor(s.unary()...),
		grpc.ChainStreamInterceptor(s.stream()...),
	}, options...)
	g := grpc.NewServer(all...)
	s.Register(g)
	reflection.Register(g)
	return g
}

// Close ends all watches, says on the health service that nothing is served,
// and lets go of the connections to other nodes. It returns once no goroutine
// of this server is left; the gRPC server is the caller's to stop.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.health.Shutdown()
		close(s.done)
		s.peers.close()
	}
	s.mu.Unlock()
	s.gateway.close()
	s.senders.Wait()
}

// start runs a goroutine that Close waits for; false once closed.
func (s *Server) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.senders.Go(f)
	return true
}
