package layout

import "strings"

// sdk is a library that speaks to one outside service, or keeps one store, with
// the folders that may import it, tests included. Whoever else needs the service
// asks these.
type sdk struct {
	module string   // without its major version
	in     []string // folders, with all below them
}

// sdks are all such libraries. What this module does not have yet stands here
// too, so that its first import is made in the right folder.
func sdks() []sdk {
	return []sdk{
		{"github.com/ovh/go-ovh", []string{"actuators/ovhapi", "test/clouds/ovh"}},
		{"gopkg.in/ini.v1", []string{"actuators/ovhapi"}},
		{"golang.org/x/oauth2", []string{"actuators/ovhapi"}},
		{"github.com/gophercloud/gophercloud", []string{"actuators/octavia", "test/clouds/octavia"}},
		{"github.com/linode/linodego", []string{"actuators/linode", "test/clouds/linode"}},
		{"github.com/minio", []string{"webhook/buffer/s3"}},
		{"github.com/vektah/gqlparser", []string{"test/clouds/shopify"}},
		{"github.com/redis/go-redis", []string{"actuators/redisfence", "sentinel", "client/leases/redissink", "cmd/pointsman/internal/remote", "deploy/samples/leases", "test/bench", "test/chaos", "test/soak"}},
		{"github.com/hashicorp/raft", []string{"cluster", "cmd/pointsman-lab", "test/sim"}},
		{"github.com/hashicorp/raft-boltdb", []string{"cluster", "cmd/pointsman-lab"}},
		{"go.etcd.io/bbolt", []string{"cluster", "test/chaos"}},
	}
}

// outside judges an import of an SDK; empty when the folder may have it, or the
// path is none.
func outside(f file, path string) string {
	under := func(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }
	for _, s := range sdks() {
		if !under(path, s.module) {
			continue
		}
		for _, folder := range s.in {
			if under(f.dir, folder) {
				return ""
			}
		}
		return path + " may be imported only in " + strings.Join(s.in, ", ")
	}
	return ""
}
