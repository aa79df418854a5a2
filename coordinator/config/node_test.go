package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const goodNode = `id: zone-a
zone: a
data_dir: /srv/pointsman
listen: {raft: 10.0.1.5:7800, grpc: 10.0.1.5:7801, http: 127.0.0.1:7802}
insecure: true
timing: calm
disk_floor: 512MiB
snapshot: {interval: 10m}
peers:
  - {id: zone-a, zone: a, raft: 10.0.1.5:7800}
  - {id: zone-b, zone: b, raft: 10.0.2.5:7800, grpc: 10.0.2.5:7801}
  - {id: zone-c, zone: c, raft: node-c.example:7800}
`

func writeNode(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		i := slices.Index(pairs, name)
		if i < 0 {
			return "", false
		}
		return pairs[i+1], true
	}
}

func TestNodePrecedence(t *testing.T) {
	path := writeNode(t, goodNode)
	n, err := LoadNode(Sources{
		Path:  path,
		Flags: map[string]string{"timing": "fast", "log.level": "debug"},
		LookupEnv: env("POINTSMAN_TIMING", "default", "POINTSMAN_DISK_FLOOR", "1GiB", "POINTSMAN_SNAPSHOT_INTERVAL", "90s",
			"POINTSMAN_ENDPOINTS", "not of the node file"),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := n.Config
	if c.GetTiming() != pointsmanv1.TimingProfile_TIMING_PROFILE_FAST || c.GetLog().GetLevel() != pointsmanv1.LogLevel_LOG_LEVEL_DEBUG {
		t.Errorf("a flag does not win: %v", c)
	}
	if c.GetDiskFloor() != 1<<30 || c.GetSnapshot().GetInterval().AsDuration() != 90*time.Second {
		t.Errorf("the environment does not win over the file: %v", c)
	}
	if c.GetDataDir() != "/srv/pointsman" || c.GetAdvertise().GetRaft() != "10.0.1.5:7800" {
		t.Errorf("the file does not win over defaults: %v", c)
	}
	if c.GetSnapshot().GetEntries() != DefaultSnapshotEntries || c.GetLog().GetFormat() != pointsmanv1.LogFormat_LOG_FORMAT_TEXT {
		t.Errorf("defaults are missing: %v", c)
	}
	var printed strings.Builder
	if err := n.Print(&printed); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"timing: fast # flag --timing\n",
		"disk_floor: 1073741824 # env POINTSMAN_DISK_FLOOR\n",
		"data_dir: /srv/pointsman # file " + path + ":3\n",
		"  entries: 8192 # default\n",
		"    zone: b # file " + path + ":11\n",
	} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("no %q in\n%s", want, printed.String())
		}
	}
	again, err := LoadNode(Sources{Path: writeNode(t, printed.String()), LookupEnv: env()})
	if err != nil {
		t.Fatalf("what was printed does not read: %v", err)
	}
	if got, want := again.Config.String(), c.String(); got != want {
		t.Errorf("what was printed reads as\n%s\nnot\n%s", got, want)
	}
}

func TestNodeNeedsNoFile(t *testing.T) {
	n, err := LoadNode(Sources{Flags: map[string]string{"id": "solo", "zone": "a"}, LookupEnv: env("POINTSMAN_DISK_FLOOR", "0")})
	if err != nil {
		t.Fatal(err)
	}
	if n.Config.GetDiskFloor() != 0 {
		t.Errorf("a floor of 0 was replaced: %d", n.Config.GetDiskFloor())
	}
	if got := n.Config.GetListen().GetRaft(); got != DefaultRaft {
		t.Errorf("listens on %s", got)
	}
}

func TestBadNode(t *testing.T) {
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(goodNode) }
	for _, tc := range []struct {
		name string
		text string
		env  []string
		want []string
	}{
		{"empty", "", nil, []string{
			"n:1:1: id: must be set", "n:1:1: zone: must be set"}},
		{"all at once", replace("zone: a\ndata_dir: /srv", "zome: a\ndata_dir: srv", "512MiB", "lots", "10m", "soon", "calm", "slow"), nil, []string{
			`n:2:1: zome: unknown field; did you mean "zone"?`,
			`n:3:11: data_dir: must be an absolute path, is "srv/pointsman"`,
			`n:6:9: timing: must be one of default, fast, calm, is "slow"`,
			`n:7:13: disk_floor: must be a whole number, or a size such as 512MiB, is "lots"`,
			`n:8:22: snapshot.interval: must be a duration such as 500ms, 5s or 1m30s, is "soon"`}},
		{"another zone among the peers", replace("zone: a\ndata", "zone: x\ndata"), nil, []string{
			`n:10:24: peers[0].zone: is "a", but this node's zone is "x"`}},
		{"exposed", replace("insecure: true\n", ""), nil, []string{
			"n:4:16: listen.raft: binds 10.0.1.5:7800, which is not loopback, without TLS; set insecure: true if the network is to be trusted wholly",
			"n:4:37: listen.grpc: binds 10.0.1.5:7801, which is not loopback, without TLS; set insecure: true if the network is to be trusted wholly"}},
		{"unreachable", replace("grpc: 10.0.1.5:7801, http", "grpc: 0.0.0.0:7801, http"), nil, []string{
			"n:4:37: listen.grpc: binds every address (0.0.0.0:7801), so advertise.grpc must be set to one that others reach"}},
		{"one port twice", replace("http: 127.0.0.1:7802", "http: 10.0.1.5:7801"), nil, []string{
			"n:4:58: listen.http: 10.0.1.5:7801 is also listen.grpc"}},
		{"not among the peers", replace("id: zone-a\nzone", "id: zone-d\nzone"), nil, []string{
			`n:10:3: peers: must name this node, "zone-d", too`}},
		{"another address among the peers", replace("a, raft: 10.0.1.5:7800", "a, raft: 10.0.1.6:7800"), nil, []string{
			`n:10:33: peers[0].raft: is "10.0.1.6:7800", but this node advertises "10.0.1.5:7800"`}},
		{"peers twice", replace("zone-c", "zone-b", "node-c.example", "10.0.2.5"), nil, []string{
			`n:12:10: peers[2].id: "zone-b" is used twice, first as peers[1].id`,
			`n:12:33: peers[2].raft: "10.0.2.5:7800" is used twice, first as peers[1].raft`}},
		{"bad environment", goodNode, []string{"POINTSMAN_TIMING", "slow", "POINTSMAN_LISTEN_HTTP", "7802"}, []string{
			`POINTSMAN_LISTEN_HTTP: listen.http: must be host:port, is "7802"`,
			`POINTSMAN_TIMING: timing: must be one of default, fast, calm, is "slow"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := writeNode(t, tc.text)
			_, err := LoadNode(Sources{Path: path, LookupEnv: env(tc.env...)})
			var invalid *InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("got %v, want an InvalidError", err)
			}
			short := errors.New(strings.ReplaceAll(err.Error(), path, "n"))
			wantLines(t, short.Error(), tc.want)
		})
	}
}

func TestNodeRefusesUnknownFlagAndMissingFile(t *testing.T) {
	_, err := LoadNode(Sources{Path: writeNode(t, goodNode), Flags: map[string]string{"peers": "x"}, LookupEnv: env()})
	if err == nil || !strings.Contains(err.Error(), "peers: is no field that a flag may set") {
		t.Errorf("a flag for peers: %v", err)
	}
	if _, err := LoadNode(Sources{Path: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestNodeFieldNames(t *testing.T) {
	fields := NodeFields()
	for _, want := range []string{"id", "data_dir", "listen.raft", "snapshot.interval", "disk_floor", "insecure", "log.level", "timing"} {
		if !slices.Contains(fields, want) {
			t.Errorf("no %s in %v", want, fields)
		}
	}
	if slices.Contains(fields, "peers") || slices.Contains(fields, "snapshot.interval.seconds") {
		t.Errorf("too much in %v", fields)
	}
	if got := EnvName("listen.raft") + " " + FlagName("data_dir"); got != "POINTSMAN_LISTEN_RAFT data-dir" {
		t.Errorf("named %s", got)
	}
}
