package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
)

// filterOf joins conditions of a list: key and value by turns. Empty values
// leave their condition out.
func filterOf(pairs ...string) string {
	var all []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all = append(all, pairs[i]+"="+pairs[i+1])
		}
	}
	return strings.Join(all, " ")
}

// enumFlag adds a flag whose values are those of an enum of the API.
func enumFlag(cmd *cobra.Command, value *string, name string, e protoreflect.Enum) {
	words := show.Words(e)
	cmd.Flags().StringVar(value, name, "", "only those in this "+name+": "+strings.Join(words, ", "))
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// oneOf refuses a word that the enum does not have; empty means any.
func oneOf(what, word string, e protoreflect.Enum) error {
	if word == "" || contains(show.Words(e), word) {
		return nil
	}
	return fault.Unknown(what, word, show.Words(e))
}
