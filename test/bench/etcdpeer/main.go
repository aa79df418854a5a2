// Command etcdpeer is one member of an embedded etcd, for `make bench` to measure
// Pointsman's leases beside. It is a module of its own so that nothing of etcd
// comes into the program's.
//
//	etcdpeer DIR NAME NAME=CLIENTPORT/PEERPORT...
//
// All listen on 127.0.0.1, with etcd's defaults: fsync, heartbeat 100 ms, election
// 1 s. It ends when its standard input does, which whoever started it holds.
package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"go.etcd.io/etcd/server/v3/embed"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "etcdpeer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("want DIR NAME NAME=CLIENTPORT/PEERPORT..., have %q", args)
	}
	c := embed.NewConfig()
	c.Dir, c.Name, c.LogLevel = args[0], args[1], "panic" // errors that are none come at each start
	var members []string
	for _, m := range args[2:] {
		name, ports, _ := strings.Cut(m, "=")
		client, peer, ok := strings.Cut(ports, "/")
		if !ok {
			return fmt.Errorf("member %q: want NAME=CLIENTPORT/PEERPORT", m)
		}
		members = append(members, name+"=http://127.0.0.1:"+peer)
		if name == c.Name {
			c.ListenClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:" + client}}
			c.ListenPeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:" + peer}}
			c.AdvertiseClientUrls, c.AdvertisePeerUrls = c.ListenClientUrls, c.ListenPeerUrls
		}
	}
	c.InitialCluster = strings.Join(members, ",")
	e, err := embed.StartEtcd(c)
	if err != nil {
		return err
	}
	defer e.Close()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	select {
	case err := <-e.Err():
		return err
	case <-over:
		return nil
	}
}
