package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// doctor is what pointsman doctor was asked to look at.
type doctor struct {
	path string // the node file; empty: the cluster alone
	dial bool
}

func (a *App) doctorCommand() *cobra.Command {
	d := &doctor{}
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check the cluster, and what it stands on, and say what to do", Args: exactly(),
		Long: "Asks the cluster about itself: quorum, leader, versions, equal states, disks, the spec, and each\n" +
			"master's Sentinels and Redis nodes as the coordinators see them. It runs from any machine that\n" +
			"reaches the API.\n\n" +
			"With --config it also checks this node: its file, data folder, ports and secrets. With --dial it\n" +
			"connects from here to each Sentinel and Redis node of the spec, as the spec's users, and looks for\n" +
			"settings that cost a failover: who may publish on the Sentinels' channel, down-after-milliseconds,\n" +
			"failover-timeout, a client-reconfig-script that runs too, min-replicas-to-write. Only commands that\n" +
			"read are sent; one that the user may not run is refused and stands in that server's ACL LOG.\n\n" +
			"Exit code: 0 all well, 3 a check failed, 4 warnings only, 5 the cluster does not answer.",
		Example: "  pointsman doctor\n  pointsman doctor --config /etc/pointsman/node.yaml --dial",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd, d) },
	}
	configFlag(cmd, &d.path)
	cmd.Flags().BoolVar(&d.dial, "dial", false, "also connect to the Sentinels and Redis nodes of the spec, only to read")
	return cmd
}

func (a *App) doctor(cmd *cobra.Command, d *doctor) error {
	node, checks := a.nodeFile(d.path)
	if node != nil && !cmd.Flags().Changed("endpoints") {
		if _, set := a.Env(EnvName("endpoints")); !set {
			a.global.endpoints = []string{node.GetAdvertise().GetGrpc()}
		}
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	ctx := cmd.Context()
	own := make(chan show.Checks, 1)
	go func() { own <- a.nodeChecks(ctx, node) }()
	seen, code := a.clusterChecks(ctx, s, d.dial, node != nil)
	checks = append(append(checks, seen...), <-own...)
	if err := a.showChecks(checks); err != nil {
		return err
	}
	if code == fault.OK {
		code = codeOfChecks(checks)
	}
	return fault.Quiet(code)
}

// clusterChecks looks at the cluster and, if asked to, at what it watches.
// Nobody's answer is a failed check too, with a code of its own.
func (a *App) clusterChecks(ctx context.Context, s *remote.Session, dial, secrets bool) (show.Checks, fault.Code) {
	st, err := s.Examine(ctx)
	if err != nil {
		e := fault.Explain(err)
		return show.Checks{show.Fails("reachable", "", e.What+": "+e.Why, e.Next)}, e.Code
	}
	checks := st.Doctor()
	if !dial && !secrets {
		return checks, fault.OK
	}
	spec, err := s.Spec(ctx)
	if err != nil {
		return append(checks, show.Fails("spec", "", "it could not be read: "+fault.Spoken(err), "pointsman spec get")), fault.OK
	}
	if secrets {
		checks = append(checks, secretChecks(spec)...)
	}
	if dial {
		checks = append(checks, show.DialedChecks(remote.Dial(ctx, spec))...)
	}
	return checks, fault.OK
}

func (a *App) showChecks(checks show.Checks) error {
	p := a.printer()
	if p.Format.ForPeople() {
		p.Checks(checks)
		return nil
	}
	return p.Object(checks.Parts())
}

func codeOfChecks(c show.Checks) fault.Code {
	switch c.Worst() {
	case show.Failed:
		return fault.Unhealthy
	case show.Warned:
		return fault.Warnings
	}
	return fault.OK
}

func (a *App) upgradeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "upgrade", Short: "Prepare an upgrade of the nodes", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(&cobra.Command{
		Use: "check", Short: "Check whether the nodes can be upgraded to this program's version now", Args: exactly(),
		Long: "Run it with the program that the nodes are to be upgraded to, before the first node and between\n" +
			"any two: every node has to answer, a majority has to be left while one restarts, nothing should be\n" +
			"under way, and this program has to read every command that may stand in the log.\n\n" +
			"Exit code: 0 go on, 3 do not, 4 go on with care, 5 the cluster does not answer.",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.upgradeCheck(cmd.Context()) },
	})
	return cmd
}

func (a *App) upgradeCheck(ctx context.Context) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	st, err := s.Examine(ctx)
	if err != nil {
		return err
	}
	to := show.Release{Version: a.Version}
	for _, k := range fsm.Kinds() {
		to.Commands = max(to.Commands, uint32(k))
	}
	checks := st.Upgrade(to)
	return errors.Join(a.showChecks(checks), fault.Quiet(codeOfChecks(checks)))
}

// ours reports whether the node itself answers at an address.
func (a *App) ours(ctx context.Context, address, id string) bool {
	s, err := remote.Open(remote.Options{Endpoints: []string{address}, Timeout: min(a.global.timeout, portWait), Level: pointsmanv1.ReadLevel_READ_LEVEL_STALE, Actor: a.actor()})
	if err != nil {
		return false
	}
	defer s.Close()
	ctx, cancel := s.Call(ctx)
	defer cancel()
	c, err := s.Cluster(ctx)
	return err == nil && c.GetHeader().GetNodeId() == id
}
