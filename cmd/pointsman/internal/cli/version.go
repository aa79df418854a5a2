package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/internal/planted"
)

func (a *App) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of this program", Args: exactly(),
		Long: "Shows the version of this program. pointsman nodes list -o wide shows those of the nodes.",
		RunE: func(*cobra.Command, []string) error {
			p := a.printer()
			commit, dirty := commit()
			a.warnOfPlanted()
			if !p.Format.ForPeople() {
				return p.Object([]show.Part{
					{Name: "version", Value: a.Version}, {Name: "commit", Value: commit}, {Name: "modified", Value: dirty},
					{Name: "go", Value: runtime.Version()}, {Name: "platform", Value: runtime.GOOS + "/" + runtime.GOARCH},
				})
			}
			_, err := fmt.Fprintf(a.Out, "pointsman %s (%s, %s/%s)\n", a.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// warnOfPlanted says loudly that guards can be taken out of this program; one
// that is shipped has none of that and says nothing.
func (a *App) warnOfPlanted() {
	if w := planted.Warning(); w != "" {
		fmt.Fprintf(a.Err, "\n*** %s ***\n\n", w)
	}
}

// commit is what the Go tool has stamped into the program.
func commit() (revision string, modified bool) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", false
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	return revision, modified
}
