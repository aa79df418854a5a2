package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// story serves one stream after another: each sends its settings, then ends
// with its error.
type story struct {
	pointsmanv1.UnimplementedSettingServiceServer
	streams []stream
	tokens  []string // what each stream was asked to begin after
	prefix  []string
}

type stream struct {
	values []string
	end    error
}

func (s *story) WatchSettings(req *pointsmanv1.WatchSettingsRequest, out grpc.ServerStreamingServer[pointsmanv1.WatchSettingsResponse]) error {
	n := len(s.tokens)
	s.tokens, s.prefix = append(s.tokens, req.GetResumeToken()), append(s.prefix, req.GetPrefix())
	if n >= len(s.streams) {
		<-out.Context().Done()
		return out.Context().Err()
	}
	for i, v := range s.streams[n].values {
		m := &pointsmanv1.WatchSettingsResponse{ResumeToken: fmt.Sprintf("%d.%d", n, i), Event: &pointsmanv1.WatchSettingsResponse_Setting{Setting: &pointsmanv1.Setting{Value: v}}}
		if v == "" {
			m.Event = &pointsmanv1.WatchSettingsResponse_Bookmark{Bookmark: &pointsmanv1.Bookmark{}}
		}
		if err := out.Send(m); err != nil {
			return err
		}
	}
	return s.streams[n].end
}

func TestWatchGoesOnWhereItWasLeft(t *testing.T) {
	compacted, err := status.New(codes.OutOfRange, "too old").WithDetails(&errdetails.ErrorInfo{Reason: Compacted})
	if err != nil {
		t.Fatal(err)
	}
	s := &story{streams: []stream{
		{values: []string{"a", "b"}, end: status.Error(codes.Unavailable, "this node stops")},
		{end: status.Error(codes.Unavailable, "still gone")},
		{values: []string{"c", ""}}, // an orderly end
		{end: status.Error(codes.ResourceExhausted, "too many")},
		{values: []string{"d"}, end: compacted.Err()},
	}}
	c, err := DialNode(serve(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var values []string
	var last error
	for m, err := range c.WatchSettings(ctx, &pointsmanv1.WatchSettingsRequest{Prefix: "redis/", ResumeToken: "mine"}) {
		if last = err; err == nil && m.GetSetting() != nil {
			values = append(values, m.GetSetting().GetValue())
		}
	}
	if Reason(last) != Compacted || !slices.Equal(values, []string{"a", "b", "c", "d"}) {
		t.Errorf("values %q, then %v", values, last)
	}
	// gRPC may repeat a stream that ended before its first message.
	if got := slices.Compact(s.tokens); !slices.Equal(got, []string{"mine", "0.1", "2.1"}) {
		t.Errorf("tokens %q", s.tokens)
	}
	if got := slices.Compact(s.prefix); !slices.Equal(got, []string{"redis/"}) {
		t.Errorf("prefixes %q", s.prefix)
	}
}

// A listener that leaves, and a context that ends, end the stream at the node
// and tell no error.
func TestWatchEnds(t *testing.T) {
	s := &story{streams: []stream{{values: []string{"a", "b"}}}}
	c, err := DialNode(serve(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, err := range c.WatchSettings(t.Context(), &pointsmanv1.WatchSettingsRequest{}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(50*time.Millisecond, cancel)
	for _, err := range c.WatchSettings(ctx, &pointsmanv1.WatchSettingsRequest{}) {
		if err != nil {
			t.Error(err)
		}
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Error("the watch ended before its context")
	}
}

// Errors that another try cannot mend are told at once.
func TestWatchTellsWhatWillNotPass(t *testing.T) {
	s := &story{streams: []stream{{end: status.Error(codes.InvalidArgument, "odd filter")}}}
	c, err := DialNode(serve(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var last error
	for _, err := range c.WatchSettings(t.Context(), &pointsmanv1.WatchSettingsRequest{}) {
		last = err
	}
	if status.Code(last) != codes.InvalidArgument || len(s.tokens) != 1 {
		t.Errorf("%v after %d streams", last, len(s.tokens))
	}
}
