package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// MaxSecretBytes bounds what a reference may resolve to: a chain of
// certificates fits many times over.
const MaxSecretBytes = 1 << 20

// credentialsDir is set by systemd for units with LoadCredential=
// (systemd.exec(5), "Credentials").
const credentialsDir = "CREDENTIALS_DIRECTORY"

// Errors of references to secrets. None of them holds a secret's value, nor
// what was written where a reference should stand.
var (
	// ErrNotReference is returned for text that is no reference. It may be a
	// secret written out, so the text is not in the error.
	ErrNotReference = errors.New("must be a reference: env:NAME, file:PATH or credential:NAME")
	// ErrUnresolved is returned when what a reference names is not there, is
	// empty or is larger than MaxSecretBytes.
	ErrUnresolved = errors.New("secret does not resolve")
)

// Secret is a reference to a secret. The zero Secret stands for none. It may be
// printed and logged: it shows the reference.
type Secret struct{ scheme, name string }

// ParseSecret reads a reference. Empty text is the zero Secret.
func ParseSecret(ref string) (Secret, error) {
	if ref == "" {
		return Secret{}, nil
	}
	scheme, name, ok := strings.Cut(ref, ":")
	switch {
	case !ok || name == "":
		return Secret{}, ErrNotReference
	case scheme == "env":
	case scheme == "file" && filepath.IsAbs(name):
	case scheme == "credential" && filepath.Base(name) == name && name != "." && name != "..":
	default:
		return Secret{}, ErrNotReference
	}
	return Secret{scheme, name}, nil
}

// IsZero reports whether there is no reference.
func (s Secret) IsZero() bool { return s.scheme == "" }

// String is the reference as it was written.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return s.scheme + ":" + s.name
}

// LogValue makes logs show the reference.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Resolve reads the secret from this machine, anew at each call, so that a
// rotated one is found. One line end at its end is cut. The zero Secret
// resolves to the empty string; anything else that is empty is ErrUnresolved.
func (s Secret) Resolve() (string, error) {
	if s.IsZero() {
		return "", nil
	}
	value, err := s.read()
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrUnresolved, s, err)
	}
	value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	if len(value) == 0 {
		return "", fmt.Errorf("%w: %s: is empty", ErrUnresolved, s)
	}
	return string(value), nil
}

func (s Secret) read() ([]byte, error) {
	switch s.scheme {
	case "env":
		value, ok := os.LookupEnv(s.name)
		if !ok {
			return nil, errors.New("is not in the environment")
		}
		return []byte(value), nil
	case "credential":
		dir, ok := os.LookupEnv(credentialsDir)
		if !ok {
			return nil, fmt.Errorf("$%s is not set: not started by systemd with LoadCredential", credentialsDir)
		}
		return readSecret(filepath.Join(dir, s.name))
	default:
		return readSecret(s.name)
	}
}

func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	value, err := io.ReadAll(io.LimitReader(f, MaxSecretBytes+1))
	if err != nil {
		return nil, err
	}
	if len(value) > MaxSecretBytes {
		return nil, fmt.Errorf("is larger than %d bytes", MaxSecretBytes)
	}
	return value, nil
}

// CheckSecrets resolves every reference of a configuration on this machine,
// and answers a problem for each that does not resolve. It forgets the values.
func CheckSecrets(message proto.Message) []Problem {
	var problems []Problem
	eachField(message.ProtoReflect(), "", func(path string, fd protoreflect.FieldDescriptor, value protoreflect.Value) {
		if fd.Kind() != protoreflect.StringKind || fd.IsList() || fd.IsMap() || !isSecret(fd) {
			return
		}
		secret, err := ParseSecret(value.String())
		if err == nil {
			_, err = secret.Resolve()
		}
		if err != nil {
			problems = append(problems, Problem{Path: path, Message: err.Error()})
		}
	})
	return problems
}

// eachField visits every field that is set, depth first.
func eachField(m protoreflect.Message, path string, visit func(string, protoreflect.FieldDescriptor, protoreflect.Value)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		full := field(path, string(fd.Name()))
		visit(full, fd, v)
		switch {
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				eachField(v.List().Get(i).Message(), item(full, i), visit)
			}
		case fd.IsMap() && fd.MapValue().Message() != nil:
			quoted := fd.MapKey().Kind() == protoreflect.StringKind
			v.Map().Range(func(key protoreflect.MapKey, element protoreflect.Value) bool {
				eachField(element.Message(), entry(full, key.String(), quoted), visit)
				return true
			})
		case !fd.IsList() && !fd.IsMap() && fd.Message() != nil:
			eachField(v.Message(), full, visit)
		}
		return true
	})
}

// ResolveSecret reads what a reference names, as Resolve does; empty text is
// none, and resolves to nothing.
func ResolveSecret(ref string) (string, error) {
	s, err := ParseSecret(ref)
	if err != nil {
		return "", err
	}
	return s.Resolve()
}
