package client

import (
	"context"
	"iter"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Compacted is the reason of an error whose resume token is too old: the
// watcher has to begin anew without one, and hears of everything that there is.
const Compacted = "COMPACTED"

// Delays before a broken watch is begun again; each is jittered by a half.
const (
	firstWatchDelay   = 100 * time.Millisecond
	longestWatchDelay = 5 * time.Second
)

// A token is what each response of a watch carries.
type resumable interface{ GetResumeToken() string }

// WatchSettings follows the settings that a request names, from its resume
// token on. A stream that breaks because its node went away is begun again
// where it was left, for as long as ctx lives, so nothing is missed; changes in
// quick succession may be told as one. Any other error is the last thing that
// is told: with Reason COMPACTED the token was too old. The end of ctx ends it
// without an error. Each iteration is a watch of its own.
func (c *Client) WatchSettings(ctx context.Context, req *pointsmanv1.WatchSettingsRequest) iter.Seq2[*pointsmanv1.WatchSettingsResponse, error] {
	return follow(ctx, req.GetResumeToken(), func(ctx context.Context, token string) (grpc.ServerStreamingClient[pointsmanv1.WatchSettingsResponse], error) {
		next := proto.CloneOf(req)
		next.ResumeToken = token
		return c.Settings().WatchSettings(ctx, next)
	})
}

// WatchFailovers follows failovers, as WatchSettings does settings.
func (c *Client) WatchFailovers(ctx context.Context, req *pointsmanv1.WatchFailoversRequest) iter.Seq2[*pointsmanv1.WatchFailoversResponse, error] {
	return follow(ctx, req.GetResumeToken(), func(ctx context.Context, token string) (grpc.ServerStreamingClient[pointsmanv1.WatchFailoversResponse], error) {
		next := proto.CloneOf(req)
		next.ResumeToken = token
		return c.Failovers().WatchFailovers(ctx, next)
	})
}

// WatchActions follows actions, as WatchSettings does settings.
func (c *Client) WatchActions(ctx context.Context, req *pointsmanv1.WatchActionsRequest) iter.Seq2[*pointsmanv1.WatchActionsResponse, error] {
	return follow(ctx, req.GetResumeToken(), func(ctx context.Context, token string) (grpc.ServerStreamingClient[pointsmanv1.WatchActionsResponse], error) {
		next := proto.CloneOf(req)
		next.ResumeToken = token
		return c.Actions().WatchActions(ctx, next)
	})
}

// open begins a watch after a token.
type open[R any] func(ctx context.Context, token string) (grpc.ServerStreamingClient[R], error)

func follow[R any](ctx context.Context, token string, begin open[R]) iter.Seq2[*R, error] {
	return func(yield func(*R, error) bool) {
		token := token
		delay := &backoff.ExponentialBackOff{InitialInterval: firstWatchDelay, MaxInterval: longestWatchDelay, Multiplier: 2, RandomizationFactor: 0.5}
		delay.Reset()
		for ctx.Err() == nil {
			err := read(ctx, token, begin, func(m *R) bool {
				if r, ok := any(m).(resumable); ok && r.GetResumeToken() != "" {
					token = r.GetResumeToken()
				}
				delay.Reset()
				return yield(m, nil)
			})
			switch {
			case err == nil || ctx.Err() != nil:
				return
			case !passing(err):
				yield(nil, err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(delay.NextBackOff()):
			}
		}
	}
}

// read tells one stream until it breaks; nil means that the listener has left.
func read[R any](ctx context.Context, token string, begin open[R], tell func(*R) bool) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream when the listener leaves
	defer cancel()
	stream, err := begin(ctx, token)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if !tell(m) {
			return nil
		}
	}
}

// passing says whether another try may get further: the node went away, closed
// the stream in an orderly way (io.EOF), or serves too many watches.
func passing(err error) bool {
	st, ok := status.FromError(err)
	if !ok {
		return true // io.EOF
	}
	switch st.Code() {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.DeadlineExceeded:
		return true
	case codes.Canceled: // by the server: the caller's ctx was looked at before
		return true
	default:
		return false
	}
}
