package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEndpoints(t *testing.T) {
	for _, row := range []struct {
		given []string
		env   string
		want  []string
	}{
		{nil, "", []string{DefaultEndpoint}},
		{nil, "a:1, b:2,", []string{"a:1", "b:2"}},
		{[]string{"c:3,d:4", "e:5"}, "a:1", []string{"c:3", "d:4", "e:5"}},
		{[]string{""}, "a:1", []string{"a:1"}},
	} {
		t.Setenv(EndpointsEnv, row.env)
		if got := Endpoints(row.given); !slices.Equal(got, row.want) {
			t.Errorf("given %q, env %q: %q, want %q", row.given, row.env, got, row.want)
		}
	}
}

func TestBadEndpoints(t *testing.T) {
	if _, err := Dial(nil); !errors.Is(err, ErrNoEndpoints) {
		t.Errorf("none: %v", err)
	}
	for _, e := range []string{"host", ":7801", "host:", "a:1:2"} {
		if _, err := DialAny([]string{e}); !errors.Is(err, ErrEndpoint) {
			t.Errorf("%q: %v", e, err)
		}
	}
}

func TestServiceConfig(t *testing.T) {
	var c config
	if err := json.Unmarshal([]byte(serviceConfig(HealthLeader)), &c); err != nil {
		t.Fatal(err)
	}
	if c.Health == nil || c.Health.Service != "leader" || !c.Methods[0].WaitForReady || c.Methods[0].Timeout != "15s" || c.Methods[1].Timeout != "" {
		t.Errorf("leader-aware: %+v", c)
	}
	c = config{}
	if err := json.Unmarshal([]byte(serviceConfig("")), &c); err != nil || c.Health != nil || c.Methods[0].WaitForReady {
		t.Errorf("any node: %+v, %v", c, err)
	}
}

func TestErrors(t *testing.T) {
	st, err := status.New(codes.Unavailable, "no").WithDetails(
		&errdetails.ErrorInfo{Reason: "NOT_LEADER", Metadata: map[string]string{"leader_address": "n2:7801"}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "id", Description: "odd"}}})
	if err != nil {
		t.Fatal(err)
	}
	told := fmt.Errorf("show status: %w", st.Err())
	after, ok := RetryAfter(told)
	if Reason(told) != "NOT_LEADER" || LeaderAddress(told) != "n2:7801" || after != time.Second || !ok ||
		!slices.Equal(Violations(told), []Violation{{"id", "odd"}}) {
		t.Errorf("%q %q %s %v %v", Reason(told), LeaderAddress(told), after, ok, Violations(told))
	}
	for _, plain := range []error{nil, errors.New("x"), status.Error(codes.Internal, "x")} {
		if _, ok := RetryAfter(plain); ok || Reason(plain) != "" || LeaderAddress(plain) != "" || Violations(plain) != nil || Facts(plain) != nil {
			t.Errorf("%v says something", plain)
		}
	}
}

// flaky fails the first call of each kind and remembers what it was asked.
type flaky struct {
	pointsmanv1.UnimplementedSettingServiceServer
	ids    []string
	actors []string
}

func (f *flaky) PutSetting(ctx context.Context, req *pointsmanv1.PutSettingRequest) (*pointsmanv1.PutSettingResponse, error) {
	f.ids = append(f.ids, req.GetRequestId())
	f.actors = append(f.actors, metadata.ValueFromIncomingContext(ctx, ActorKey)...)
	if len(f.ids) == 1 {
		return nil, status.Error(codes.Unavailable, "no leader yet")
	}
	return &pointsmanv1.PutSettingResponse{}, nil
}

func serve(t testing.TB, s pointsmanv1.SettingServiceServer) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	pointsmanv1.RegisterSettingServiceServer(g, s)
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// A call that is repeated by gRPC keeps the id that it was given here, another
// call gets another one, and the caller's message is left alone.
func TestRequestIDs(t *testing.T) {
	f := &flaky{}
	c, err := DialAny([]string{"127.0.0.1:1", serve(t, f)}) // the first one is dead
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(AsActor(context.Background(), "zoë@host"), 10*time.Second)
	defer cancel()
	req := &pointsmanv1.PutSettingRequest{Key: "k"}
	for range 2 {
		if _, err := c.Settings().PutSetting(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	req.RequestId = "mine"
	if _, err := c.Settings().PutSetting(ctx, req); err != nil {
		t.Fatal(err)
	}
	if len(f.ids) != 4 || f.ids[0] == "" || f.ids[0] != f.ids[1] || f.ids[2] == f.ids[1] || f.ids[3] != "mine" || len(f.ids[0]) > 64 {
		t.Errorf("ids %q", f.ids)
	}
	if f.actors[0] != "zoë@host" || req.GetKey() != "k" {
		t.Errorf("actors %q", f.actors)
	}
}
