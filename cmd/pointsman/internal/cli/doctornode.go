package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// portWait bounds the look at one port of this machine.
const portWait = time.Second

// nodeFile reads the node file, if one was named; nil when it cannot be used.
func (a *App) nodeFile(path string) (*pointsmanv1.NodeConfig, show.Checks) {
	if path == "" {
		return nil, nil
	}
	node, err := config.LoadNode(config.Sources{Path: path, LookupEnv: a.Env})
	if err != nil {
		return nil, show.Checks{show.Fails("node file", "", err.Error(), "pointsman config validate "+path)}
	}
	return node.Config, show.Checks{show.Passes("node file", "", path+" is well formed")}
}

// nodeChecks looks at this machine as the node that the file describes.
func (a *App) nodeChecks(ctx context.Context, node *pointsmanv1.NodeConfig) show.Checks {
	if node == nil {
		return nil
	}
	return append(show.Checks{dataCheck(node.GetDataDir())}, a.portChecks(ctx, node)...)
}

// dataCheck writes and removes a file: nothing less tells of a read-only file
// system or a quota.
func dataCheck(dir string) show.Check {
	const name = "data folder"
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(dir)); err != nil {
			return show.Fails(name, "", err.Error(), "create "+filepath.Dir(dir)+", owned by the user that the server runs as")
		}
		return show.Warns(name, "", dir+" does not exist yet", "the server creates it at its first start; on a node that ran before, find out where it went before you start it")
	case err != nil:
		return show.Fails(name, "", err.Error(), "run this as the user that the server runs as")
	case !info.IsDir():
		return show.Fails(name, "", dir+" is no folder", "name another data_dir")
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	switch {
	case err != nil:
		return show.Fails(name, "", err.Error(), "the user that the server runs as must be able to write there; run this as that user")
	case info.Mode().Perm()&0o077 != 0:
		return show.Warns(name, "", fmt.Sprintf("%s is open to others (mode %04o)", dir, info.Mode().Perm()), "chmod 0700 "+dir)
	}
	return show.Passes(name, "", dir+" can be written to, and by its owner only")
}

// portChecks: each port is free, or the node's own.
func (a *App) portChecks(ctx context.Context, node *pointsmanv1.NodeConfig) show.Checks {
	l := node.GetListen()
	running := a.ours(ctx, reachedAt(l.GetGrpc()), node.GetId())
	var all show.Checks
	for _, port := range []struct{ name, address string }{{"raft", l.GetRaft()}, {"grpc", l.GetGrpc()}, {"http", l.GetHttp()}} {
		used := anybodyAt(ctx, reachedAt(port.address))
		at := port.name + " " + port.address
		switch {
		case used && running:
			all = append(all, show.Passes("port", at, node.GetId()+" runs and holds it"))
		case used:
			all = append(all, show.Fails("port", at, "somebody else listens there: no node "+node.GetId()+" answers at "+l.GetGrpc(), "stop that program, or choose another port in the node file"))
		case running:
			all = append(all, show.Fails("port", at, node.GetId()+" runs, but nobody listens there", "was the node file changed since it was started? restart the node"))
		default:
			all = append(all, bindable(ctx, at, port.address))
		}
	}
	return all
}

// reachedAt is where a listener of that address is reached from its machine.
func reachedAt(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return listen
}

func anybodyAt(ctx context.Context, address string) bool {
	c, err := (&net.Dialer{Timeout: portWait}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func bindable(ctx context.Context, at, address string) show.Check {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return show.Fails("port", at, err.Error(), "is the address one of this machine's, and may this user bind it?")
	}
	l.Close()
	return show.Passes("port", at, "free; the node does not run")
}

// secretChecks resolves each reference of the spec on this machine, and looks
// who may read the files.
func secretChecks(spec *pointsmanv1.Spec) show.Checks {
	var all show.Checks
	broken := config.CheckSecrets(spec)
	for _, p := range broken {
		all = append(all, show.Fails("secret", p.Path, p.Message, "put it where the spec says, readable for the user that the server runs as"))
	}
	files := map[string]bool{}
	secretFiles(spec.ProtoReflect(), files)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			all = append(all, modeCheck(name, info.Mode().Perm()))
		}
	}
	if len(all) == 0 {
		return show.Checks{show.Passes("secrets", "", "each reference of the spec resolves here; none is a file")}
	}
	return all
}

func modeCheck(name string, mode fs.FileMode) show.Check {
	why := fmt.Sprintf("mode %04o", mode)
	switch {
	case mode&0o007 != 0:
		return show.Fails("secret", name, why+": every user of this machine may read it", "chmod o= "+name)
	case mode&0o020 != 0:
		return show.Warns("secret", name, why+": its group may change it", "chmod g-w "+name)
	}
	return show.Passes("secret", name, why)
}

// secretFiles gathers the files that a message's references name, certificates
// left out: those are no secrets.
func secretFiles(m protoreflect.Message, into map[string]bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				secretFiles(v.Message(), into)
				return true
			})
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				secretFiles(v.List().Get(i).Message(), into)
			}
		case !f.IsMap() && !f.IsList() && f.Message() != nil:
			secretFiles(v.Message(), into)
		case !f.IsMap() && !f.IsList() && f.Kind() == protoreflect.StringKind && isReference(f):
			if name, found := strings.CutPrefix(v.String(), "file:"); found {
				into[name] = true
			}
		}
		return true
	})
}

// isReference reports whether a field takes a reference to what must stay
// secret.
func isReference(f protoreflect.FieldDescriptor) bool {
	rules, err := protovalidate.ResolveFieldRules(f)
	if err != nil || f.Name() == "ca" || f.Name() == "cert" {
		return false
	}
	return slices.ContainsFunc(rules.GetCel(), func(r *validate.Rule) bool { return r.GetId() == "secret_reference" })
}
