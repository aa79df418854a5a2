package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/cli"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
)

// contract is the package that the references tell of.
const contract protoreflect.FullName = "pointsman.v1"

func main() {
	out := flag.String("out", "docs", "folder to write to")
	flag.Parse()
	if err := run(os.Stdin, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func run(image io.Reader, out string) error {
	files, err := read(image)
	if err != nil {
		return err
	}
	app := &cli.App{Env: func(string) (string, bool) { return "", false }}
	for name, write := range map[string]func(io.Writer) error{
		"api.md":    func(w io.Writer) error { return writeAPI(w, files) },
		"config.md": func(w io.Writer) error { return writeConfig(w, files) },
		"cli.md":    func(w io.Writer) error { return cli.WriteReference(w, app.Root()) },
		"errors.md": fault.WritePage,
	} {
		var page bytes.Buffer
		if err := write(&page); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(out, name), page.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// read resolves an image. Options of protovalidate stay unknown fields: they
// are read by its own generated code.
func read(image io.Reader) (*protoregistry.Files, error) {
	raw, err := io.ReadAll(image)
	if err != nil {
		return nil, err
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, fmt.Errorf("read the image: %w", err)
	}
	return protodesc.NewFiles(set)
}
