package show

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a sane failover-timeout. An attempt that fails is tried again
// after twice this span (sentinel.c, sentinelStartFailoverIfNeeded).
const (
	leastFailoverTimeout = 3000  // ms: below, a slow promotion is given up half-way
	mostFailoverTimeout  = 60000 // ms: above, the next try comes minutes later
)

// Dialed is what one Sentinel or Redis node answered to this machine.
type Dialed struct {
	Master, Address string
	Sentinel        bool
	Unresolved      string // why the spec's references do not resolve here
	Error           string // why it does not answer
	Own, Anyone     Publishing
	Settings        map[string]string // SENTINEL MASTER, or INFO replication
	SettingsError   string
}

// Publishing is whether somebody may forge greetings on the hello channel.
type Publishing struct {
	User       string
	Refused    bool // may not even ask: that is how it should be
	Known, May bool
	Error      string
}

// Checks judges one server.
func (d Dialed) Checks() Checks {
	at := d.Address + " of " + d.Master
	switch {
	case d.Unresolved != "":
		return Checks{Skips("dial", at, d.Unresolved, "run pointsman doctor --dial on a node, as the user that the server runs as")}
	case d.Error != "":
		return Checks{Warns("dial", at, d.Error, "does it run, and may this machine and the spec's user reach it?")}
	}
	all := Checks{d.publishCheck(at)}
	if d.Sentinel {
		return append(all, d.sentinelChecks(at)...)
	}
	if d.Settings["role"] == "master" || d.SettingsError != "" {
		all = append(all, d.replicasCheck(at))
	}
	return all
}

// publishCheck: Sentinels believe what is published on the hello channel, on
// a Redis node and on a Sentinel alike, without any signature.
func (d Dialed) publishCheck(at string) Check {
	do := "turn the default user off and give +publish on __sentinel__:hello to the Sentinels' own user alone (redis.conf and sentinel.conf in deploy/samples)"
	switch {
	case d.Anyone.May:
		return Warns("hello channel", at, "whoever reaches it may publish greetings without a password (user "+d.Anyone.User+") and so move every Sentinel to any address", do)
	case d.Own.May:
		return Warns("hello channel", at, "the spec's own user "+d.Own.User+" may publish greetings; it needs to read only", "give it -@all and what deploy/samples lists")
	case d.Anyone.Refused && d.Own.Known:
		return ok("hello channel", at, "neither strangers nor %s may publish greetings", d.Own.User)
	case d.Anyone.Refused:
		return ok("hello channel", at, "no one is let in without a password; what other users may do was not asked")
	case d.Anyone.Known:
		return ok("hello channel", at, "the user %s may not publish greetings", d.Anyone.User)
	case d.Anyone.User != "" || !strings.Contains(d.Anyone.Error, "NOPERM"):
		return Warns("hello channel", at, "it answers without a password, and does not tell what strangers may publish: "+d.Anyone.Error, do)
	}
	return Skips("hello channel", at, "strangers are let in with few rights, and may not ask which: "+d.Anyone.Error, "ACL GETUSER default, by hand")
}

func (d Dialed) replicasCheck(at string) Check {
	why := "a master that was cut off goes on taking writes that the switch then loses"
	_, set := d.Settings["min_slaves_good_slaves"] // shown only when both settings are above 0
	switch {
	case d.SettingsError != "":
		return Skips("min-replicas", at, "the spec's user may not ask: "+d.SettingsError, "grant it +info, or see by hand that min-replicas-to-write is at least 1")
	case !set:
		return Warns("min-replicas", at, "min-replicas-to-write is 0: "+why, "min-replicas-to-write 1 and min-replicas-max-lag 3 on every candidate")
	}
	return ok("min-replicas", at, "it takes no writes without a replica")
}

func (d Dialed) sentinelChecks(at string) Checks {
	if d.SettingsError != "" {
		return Checks{Warns("settings", at, "SENTINEL MASTER: "+d.SettingsError, "correct the Sentinels' name for the master, or the user's rights")}
	}
	all := Checks{d.spanCheck(at, "down-after-milliseconds", leastDownAfter, 60000,
		"a second, needless failover may follow the first", "an outage lasts at least as long", "5000")}
	all = append(all, d.spanCheck(at, "failover-timeout", leastFailoverTimeout, mostFailoverTimeout,
		"a slow promotion is given up half-way", "a failover whose Sentinel dies half-way is tried again only after twice that", "10000"))
	script := d.Settings["client-reconfig-script"]
	switch {
	case script == "":
		return append(all, ok("reconfig-script", at, "none"))
	case strings.Contains(script, "pointsman"):
		return append(all, ok("reconfig-script", at, "%s: see that it only runs pointsman notify", script))
	}
	return append(all, Warns("reconfig-script", at, script+" runs too: three times a failover, unordered, and again hours later",
		"sentinel set NAME client-reconfig-script \"\" on each Sentinel once Pointsman carries out the plan, or let it only exec pointsman notify \"$@\""))
}

func (d Dialed) spanCheck(at, name string, least, most uint64, low, high, better string) Check {
	v, err := strconv.ParseUint(d.Settings[name], 10, 64)
	do := fmt.Sprintf("sentinel set NAME %s %s on each Sentinel", name, better)
	switch {
	case err != nil:
		return Skips(name, at, "the Sentinel did not tell it", "SENTINEL MASTER by hand")
	case v < least:
		return Warns(name, at, fmt.Sprintf("%d ms is below %d: %s", v, least, low), do)
	case v > most:
		return Warns(name, at, fmt.Sprintf("%d ms is above %d: %s", v, most, high), do)
	}
	return ok(name, at, "%d ms", v)
}

// DialedChecks judges all servers, in the order of masters and addresses.
func DialedChecks(all []Dialed) Checks {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Dialed) int { return cmp.Compare(a.Master, b.Master) })
	var checks Checks
	for _, d := range sorted {
		checks = append(checks, d.Checks()...)
	}
	return checks
}
