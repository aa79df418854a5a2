package client_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// node answers one setting, in place of a cluster.
type node struct {
	pointsmanv1.UnimplementedSettingServiceServer
}

func (node) GetSetting(_ context.Context, req *pointsmanv1.GetSettingRequest) (*pointsmanv1.GetSettingResponse, error) {
	return &pointsmanv1.GetSettingResponse{
		Header:  &pointsmanv1.ResponseHeader{NodeId: "n1", AppliedIndex: 42},
		Setting: &pointsmanv1.Setting{Key: req.GetKey(), Value: "redis://10.0.2.20:6379/0"},
	}, nil
}

func (node) WatchSettings(_ *pointsmanv1.WatchSettingsRequest, out grpc.ServerStreamingServer[pointsmanv1.WatchSettingsResponse]) error {
	first := &pointsmanv1.Setting{Key: "redis/cache/url", Value: "redis://10.0.1.20:6379/0"}
	then := &pointsmanv1.Setting{Key: "redis/cache/url", Value: "redis://10.0.2.20:6379/0"}
	for i, s := range []*pointsmanv1.Setting{first, then} {
		m := &pointsmanv1.WatchSettingsResponse{ResumeToken: fmt.Sprint(i), Event: &pointsmanv1.WatchSettingsResponse_Setting{Setting: s}}
		if err := out.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (node) PutSetting(_ context.Context, req *pointsmanv1.PutSettingRequest) (*pointsmanv1.PutSettingResponse, error) {
	if req.GetExpectedRevision() != 8 {
		st, err := status.New(codes.Aborted, "the key has another revision").WithDetails(
			&errdetails.ErrorInfo{Reason: "STALE_REVISION"})
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	}
	return &pointsmanv1.PutSettingResponse{}, nil
}

func startNode() (address string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	g := grpc.NewServer()
	pointsmanv1.RegisterSettingServiceServer(g, node{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Serve(l)
	}()
	return l.Addr().String(), func() { g.Stop(); <-done }
}

// Read a setting from whichever node answers, as old as it may be.
func ExampleDialAny() {
	address, stop := startNode()
	defer stop()
	c, err := client.DialAny([]string{address})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	resp, err := c.Settings().GetSetting(ctx, &pointsmanv1.GetSettingRequest{
		Key:  "redis/cache/url",
		Read: &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_STALE},
	})
	if err != nil {
		fmt.Println(client.Reason(err), err)
		return
	}
	fmt.Println(resp.GetSetting().GetValue(), "said", resp.GetHeader().GetNodeId(), "at index", resp.GetHeader().GetAppliedIndex())
	// Output: redis://10.0.2.20:6379/0 said n1 at index 42
}

// Follow the settings of a prefix, until one names the node that is waited for.
// A stream that breaks is begun again where it was left.
func ExampleClient_WatchSettings() {
	address, stop := startNode()
	defer stop()
	c, err := client.DialNode(address)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for m, err := range c.WatchSettings(ctx, &pointsmanv1.WatchSettingsRequest{Prefix: "redis/"}) {
		if err != nil { // client.Reason(err) == client.Compacted: begin anew without a token
			fmt.Println(client.Reason(err), err)
			return
		}
		if m.GetSetting() == nil {
			continue // a bookmark: nothing new up to its index
		}
		fmt.Println(m.GetSetting().GetValue())
		if m.GetSetting().GetValue() == "redis://10.0.2.20:6379/0" {
			return
		}
	}
	// Output:
	// redis://10.0.1.20:6379/0
	// redis://10.0.2.20:6379/0
}

// Set a key only if nobody else has changed it since it was read.
func ExampleDial() {
	address, stop := startNode()
	defer stop()
	c, err := client.DialAny([]string{address}) // Dial finds the leader among several
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(client.AsActor(context.Background(), "deploy@ci"), 5*time.Second)
	defer cancel()
	old := uint64(7)
	_, err = c.Settings().PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: "app/banner", Value: "hello", ExpectedRevision: &old})
	fmt.Println(client.Reason(err)) // read it again, then decide
	// Output: STALE_REVISION
}
