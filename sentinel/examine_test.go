package sentinel

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// ward is a master with three fake Sentinels and three fake nodes, the first one
// master, all of them well. A row of the table changes what it needs.
type ward struct {
	t                *testing.T
	sentinels, nodes []*redislab.Fake
	watcher          *Watcher
	q                Question
	replicas         []map[string]string // as every Sentinel lists them
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{t: t, sentinels: servers(t, "sentinel"), nodes: servers(t, "slave")}
	m := Master{ID: "cache", Name: "mymaster", Sentinels: addresses(w.sentinels), Candidates: addresses(w.nodes)}
	w.watcher = New(Config{Timeout: 300 * time.Millisecond})
	if err := w.watcher.SetMasters([]Master{m}); err != nil {
		t.Fatal(err)
	}
	w.q = Question{Master: m, Accepted: Accepted{Known: true, Address: m.Candidates[0], Epoch: 7}, MaxLag: 100}
	w.nodes[0].Script("ROLE", fmt.Sprintf("*3\r\n%s:5000\r\n*0\r\n", redislab.Bulks("master")))
	w.replica(1, "connected", 4990, 0)
	w.replica(2, "connected", 4980, 0)
	for i, priority := range []string{"10", "100"} {
		w.replicas = append(w.replicas, listed(m.Candidates[i+1], priority))
	}
	for i := range w.sentinels {
		w.names(i, m.Candidates[0], 7)
		w.state(i)
		w.sentinels[i].Script("SENTINEL CKQUORUM", "+OK 3 usable Sentinels\r\n")
		w.sentinels[i].Script("INFO", redislab.Bulks("# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\n"))
		w.sentinels[i].Script("ACL", "+OK\r\n")
	}
	w.list()
	return w
}

func servers(t *testing.T, role string) (all []*redislab.Fake) {
	for range 3 {
		f, err := redislab.NewFake(role)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
		all = append(all, f)
	}
	return all
}

func addresses(fakes []*redislab.Fake) (all []string) {
	for _, f := range fakes {
		all = append(all, f.Address())
	}
	return all
}

func listed(address, priority string) map[string]string {
	host, port, _ := net.SplitHostPort(address)
	return map[string]string{
		"name": address, "ip": host, "port": port, "runid": strings.Repeat(priority[:1], 40), "flags": "slave", "slave-priority": priority,
		"slave-repl-offset": "4900", "master-link-status": "ok", "master-link-down-time": "0", "last-ok-ping-reply": "100", "info-refresh": "2000",
	}
}

// flat is a map as RESP2 has it.
func flat(m map[string]string) string {
	var all []string
	for k, v := range m {
		all = append(all, k, v)
	}
	return redislab.Bulks(all...)
}

// names sets whom a Sentinel names.
func (w *ward) names(i int, address string, epoch uint64) {
	w.sentinels[i].Say("mymaster", redislab.Claim{Address: address, Epoch: epoch})
	w.state(i, "config-epoch", fmt.Sprint(epoch))
}

// state sets fields of what a Sentinel says of the master.
func (w *ward) state(i int, fields ...string) {
	m := map[string]string{
		"name": "mymaster", "flags": "master", "config-epoch": "7", "num-slaves": "2", "down-after-milliseconds": "5000", "failover-timeout": "20000",
	}
	for j := 0; j < len(fields); j += 2 {
		m[fields[j]] = fields[j+1]
	}
	w.sentinels[i].Script("SENTINEL MASTER", flat(m))
}

// list makes every Sentinel list the replicas as they stand in w.
func (w *ward) list() {
	text := fmt.Sprintf("*%d\r\n", len(w.replicas))
	for _, r := range w.replicas {
		text += flat(r)
	}
	for _, f := range w.sentinels {
		f.Script("SENTINEL REPLICAS", text)
	}
}

func (w *ward) relist(i int, key, value string) {
	w.replicas[i][key] = value
	w.list()
}

// replica sets how a node answers as one.
func (w *ward) replica(i int, link string, offset, quiet int) {
	w.nodes[i].Script("ROLE", fmt.Sprintf("*5\r\n%s:6379\r\n%s:%d\r\n", redislab.Bulks("slave")+redislab.Bulks("10.0.0.1"), redislab.Bulks(link), offset))
	w.nodes[i].Script("INFO", redislab.Bulks("# Replication\r\nrole:slave\r\nmaster_last_io_seconds_ago:"+strconv.Itoa(quiet)+"\r\n"))
}

func (w *ward) all(command, reply string) {
	for _, f := range w.sentinels {
		f.Script(command, reply)
	}
}

func (w *ward) examine() Opinion {
	w.q.Heard = w.watcher.Inquire(w.t.Context(), "cache", w.q.Accepted.Address)
	return Examine(w.q)
}

func TestExamine_AllWell(t *testing.T) {
	w := newWard(t)
	o := w.examine()
	if len(o.Objections) != 0 || len(o.Notes) != 0 {
		t.Fatalf("objections %+v, notes %v", o.Objections, o.Notes)
	}
	if o.Sentinel != w.q.Master.Sentinels[0] || o.Pick != w.q.Master.Candidates[1] || !o.Certain {
		t.Errorf("asks %s, which promotes %s, certain %t", o.Sentinel, o.Pick, o.Certain)
	}
	if want := 2*20*time.Second + orderGrace; o.Window != want {
		t.Errorf("window %s, want %s: failover-timeout to reach the replica and again to see it promoted", o.Window, want)
	}
	if f := o.Standings; len(f) != 2 || f[0].Lag != 10 || f[1].Lag != 20 || f[0].Priority != 10 || f[0].Offset != 4990 || f[0].LastIO != 0 {
		t.Errorf("standings %+v", o.Standings)
	}
	for _, f := range w.sentinels {
		if n := f.Count("SENTINEL FAILOVER"); n != 0 {
			t.Errorf("%d FAILOVER: a question changes nothing", n)
		}
	}
}

// refusal is a row: what is changed, the reasons that must be objected with a
// part of the first one's words, and nothing else.
type refusal struct {
	name   string
	change func(*ward)
	want   string // reasons in order, by spaces; empty: none
	says   string
}

func TestExamine_Refusals(t *testing.T) {
	for _, r := range slices.Concat(sentinelRefusals(), masterRefusals(), pickRefusals(), namedRefusals()) {
		t.Run(strings.ReplaceAll(r.name, " ", "-"), func(t *testing.T) {
			w := newWard(t)
			r.change(w)
			o := w.examine()
			var got, details []string
			for _, x := range o.Objections {
				got, details = append(got, x.Reason), append(details, x.Detail)
			}
			if text := strings.Join(got, " "); text != r.want {
				t.Fatalf("objected %q, want %q:\n%s", text, r.want, strings.Join(details, "\n"))
			}
			if text := strings.Join(append(details, o.Notes...), "\n"); !strings.Contains(text, r.says) {
				t.Errorf("says %q, want %q in it", text, r.says)
			}
		})
	}
}

func sentinelRefusals() []refusal {
	return []refusal{
		{"one does not answer", func(w *ward) { w.sentinels[2].Script("SENTINEL MASTER", "") }, "", "sentinel 127.0.0.1"},
		{"one is behind", func(w *ward) { w.names(2, w.q.Master.Candidates[1], 6) }, "", "at epoch 6, behind"},
		{"two do not answer", func(w *ward) { w.sentinels[0].Script("SENTINEL MASTER", ""); w.sentinels[2].Close() }, AgainstNoMajority, "1 of 3 declared Sentinels"},
		{"none answers", func(w *ward) { w.all("SENTINEL REPLICAS", "") }, AgainstNoMajority, "0 of 3"},
		{"one hangs and one is behind", func(w *ward) { w.sentinels[0].Hang(true); w.names(1, w.q.Accepted.Address, 6) }, AgainstNoMajority, "1 of 3"},
		{"they do not know it", func(w *ward) { w.all("SENTINEL MASTER", redislab.ErrorReply("ERR No such master with that name")) }, AgainstNoMajority, "0 of 3"},
		{"another address", func(w *ward) { w.names(1, w.q.Master.Candidates[2], 7) }, AgainstDisagree, "at epoch 7, accepted is"},
		{"a newer epoch", func(w *ward) { w.names(2, w.q.Accepted.Address, 8) }, AgainstDisagree, "at epoch 8"},
		{"a peer sees a newer epoch", func(w *ward) {
			w.q.View.Reports = []Report{{Sentinel: "s3", Seen: true, Address: "b:1", Epoch: 8, Via: "n2"}}
		}, AgainstDisagree, "s3 named b:1 at epoch 8"},
		{"what was seen once does not count", func(w *ward) {
			w.q.View.Reports = []Report{{Sentinel: "s3", Address: "b:1", Epoch: 8}, {Sentinel: "s2", Seen: true, Address: w.q.Accepted.Address, Epoch: 7}}
		}, "", ""},
		{"a failover at one", func(w *ward) { w.state(2, "failover-state", "wait_promotion") }, AgainstInProgress, "wait_promotion"},
		{"a failover by its flags", func(w *ward) { w.state(1, "flags", "master,failover_in_progress") }, AgainstInProgress, "not told"},
		{"a failover at one that is behind", func(w *ward) {
			w.state(1, "config-epoch", "6", "failover-state", "select_slave")
		}, AgainstInProgress, "select_slave"},
		{"votes were seen", func(w *ward) { w.q.View.Switching = true }, AgainstInProgress, "votes"},
		{"tilt by INFO", func(w *ward) { w.sentinels[1].Script("INFO", redislab.Bulks("sentinel_tilt:1\r\n")) }, AgainstInTilt, "is in tilt"},
		{"tilt by events", func(w *ward) {
			w.q.View.Reports = []Report{{Sentinel: w.q.Master.Sentinels[1], Tilt: true}}
		}, AgainstInTilt, "is in tilt"},
		{"no quorum anywhere", func(w *ward) { w.all("SENTINEL CKQUORUM", redislab.ErrorReply("NOQUORUM 1 usable Sentinels")) }, strings.Repeat(AgainstQuorumMissing+" ", 2) + AgainstQuorumMissing, "NOQUORUM"},
		{"no right anywhere", func(w *ward) {
			w.all("ACL", redislab.Bulks("User default has no permissions to run the 'sentinel|failover' command"))
		}, strings.Repeat(AgainstOrderDenied+" ", 2) + AgainstOrderDenied, "ACL SETUSER default +sentinel|failover"},
	}
}

func masterRefusals() []refusal {
	return []refusal{
		{"s_down at one", func(w *ward) { w.state(1, "flags", "master,s_down") }, AgainstMasterDown, "flag s_down"},
		{"o_down", func(w *ward) { w.state(0, "flags", "master,o_down") }, AgainstMasterDown, "flag o_down"},
		{"it restarted", func(w *ward) { w.state(2, "flags", "master,master_reboot") }, AgainstMasterDown, "master_reboot"},
		{"it does not answer", func(w *ward) { w.nodes[0].Close() }, AgainstMasterDown, "does not answer"},
		{"it hangs", func(w *ward) { w.nodes[0].Hang(true) }, AgainstMasterDown, "no answer in time"},
		{"it wants a password", func(w *ward) { w.nodes[0].Script("ROLE", redislab.ErrorReply("NOAUTH Authentication required.")) }, AgainstMasterDown, "NOAUTH"},
		{"it is a replica", func(w *ward) { w.replica(0, "connected", 5000, 0) }, AgainstMasterDown, "answers ROLE slave"},
		{"a second one", func(w *ward) {
			w.nodes[2].Script("ROLE", fmt.Sprintf("*3\r\n%s:5000\r\n*0\r\n", redislab.Bulks("master")))
		}, AgainstInProgress, "answers ROLE master too"},
		{"a second one by a peer", func(w *ward) {
			w.q.View.Roles = []Role{{Address: "b:1", Role: RoleMaster, Via: "n2"}}
		}, AgainstInProgress, "b:1 answers ROLE master too"},
		{"nothing was accepted yet", func(w *ward) { w.q.Accepted = Accepted{} }, strings.Join([]string{
			AgainstDisagree, AgainstDisagree, AgainstDisagree, AgainstNoMajority, AgainstNotSeen,
		}, " "), "seen yet"},
	}
}

func pickRefusals() []refusal {
	both := func(key, value string) func(*ward) {
		return func(w *ward) { w.relist(0, key, value); w.relist(1, key, value) }
	}
	return []refusal{
		{"all replicas down", both("flags", "slave,s_down"), AgainstNoReplica, "flag s_down"},
		{"all at priority 0", both("slave-priority", "0"), AgainstNoReplica, "replica-priority 0"},
		{"all lost their master long ago", both("master-link-down-time", "50001"), AgainstNoReplica, "50.001s"},
		{"no replicas", func(w *ward) {
			w.replicas = nil
			w.list()
			w.state(0, "num-slaves", "0")
		}, AgainstNoReplica, "it knows no replica"},
		{"one that is not listed", func(w *ward) { w.state(0, "num-slaves", "3") }, AgainstPickUnlisted, "knows 3 replicas and lists 2"},
		{"a stranger comes first", func(w *ward) {
			w.replicas[0] = listed("10.6.6.6:6379", "1")
			w.list()
		}, AgainstPickStranger + " " + AgainstLinkBad, "10.6.6.6:6379 (replica-priority 1)"},
		{"a stranger at the same priority", func(w *ward) {
			w.replicas[1] = listed("10.6.6.6:6379", "10")
			w.list()
		}, AgainstPickStranger, "10.6.6.6:6379 (replica-priority 10)"},
		{"link down by its Sentinel", func(w *ward) { w.relist(0, "master-link-status", "err") }, AgainstLinkBad, "is err by"},
		{"link down by itself", func(w *ward) { w.replica(1, "sync", 4990, 0) }, AgainstLinkBad, "link sync"},
		{"quiet for long", func(w *ward) { w.replica(1, "connected", 4990, 16) }, AgainstLinkBad, "for 16s (at most 15s)"},
		{"quiet as an idle master is", func(w *ward) { w.replica(1, "connected", 4990, 15) }, "", ""},
		{"the pick does not answer", func(w *ward) { w.nodes[1].Close() }, AgainstLinkBad, "does not answer"},
		{"INFO is not allowed", func(w *ward) { w.nodes[1].Script("INFO", redislab.ErrorReply("NOPERM no")) }, "", "+info is not allowed"},
		{"it lags", func(w *ward) { w.replica(1, "connected", 4899, 0) }, AgainstLags, "101 bytes behind (at most 100): offset 4899, master 5000"},
		{"as much as is allowed", func(w *ward) { w.replica(1, "connected", 4900, 0) }, "", ""},
		{"the other one may lag", func(w *ward) { w.replica(2, "connected", 1, 99) }, "", ""},
	}
}

// The node that a human names must be promoted for certain.
func namedRefusals() []refusal {
	to := func(i int, more ...func(*ward)) func(*ward) {
		return func(w *ward) {
			w.q.To = w.q.Master.Candidates[i]
			for _, f := range more {
				f(w)
			}
		}
	}
	return []refusal{
		{"the pick is named", to(1), "", ""},
		{"the master is named", to(0), AgainstIsMaster, "is the master already"},
		{"a stranger is named", func(w *ward) { w.q.To = "10.6.6.6:6379" }, AgainstNotDeclared, "is none of"},
		{"the second is named", to(2), AgainstNotThePick, "CONFIG SET replica-priority 9 "},
		{"the priorities are equal", to(1, func(w *ward) { w.relist(1, "slave-priority", "10") }), AgainstNotThePick, "the larger offset of the moment decides"},
		{"one that would be passed over", to(2, func(w *ward) { w.relist(1, "flags", "slave,disconnected") }), AgainstNotThePick, "flag disconnected"},
		{"one that is no replica", to(2, func(w *ward) {
			w.replicas = w.replicas[:1]
			w.list()
			w.state(0, "num-slaves", "1")
		}), AgainstNotThePick, "does not know"},
		{"the pick is named and lags", to(1, func(w *ward) { w.replica(1, "connected", 1, 0) }), AgainstLags, "4999 bytes"},
	}
}

// TestExamine_AsksOneThatMay: a Sentinel that complains or denies is not asked
// while another agrees and does not.
func TestExamine_AsksOneThatMay(t *testing.T) {
	w := newWard(t)
	w.sentinels[0].Script("SENTINEL CKQUORUM", redislab.ErrorReply("NOQUORUM 1 usable Sentinels"))
	w.sentinels[1].Script("ACL", redislab.Bulks("User default has no permissions"))
	if o := w.examine(); len(o.Objections) != 0 || o.Sentinel != w.q.Master.Sentinels[2] {
		t.Fatalf("asks %s: %+v", o.Sentinel, o.Objections)
	}
}

// TestExamine_Window: bounded above, and by Sentinel's own default where it does
// not tell.
func TestExamine_Window(t *testing.T) {
	for told, want := range map[string]time.Duration{"": 6*time.Minute + orderGrace, "3600000": longestOrder} {
		w := newWard(t)
		w.state(0, "failover-timeout", told)
		if o := w.examine(); o.Window != want {
			t.Errorf("failover-timeout %q: %s, want %s", told, o.Window, want)
		}
	}
}
