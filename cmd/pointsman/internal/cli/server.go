package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/coordinator"
	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// stopWait bounds a graceful stop: finish or release what is claimed (5 s),
// then hand over.
const stopWait = 15 * time.Second

func (a *App) serverCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "server --config FILE", Short: "Run one coordinator", Args: exactly(),
		Long: "Runs one coordinator until SIGINT or SIGTERM: it then finishes or releases what it has\n" +
			"claimed and hands the leadership over. A second signal ends it at once; that is safe too,\n" +
			"the next leader goes on from the log.\n\n" +
			"Each field of the node file can be set by a flag or a variable; the flag wins.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			node, err := a.loadNode(cmd, path)
			if err != nil {
				return err
			}
			return a.serve(cmd.Context(), node)
		},
	}
	configFlag(cmd, &path)
	nodeFlags(cmd)
	return cmd
}

func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "config", "", "the node file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

// nodeFlags adds a flag for each single value of the node file. Their
// variables are read by package config, which keeps the origin of each.
func nodeFlags(cmd *cobra.Command) {
	for _, path := range config.NodeFields() {
		name := config.FlagName(path)
		cmd.Flags().String(name, "", path+" of the node file")
		_ = cmd.Flags().SetAnnotation(name, ownEnv, []string{config.EnvName(path)})
		if isBool(path) {
			cmd.Flags().Lookup(name).NoOptDefVal = "true"
		}
	}
}

func isBool(path string) bool {
	f := (&pointsmanv1.NodeConfig{}).ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(path))
	return f != nil && f.Kind() == protoreflect.BoolKind
}

// loadNode puts a node's configuration together from file, environment and
// flags.
func (a *App) loadNode(cmd *cobra.Command, path string) (*config.Node, error) {
	flags := map[string]string{}
	for _, field := range config.NodeFields() {
		if f := cmd.Flags().Lookup(config.FlagName(field)); f != nil && f.Changed {
			flags[field] = f.Value.String()
		}
	}
	node, err := config.LoadNode(config.Sources{Path: path, Flags: flags, LookupEnv: a.Env})
	err = a.badConfig(err)
	if err != nil && path == "" {
		fmt.Fprintln(a.Err, "no file was given: "+cmd.CommandPath()+" --config node.yaml; pointsman config init node writes one to begin with")
	}
	return node, err
}

func (a *App) serve(ctx context.Context, node *config.Node) error {
	logger := newLogger(a.Err, node.Config.GetLog())
	a.warnOfPlanted()
	a.banner(node.Config)
	c, err := coordinator.Start(ctx, coordinator.Options{Node: node.Config, Kinds: a.Kinds, Logger: logger, Version: a.Version})
	if err != nil {
		return fault.At("start "+node.Config.GetId(), err)
	}
	select {
	case <-ctx.Done():
		logger.Info("stopping: handing over", "limit", stopWait)
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
		defer cancel()
		if err := c.Close(bounded); err != nil {
			return fault.At("stop "+node.Config.GetId(), err)
		}
		logger.Info("stopped")
		return nil
	case <-c.Done():
		return fault.At(node.Config.GetId()+" stopped", c.Wait())
	}
}

func newLogger(w io.Writer, l *pointsmanv1.Log) *slog.Logger {
	levels := map[pointsmanv1.LogLevel]slog.Level{
		pointsmanv1.LogLevel_LOG_LEVEL_DEBUG: slog.LevelDebug,
		pointsmanv1.LogLevel_LOG_LEVEL_WARN:  slog.LevelWarn,
		pointsmanv1.LogLevel_LOG_LEVEL_ERROR: slog.LevelError,
	}
	o := &slog.HandlerOptions{Level: levels[l.GetLevel()]} // info when unset
	if l.GetFormat() == pointsmanv1.LogFormat_LOG_FORMAT_JSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// banner says what is about to run. JSON logs begin without it.
func (a *App) banner(c *pointsmanv1.NodeConfig) {
	if c.GetLog().GetFormat() == pointsmanv1.LogFormat_LOG_FORMAT_JSON {
		return
	}
	var peers []string
	for _, p := range c.GetPeers() {
		peers = append(peers, p.GetId()+" "+p.GetRaft())
	}
	security := "loopback only, no TLS"
	if c.GetInsecure() {
		security = "INSECURE: no TLS, whoever reaches the ports can stop the cluster"
	}
	for _, line := range [][2]string{
		{"version", a.Version},
		{"node", c.GetId() + ", zone " + c.GetZone()},
		{"data", c.GetDataDir()},
		{"raft", listens(c.GetListen().GetRaft(), c.GetAdvertise().GetRaft())},
		{"grpc", listens(c.GetListen().GetGrpc(), c.GetAdvertise().GetGrpc())},
		{"http", listens(c.GetListen().GetHttp(), c.GetAdvertise().GetHttp())},
		{"peers", strings.Join(peers, ", ")},
		{"timing", show.Word(c.GetTiming())},
		{"security", security},
	} {
		fmt.Fprintf(a.Err, "%10s  %s\n", line[0], line[1])
	}
}

func listens(listen, advertise string) string {
	if advertise == "" || advertise == listen {
		return listen
	}
	return listen + ", advertised as " + advertise
}
