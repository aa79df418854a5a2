package layout

import (
	"cmp"
	"go/ast"
	"strconv"
	"strings"
)

// room is a folder, with all below it that is no room of its own, and the
// rooms that it may import. Packages of one room may always import each other,
// except where the room is a family of siblings.
type room struct {
	name   string
	may    []string // rooms, or folders inside of them
	family bool     // each folder directly below is a room of its own
	only   []string // modules not ours that it may import; nil means any
}

// plan is the house. A room that is missing here is a fault: say first, in an
// ADR, where it stands.
func plan() []room {
	below := []string{"internal/planted"}
	ground := append([]string{"fsm", "proto"}, below...)
	middle := append([]string{"actuators", "client", "internal/near", "internal/boot"}, ground...)
	upper := append([]string{"sentinel", "cluster", "executor", "leases", "api", "webhook"}, middle...)
	roof := append([]string{"coordinator", "actuators/*", "deploy", "client/webhooks"}, upper...)
	return []room{
		// 0
		{name: "internal/planted", only: []string{}},
		{name: "internal/near", only: []string{}},
		{name: "internal/boot", only: []string{"golang.org/x/sys/unix"}},
		// 1
		{name: "fsm", may: below, only: []string{"github.com/hashicorp/go-immutable-radix/v2"}},
		{name: "proto"},
		{name: "sentinel", may: below},
		{name: "deploy"},
		{name: "deploy/samples/leases", may: []string{"client"}}, // a user's own program
		// 2
		{name: "cluster", may: ground},
		{name: "actuators", may: ground},
		{name: "actuators/wire", may: append([]string{"actuators"}, ground...)},
		{name: "actuators/ovhapi", may: append([]string{"actuators", "actuators/wire"}, ground...)},
		{name: "client", may: append([]string{"internal/boot"}, ground...)},
		// 3
		{name: "actuators", family: true, may: append([]string{"actuators/wire", "actuators/ovhapi"}, middle...)},
		{name: "executor", may: middle},
		{name: "leases", may: middle},
		{name: "api", may: middle},
		{name: "webhook", may: middle},
		{name: "client/webhooks", may: append([]string{"client", "webhook"}, ground...)}, // what a user's own worker calls
		// 4
		{name: "coordinator", may: upper},
		// 5
		{name: "cmd/pointsman-lab", may: append([]string{"test/clouds"}, roof...)},
		{name: "cmd", family: true, may: roof},
		{name: "test/clouds", may: roof},
		{name: "test", family: true, may: append([]string{"test/clouds"}, roof...)},
	}
}

// forTests are rooms that test files of any room may import besides: the
// conformance suite, the actuator that has no outside world, the simulated
// clouds and the samples. No program gains an arrow by it, since no test file
// is linked into one. The assembly's tests pick actuators as cmd does.
func forTests(name string) room {
	r := room{may: []string{"actuators/actuatortest", "actuators/setting", "test/clouds", "deploy"}}
	if name == "coordinator" {
		r.may = append(r.may, "actuators/*")
	}
	return r
}

// home finds the room of a folder and its name; false when the plan lacks it.
// A family's member comes before the room that has the family's own name.
func home(dir string) (room, string, bool) {
	var found room
	name := ""
	for _, r := range plan() {
		inside := dir == r.name || strings.HasPrefix(dir, r.name+"/")
		if !inside || len(r.name) < len(found.name) || r.family && dir == r.name {
			continue
		}
		found, name = r, r.name
		if r.family {
			member, _, _ := strings.Cut(strings.TrimPrefix(dir, r.name+"/"), "/")
			name = r.name + "/" + member
		}
	}
	return found, name, name != ""
}

// allows reports whether the room may import another. A family's name stands
// for its contract, the folder itself; name/* for each member.
func (r room) allows(target string) bool {
	for _, may := range r.may {
		if family, ok := strings.CutSuffix(may, "/*"); target == may || ok && strings.HasPrefix(target, family+"/") {
			return true
		}
	}
	return false
}

// Floors finds imports that the plan does not have.
func (t *Tree) Floors() []Fault {
	var faults []Fault
	for _, f := range t.files {
		r, name, ok := home(f.dir)
		if !ok {
			faults = append(faults, Fault{f.name, "stands in no room of the plan (floors.go)"})
			continue
		}
		for _, spec := range f.syntax.Imports {
			if what := t.arrow(f, r, name, spec); what != "" {
				faults = append(faults, t.fault(spec.Pos(), "%s", what))
			}
		}
	}
	return faults
}

// arrow judges one import; empty when the plan has it.
func (t *Tree) arrow(f file, r room, name string, spec *ast.ImportSpec) string {
	path, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return err.Error()
	}
	dir, ours := t.own(path)
	if !ours {
		return cmp.Or(r.foreign(f, path), outside(f, path))
	}
	_, target, ok := home(dir)
	switch {
	case !ok:
		return "imports " + dir + ", which stands in no room of the plan"
	case target == name, r.allows(target):
		return ""
	case f.test && forTests(name).allows(target):
		return ""
	}
	return name + " may not import " + target
}

// foreign judges an import of another module: the first word of such a path
// holds a dot, that of the standard library does not.
func (r room) foreign(f file, path string) string {
	first, _, _ := strings.Cut(path, "/")
	if r.only == nil || f.test || !strings.Contains(first, ".") {
		return ""
	}
	for _, only := range r.only {
		if path == only {
			return ""
		}
	}
	return r.name + " may import only the standard library and " + strings.Join(r.only, ", ") + ", not " + path
}
