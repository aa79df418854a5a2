package api

import (
	"context"
	"errors"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Reasons of errors that only HTTP has.
const (
	ReasonTooLarge = "REQUEST_TOO_LARGE"  // Limits.HTTPBody; metadata: limit
	ReasonMethod   = "METHOD_NOT_ALLOWED" // metadata: allow
	ReasonOrigin   = "CROSS_ORIGIN"       // a page of another site called
)

// failed is told of every error of a matched request.
func (g *jsonGateway) failed(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	c := callOf(r.Context())
	if c.problem != nil {
		err = c.problem
	}
	g.fail(w, r, c, err)
}

// fail answers an error as google.rpc.Status in JSON.
func (g *jsonGateway) fail(w http.ResponseWriter, r *http.Request, c *call, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		return // the caller is gone
	}
	st := g.statusOf(err)
	info, retry := detailsOf(st)
	if info.GetReason() == ReasonNotLeader {
		st = g.withLeader(st)
	}
	raw, err := toJSON(st.Proto())
	if err != nil { // a detail that this program does not know
		raw = protojsonPlain(st)
	}
	h := w.Header()
	for _, name := range []string{"ETag", "Trailer", "Transfer-Encoding"} {
		h.Del(name)
	}
	h.Set("Content-Type", mimeJSON)
	if c.plain {
		h.Set("Content-Type", mimePlainText)
		raw = []byte(info.GetReason() + ": " + st.Message())
	}
	h.Set("Cache-Control", "no-store")
	if retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(retry.Seconds()))))
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(g.s.limits.HTTPWrite))
	w.WriteHeader(httpCode(st.Code(), info.GetReason(), c))
	_, _ = w.Write(append(raw, '\n'))
}

func protojsonPlain(st *status.Status) []byte {
	raw, _ := protojson.Marshal(status.New(st.Code(), st.Message()).Proto())
	return raw
}

// statusOf gives an error of the gateway itself, or of the generated code, the
// form that errors of the services have.
func (g *jsonGateway) statusOf(err error) *status.Status {
	var route *runtime.HTTPStatusError
	if errors.As(err, &route) {
		err = invalid("path", "%s", route.Err)
	}
	st := status.Convert(g.s.explain(err))
	if info, _ := detailsOf(st); info != nil {
		return st
	}
	select {
	case <-g.s.done: // the in-process connection is going, or gone
		return status.Convert(g.s.closing())
	default:
	}
	f := &fault{code: st.Code(), message: st.Message()}
	switch st.Code() {
	case codes.InvalidArgument:
		return status.Convert(invalid(fieldIn(st.Message()), "%s", st.Message()))
	case codes.Canceled:
		f.reason = ReasonCancelled
	case codes.DeadlineExceeded:
		f.reason = ReasonDeadline
	default:
		f.reason = ReasonInternal
	}
	return f.GRPCStatus()
}

// fieldIn finds the parameter that the generated code complains about.
func fieldIn(text string) string {
	if m := regexp.MustCompile(`(?:field|list) "([^"]+)"|parameter: ([a-z_.]+)`).FindStringSubmatch(text); m != nil {
		return m[1] + m[2]
	}
	return "query"
}

func detailsOf(st *status.Status) (info *errdetails.ErrorInfo, retry time.Duration) {
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration()
		}
	}
	return info, retry
}

// withLeader adds where the leader answers HTTP: the error itself names its
// gRPC address.
func (g *jsonGateway) withLeader(st *status.Status) *status.Status {
	state, _ := g.s.cfg.Log.Watch()
	leader := g.s.cfg.Log.Status().Leader
	for _, m := range state.Members() {
		if m.Node != leader || m.HTTP == "" {
			continue
		}
		p := st.Proto()
		for i, d := range p.GetDetails() {
			info := &errdetails.ErrorInfo{}
			if d.UnmarshalTo(info) != nil {
				continue
			}
			if info.Metadata == nil {
				info.Metadata = map[string]string{}
			}
			info.Metadata["leader_http_address"] = m.HTTP
			if err := p.Details[i].MarshalFrom(info); err != nil {
				return st
			}
		}
		return status.FromProto(proto.CloneOf(p))
	}
	return st
}

// httpCode is the status code for an error. It follows google.rpc.Code but
// where HTTP has a word that says more.
func httpCode(code codes.Code, reason string, c *call) int {
	switch reason {
	case ReasonTooLarge:
		return http.StatusRequestEntityTooLarge
	case ReasonMethod:
		return http.StatusMethodNotAllowed
	case ReasonCompacted:
		return http.StatusGone
	case ReasonStreams:
		return http.StatusServiceUnavailable
	}
	conditional := c.method != http.MethodGet && (c.ifMatch != "" || c.ifNoneMatch != "")
	switch {
	case code == codes.Aborted && conditional:
		return http.StatusPreconditionFailed
	case code == codes.FailedPrecondition: // the request is well made, the state says no
		return http.StatusConflict
	}
	return runtime.HTTPStatusFromCode(code)
}

// countedWriter notes the status code of a response.
type countedWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (c *countedWriter) WriteHeader(code int) {
	if c.code == 0 {
		c.code = code
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *countedWriter) Write(p []byte) (int, error) {
	if c.code == 0 {
		c.code = http.StatusOK
	}
	return c.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (c *countedWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
