package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pointsman/pointsman/fsm"
)

// tools makes sure that programs of the machine are there: a missing one is
// installed as root, and otherwise fails the script instead of skipping it.
func tools(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || neg {
		ts.Fatalf("usage: tool NAME...")
	}
	for _, name := range args {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		need, err := filepath.Abs("../../test/tools/need.sh")
		ts.Check(err)
		if said, err := exec.Command(need, name).CombinedOutput(); err != nil {
			ts.Fatalf("%s: %s", name, said)
		}
	}
}

// startWeb serves a node's HTTP port for the rest of the script, as $WEB:
// web NODE. $SAMPLES are the programs of docs/samples.
func startWeb(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value(tapeKey{}).(*tape)
	if len(args) != 1 || neg || w.nodes[fsm.NodeID(args[0])] == nil {
		ts.Fatalf("usage: web NODE, of a cluster that was started")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	s := w.nodes[fsm.NodeID(args[0])].server.NewHTTPServer()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	ts.Defer(func() {
		_ = s.Close()
		<-ended
	})
	samples, err := filepath.Abs("../../docs/samples")
	ts.Check(err)
	ts.Setenv("WEB", "http://"+l.Addr().String())
	ts.Setenv("SAMPLES", samples)
}

// bufCurl runs each line of a page's sh blocks against n1: bufcurl PAGE. buf is
// built by make check, which also runs this; where nobody has built it there is
// nothing to run the lines with.
func bufCurl(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value(tapeKey{}).(*tape)
	if len(args) != 1 || neg || w.nodes["n1"] == nil {
		ts.Fatalf("usage: bufcurl PAGE, of a cluster that was started")
	}
	buf, err := filepath.Abs("../../bin/tools/buf")
	ts.Check(err)
	if _, err := os.Stat(buf); err != nil {
		if os.Getenv("CI") != "" {
			ts.Fatalf("no buf: make bin/tools/buf")
		}
		ts.Logf("buf is not built, so no line is run: make check")
		return
	}
	page, err := os.ReadFile(args[0])
	ts.Check(err)
	run := 0
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(block[1]) {
			bufLine(ts, buf, strings.ReplaceAll(strings.TrimSpace(line), "127.0.0.1:7801", w.nodes["n1"].address))
			run++
		}
	}
	if run < 8 {
		ts.Fatalf("%s: only %d lines were found", args[0], run)
	}
	if v, _ := w.now().Setting("app/mode"); v.Value != "on" || v.Actor != "anna" {
		ts.Fatalf("app/mode is %+v", v)
	}
}

// bufLine runs one line in the root of the repository; some answer is due.
func bufLine(ts *testscript.TestScript, buf, line string) {
	rest, ok := strings.CutPrefix(line, "buf curl ")
	if !ok {
		ts.Fatalf("not run: %s", line)
	}
	cmd := exec.Command("sh", "-c", `exec "$BUF" curl `+rest)
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "BUF="+buf)
	out, err := cmd.CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		ts.Fatalf("%s: %v\n%s", line, err, out)
	}
}
