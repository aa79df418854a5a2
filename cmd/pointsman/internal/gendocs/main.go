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
	words := flag.String("comments", "", "file for the comments that JSON Schemas show; empty: none")
	flag.Parse()
	if err := run(os.Stdin, *out, *words); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func run(image io.Reader, out, words string) error {
	files, err := read(image)
	if err != nil {
		return err
	}
	app := &cli.App{Env: func(string) (string, bool) { return "", false }}
	pages := map[string]func(io.Writer) error{
		"api.md":    func(w io.Writer) error { return writeAPI(w, files) },
		"config.md": func(w io.Writer) error { return writeConfig(w, files) },
		"cli.md":    func(w io.Writer) error { return cli.WriteReference(w, app.Root()) },
		"errors.md": fault.WritePage,
	}
	for name, write := range pages {
		if err := save(filepath.Join(out, name), write); err != nil {
			return err
		}
	}
	if words == "" {
		return nil
	}
	return save(words, func(w io.Writer) error { return writeComments(w, files) })
}

func save(name string, write func(io.Writer) error) error {
	var page bytes.Buffer
	if err := write(&page); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, page.Bytes(), 0o644)
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
