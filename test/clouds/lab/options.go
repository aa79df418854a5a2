package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// Program is the name of the coordinator's binary.
const Program = "pointsman"

// DefaultRate is the requests per minute of the lab's spec: no brake.
const DefaultRate = 6000

// Options of a Lab. The zero value is the demo's playground.
type Options struct {
	// Pointsman is the program that the coordinators run; empty: Find.
	Pointsman string
	// Dir takes all files. Empty: a new temporary folder. Close removes what
	// the Lab made in it.
	Dir string
	// Env is added to the coordinators' environment.
	Env []string
	// Hold is how long the provider may carry out an abandoned request, as the
	// spec says it; 0: as the sample does. A value of a dead leader keeps its
	// object busy for other values that much longer.
	Hold time.Duration
	// Rate is the requests per minute that the spec grants the provider; 0:
	// DefaultRate. The sample's own is for a failover now and then; a lab makes
	// those of a year in minutes.
	Rate int
	// Rejoin makes a restarted Redis node a replica at once, as an operator
	// would, instead of waiting some 10 s until a Sentinel does.
	Rejoin bool
	// SentinelExtra are lines added to every Sentinel's configuration.
	SentinelExtra []string
	// Sites is where the coordinators live, in their order; nil: all on 127.0.0.1.
	Sites []Site
	// Reach, if set, is told the addresses of Redis, Sentinels and provider, as
	// the spec names them, before a coordinator is.
	Reach func(redis, sentinels []string, provider string) error
	// Besides are providers beside OVH, and a stage of their own that tells them.
	Besides []Kind
	// Fence puts a stage before the cutover that makes the old master a replica.
	Fence bool
	// Shopify adds a simulated shop to Besides.
	Shopify bool
	// All makes them Kinds; HAProxy only where the machine has it, otherwise
	// Lab.Missing says what to install.
	All bool
	// Pools are pools of partitions that the spec declares; not with All, which has one of its own.
	Pools []Shared
	// Workers share a pool besides which depends on the master, and write down what
	// they hold; not with All. 0: there is no such pool.
	Workers int
	// Quiet leaves out the writing client.
	Quiet bool
	// Events is told what happens, in the order of arrival, by one call at a
	// time. nil: nobody is told.
	Events func(Event)
}

// Shared is a pool of partitions.
type Shared struct {
	Name  string
	Spec  string // its fields but the master, as YAML: "partitions: 16, ttl: 2s"
	Moved bool   // it depends on the master: a step of the last stage moves it
}

// Site is where a coordinator lives.
type Site struct {
	Host string   // IP address that it listens at
	Exec []string // put before its command line, such as: ip netns exec NAME
}

// Event is one line of the timeline.
type Event struct {
	At   time.Time // when it happened, with its monotonic part
	Who  Who
	Text string
	Zero bool // a failover's clock begins here
}

// Who says in whose hands an Event lay.
type Who string

// Those who act in a lab.
const (
	ByLab         Who = "lab"
	BySentinel    Who = "sentinel"
	ByCoordinator Who = "pointsman"
	ByProvider    Who = "ovh"
	ByWorkers     Who = "workers"
)

// Find returns the pointsman program that lies beside the running one, or the
// one in PATH. The error is ErrNoProgram.
func Find() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), Program)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(Program)
	if err != nil {
		return "", fmt.Errorf("%w: none beside this program and none in PATH; build it with `make build` or name it with --pointsman", ErrNoProgram)
	}
	return filepath.Abs(path)
}

func (o Options) withDefaults() (Options, error) {
	if o.Pointsman == "" {
		path, err := Find()
		if err != nil {
			return o, err
		}
		o.Pointsman = path
	}
	if info, err := os.Stat(o.Pointsman); err != nil || !info.Mode().IsRegular() {
		return o, fmt.Errorf("%w at %s", ErrNoProgram, o.Pointsman)
	}
	if o.Shopify {
		o.Besides = append(slices.Clone(o.Besides), Shopify)
	}
	if o.All {
		o.Besides = Kinds()
	}
	if o.Workers > 0 {
		o.Pools = append(slices.Clone(o.Pools), Shared{Name: crewPool, Spec: fmt.Sprintf("partitions: %d, %s", crewParts, crewSpec), Moved: true})
	}
	if o.Rate == 0 {
		o.Rate = DefaultRate
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	return o, nil
}
