package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/cli"
	_ "github.com/pointsman/pointsman/proto/pointsman/v1" // registers the services
)

// surface says for each command which calls of the API it makes, so that
// another program can do the same, over gRPC or HTTP. A command that asks
// nobody says why.
func surface() map[string][]string {
	return map[string][]string{
		"actions abandon":  {"AbandonAction"},
		"actions list":     {"ListActions", "GetCluster"},
		"actions retry":    {"RetryAction"},
		"actions show":     {"GetAction", "GetCluster"},
		"actions watch":    {"WatchActions"},
		"apply":            {"GetSpec", "ApplySpec"},
		"doctor":           {"GetCluster", "ListMasters", "ListActions", "ListFailovers", "GetSpec"},
		"failovers export": {"ListFailovers"},
		"failovers list":   {"ListFailovers", "GetCluster"},
		"failovers show":   {"ListFailovers", "GetFailover", "GetCluster"},
		"failovers watch":  {"WatchFailovers"},
		"switchover":       {"Switchover", "WatchFailovers"},
		"leader show":      {"GetCluster"},
		"leases check":     {"CheckToken"},
		"leases list":      {"ListLeases"},
		"leases release":   {"RevokeLease"},
		"leases run":       {"OpenSession", "Renew", "Release", "CloseSession"}, // by client/leases; Renew as a stream where it can
		"leases show":      {"GetLease"},
		"leases watch":     {"WatchLeases"},
		"leader transfer":  {"TransferLeadership"},
		"log export":       {"GetCluster", "GetSpec", "ListFailovers", "ListActions", "ListSettings"},
		"log verify":       {"ListNodes", "VerifyNode"},
		"masters list":     {"ListMasters", "ListFailovers", "GetCluster"},
		"masters show":     {"GetMaster"},
		"nodes list":       {"ListNodes"},
		"notify":           {"Notify"},
		"pools list":       {"ListPools"},
		"pools show":       {"GetPool", "ListLeases"},
		"settings delete":  {"DeleteSetting"},
		"settings get":     {"GetSetting"},
		"settings list":    {"ListSettings"},
		"settings put":     {"PutSetting"},
		"settings watch":   {"WatchSettings"},
		"spec check":       {"CheckSpec", "GetSpec"},
		"spec diff":        {"GetSpec", "ListSpecRevisions"},
		"spec get":         {"GetSpec"},
		"spec list":        {"ListSpecRevisions"},
		"spec rollback":    {"GetSpec", "ListSpecRevisions", "RollbackSpec"},
		"score":            {"ListScores", "ListFailovers"},
		"status":           {"GetCluster", "ListMasters", "ListActions", "ListFailovers"},
		"upgrade check":    {"GetCluster", "ListMasters", "ListActions", "ListFailovers"},
		"completion":       {local, "writes a shell's script"},
		"config":           {local, "reads and writes files of this machine"},
		"recover":          {local, "rewrites a stopped node's data directory"},
		"server":           {local, "is the server"},
		"spec validate":    {local, "checks files of this machine; ApplySpec with validate_only is the cluster's word"},
		"webhook dlq":      {local, "works in the store of webhooks; asks no coordinator"},
		"webhook receive":  {local, "keeps webhooks in a store; asks no coordinator"},
		"webhook replay":   {local, "works in the store of webhooks; asks no coordinator"},
		"version":          {local, "tells of this program; GetCluster tells each node's"},
	}
}

const local = "local"

// row finds a command's row: its own, or that of the group that it is in.
func row(table map[string][]string, path string) ([]string, bool) {
	for words := strings.Fields(path)[1:]; len(words) > 0; words = words[:len(words)-1] {
		if calls, ok := table[strings.Join(words, " ")]; ok {
			return calls, true
		}
	}
	return nil, false
}

// TestSurface: what the command line can do, a gRPC client and a shell with
// curl can do: each command is made of calls that have an HTTP route.
func TestSurface(t *testing.T) {
	app := &cli.App{Env: func(string) (string, bool) { return "", false }}
	routes, methods := routes(t), methods()
	told := map[string]bool{}
	for _, c := range cli.Commands(app.Root()) {
		calls, ok := row(surface(), c.CommandPath())
		if !ok {
			t.Errorf("%s: say in surface() which calls of the API it makes, or why it is local", c.CommandPath())
			continue
		}
		if calls[0] == local {
			continue
		}
		for _, call := range calls {
			told[call] = true
			if !methods[call] {
				t.Errorf("%s: the API has no %s", c.CommandPath(), call)
			} else if len(routes[call]) == 0 {
				t.Errorf("%s: %s has no HTTP route", c.CommandPath(), call)
			}
		}
	}
	for words := range surface() {
		if c, rest, err := app.Root().Find(strings.Fields(words)); err != nil || len(rest) > 0 {
			t.Errorf("surface() tells of %q, which is no command (%v)", words, c.CommandPath())
		}
	}
	used := callsOf(t, methods)
	maps.DeleteFunc(used, func(m string, _ bool) bool { return slices.Contains(unspoken(), m) })
	if !maps.Equal(used, told) {
		t.Errorf("the commands call\n%v\nand surface() tells of\n%v", slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(told)))
	}
	for m := range methods {
		if !told[m] && !slices.Contains(unspoken(), m) {
			t.Errorf("%s: no command makes this call", m)
		}
	}
}

// unspoken are calls that no command makes itself: ReportView passes between
// coordinators, KeepAlive is Renew as a stream, SaveCheckpoint is for workers that
// are programs of their own.
func unspoken() []string { return []string{"ReportView", "KeepAlive", "SaveCheckpoint"} }

func methods() map[string]bool {
	all := map[string]bool{}
	protoregistry.GlobalFiles.RangeFilesByPackage("pointsman.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for s, j := f.Services().Get(i), 0; j < s.Methods().Len(); j++ {
				all[string(s.Methods().Get(j).Name())] = true
			}
		}
		return true
	})
	return all
}

// routes reads the HTTP rules, by method.
func routes(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../proto/pointsman/v1/http.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	rule := regexp.MustCompile(`selector: pointsman\.v1\.\w+\.(\w+)[,\n]\s*(?:get|post|put|delete): "(/v1/[^"]+)"`)
	for _, m := range rule.FindAllStringSubmatch(string(page), -1) {
		all[m[1]] = m[2]
	}
	if len(all) < 20 {
		t.Fatalf("only %d routes were read", len(all))
	}
	return all
}

// callsOf reads the source of the commands for the calls that it makes.
func callsOf(t *testing.T, methods map[string]bool) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	for _, dir := range []string{"internal/cli", "internal/remote", "../../client/leases"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), dir+"/"+e.Name(), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if s, ok := call.Fun.(*ast.SelectorExpr); ok && methods[s.Sel.Name] && len(call.Args) > 1 {
						used[s.Sel.Name] = true
					}
				}
				return true
			})
		}
	}
	return used
}
