package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// notifyWait bounds a hint. A Sentinel runs at most 16 scripts at once.
const notifyWait = 2 * time.Second

// Numbers of arguments of Sentinel's two hooks.
const (
	reconfigArgs     = 7 // master, role, state, from host, from port, to host, to port
	notificationArgs = 2 // event type, event description
)

func (a *App) notifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "notify [FLAGS] ARGS...",
		Short: "Sentinel hook: make the nodes look at once",
		Long: "Takes the arguments of a Sentinel's client-reconfig-script (seven) or notification-script\n" +
			"(two) and passes them to every endpoint as a hint. The nodes then look for themselves: the\n" +
			"arguments prove nothing, and without this hook a switch is seen all the same.\n\n" +
			"A Sentinel calls a script without flags, so install a file such as:\n\n" +
			"  #!/bin/sh\n" +
			"  exec pointsman notify --endpoints 127.0.0.1:7801 \"$@\"\n\n" +
			"Exit code 0 whether or not a node could be reached: a Sentinel runs a script that ends with 1\n" +
			"up to ten times more, for minutes, and a hint that late is worth nothing. Exit code 2, which a\n" +
			"Sentinel does not repeat, only when the arguments are those of neither hook.",
		Example:            "  pointsman notify mymaster leader start 10.0.1.20 6379 10.0.2.20 6379",
		DisableFlagParsing: true, // an event's name may begin with a minus sign: -sdown
		RunE: func(cmd *cobra.Command, args []string) error {
			rest, help, err := a.leadingFlags(cmd, args)
			if err != nil {
				return err
			}
			if help {
				return cmd.Help()
			}
			kind, err := kindOfHook(rest)
			if err != nil {
				return err
			}
			return a.notify(cmd.Context(), kind, rest)
		},
	}
}

// leadingFlags reads the flags that stand before the hook's own arguments; all
// of them begin with two minus signs, or are -o.
func (a *App) leadingFlags(cmd *cobra.Command, args []string) (rest []string, help bool, err error) {
	n := 0
	for n < len(args) && (strings.HasPrefix(args[n], "--") || args[n] == "-o") {
		word := args[n]
		n++
		switch {
		case word == "--":
			return args[n:], help, a.notifyFlags(cmd, args[:n-1])
		case word == "--help":
			help = true
		case !strings.Contains(word, "="):
			n++ // its value
		}
	}
	n = min(n, len(args))
	if help {
		return nil, true, nil
	}
	return args[n:], false, a.notifyFlags(cmd, args[:n])
}

func (a *App) notifyFlags(cmd *cobra.Command, flags []string) error {
	if err := cmd.Root().PersistentFlags().Parse(flags); err != nil {
		return flagError(cmd, err)
	}
	return a.prepare(cmd)
}

func kindOfHook(args []string) (pointsmanv1.NotifyKind, error) {
	switch len(args) {
	case reconfigArgs:
		return pointsmanv1.NotifyKind_NOTIFY_KIND_RECONFIG, nil
	case notificationArgs:
		return pointsmanv1.NotifyKind_NOTIFY_KIND_NOTIFICATION, nil
	}
	return 0, fault.Wrong(fmt.Sprintf("%d arguments are those of no Sentinel hook: client-reconfig-script has %d, notification-script %d",
		len(args), reconfigArgs, notificationArgs), "pointsman notify --help")
}

// notify tells every endpoint at once. That nobody could be told is said and
// is no failure.
func (a *App) notify(ctx context.Context, kind pointsmanv1.NotifyKind, args []string) error {
	a.global.timeout = min(a.global.timeout, notifyWait)
	s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	told := s.Notify(ctx, &pointsmanv1.NotifyRequest{Kind: kind, Args: args})
	p := a.printer()
	reached := 0
	for _, t := range told {
		if t.Err != nil {
			fmt.Fprintf(a.Err, "pointsman notify: %s: %s\n", t.Address, fault.Explain(t.Err).Why)
			continue
		}
		reached++
		if err := a.showTold(p, t); err != nil {
			return err
		}
	}
	if reached == 0 {
		fmt.Fprintln(a.Err, "pointsman notify: no node was told; the nodes watch the Sentinels themselves and will see it")
	}
	return nil
}

func (a *App) showTold(p *show.Printer, t remote.Told) error {
	if !p.Format.ForPeople() {
		p.Stream = true
		return p.Message(t.Answer)
	}
	looking := strings.Join(t.Answer.GetMasters(), ", ")
	if looking == "" {
		looking = "nothing: no master of the spec has that name"
	}
	_, err := fmt.Fprintf(a.Out, "%s looks at %s\n", t.Answer.GetHeader().GetNodeId(), looking)
	return err
}
