package redis

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// Options of a Lab. The zero value gives one master, two replicas and three
// Sentinels without passwords in a temporary folder.
type Options struct {
	Binary string // default: Binary()
	Dir    string // work folder, created if absent; default: a new temporary one
	Keep   bool   // Close leaves the folder

	Name            string        // the Sentinels' name for the master, default mymaster
	Replicas        int           // default 2
	Sentinels       int           // default 3
	Quorum          int           // default 2
	DownAfter       time.Duration // default: of SentinelConf, otherwise 2 s; 1 s provokes a second, spurious failover
	FailoverTimeout time.Duration // default: of SentinelConf, otherwise 30 s
	ParallelSyncs   int           // default: of SentinelConf, otherwise 1
	MinReplicas     int           // min-replicas-to-write of every node, default 0: off

	// RedisConf and SentinelConf are text/template sources over Conf, or plain
	// configuration files: lines that say where a node lives (bind, port, dir,
	// logfile, replicaof, announcements, sentinel monitor) are taken out and
	// written by the Lab. Default: a small built-in one.
	RedisConf    string
	SentinelConf string
	// RedisExtra and SentinelExtra are configuration lines added at the end,
	// for example ACL users: "user observer on >secret -@all +role".
	RedisExtra    []string
	SentinelExtra []string

	// Redis is the administrator of the Redis nodes. A password alone becomes
	// requirepass; with a user the default user is turned off. Replication and
	// the Sentinels use it too. Zero: no authentication.
	Redis Login
	// Sentinel is the same for the Sentinel processes.
	Sentinel Login
	// TLS, when set, replaces the plain ports of all processes.
	TLS *TLS

	Progress func(text string) // told what Start is doing; default: nobody
}

// Login is a user (may be empty) and a password. Empty: no authentication.
type Login struct{ User, Password string }

// TLS names the files for the servers, and the configuration with which the
// Lab itself dials them.
type TLS struct {
	CA, Cert, Key string
	Client        *tls.Config
}

// Conf is what a configuration template may use.
type Conf struct {
	Host       string
	Port       int
	Dir        string
	MasterHost string // empty in the first master's own file
	MasterPort int
	Name       string
	Quorum     int
}

const defaultRedisConf = `save ""
appendonly no
repl-diskless-sync yes
repl-diskless-sync-delay 0
`

func (o Options) withDefaults() (Options, error) {
	if o.Binary == "" {
		path, err := Binary()
		if err != nil {
			return o, err
		}
		o.Binary = path
	}
	o.Name = cmp.Or(o.Name, "mymaster")
	o.Replicas = cmp.Or(o.Replicas, 2)
	o.Sentinels = cmp.Or(o.Sentinels, 3)
	o.Quorum = cmp.Or(o.Quorum, 2)
	o.RedisConf = cmp.Or(o.RedisConf, defaultRedisConf)
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o, nil
}

// owned are the directives that the Lab writes itself. A name of two words is
// a Sentinel directive.
func owned(line string, tlsOn bool) bool {
	f := strings.Fields(strings.ToLower(line))
	if len(f) == 0 || strings.HasPrefix(f[0], "#") {
		return false
	}
	switch f[0] {
	case "bind", "port", "dir", "logfile", "pidfile", "daemonize", "supervised", "protected-mode",
		"unixsocket", "unixsocketperm", "replicaof", "slaveof",
		"replica-announce-ip", "replica-announce-port", "slave-announce-ip", "slave-announce-port":
		return true
	case "sentinel":
		if len(f) < 2 {
			return false
		}
		switch f[1] {
		case "monitor", "announce-ip", "announce-port", "myid":
			return true
		}
	}
	return !tlsOn && strings.HasPrefix(f[0], "tls-")
}

func render(name, source string, c Conf, tlsOn bool) (string, error) {
	t, err := template.New(name).Option("missingkey=error").Parse(source)
	if err != nil {
		return "", fmt.Errorf("template of %s: %w", name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, c); err != nil {
		return "", fmt.Errorf("template of %s: %w", name, err)
	}
	var out strings.Builder
	for line := range strings.Lines(b.String()) {
		if !owned(line, tlsOn) {
			out.WriteString(strings.TrimRight(line, "\r\n") + "\n")
		}
	}
	return out.String(), nil
}

func (o Options) redisConf(c Conf) (string, error) {
	text, err := render("redis.conf", o.RedisConf, c, o.TLS != nil)
	if err != nil {
		return "", err
	}
	lines := []string{
		fmt.Sprintf("replica-announce-ip %s", c.Host),
		fmt.Sprintf("replica-announce-port %d", c.Port),
	}
	lines = append(lines, o.common(c)...)
	if c.MasterHost != "" {
		lines = append(lines, fmt.Sprintf("replicaof %s %d", c.MasterHost, c.MasterPort))
	}
	if o.MinReplicas > 0 {
		lines = append(lines, fmt.Sprintf("min-replicas-to-write %d", o.MinReplicas))
	}
	lines = append(lines, o.Redis.server()...)
	if o.Redis.User != "" {
		lines = append(lines, "masteruser "+o.Redis.User)
	}
	if o.Redis.Password != "" {
		lines = append(lines, "masterauth "+o.Redis.Password)
	}
	return join(text, lines, o.RedisExtra), nil
}

func (o Options) sentinelConf(c Conf) (string, error) {
	text, err := render("sentinel.conf", o.SentinelConf, c, o.TLS != nil)
	if err != nil {
		return "", err
	}
	// monitor comes first: every other line about the master needs it.
	monitor := fmt.Sprintf("sentinel monitor %s %s %d %d\n", c.Name, c.MasterHost, c.MasterPort, c.Quorum)
	lines := []string{
		fmt.Sprintf("sentinel announce-ip %s", c.Host),
		fmt.Sprintf("sentinel announce-port %d", c.Port),
	}
	lines = append(lines, o.timings(c.Name, text)...)
	lines = append(lines, o.common(c)...)
	if o.Redis.User != "" {
		lines = append(lines, fmt.Sprintf("sentinel auth-user %s %s", c.Name, o.Redis.User))
	}
	if o.Redis.Password != "" {
		lines = append(lines, fmt.Sprintf("sentinel auth-pass %s %s", c.Name, o.Redis.Password))
	}
	lines = append(lines, o.Sentinel.server()...)
	if o.Sentinel.User != "" {
		lines = append(lines, "sentinel sentinel-user "+o.Sentinel.User)
	}
	if o.Sentinel.Password != "" {
		lines = append(lines, "sentinel sentinel-pass "+o.Sentinel.Password)
	}
	return join(monitor+text, lines, o.SentinelExtra), nil
}

// timings are written last, and so win, when an option asks for them or the
// configuration does not have them.
func (o Options) timings(name, text string) []string {
	var lines []string
	for _, d := range []struct {
		directive    string
		asked, usual int64
	}{
		{"down-after-milliseconds", o.DownAfter.Milliseconds(), 2000},
		{"failover-timeout", o.FailoverTimeout.Milliseconds(), 30000},
		{"parallel-syncs", int64(o.ParallelSyncs), 1},
	} {
		start := fmt.Sprintf("sentinel %s %s", d.directive, name)
		if d.asked != 0 || !strings.Contains("\n"+text, "\n"+start+" ") {
			lines = append(lines, fmt.Sprintf("%s %d", start, cmp.Or(d.asked, d.usual)))
		}
	}
	return lines
}

func (o Options) common(c Conf) []string {
	port := []string{fmt.Sprintf("port %d", c.Port)}
	if o.TLS != nil {
		port = []string{
			"port 0", fmt.Sprintf("tls-port %d", c.Port), "tls-replication yes", "tls-auth-clients no",
			"tls-ca-cert-file " + o.TLS.CA, "tls-cert-file " + o.TLS.Cert, "tls-key-file " + o.TLS.Key,
		}
	}
	return append(port,
		"bind "+c.Host, "dir "+c.Dir, "logfile "+c.Dir+"/log", "daemonize no", "protected-mode no")
}

func (l Login) server() []string {
	switch {
	case l.User != "":
		return []string{"user default off", fmt.Sprintf("user %s on >%s ~* &* +@all", l.User, l.Password)}
	case l.Password != "":
		return []string{"requirepass " + l.Password}
	}
	return nil
}

func join(text string, groups ...[]string) string {
	var b strings.Builder
	b.WriteString(text)
	for _, g := range groups {
		for _, line := range g {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
