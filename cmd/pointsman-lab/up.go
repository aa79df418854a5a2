package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

func newUp(o *lab.Options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "up", Short: "Start the playground and stay until Ctrl-C", Args: cobra.NoArgs,
		Long: `Starts the playground of the demo, prints where everything is, and stays until
Ctrl-C. What is killed meanwhile stays dead. With --json the addresses are one
line of JSON; a line for the shell with POINTSMAN_ENDPOINTS follows.`,
		RunE: func(c *cobra.Command, _ []string) error { return up(c, *o, asJSON) },
	}
	c.Flags().BoolVar(&o.Shopify, "shopify", false, "a simulated Shopify shop besides, which a second stage tells where the master is")
	c.Flags().BoolVar(&o.All, "all", false, "the shop, an endpoint (http), a script (command), the machine's HAProxy and a pool of workers (webhooks) besides, each told by the second stage")
	c.Flags().BoolVar(&asJSON, "json", false, "the addresses as one line of JSON")
	return c
}

func up(c *cobra.Command, o lab.Options, asJSON bool) (err error) {
	ctx := c.Context()
	s := newScreen(os.Stderr)
	defer s.close()
	begin := time.Now()
	s.say("starting a redis master, 2 replicas, 3 sentinels, 3 coordinators and a simulated OVH")
	l, err := lab.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for _, why := range l.Missing {
		s.say("left out: %s", why)
	}
	a, leader := l.Addresses(ctx)
	if asJSON {
		if err := json.NewEncoder(c.OutOrStdout()).Encode(a); err != nil {
			return err
		}
	} else {
		s.places(a, leader)
	}
	fmt.Fprintf(c.OutOrStdout(), "export POINTSMAN_ENDPOINTS=%s\n", l.Nodes.Endpoints())
	s.say("ready after %.1f s; Ctrl-C ends it", time.Since(begin).Seconds())
	<-ctx.Done()
	return nil
}
