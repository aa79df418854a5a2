package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
)

// group is what a command that only holds others does when it is called alone.
func group(cmd *cobra.Command, _ []string) error {
	if !cmd.HasParent() {
		return cmd.Help()
	}
	return fault.Wrong("which of them? "+cmd.CommandPath()+" needs one more word", cmd.CommandPath()+" "+strings.Join(names(cmd), "|"))
}

// subcommandOnly refuses a word that is no command, and names the nearest.
func subcommandOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fault.Unknown("command", args[0], names(cmd))
}

func names(cmd *cobra.Command) []string {
	var all []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			all = append(all, c.Name())
		}
	}
	return all
}

// flagError makes pflag's errors ours.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if errors.As(err, &missing) {
		if name := missing.GetSpecifiedName(); len(name) > 1 {
			return fault.Unknown("flag", "--"+name, flagNames(cmd))
		}
	}
	return fault.Wrong(err.Error(), cmd.CommandPath()+" --help")
}

func flagNames(cmd *cobra.Command) []string {
	var all []string
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			all = append(all, "--"+f.Name)
		}
	}
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return all
}

// usageOf turns what cobra itself refuses into a usage error.
func usageOf(cmd *cobra.Command, err error) error {
	if known := (*fault.Error)(nil); errors.As(err, &known) {
		return err
	}
	text := err.Error()
	if strings.HasPrefix(text, "unknown command") || strings.HasPrefix(text, "required flag") {
		return fault.Wrong(strings.SplitN(text, "\n", 2)[0], cmd.CommandPath()+" --help")
	}
	return err
}

// exactly asks for arguments by name.
func exactly(what ...string) cobra.PositionalArgs {
	return between(len(what), what...)
}

// between asks for at least so many of the named arguments.
func between(least int, what ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fault.Wrong("missing "+strings.Join(what[len(args):least], " and "), cmd.UseLine())
		case len(args) > len(what):
			return fault.Wrong(fmt.Sprintf("unexpected argument %q", args[len(what)]), cmd.UseLine())
		}
		return nil
	}
}

// atLeastOne asks for one argument or more.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fault.Wrong("missing "+what, cmd.UseLine())
		}
		return nil
	}
}
