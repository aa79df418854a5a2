package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/schema"
)

func (a *App) configSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema node|spec|webhook", Short: "Write the JSON Schema of a kind of file, for editors", Args: exactly("node|spec|webhook"),
		Long: "Writes JSON Schema (draft 2020-12): with it an editor completes names, shows what each field\n" +
			"means and underlines slips. It knows less than pointsman config validate, which has the last word.",
		Example: "  pointsman config schema spec > spec.schema.json\n" +
			"  # first line of spec.yaml, for editors that run yaml-language-server:\n" +
			"  # yaml-language-server: $schema=spec.schema.json",
		ValidArgs: kinds(),
		RunE: func(_ *cobra.Command, args []string) error {
			write := schema.Spec
			switch args[0] {
			case kindSpec:
			case kindNode:
				write = schema.Node
			case kindWebhook:
				write = schema.Webhook
			default:
				return fault.Unknown("kind of file", args[0], kinds())
			}
			text, err := write()
			if err != nil {
				return fault.At("write the schema", err)
			}
			_, err = fmt.Fprintf(a.Out, "%s\n", text)
			return err
		},
	}
}
