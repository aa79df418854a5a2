package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// Errors of this package.
var (
	// ErrNoServer is returned when the machine has no Redis server binary.
	ErrNoServer = errors.New("no redis server found: run `apt-get install redis-tools` (its redis-check-rdb is the server binary) or put redis-server or valkey-server into PATH")
	// ErrUnknownNode is returned for an address that is not a node of this Lab.
	ErrUnknownNode = errors.New("no such node in the lab")
	// ErrRunning is returned when a running process is asked to start.
	ErrRunning = errors.New("already running")
	// ErrNotRunning is returned when a process that has ended is signalled.
	ErrNotRunning = errors.New("not running")
	// ErrNoMajority is returned while no majority of the Sentinels names one master.
	ErrNoMajority = errors.New("no majority of the sentinels agrees on a master")
	// ErrClosed is returned by a Lab or Recorder after its end.
	ErrClosed = errors.New("closed")
)

// Binary finds a Redis or Valkey server: redis-server or valkey-server in PATH,
// otherwise redis-check-rdb of Debian's package redis-tools, which is the same
// binary choosing its part by argv[0]. Start it with argv[0] "redis-server".
// The error is ErrNoServer and says what to install.
func Binary() (string, error) {
	for _, name := range []string{"redis-server", "valkey-server", "redis-check-rdb"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if isServer(path) {
			return path, nil
		}
	}
	return "", ErrNoServer
}

func isServer(path string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Args[0] = "redis-server"
	out, err := cmd.Output()
	return err == nil && bytes.Contains(bytes.ToLower(out), []byte("server v="))
}

func unknown(address string) error { return fmt.Errorf("%s: %w", address, ErrUnknownNode) }
