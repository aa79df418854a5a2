package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/guarded"
)

// TestMain lets the scripts run this test program as pointsman, and as exits,
// which runs another command and fails unless it ends with the code named.
func TestMain(m *testing.M) {
	guarded.Guard()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // scripts send it: where it was ignored, their programs would ignore it, too
	flag.Bool("write", false, "write docs/cli.md anew")
	testscript.Main(m, map[string]func(){"pointsman": main, "exits": exits})
}

// TestScripts runs testdata/script: each command against real servers, its
// output and its exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Values[tapeKey{}] = &tape{}
			return ports(env, "RAFT", "GRPC", "HTTP")
		},
		Cmds:                scriptCommands(),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

func exits() {
	want, err := strconv.Atoi(os.Args[1])
	if err != nil || len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: exits CODE COMMAND ARGS...")
		os.Exit(1)
	}
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		fmt.Fprintf(os.Stderr, "%s: exit code %d, want %d\n", strings.Join(os.Args[2:], " "), got, want)
		os.Exit(1)
	}
	os.Exit(0)
}
