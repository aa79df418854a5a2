package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cluster"
)

// bareReady is what a bare node writes when it knows a leader.
const bareReady = "leader known"

// newBareRaft is a node of hashicorp/raft and nothing else, with our timings:
// what an idle coordinator is compared with.
func newBareRaft() *cobra.Command {
	var dir string
	var peers []string
	c := &cobra.Command{
		Use: "bare-raft INDEX", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var i int
			if _, err := fmt.Sscanf(args[0], "%d", &i); err != nil || i < 0 || i >= len(peers) {
				return fmt.Errorf("index %q of %d peers", args[0], len(peers))
			}
			r, err := bareNode(dir, i, peers)
			if err != nil {
				return err
			}
			seen := make(chan raft.Observation, 16)
			r.RegisterObserver(raft.NewObserver(seen, false, func(o *raft.Observation) bool {
				l, ok := o.Data.(raft.LeaderObservation)
				return ok && l.LeaderID != ""
			}))
			select {
			case <-seen:
				fmt.Fprintln(os.Stdout, bareReady)
			case <-c.Context().Done():
			}
			<-c.Context().Done()
			return r.Shutdown().Error()
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the store")
	c.Flags().StringSliceVar(&peers, "peer", nil, "address of a voter, this node included; repeated")
	return c
}

func bareNode(dir string, i int, peers []string) (*raft.Raft, error) {
	timings, err := cluster.TimingsOf(cluster.ProfileDefault)
	if err != nil {
		return nil, err
	}
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(peers[i])
	conf.HeartbeatTimeout, conf.ElectionTimeout = timings.Heartbeat, timings.Election
	conf.LeaderLeaseTimeout, conf.CommitTimeout = timings.Lease, timings.Commit
	conf.LogOutput, conf.LogLevel = io.Discard, "ERROR"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	store, err := raftboltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	if err != nil {
		return nil, err
	}
	snapshots, err := raft.NewFileSnapshotStore(dir, 2, io.Discard)
	if err != nil {
		return nil, err
	}
	at, err := net.ResolveTCPAddr("tcp", peers[i])
	if err != nil {
		return nil, err
	}
	wire, err := raft.NewTCPTransport(peers[i], at, 3, timings.RPC, io.Discard)
	if err != nil {
		return nil, err
	}
	var voters raft.Configuration
	for _, p := range peers {
		voters.Servers = append(voters.Servers, raft.Server{ID: raft.ServerID(p), Address: raft.ServerAddress(p)})
	}
	if err := raft.BootstrapCluster(conf, store, store, snapshots, wire, voters); err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return nil, err
	}
	return raft.NewRaft(conf, nothing{}, store, store, snapshots, wire)
}

// nothing is a state machine without state.
type nothing struct{}

func (nothing) Apply(*raft.Log) any                 { return nil }
func (nothing) Snapshot() (raft.FSMSnapshot, error) { return nothing{}, nil }
func (nothing) Restore(r io.ReadCloser) error       { return r.Close() }
func (nothing) Persist(s raft.SnapshotSink) error   { return s.Close() }
func (nothing) Release()                            {}

// bareArgs is the command line of the ith bare node.
func bareArgs(self, dir string, i int, peers []string) []string {
	return []string{self, "bare-raft", fmt.Sprint(i), "--dir", filepath.Join(dir, fmt.Sprintf("bare-%d", i)), "--peer", strings.Join(peers, ",")}
}

// bareStart bounds the election of the bare nodes.
const bareStart = 15 * time.Second
