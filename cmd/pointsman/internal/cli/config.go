package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/deploy/samples"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (a *App) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check and write node files, specs and webhook files", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.configValidate(), a.configPrint(), a.configSchema(), a.configInit())
	return cmd
}

// The kinds of file.
const (
	kindNode    = "node"
	kindSpec    = "spec"
	kindWebhook = "webhook"
)

func kinds() []string { return []string{kindNode, kindSpec, kindWebhook} }

func (a *App) configValidate() *cobra.Command {
	var kind string
	var secrets bool
	cmd := &cobra.Command{
		Use: "validate FILE...", Short: "Check node files, specs and webhook files, all problems at once",
		Long: "Checks the form and the meaning of node files, specs and webhook files without asking anybody.\n" +
			"Each problem is a line file:line:col: field: what is wrong. Which of them a file is shows in\n" +
			"its top-level fields. Exit code 2 when there are problems.",
		Args: atLeastOne("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if kind != "" && !contains(kinds(), kind) {
				return fault.Unknown("kind", kind, kinds())
			}
			return a.validateAll(args, kind, secrets)
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "", "take the files for this: node, spec or webhook")
	cmd.Flags().BoolVar(&secrets, "secrets", false, "also resolve the references to secrets, on this machine")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(kinds(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *App) validateAll(names []string, kind string, secrets bool) error {
	var worst error
	for _, name := range names {
		if err := a.validate(name, kind, secrets); err != nil {
			var e *fault.Error
			if errors.As(err, &e) && e.What != "" {
				e.Print(a.Err)
			}
			worst = fault.Quiet(fault.Usage)
			continue
		}
		fmt.Fprintf(a.Out, "%s: ok\n", name)
	}
	return worst
}

func (a *App) validate(name, kind string, secrets bool) error {
	if kind == "" {
		var err error
		if kind, err = kindOf(name); err != nil {
			return err
		}
	}
	var message proto.Message
	var file *config.File
	switch kind {
	case kindSpec:
		spec, f, err := a.readSpec(name)
		if err != nil {
			return err
		}
		message, file = spec, f
	case kindWebhook:
		c, f, err := config.LoadWebhook(name)
		if err != nil {
			return a.badConfig(err)
		}
		message, file = c, f
	default:
		// A variable of this shell says nothing about the file.
		node, err := config.LoadNode(config.Sources{Path: name, LookupEnv: func(string) (string, bool) { return "", false }})
		if err != nil {
			return a.badConfig(err)
		}
		message, file = node.Config, node.File
	}
	if !secrets {
		return nil
	}
	return a.badConfig(file.Invalid(config.CheckSecrets(message)))
}

// kindOf tells the kinds apart by their top-level fields. What cannot be told is
// taken for a spec: then its problems are told as those of one.
func kindOf(name string) (string, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return "", &fault.Error{Code: fault.Usage, What: err.Error(), Next: "pointsman config init node|spec|webhook writes one to begin with", Err: err}
	}
	var top yaml.MapSlice
	if yaml.Unmarshal(source, &top) != nil {
		return kindSpec, nil //nolint:nilerr // its problems are told with their places later
	}
	best, most := kindSpec, 0
	for _, k := range []struct {
		name    string
		message proto.Message
	}{{kindSpec, &pointsmanv1.Spec{}}, {kindNode, &pointsmanv1.NodeConfig{}}, {kindWebhook, &pointsmanv1.WebhookConfig{}}} {
		known := 0
		for _, item := range top {
			if k.message.ProtoReflect().Descriptor().Fields().ByTextName(fmt.Sprint(item.Key)) != nil {
				known++
			}
		}
		if known > most {
			best, most = k.name, known
		}
	}
	return best, nil
}

func (a *App) configPrint() *cobra.Command {
	var path string
	var effective bool
	cmd := &cobra.Command{
		Use: "print --config FILE", Short: "Show a node's configuration", Args: exactly(),
		Long: "Shows what a node would run with: flag over environment over file over default. With\n" +
			"--effective each value has its origin beside it. Secrets stand as their references.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			node, err := a.loadNode(cmd, path)
			if err != nil {
				return err
			}
			p := a.printer()
			switch {
			case p.Format == show.JSON:
				return p.Message(node.Config)
			case effective:
				return node.Print(a.Out)
			}
			return config.PrintYAML(a.Out, node.Config)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&effective, "effective", false, "add the origin of each value: flag, env, file or default")
	nodeFlags(cmd)
	return cmd
}

func (a *App) configInit() *cobra.Command {
	var out string
	var force bool
	cmd := &cobra.Command{
		Use: "init node|spec|webhook", Short: "Write a commented file to begin with", Args: exactly("node|spec|webhook"),
		ValidArgs: kinds(),
		Example:   "  pointsman config init node > node.yaml\n  pointsman config init spec --out spec.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			text := samples.Node()
			switch args[0] {
			case kindNode:
			case kindSpec:
				text = samples.Spec()
			case kindWebhook:
				text = samples.Webhook()
			default:
				return fault.Unknown("kind of file", args[0], kinds())
			}
			if out == "" || out == "-" {
				_, err := fmt.Fprint(a.Out, text)
				return err
			}
			return a.writeNew(out, text, force)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write to this file instead of stdout")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it exists")
	return cmd
}

func (a *App) writeNew(name, text string, force bool) error {
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(name, mode, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.Wrong(name+" exists", "--force replaces it")
	}
	if err != nil {
		return fault.At("write "+name, err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fault.At("write "+name, err)
	}
	fmt.Fprintf(a.Err, "wrote %s; next: edit it, then pointsman config validate %s\n", name, name)
	return nil
}
