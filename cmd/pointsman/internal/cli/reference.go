package cli

import (
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// referenceCommand writes docs/cli.md. Hidden: it is for those who change the
// program.
func (a *App) referenceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reference", Hidden: true, Short: "Write the reference of all commands as Markdown", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return WriteReference(a.Out, cmd.Root()) },
	}
}

// WriteReference writes every command and flag as Markdown.
func WriteReference(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	b.WriteString(referenceHead)
	b.WriteString("\n## Flags of every command\n\n")
	flagTable(&b, root.PersistentFlags())
	for _, c := range Commands(root) {
		section(&b, c)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const referenceHead = `# Command line

This page is written by ` + "`pointsman reference`" + `; a test compares the two.

Data goes to stdout, talk to stderr. A flag wins over its environment variable, that over the
node file, that over the default. JSON output is the message of the API, with unset fields; a watch
writes one object a line. Times since something are differences on the cluster's own log clock.

| exit code | meaning |
|---|---|
| 0 | ok |
| 1 | failed: refused, not found, or broken |
| 2 | usage or configuration: the command line, a node file or a spec is wrong |
| 3 | a check failed: the cluster is unhealthy, or a log does not verify |
| 4 | warnings only |
| 5 | no leader or time-out: try later |

` + "`NO_COLOR`" + ` switches colours off; there are none when the output is no terminal.
`

// Commands lists the visible commands that do something, by name.
func Commands(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" {
			return
		}
		if c.HasParent() && !c.HasSubCommands() {
			all = append(all, c)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	sort.Slice(all, func(i, j int) bool { return all[i].CommandPath() < all[j].CommandPath() })
	return all
}

func section(b *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n```\n%s\n```\n\n%s.\n", c.CommandPath(), strings.TrimSpace(c.UseLine()), strings.TrimSuffix(c.Short, "."))
	if c.Long != "" {
		fmt.Fprintf(b, "\n%s\n", longText(c.Long))
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```\n%s\n```\n", dedent(c.Example))
	}
	if c.LocalNonPersistentFlags().HasAvailableFlags() {
		b.WriteString("\n")
		flagTable(b, c.LocalNonPersistentFlags())
	}
}

// longText keeps indented parts as code and joins the rest.
func longText(s string) string {
	var out []string
	for _, part := range strings.Split(s, "\n\n") {
		if strings.HasPrefix(part, "  ") || strings.HasPrefix(part, "\t") {
			part = "```\n" + dedent(part) + "\n```"
		}
		out = append(out, part)
	}
	return strings.Join(out, "\n\n")
}

func dedent(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimPrefix(l, "\t"), "  ")
	}
	return strings.Join(lines, "\n")
}

func flagTable(b *strings.Builder, flags *pflag.FlagSet) {
	b.WriteString("| flag | variable | default | meaning |\n|---|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		fmt.Fprintf(b, "| %s | `%s` | %s | %s |\n", name, EnvName(f.Name), code(f.DefValue), strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
