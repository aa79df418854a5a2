package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
)

// App is the program as main or a test sets it up. Run may be called once.
type App struct {
	In       io.Reader
	Out      io.Writer
	Err      io.Writer
	Env      func(string) (string, bool) // os.LookupEnv, or a test's own
	Terminal bool                        // Out is a terminal
	Width    func() int                  // its columns now; nil when Out is none
	Kinds    actuators.Kinds             // the outside worlds that this program can act on
	Version  string

	global globals
}

// Run carries out one command line and answers the exit code.
func (a *App) Run(ctx context.Context, args []string) int {
	root := a.Root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return int(fault.OK)
	}
	e := fault.Explain(usageOf(cmd, err))
	e.Print(a.Err)
	return int(e.Code)
}

// Root builds the tree of commands.
func (a *App) Root() *cobra.Command {
	root := &cobra.Command{
		Use:   "pointsman",
		Short: "Failover coordinator for Redis Sentinel",
		Long: "Pointsman watches Redis Sentinels and, when a master moves, carries out the side effects\n" +
			"of that failover: each in a replicated log before the deed and settled after it.",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          group,
		Args:          subcommandOnly,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(flagError)
	a.addGlobals(root)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.DisableFlagParsing {
			return nil // it reads its flags itself
		}
		return a.prepare(cmd)
	}
	root.AddCommand(
		a.serverCommand(), a.configCommand(), a.statusCommand(), a.applyCommand(), a.specCommand(),
		a.mastersCommand(), a.failoversCommand(), a.scoreCommand(), a.switchoverCommand(), a.actionsCommand(), a.settingsCommand(),
		a.poolsCommand(), a.leasesCommand(), a.webhookCommand(),
		a.nodesCommand(), a.leaderCommand(), a.logCommand(), a.doctorCommand(), a.upgradeCommand(), a.recoverCommand(), a.notifyCommand(), a.versionCommand(),
		a.referenceCommand(),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}
