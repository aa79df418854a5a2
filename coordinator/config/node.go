package config

import (
	"os"
	"slices"
	"strings"
	"time"

	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Defaults of the node file.
const (
	DefaultDataDir          = "/var/lib/pointsman"
	DefaultRaft             = "127.0.0.1:7800"
	DefaultGRPC             = "127.0.0.1:7801"
	DefaultHTTP             = "127.0.0.1:7802"
	DefaultDiskFloor        = 256 << 20 // bytes
	DefaultSnapshotEntries  = 8192
	DefaultSnapshotInterval = time.Hour
	DefaultSnapshotBytes    = 64 << 20
)

// envPrefix begins the name of each environment variable that sets a field.
const envPrefix = "POINTSMAN_"

// Origin is where an effective value comes from.
type Origin string

// Origins, the strongest first.
const (
	FromFlag    Origin = "flag"
	FromEnv     Origin = "env"
	FromFile    Origin = "file"
	FromDefault Origin = "default"
)

// Sources are the places from which a node's configuration is put together.
type Sources struct {
	Path      string                      // node file; empty means that there is none
	Flags     map[string]string           // values given on the command line, by field path
	LookupEnv func(string) (string, bool) // nil means os.LookupEnv
}

// Node is the effective configuration of a node. It is not changed after it
// was loaded; any number of goroutines may read it.
type Node struct {
	Config  *pointsmanv1.NodeConfig // complete: defaults are filled in
	File    *File                   // for places of later problems; never nil
	origins map[string]Origin
}

// Origin tells where the value of a field comes from; FromDefault when nobody
// set it.
func (n *Node) Origin(path string) Origin {
	if o, ok := n.origins[path]; ok {
		return o
	}
	return FromDefault
}

// NodeFields lists the paths that a flag or the environment may set: all single
// values, but not the list of peers. A flag is named by FlagName, a variable by
// EnvName.
func NodeFields() []string {
	var paths []string
	leaves((&pointsmanv1.NodeConfig{}).ProtoReflect().Descriptor(), "", func(path string) { paths = append(paths, path) })
	return paths
}

func leaves(desc protoreflect.MessageDescriptor, path string, visit func(string)) {
	for i := range desc.Fields().Len() {
		fd := desc.Fields().Get(i)
		full := field(path, string(fd.Name()))
		switch {
		case fd.IsList() || fd.IsMap():
		case fd.Message() != nil && fd.Message().ParentFile().Package() == desc.ParentFile().Package():
			leaves(fd.Message(), full, visit)
		default:
			visit(full)
		}
	}
}

// FlagName is the command line's name for a field: data_dir is data-dir,
// listen.raft is listen-raft.
func FlagName(path string) string { return strings.NewReplacer("_", "-", ".", "-").Replace(path) }

// EnvName is the environment's name for a field: POINTSMAN_LISTEN_RAFT.
func EnvName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// LoadNode puts a node's configuration together: flag over environment over
// file over default. Problems of all of them are told at once, as an
// *InvalidError; the one of a flag or variable names it instead of a place.
func LoadNode(s Sources) (*Node, error) {
	config := &pointsmanv1.NodeConfig{}
	file, problems, touched := &File{name: "node configuration", spans: map[string]span{}}, []Problem(nil), map[string]bool{}
	if s.Path != "" {
		source, err := read(s.Path)
		if err != nil {
			return nil, err
		}
		file, problems, touched = decode(s.Path, source, config)
	}
	node := &Node{Config: config, File: file, origins: map[string]Origin{}}
	for path := range file.spans {
		node.origins[path] = FromFile
	}
	problems = append(problems, node.override(s, touched)...)
	if touched != nil {
		problems = append(problems, validate(config, touched)...)
		for _, p := range problems {
			touched[p.Path] = true
		}
		node.fill()
		problems = append(problems, checkNode(config, touched)...)
	}
	if err := file.Invalid(problems); err != nil {
		return nil, err
	}
	return node, nil
}

// override sets the fields that the environment and the command line name.
func (n *Node) override(s Sources, touched map[string]bool) []Problem {
	lookup := s.LookupEnv
	if lookup == nil {
		lookup = os.LookupEnv
	}
	n.File.outside = map[string]string{}
	var problems []Problem
	known := NodeFields()
	for _, path := range known {
		text, origin, by := s.Flags[path], FromFlag, "--"+FlagName(path)
		if _, ok := s.Flags[path]; !ok {
			if text, ok = lookup(EnvName(path)); !ok {
				continue
			}
			origin, by = FromEnv, EnvName(path)
		}
		n.origins[path], n.File.outside[path] = origin, by
		if p := overlay(n.Config, path, text); p != nil {
			problems = append(problems, *p)
			if touched != nil {
				touched[path] = true
			}
		}
	}
	for path := range s.Flags {
		if !slices.Contains(known, path) {
			problems = append(problems, Problem{Path: path, Message: "is no field that a flag may set"})
		}
	}
	return problems
}

// overlay decodes one value as if it stood in the file, and sets it.
func overlay(config *pointsmanv1.NodeConfig, path, text string) *Problem {
	names := strings.Split(path, ".")
	holder, fd := config.ProtoReflect(), protoreflect.FieldDescriptor(nil)
	for i, name := range names {
		fd = holder.Descriptor().Fields().ByName(protoreflect.Name(name))
		if i < len(names)-1 {
			holder = holder.Mutable(fd).Message()
		}
	}
	value := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	if fd.Kind() == protoreflect.StringKind {
		value.Tag, value.Style = "!!str", yaml.DoubleQuotedStyle
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Value: names[len(names)-1]}
	source, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, value}})
	fresh := holder.New()
	if err == nil {
		err = protoyaml.UnmarshalOptions{CustomUnmarshaler: spelling{}}.Unmarshal(source, fresh.Interface())
	}
	if err != nil {
		return &Problem{Path: path, Message: refused(found{kind: fd, node: value})}
	}
	holder.Set(fd, fresh.Get(fd))
	return nil
}

// fill sets what nobody has set.
func (n *Node) fill() {
	c := n.Config
	c.Listen, c.Advertise = orNew(c.Listen), orNew(c.Advertise)
	c.Snapshot, c.Log = orNew(c.Snapshot), orNew(c.Log)
	fill(&c.DataDir, DefaultDataDir)
	fill(&c.Listen.Raft, DefaultRaft)
	fill(&c.Listen.Grpc, DefaultGRPC)
	fill(&c.Listen.Http, DefaultHTTP)
	fill(&c.Timing, pointsmanv1.TimingProfile_TIMING_PROFILE_DEFAULT)
	fill(&c.Snapshot.Entries, DefaultSnapshotEntries)
	fill(&c.Snapshot.Bytes, DefaultSnapshotBytes)
	fill(&c.Log.Level, pointsmanv1.LogLevel_LOG_LEVEL_INFO)
	fill(&c.Log.Format, pointsmanv1.LogFormat_LOG_FORMAT_TEXT)
	if c.Snapshot.Interval == nil {
		c.Snapshot.Interval = durationpb.New(DefaultSnapshotInterval)
	}
	if n.Origin("disk_floor") == FromDefault { // 0 may be written: no floor
		c.DiskFloor = DefaultDiskFloor
	}
	fillAdvertised(&c.Advertise.Raft, c.Listen.Raft)
	fillAdvertised(&c.Advertise.Grpc, c.Listen.Grpc)
	fillAdvertised(&c.Advertise.Http, c.Listen.Http)
}

func fill[T comparable](value *T, otherwise T) {
	var unset T
	if *value == unset {
		*value = otherwise
	}
}

// fillAdvertised leaves an address alone whose port is not known before the
// node listens.
func fillAdvertised(advertise *string, listen string) {
	if !strings.HasSuffix(listen, ":0") {
		fill(advertise, listen)
	}
}

func orNew[T any, P interface {
	*T
	proto.Message
}](m P) P {
	if m != nil {
		return m
	}
	return new(T)
}
