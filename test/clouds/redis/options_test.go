package redis

import (
	"strings"
	"testing"
	"time"
)

// TestPlainSample: a configuration file for real machines serves as it is.
func TestPlainSample(t *testing.T) {
	sample := "bind 10.0.1.10\nport 26379\nsentinel announce-ip 10.0.1.10\nsentinel monitor mymaster 10.0.1.20 6379 2\n" +
		"# words\nsentinel failover-timeout mymaster 10000\nsentinel down-after-milliseconds mymaster 5000\nuser observer on >pw\n"
	o := Options{Name: "mymaster", SentinelConf: sample, DownAfter: 3 * time.Second}
	text, err := o.sentinelConf(Conf{Host: "127.0.0.1", Port: 17001, Dir: "/d", MasterHost: "127.0.0.1", MasterPort: 17002, Name: "mymaster", Quorum: 2})
	if err != nil {
		t.Fatal(err)
	}
	effective := map[string]string{} // the last line of a directive wins
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) > 2 && f[0] == "sentinel" {
			effective[f[1]] = strings.Join(f[2:], " ")
		} else if len(f) > 1 {
			effective[f[0]] = strings.Join(f[1:], " ")
		}
	}
	for directive, want := range map[string]string{
		"bind": "127.0.0.1", "port": "17001", "announce-ip": "127.0.0.1", "monitor": "mymaster 127.0.0.1 17002 2",
		"failover-timeout": "mymaster 10000", "down-after-milliseconds": "mymaster 3000", "parallel-syncs": "mymaster 1",
		"user": "observer on >pw",
	} {
		if effective[directive] != want {
			t.Errorf("%s is %q, want %q\n%s", directive, effective[directive], want, text)
		}
	}
	if strings.Contains(text, "10.0.1") || strings.Count(text, "sentinel monitor") != 1 {
		t.Errorf("a line for real machines is left:\n%s", text)
	}
	if _, err := (Options{SentinelConf: "port {{.Nowhere}}"}).sentinelConf(Conf{}); err == nil {
		t.Error("an unknown field of a template was accepted")
	}
}
