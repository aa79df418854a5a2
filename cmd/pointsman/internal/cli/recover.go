package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/coordinator"
	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/fsm"
)

func (a *App) recoverCommand() *cobra.Command {
	var path string
	var dry, yes bool
	cmd := &cobra.Command{
		Use: "recover --config FILE", Short: "Begin the cluster again from one node's data directory, offline", Args: exactly(),
		Long: "For the day when a majority of the nodes is lost for good, or when data directories were put back\n" +
			"from a backup. Run it on one node, as the user that the server runs as, with all nodes stopped.\n" +
			"It shows what the data directory holds, and with --yes rewrites it: every entry counts as\n" +
			"committed, the generation rises so that every token is above all that were given out, sessions\n" +
			"end and partitions are locked, and this node is the only voter. Start it first; the others join\n" +
			"with emptied data directories. What was there is kept beside it; the last three are.\n\n" +
			"Run --dry-run on every node that is left and recover the one whose newest entry has the highest\n" +
			"term, and of those the highest index. docs/recover.md has the steps, and what is not promised.\n\n" +
			"Exit code 2 without --yes or --dry-run: nothing was changed.",
		Example: "  pointsman recover --config /etc/pointsman/node.yaml --dry-run\n  pointsman recover --config /etc/pointsman/node.yaml --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			node, err := a.loadNode(cmd, path)
			if err != nil {
				return err
			}
			return a.recover(node, dry, yes)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what there is and what would be done; change nothing")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do it")
	nodeFlags(cmd)
	return cmd
}

func (a *App) recover(node *config.Node, dry, yes bool) error {
	o := coordinator.Options{Node: node.Config, Kinds: a.Kinds, Logger: newLogger(a.Err, node.Config.GetLog()), Version: a.Version}
	r := show.Recovery{Dir: node.Config.GetDataDir(), Now: time.Now()}
	for _, p := range node.Config.GetPeers() {
		r.Config = append(r.Config, cluster.Peer{ID: fsm.NodeID(p.GetId()), Address: p.GetRaft()})
	}
	var err error
	if dry || !yes {
		r.Found, err = coordinator.Inspect(o)
	} else {
		var done cluster.Recovered
		if done, err = coordinator.Recover(o); err == nil {
			r.Found, r.Done = done.Found, &done
		}
	}
	if err != nil {
		return unrecoverable(node.Config.GetId(), err)
	}
	p := a.printer()
	if p.Format.ForPeople() {
		p.Recovery(r)
	} else if err := p.Object(r.Parts()); err != nil {
		return err
	}
	if dry || yes {
		return nil
	}
	return fault.Wrong("nothing was changed: --yes is missing", "pointsman recover --yes, once all nodes are stopped and this is the one to begin from")
}

func unrecoverable(id string, err error) error {
	e := &fault.Error{Code: fault.Failed, What: "recover " + id, Why: err.Error(), Err: err}
	switch {
	case errors.Is(err, cluster.ErrStoreLocked):
		e.Next = "stop the node first, and all others: a cluster that runs needs no recovery"
	case errors.Is(err, cluster.ErrNothingHere):
		e.Next = "another node's data directory, or a backup of this one's put back"
	case errors.Is(err, cluster.ErrCorrupt), errors.Is(err, cluster.ErrStoreGone), errors.Is(err, cluster.ErrStoreReplaced):
		e.Next = "another node's data directory, or an older copy: nothing was changed in this one"
	}
	return e
}
