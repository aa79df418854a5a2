package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/pointsman/pointsman/actuators"
	program "github.com/pointsman/pointsman/actuators/command"
	"github.com/pointsman/pointsman/actuators/haproxy"
	"github.com/pointsman/pointsman/actuators/httpcall"
	"github.com/pointsman/pointsman/actuators/leases"
	"github.com/pointsman/pointsman/actuators/linode"
	"github.com/pointsman/pointsman/actuators/octavia"
	"github.com/pointsman/pointsman/actuators/ovh"
	"github.com/pointsman/pointsman/actuators/ovhip"
	"github.com/pointsman/pointsman/actuators/redisfence"
	"github.com/pointsman/pointsman/actuators/setting"
	"github.com/pointsman/pointsman/actuators/shopify"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/cli"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/guarded"
	"github.com/pointsman/pointsman/coordinator/config"
)

// kinds are the outside worlds that this program can act on. A new one is one
// line here.
func kinds() actuators.Kinds {
	shop := shopify.New(shopify.Config{}) // its steps and its target have names of their own
	return actuators.Kinds{
		"command":             program.New(program.Config{}),
		haproxy.Name:          haproxy.New(haproxy.Config{TLS: config.ClientTLS}),
		leases.Name:           leases.Kind{},
		"http":                httpcall.New(httpcall.Config{}),
		"linode_nodebalancer": linode.New(linode.Config{}),
		octavia.Name:          octavia.New(octavia.Config{}),
		"ovh_iplb":            ovh.New(ovh.Config{}),
		ovhip.Name:            ovhip.New(ovhip.Config{}),
		redisfence.Name:       redisfence.New(redisfence.Config{TLS: config.ClientTLS}),
		"setting":             setting.Kind{},
		shopify.Name:          shop,
		shopify.HooksName:     shop,
		shopify.TargetName:    shop,
	}
}

func main() {
	guarded.Guard()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	app := &cli.App{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.LookupEnv,
		Terminal: terminal(os.Stdout), Width: func() int { return columns(os.Stdout) }, Kinds: kinds(), Version: version(),
	}
	os.Exit(app.Run(ctx, os.Args[1:]))
}

// release is set by the linker: what git describes the source as.
var release string

// version is the release, else the module's version that the Go tool has
// stamped into the program.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
