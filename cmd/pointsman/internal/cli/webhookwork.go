package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/client/leases"
	"github.com/pointsman/pointsman/client/webhooks"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/webhook/work"
)

func (a *App) webhookWork() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "work --config FILE", Short: "Hand kept webhooks to a handler", Args: exactly(),
		Long: "Runs one worker until SIGINT or SIGTERM: it then finishes what is under way and hands its\n" +
			"partitions over. It takes partitions of the pool by lease from the coordinators that --endpoints\n" +
			"names, and hands each event to the handler of the webhook file, those of one shop one after\n" +
			"another, until its completion is on record. Killed at any moment, what was not on record is\n" +
			"handed out again by another worker, under a newer token and the same idempotency key.\n" +
			"docs/webhooks-workers.md has handlers, and which sinks make an effect once.",
		Example: "  pointsman webhook work --config webhook.yaml --endpoints node-a:7801,node-b:7801,node-c:7801",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, file, err := a.loadWebhook(cmd, path)
			if err != nil {
				return err
			}
			if c.GetWork() == nil {
				return a.badConfig(file.Invalid([]config.Problem{{Path: "work", Message: "is missing: it says what a worker works"}}))
			}
			return a.work(cmd.Context(), c)
		},
	}
	webhookFlag(cmd, &path)
	return cmd
}

// work runs a worker until ctx ends.
func (a *App) work(ctx context.Context, c *pointsmanv1.WebhookConfig) error {
	logger := newLogger(a.Err, c.GetLog())
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o, err := workerOf(c, logger, registry)
	if err != nil {
		return fault.At("start worker", err)
	}
	conn, err := a.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	var l net.ListenConfig
	admin, err := l.Listen(ctx, "tcp", c.GetWork().GetMetrics())
	if err != nil {
		return fault.At("start worker", err)
	}
	metrics := workMetrics(registry, logger)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		defer stop()
		served <- metrics.Serve(admin)
	}()
	logger.Info("working", "name", c.GetName(), "pool", o.Lease.Pool, "metrics", admin.Addr().String())
	err = webhooks.Run(client.AsActor(ctx, a.actor()), conn.Conn(), o)
	metrics.Close()
	if failed := <-served; err == nil && !errors.Is(failed, http.ErrServerClosed) {
		err = failed
	}
	return fault.About("work webhooks of pool "+o.Lease.Pool, "pointsman pools list", err)
}

func workMetrics(registry *prometheus.Registry, logger *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// workerOf is what a worker runs with by a webhook file.
func workerOf(c *pointsmanv1.WebhookConfig, logger *slog.Logger, registry prometheus.Registerer) (webhooks.Config, error) {
	w := c.GetWork()
	store, err := openStore(c.GetStore())
	if err != nil {
		return webhooks.Config{}, err
	}
	handler, err := handlerOf(w)
	if err != nil {
		return webhooks.Config{}, err
	}
	retry := w.GetRetry()
	return webhooks.Config{
		Lease: leases.Config{Pool: w.GetPool(), Worker: c.GetName(), Zone: w.GetZone(), Capacity: int(w.GetCapacity()), Log: logger},
		Work: work.Config{
			Store: store, Handler: handler, Worker: c.GetName(), Concurrency: int(w.GetConcurrency()), Timeout: w.GetTimeout().AsDuration(),
			Attempts: int(retry.GetAttempts()), RetryFor: retry.GetRetryFor().AsDuration(), Backoff: retry.GetBackoff().AsDuration(),
			MaxBackoff: retry.GetMaxBackoff().AsDuration(), Pause: retry.GetPause().AsDuration(),
			Rate: float64(w.GetRatePerShop()) / 60, Burst: int(w.GetBurstPerShop()),
			BreakAfter: int(w.GetBreaker().GetFailures()), BreakFor: w.GetBreaker().GetOpenFor().AsDuration(),
			Poll: w.GetPoll().AsDuration(), CacheBytes: int64(w.GetCacheBytes()), MaxWaiting: int(w.GetMaxWaiting()), Keep: w.GetKeep().AsDuration(),
			Registerer: registry, Log: logger,
		},
		Commits: map[pointsmanv1.WorkCommits]webhooks.Commits{
			pointsmanv1.WorkCommits_WORK_COMMITS_CAS: webhooks.CAS,
			pointsmanv1.WorkCommits_WORK_COMMITS_LOG: webhooks.Log,
		}[w.GetCommits()], // auto when it is neither
	}, nil
}

// handlerOf makes the handler of a webhook file.
func handlerOf(w *pointsmanv1.WorkConfig) (work.Handler, error) {
	if c := w.GetHandler().GetCommand(); c != nil {
		return work.Command{Args: c.GetArgs()}, nil
	}
	h := w.GetHandler().GetHttp()
	header := http.Header{}
	for i, f := range h.GetHeaders() {
		value, err := config.ResolveSecret(f.GetValue())
		if err != nil {
			return nil, fmt.Errorf("work.handler.http.headers[%d]: %w", i, err)
		}
		header.Add(f.GetName(), strings.TrimSpace(value))
	}
	conns := int(w.GetConcurrency())
	if conns == 0 {
		conns = work.DefaultConcurrency
	}
	return work.NewHTTP(h.GetUrl(), header, conns)
}
