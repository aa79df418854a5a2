// Command gendocs writes the references that come from the .proto files and
// from the program's own tables: docs/api.md, docs/config.md, docs/cli.md and
// docs/errors.md. It reads a descriptor image with comments from stdin.
//
//	buf build -o - | go run ./cmd/pointsman/internal/gendocs -out docs
//
// make docs calls it; make check calls it too, into another folder, and
// compares.
package main
