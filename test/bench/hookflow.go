package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/hooks"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// The pool that webhooks are worked in, and the bound of a flow.
const (
	hookPool   = "webhooks"
	hookParts  = 64
	hookTTL    = 5 * time.Second
	flowWithin = 15 * time.Minute
)

// hookFlow is events from the first POST to the last completion on record, with
// one receiver and one worker and an HTTP handler that does nothing.
type hookFlow struct {
	Store     string  `json:"store"`
	Events    int     `json:"events"`
	Received  float64 `json:"received_s"` // until the last one was acknowledged
	Done      float64 `json:"done_s"`     // until the last one's completion was on record
	PerMinute float64 `json:"per_minute"` // by the latter
	Calls     int64   `json:"calls"`      // of the handler; a repeat is one more
	Receiver  float64 `json:"receiver_rss_mib"`
	Worker    float64 `json:"worker_rss_mib"`
}

// flow measures one store on coordinators of its own.
func (b *bench) flow(ctx context.Context, s *hookStage, store, config string) (out hookFlow, err error) {
	ctx, cancel := context.WithTimeout(ctx, flowWithin)
	defer cancel()
	out = hookFlow{Store: store, Events: s.o.events}
	c, err := newCluster(ctx, lab.Options{Pointsman: s.o.program})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := declareHooks(ctx, c); err != nil {
		return out, err
	}
	at, err := s.receiver(ctx, "flow-"+store, config, "")
	if err != nil {
		return out, err
	}
	receiver := s.last
	metrics, calls, stop, err := s.worker(ctx, "work-"+store, config, c.Endpoints())
	if err != nil {
		return out, err
	}
	defer stop()
	worker := s.last
	if err := handledAre(ctx, metrics, 0); err != nil { // it holds partitions, or waits for them
		return out, err
	}
	b.say("webhooks: %d events from end to end, store: %s", s.o.events, store)
	began := time.Now()
	a := flood(ctx, s.o.connections, flowWithin, s.o.events, at)
	if a.Acks < s.o.events {
		return out, fmt.Errorf("%d of %d events were acknowledged, %d other answers, %d breaks: %w", a.Acks, s.o.events, a.Others, a.Breaks, context.Cause(ctx))
	}
	out.Received = tenth(a.elapsed.Seconds())
	if err := handledAre(ctx, metrics, s.o.events); err != nil {
		return out, err
	}
	took := time.Since(began)
	out.Done, out.PerMinute, out.Calls = tenth(took.Seconds()), tenth(float64(s.o.events)/took.Minutes()), calls.Load()
	if out.Receiver, err = s.resident(receiver); err != nil {
		return out, err
	}
	out.Worker, err = s.resident(worker)
	return out, errors.Join(err, s.group.Kill(receiver), s.group.Kill(worker))
}

// worker starts one of ours, with a handler in this process that does nothing.
func (s *hookStage) worker(ctx context.Context, name, store, endpoints string) (metrics string, calls *atomic.Int64, stop func(), err error) {
	f := hooks.Files{Dir: filepath.Join(s.dir, name), Store: store}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return "", nil, nil, err
	}
	var l net.ListenConfig
	in, err := l.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, err
	}
	calls = &atomic.Int64{}
	h := &http.Server{ReadHeaderTimeout: hookWait, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() { _ = h.Serve(in) }() // until stop
	stop = func() { h.Close() }
	metrics = s.address()
	path, err := f.Worker(hooks.Worker{Name: name, Metrics: metrics, Pool: hookPool, Handler: "http://" + in.Addr().String() + "/"})
	if err == nil {
		s.last, err = s.add(ctx, name, metrics, s.o.program, "webhook", "work", "--config", path, "--endpoints", endpoints)
	}
	if err != nil {
		stop()
	}
	return metrics, calls, stop, err
}

func (s *hookStage) resident(i int) (float64, error) {
	u, err := lab.UsageOf(s.group.PIDs()[i])
	return tenth(float64(u.RSS) / (1 << 20)), err
}

// handledAre waits until so many completions are on record.
func handledAre(ctx context.Context, metrics string, events int) error {
	return lab.Until(ctx, flowWithin, fmt.Sprintf("%d events to be done", events), func(ctx context.Context) error {
		m, err := hooks.Metrics(ctx, metrics)
		if err != nil {
			return err
		}
		if n := m["pointsman_webhook_work_handled_total"]; n < float64(events) {
			return fmt.Errorf("%.0f are", n)
		}
		return nil
	})
}

// declareHooks applies the pool, and waits until sessions are taken.
func declareHooks(ctx context.Context, c *cluster) error {
	conn, err := client.DialNode(c.leader)
	if err != nil {
		return err
	}
	defer conn.Close()
	spec := &pointsmanv1.Spec{Pools: map[string]*pointsmanv1.PoolSpec{hookPool: {Partitions: hookParts, Ttl: durationpb.New(hookTTL)}}}
	if _, err = pointsmanv1.NewSpecServiceClient(conn.Conn()).ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: spec}); err != nil {
		return err
	}
	return lab.Until(ctx, handWithin, "a session", func(ctx context.Context) error {
		s, err := newBeater(ctx, conn, hookPool, "first", 1)
		if err == nil {
			_, err = s.calls.CloseSession(ctx, &pointsmanv1.CloseSessionRequest{Session: s.renewal.GetSession(), Key: s.renewal.GetKey()})
		}
		return err
	})
}
