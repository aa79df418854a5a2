package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/pointsman/pointsman/api/gateway"
	gatewayv1 "github.com/pointsman/pointsman/api/gateway/pointsman/v1"
	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// prefix is where the JSON of the contract stands.
const prefix = "/v1/"

// actorHeader says who asks, for the log, as client.ActorKey does over gRPC.
const actorHeader = "Pointsman-Actor"

// jsonGateway serves the contract as JSON under /v1:
//
//	request ─▶ origin, body ─▶ generated route ─▶ call over an in-process connection ─▶ interceptors, services
//	                              │ :watch: a stream of lines or events
//	                              │ else: one answer with an ETag; ?wait= asks again until it differs
//
// The connection is gRPC's own, so that a call over HTTP meets the same
// validation, deadlines, metrics, forwarding and errors as one over gRPC. It is
// made at the first request.
type jsonGateway struct {
	s      *Server
	origin *http.CrossOriginProtection

	waiting atomic.Int64 // streams and long polls under way

	mu   sync.Mutex
	mux  *runtime.ServeMux // nil until opened; these three under mu
	conn *grpc.ClientConn
	grpc *grpc.Server
}

func newGateway(s *Server) *jsonGateway {
	return &jsonGateway{s: s, origin: http.NewCrossOriginProtection()}
}

// Bounds of the in-process connection. A reader that stops holds at most one
// window of answers; the watch behind it then ends it.
const (
	portBytes    = 64 << 10
	windowBytes  = 128 << 10
	gatewayGrace = time.Second // for calls under way when the server closes
)

// open makes the connection and the routes, once.
func (g *jsonGateway) open() (*runtime.ServeMux, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mux != nil {
		return g.mux, nil
	}
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(MaxRequestBytes), grpc.MaxSendMsgSize(MaxResponseBytes),
		grpc.ChainUnaryInterceptor(g.s.unary()...), grpc.ChainStreamInterceptor(g.s.stream()...),
	)
	g.s.Register(server)
	port := bufconn.Listen(portBytes)
	if !g.s.start(func() { _ = server.Serve(port) }) {
		return nil, g.s.closing()
	}
	conn, err := inProcess(port)
	if err != nil {
		server.Stop()
		return nil, err
	}
	mux, err := g.routes(conn)
	if err != nil {
		server.Stop()
		_ = conn.Close()
		return nil, err
	}
	g.mux, g.conn, g.grpc = mux, conn, server
	return mux, nil
}

// close lets calls finish for a moment, then ends what open made.
func (g *jsonGateway) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mux == nil {
		return
	}
	cut := time.AfterFunc(gatewayGrace, g.grpc.Stop)
	g.grpc.GracefulStop()
	cut.Stop()
	_ = g.conn.Close()
}

// routes registers every service, and what is not a service.
func (g *jsonGateway) routes(conn *grpc.ClientConn) (*runtime.ServeMux, error) {
	mux := runtime.NewServeMux(
		runtime.WithMiddlewares(g.matched),
		runtime.WithErrorHandler(g.failed),
		runtime.WithRoutingErrorHandler(g.lost),
		runtime.WithStreamErrorHandler(func(_ context.Context, err error) *status.Status { return g.statusOf(err) }),
		runtime.WithForwardResponseOption(g.describe),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, codec{}),
		runtime.WithMarshalerOption(mimePlain, plainCodec{}),
		runtime.WithMarshalerOption(mimeLines, codec{}),
		runtime.WithMarshalerOption(mimeEvents, codec{events: true}),
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithMetadata(actorOf),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisableChunkedEncoding(), // net/http chunks by itself
	)
	if err := mux.HandlePath(http.MethodGet, prefix+"openapi.json", serveOpenAPI); err != nil {
		return nil, err
	}
	checked := checkedConn{conn}
	for _, register := range []func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error{
		registerer(gatewayv1.RegisterMasterServiceHandlerClient, pointsmanv1.NewMasterServiceClient),
		registerer(gatewayv1.RegisterFailoverServiceHandlerClient, pointsmanv1.NewFailoverServiceClient),
		registerer(gatewayv1.RegisterActionServiceHandlerClient, pointsmanv1.NewActionServiceClient),
		registerer(gatewayv1.RegisterSettingServiceHandlerClient, pointsmanv1.NewSettingServiceClient),
		registerer(gatewayv1.RegisterSpecServiceHandlerClient, pointsmanv1.NewSpecServiceClient),
		registerer(gatewayv1.RegisterClusterServiceHandlerClient, pointsmanv1.NewClusterServiceClient),
		registerer(gatewayv1.RegisterLeaseServiceHandlerClient, pointsmanv1.NewLeaseServiceClient),
	} {
		if err := register(context.Background(), mux, checked); err != nil {
			return nil, err
		}
	}
	return mux, nil
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request, _ map[string]string) {
	w.Header().Set("Content-Type", mimeJSON)
	w.Header().Set("ETag", hashTag([]byte(gateway.OpenAPI())))
	_, _ = w.Write([]byte(gateway.OpenAPI()))
}

// actorOf carries who asks; roles and hops are not for HTTP callers to claim.
func actorOf(_ context.Context, r *http.Request) metadata.MD {
	if name := r.Header.Get(actorHeader); name != "" {
		return metadata.Pairs(client.ActorKey, name)
	}
	return nil
}

// call is one HTTP request on its way through the gateway. It belongs to the
// request's goroutine.
type call struct {
	method               string // GET for HEAD too
	head                 bool
	body                 []byte
	problem              error             // of the body
	route                string            // the path's template, once matched
	params               map[string]string // of the path
	query                url.Values        // as the route sees it
	accept               string
	ifMatch, ifNoneMatch string
	watching             bool
	settings             bool // reads settings
	plain                bool // the one setting as plain text
	probe                bool // asks only whether there is a route
	found                bool // what the probe found
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// ServeHTTP implements http.Handler.
func (g *jsonGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{
		method: r.Method, head: r.Method == http.MethodHead, query: r.URL.Query(), accept: r.Header.Get("Accept"),
		ifMatch: r.Header.Get("If-Match"), ifNoneMatch: strings.Join(r.Header.Values("If-None-Match"), ","),
	}
	c.readsSettings(r)
	counted := &countedWriter{ResponseWriter: w}
	defer func() { g.s.metrics.httpDone(c, counted) }()
	if c.head {
		c.method = http.MethodGet
	}
	mux, err := g.open()
	if err == nil {
		err = g.admit(w, r, c)
	}
	if err == nil {
		err = shortLevel(c.query)
	}
	if err != nil {
		g.fail(counted, r, c, err)
		return
	}
	// A long wait is not the caller's slowness: what is left of the read time
	// must not end it. Each write has a deadline of its own.
	_ = http.NewResponseController(counted).SetReadDeadline(time.Time{})
	mux.ServeHTTP(counted, c.request(r))
}

// request is r as the route is to see it: with the query that is left, and the
// body read.
func (c *call) request(r *http.Request) *http.Request {
	out := r.Clone(context.WithValue(r.Context(), callKey{}, c))
	out.Method = c.method
	out.URL.RawQuery = c.query.Encode()
	for _, name := range []string{"Te", "Grpc-Timeout", "Accept", "Content-Type", "If-Match", "If-None-Match"} {
		out.Header.Del(name)
	}
	if c.plain {
		out.Header.Set("Accept", mimePlain)
		out.URL.Path, out.URL.RawPath = strings.TrimSuffix(out.URL.Path, rawVerb), strings.TrimSuffix(out.URL.RawPath, rawVerb)
	}
	out.Body = &jsonBody{raw: c.body, call: c}
	return out
}

// matched is called for each request that has a route.
func (g *jsonGateway) matched(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		c := callOf(r.Context())
		pattern, _ := runtime.HTTPPattern(r.Context())
		c.watching = pattern.Verb() == "watch"
		if c.probe {
			c.found = true
			return
		}
		c.route, c.params = pattern.String(), params
		switch {
		case c.watching && c.head:
			g.lost(r.Context(), nil, nil, w, r, http.StatusMethodNotAllowed)
		case c.watching:
			g.stream(w, r, func(w http.ResponseWriter, r *http.Request) { next(w, r, params) })
		default:
			g.unary(w, r, func(w http.ResponseWriter, r *http.Request) { next(w, r, params) })
		}
	}
}

// lost answers a request that has no route: no such path, or not by this
// method.
func (g *jsonGateway) lost(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	c := callOf(r.Context())
	if c.probe {
		return
	}
	if code != http.StatusMethodNotAllowed {
		g.fail(w, r, c, notFound("path", r.URL.Path))
		return
	}
	allowed := g.allowed(r)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	shown := c.method
	if c.head {
		shown = http.MethodHead
	}
	g.fail(w, r, c, &fault{
		code: codes.Unimplemented, reason: ReasonMethod,
		message: shown + " is not for " + r.URL.Path + "; it takes " + strings.Join(allowed, ", "),
		facts:   map[string]string{"allow": strings.Join(allowed, ",")},
	})
}

// allowed asks the routes themselves which methods a path takes.
func (g *jsonGateway) allowed(r *http.Request) (methods []string) {
	mux, err := g.open()
	if err != nil {
		return nil
	}
	for _, m := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete} {
		probe := &call{method: m, probe: true}
		q := r.Clone(context.WithValue(r.Context(), callKey{}, probe))
		q.Method = m
		mux.ServeHTTP(&reply{header: http.Header{}}, q)
		if !probe.found {
			continue
		}
		methods = append(methods, m)
		if m == http.MethodGet && !probe.watching {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return methods
}

// hold takes one of the places for streams and long polls, or says that there
// is none.
func (g *jsonGateway) hold(sort string) (release func(), err error) {
	if n := g.waiting.Add(1); n > int64(g.s.limits.HTTPStreams) {
		g.waiting.Add(-1)
		return nil, &fault{
			code: codes.ResourceExhausted, reason: ReasonStreams, retry: retryAfter,
			message: fmt.Sprintf("this node serves %d streams and long polls over HTTP already", g.s.limits.HTTPStreams),
		}
	}
	open := g.s.metrics.httpStreams.WithLabelValues(sort)
	open.Inc()
	return func() {
		open.Dec()
		g.waiting.Add(-1)
	}, nil
}
