// Command notices writes THIRD_PARTY_NOTICES.md: the modules that are linked
// into our programs, the licence of each, and the licence texts. It reads them
// from the module cache. With -check it writes nothing and fails when the file
// is not current. It fails when it meets a licence that it does not know or
// that Apache-2.0 programs should not link.
//
// Run it in the module's root: go run ./test/layout/notices
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

const output = "THIRD_PARTY_NOTICES.md"

func main() {
	check := flag.Bool("check", false, "fail when "+output+" is not current")
	flag.Parse()
	if err := run(context.Background(), *check); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

var errStale = errors.New(output + " is not current: run `make notices`")

func run(ctx context.Context, check bool) error {
	modules, err := linked(ctx, "./cmd/...")
	if err != nil {
		return err
	}
	notices := make([]notice, 0, len(modules)+2)
	for _, m := range modules {
		n, err := read(m)
		if err != nil {
			return err
		}
		notices = append(notices, n)
	}
	std, err := standardLibrary(ctx)
	if err != nil {
		return err
	}
	text := render(append(notices, std, validateProto()))
	if !check {
		return os.WriteFile(output, text, 0o644)
	}
	have, err := os.ReadFile(output)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, text) {
		return errStale
	}
	return nil
}

type module struct{ path, version, dir string }

// linked lists the modules that packages of the pattern are built from, ours
// and the standard library left out.
func linked(ctx context.Context, pattern string) ([]module, error) {
	const format = `{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}`
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-f", format, pattern)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	var modules []module
	for _, line := range slices.Compact(lines) {
		words := strings.SplitN(line, " ", 3)
		if len(words) == 3 {
			modules = append(modules, module{words[0], words[1], words[2]})
		}
	}
	if len(modules) == 0 {
		return nil, fmt.Errorf("list modules: %s is built from none", pattern)
	}
	return modules, nil
}

func standardLibrary(ctx context.Context) (notice, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return notice{}, fmt.Errorf("find the standard library: %w", err)
	}
	return read(module{"Go standard library and runtime", "", strings.TrimSpace(string(out))})
}

// validateProto is no module that is linked, but a file in our tree.
func validateProto() notice {
	return notice{
		module:  module{path: "github.com/bufbuild/protovalidate (test/tools/thirdparty/buf/validate/validate.proto)", version: "v1.2.2"},
		licence: apache,
	}
}
