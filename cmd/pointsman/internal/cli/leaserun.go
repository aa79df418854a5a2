package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/client/leases"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/guarded"
)

// errNoGrant is why a run was given up before it began.
var errNoGrant = errors.New("no lease was granted in time")

// defaultGrace is the time from SIGTERM to SIGKILL of a command whose lease is
// lost; with the default ttl and lock delay nobody else is granted the lease
// before.
const defaultGrace = 3 * time.Second

// holdRun is one call of leases run.
type holdRun struct {
	app    *App
	pool   string
	args   []string
	worker string
	zone   string
	grace  time.Duration
	wait   time.Duration
	again  bool

	stop    context.CancelCauseFunc
	over    <-chan struct{} // closed by stop
	granted chan struct{}   // closed by the first grant
	first   sync.Once       // closes it
	turn    chan struct{}   // held by the handler whose command runs
	hurry   chan struct{}   // closed when its end is not to be waited for

	// The handler's that has its turn, and the run's when all have ended.
	ran bool
	end guarded.End
	err error // why it was not started

	saying sync.Mutex
	last   string // complaint that was told
}

func (a *App) leasesRun() *cobra.Command {
	r := &holdRun{app: a}
	cmd := &cobra.Command{
		Use: "run POOL -- COMMAND [ARG...]", Short: "Run a command while a lease is held", Args: cobra.ArbitraryArgs,
		Long: "Waits for one partition of the pool, then runs the command. A pool of one partition is a lock, or an\n" +
			"election with --again; one of n lets n commands run at a time. The command finds its lease in\n" +
			"POINTSMAN_LEASE, the fencing token in POINTSMAN_LEASE_TOKEN, and the address of the pool's master in\n" +
			"POINTSMAN_LEASE_ADDRESS.\n\n" +
			"When the lease is lost or has to be handed over, the command's process group is sent SIGTERM, and\n" +
			"SIGKILL after --grace, or when the time to hand over has run out. What the command leaves behind in\n" +
			"its group is killed as well, and all of it when pointsman itself is killed. One command runs at a time,\n" +
			"however many partitions there are. It reads nothing from a terminal: its input is empty then.\n\n" +
			"SIGTERM, SIGINT (Ctrl-C) and SIGHUP stop the command in the same way and give the lease back; a second\n" +
			"one kills it at once, a third ends pointsman without giving the lease back. SIGTSTP (Ctrl-Z) is\n" +
			"refused: who does not renew loses the lease.\n\n" +
			"Ends with the command's exit code, 128 and the signal's number when a signal ended it, and with 5\n" +
			"when it was stopped since the lease was lost or handed over.",
		Example: "  pointsman leases run nightly -- /usr/local/bin/report\n" +
			"  pointsman leases run leader --again -- /usr/local/bin/scheduler --token-from-env",
		ValidArgsFunction: a.complete(poolIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); at != 1 || len(args) < 2 {
				return fault.Wrong("leases run needs one pool, then -- and a command", "pointsman leases run POOL -- COMMAND")
			}
			if r.grace <= 0 || r.wait < 0 {
				return fault.Wrong("--grace must be more than 0, and --wait not less", "--grace 3s")
			}
			if _, err := exec.LookPath(args[1]); err != nil { // known before the wait for a lease
				return fault.At("run "+args[1]+" under a lease of pool "+args[0], err)
			}
			r.pool, r.args = args[0], args[1:]
			return r.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.worker, "worker", "", "name of this worker (default host name and process id)")
	f.StringVar(&r.zone, "zone", "", "zone where it runs")
	f.DurationVar(&r.grace, "grace", defaultGrace, "time from SIGTERM to SIGKILL")
	f.DurationVar(&r.wait, "wait", 0, "give up when no lease was granted in this time; 0: wait for ever")
	f.BoolVar(&r.again, "again", false, "after the lease was lost or handed over, wait for it and run the command again")
	return cmd
}

// connect dials the leader among several endpoints, and a node alone as it is:
// it forwards renewals.
func (a *App) connect() (*client.Client, error) {
	if len(a.global.endpoints) > 1 {
		return client.Dial(a.global.endpoints)
	}
	return client.DialAny(a.global.endpoints)
}

func (r *holdRun) run(ctx context.Context) error {
	c, err := r.app.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	if r.worker == "" {
		host, _ := os.Hostname()
		r.worker = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	held, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.stop, r.over = stop, held.Done()
	r.granted, r.turn, r.hurry = make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
	defer r.heed()()
	if r.wait > 0 {
		defer time.AfterFunc(r.wait, r.giveUp).Stop()
	}
	err = leases.Run(client.AsActor(held, r.app.actor()), c.Conn(),
		leases.Config{Pool: r.pool, Worker: r.worker, Zone: r.zone, Capacity: 1, Stop: r.grace, Log: slog.New(complaints{run: r})}, r.hold)
	if !r.ran {
		return r.withoutGrant(held, err)
	}
	return r.afterwards(ctx.Err() != nil || errors.Is(context.Cause(held), errTold), err)
}
