package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pointsman/pointsman/fsm"
)

// request makes one request at a node's HTTP port, which it opens for that:
// request NODE METHOD PATH [BODY]. The status code and the body go to stdout.
func request(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 || len(args) > 4 || neg {
		ts.Fatalf("usage: request NODE METHOD PATH [BODY]")
	}
	w := ts.Value(tapeKey{}).(*tape)
	n, ok := w.nodes[fsm.NodeID(args[0])]
	if !ok {
		ts.Fatalf("there is no node %s", args[0])
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	s := n.server.NewHTTPServer()
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, args[1], "http://"+l.Addr().String()+args[2], strings.NewReader(strings.Join(args[3:], "")))
	ts.Check(err)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s", resp.StatusCode, body)
}

// sameAnswer compares the JSON of the command line with that of HTTP, but for
// the header, which tells of the moment: sameanswer FILE FILE.
func sameAnswer(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: sameanswer FILE FILE")
	}
	var answers [2]map[string]any
	for i, name := range args {
		text := ts.ReadFile(name)
		ts.Check(json.Unmarshal([]byte(strings.TrimPrefix(text, "200\n")), &answers[i]))
		if answers[i]["header"] == nil || len(answers[i]) < 2 {
			ts.Fatalf("%s is no answer of the API: %s", name, text)
		}
		delete(answers[i], "header")
	}
	if !reflect.DeepEqual(answers[0], answers[1]) {
		ts.Fatalf("%s and %s differ:\n%v\n%v", args[0], args[1], answers[0], answers[1])
	}
}
