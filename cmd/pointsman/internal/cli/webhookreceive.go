package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/webhook/receive"
)

func (a *App) webhookReceive() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "receive --config FILE", Short: "Answer webhooks and keep them for the workers", Args: exactly(),
		Long: "Runs one receiver until SIGINT or SIGTERM: it then answers what it has taken on, and ships\n" +
			"what it has spilled as long as the store takes it. A delivery to POST /webhooks/APP is answered\n" +
			"2xx only when it can be read back; killed at any moment, nothing of that is lost.\n" +
			"docs/webhooks.md has a file to begin with.",
		Example: "  pointsman webhook receive --config webhook.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, file, err := a.loadWebhook(cmd, path)
			if err != nil {
				return err
			}
			if err := a.badConfig(file.Invalid(config.CheckSecrets(c))); err != nil {
				return err
			}
			return a.receive(cmd.Context(), c)
		},
	}
	webhookFlag(cmd, &path)
	return cmd
}

// receive runs a receiver until ctx ends.
func (a *App) receive(ctx context.Context, c *pointsmanv1.WebhookConfig) error {
	logger := newLogger(a.Err, c.GetLog())
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o, err := receiverOf(c, logger, registry)
	if err != nil {
		return fault.At("start receiver", err)
	}
	var secure *tls.Config
	if t := c.GetReceive().GetTls(); t != nil {
		if secure, err = config.ServerTLS(t); err != nil {
			return fault.At("start receiver", err)
		}
	}
	public, admin, err := listenBoth(ctx, c.GetReceive())
	if err != nil {
		return fault.At("start receiver", err)
	}
	r, err := receive.Open(o)
	if err != nil {
		public.Close()
		admin.Close()
		return fault.At("start receiver", err)
	}
	metrics := adminServer(r, registry, logger)
	failed := make(chan error, 2)
	go func() { failed <- r.Serve(public, secure) }()
	go func() { failed <- metrics.Serve(admin) }()
	logger.Info("receiving", "name", c.GetName(), "stream", r.Stream(), "listen", public.Addr().String(), "metrics", admin.Addr().String(), "tls", secure != nil)
	select {
	case <-ctx.Done():
		logger.Info("stopping: answering what is under way", "limit", stopWait)
	case err = <-failed:
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
	defer cancel()
	err = errors.Join(err, r.Close(bounded))
	return fault.At("stop receiver", errors.Join(err, metrics.Close()))
}

func listenBoth(ctx context.Context, r *pointsmanv1.ReceiveConfig) (public, admin net.Listener, err error) {
	var l net.ListenConfig
	if public, err = l.Listen(ctx, "tcp", r.GetListen()); err != nil {
		return nil, nil, err
	}
	if admin, err = l.Listen(ctx, "tcp", r.GetMetrics()); err != nil {
		public.Close()
		return nil, nil, err
	}
	return public, admin, nil
}

// adminServer serves what probes and Prometheus ask for.
func adminServer(r *receive.Receiver, registry *prometheus.Registry, logger *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", r.Health)
	mux.HandleFunc("GET /readyz", r.Health)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// receiverOf is what a receiver runs with by a webhook file.
func receiverOf(c *pointsmanv1.WebhookConfig, logger *slog.Logger, registry prometheus.Registerer) (receive.Config, error) {
	store, err := openStore(c.GetStore())
	if err != nil {
		return receive.Config{}, err
	}
	r := c.GetReceive()
	o := receive.DefaultConfig()
	o.Name, o.Store, o.Log, o.Registry = c.GetName(), store, logger, registry
	o.MaxBody, o.Bytes = int64(r.GetMaxBody()), int64(r.GetLimits().GetBytes())
	o.Connections, o.Requests = int(r.GetLimits().GetConnections()), int(r.GetLimits().GetRequests())
	o.HeaderTimeout, o.BodyTimeout = r.GetLimits().GetHeaderTimeout().AsDuration(), r.GetLimits().GetBodyTimeout().AsDuration()
	o.Linger, o.BatchEvents, o.Writes = r.GetBatch().GetLinger().AsDuration(), int(r.GetBatch().GetEvents()), int(r.GetBatch().GetWrites())
	o.Spill = receive.Spill{
		Dir: r.GetSpill().GetDir(), Take: r.GetSpill().GetPolicy() == pointsmanv1.SpillPolicy_SPILL_POLICY_WHEN_STORE_FAILS,
		MaxBytes: int64(r.GetSpill().GetMaxBytes()), DiskFloor: int64(r.GetSpill().GetDiskFloor()),
	}
	for _, text := range r.GetTrustedProxies() {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return receive.Config{}, err
		}
		o.Proxies = append(o.Proxies, p)
	}
	o.Apps = map[string][]receive.Secret{}
	for name, app := range c.GetApps() {
		for _, s := range app.GetSecrets() {
			o.Apps[name] = append(o.Apps[name], receive.Secret{From: s.GetFrom(), Read: func() (string, error) { return config.ResolveSecret(s.GetFrom()) }})
		}
	}
	return o, nil
}
