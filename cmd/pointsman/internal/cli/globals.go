package cli

import (
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Defaults of the flags that every command has.
const (
	defaultEndpoint = client.DefaultEndpoint
	defaultTimeout  = 10 * time.Second
)

// ownEnv marks a flag whose environment variable is read elsewhere.
const ownEnv = "own-env"

// globals are the flags that every command has.
type globals struct {
	endpoints   []string
	timeout     time.Duration
	output      string
	consistency string
}

func (a *App) addGlobals(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringSliceVar(&a.global.endpoints, "endpoints", []string{defaultEndpoint}, "gRPC addresses of any nodes, host:port, separated by commas")
	f.DurationVar(&a.global.timeout, "timeout", defaultTimeout, "longest wait for one answer")
	f.StringVarP(&a.global.output, "output", "o", string(show.Table), "form of the output: "+strings.Join(show.Formats(), ", "))
	f.StringVar(&a.global.consistency, "consistency", "linearizable", "how fresh a read has to be: linearizable, leader, stale")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(show.Formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = root.RegisterFlagCompletionFunc("consistency", cobra.FixedCompletions(show.Words(pointsmanv1.ReadLevel(0)), cobra.ShellCompDirectiveNoFileComp))
}

// prepare fills unset flags from the environment and checks the shared ones.
func (a *App) prepare(cmd *cobra.Command) error {
	if err := a.fromEnv(cmd.Flags()); err != nil {
		return err
	}
	if !contains(show.Formats(), a.global.output) {
		return fault.Unknown("output", a.global.output, show.Formats())
	}
	if _, err := level(a.global.consistency); err != nil {
		return err
	}
	if a.global.timeout <= 0 {
		return fault.Wrong("--timeout must be more than 0", "--timeout 10s")
	}
	return a.checkEndpoints()
}

func (a *App) checkEndpoints() error {
	var kept []string
	for _, e := range a.global.endpoints {
		if e = strings.TrimSpace(e); e != "" {
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 {
		return fault.Wrong("--endpoints names no node", "--endpoints "+defaultEndpoint)
	}
	a.global.endpoints = kept
	return nil
}

// EnvName is the environment variable of a flag: --dry-run is POINTSMAN_DRY_RUN.
func EnvName(flag string) string {
	return "POINTSMAN_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnv sets each flag that the command line left unset and the environment
// names. A flag that is set wins without a word.
func (a *App) fromEnv(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Annotations[ownEnv] != nil || failed != nil {
			return
		}
		value, ok := a.Env(EnvName(f.Name))
		if !ok || value == "" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			failed = fault.Wrong("environment variable "+EnvName(f.Name)+": "+err.Error(), "unset it, or give --"+f.Name)
		}
	})
	return failed
}

func level(word string) (pointsmanv1.ReadLevel, error) {
	words := show.Words(pointsmanv1.ReadLevel(0))
	for _, l := range []pointsmanv1.ReadLevel{
		pointsmanv1.ReadLevel_READ_LEVEL_LINEARIZABLE, pointsmanv1.ReadLevel_READ_LEVEL_LEADER, pointsmanv1.ReadLevel_READ_LEVEL_STALE, pointsmanv1.ReadLevel_READ_LEVEL_AVAILABLE,
	} {
		if show.Word(l) == word {
			return l, nil
		}
	}
	return 0, fault.Unknown("consistency", word, words)
}

// open connects to the cluster as the flags say. It sends nothing.
func (a *App) open() (*remote.Session, error) {
	l, err := level(a.global.consistency)
	if err != nil {
		return nil, err
	}
	return remote.Open(remote.Options{Endpoints: a.global.endpoints, Timeout: a.global.timeout, Level: l, Actor: a.actor()})
}

// actor names who asks, for the log: the user of this machine.
func (a *App) actor() string {
	name, _ := a.Env("SUDO_USER")
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	host, _ := os.Hostname()
	return strings.Trim(name+"@"+host, "@")
}

// printer writes answers as the flags say.
func (a *App) printer() *show.Printer {
	noColor, _ := a.Env("NO_COLOR")
	term, _ := a.Env("TERM")
	p := &show.Printer{
		Out: a.Out, Talk: a.Err, Format: show.Format(a.global.output),
		Color: a.Terminal && noColor == "" && term != "dumb",
	}
	if a.Terminal && a.Width != nil {
		p.Width = a.Width()
	}
	return p
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}
