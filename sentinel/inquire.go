package sentinel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Testimony is what every Sentinel and every candidate of one master answered
// to one round of questions. It is a value of its own.
type Testimony struct {
	Sentinels []Word     // one per declared Sentinel, in order
	Nodes     []NodeWord // one per candidate, in order
}

// Word is what one Sentinel answered. With Err, nothing else in it counts.
type Word struct {
	Sentinel string
	Err      string // why there is no answer to go by
	Address  string // by its getter, in the candidate's spelling
	Epoch    uint64
	Flags    []string // of the master
	State    string   // of the failover that it leads; empty: none
	Tilt     bool     // by its INFO; false also when INFO is not allowed
	Quorum   string   // what CKQUORUM complained about; empty: nothing
	Denied   bool     // ACL DRYRUN said that SENTINEL FAILOVER is not allowed

	FailoverTimeout time.Duration
	DownAfter       time.Duration
	Known           int // replicas that it counts, those that it does not list included
	Replicas        []Replica
}

// Replica is a replica as one Sentinel lists it.
type Replica struct {
	Address  string // in the candidate's spelling if it is one
	RunID    string
	Flags    []string
	Priority int
	Offset   int64         // of its last INFO
	Link     string        // to its master: ok or err
	LinkDown time.Duration // since it lost its master
	Silent   time.Duration // since its last good answer to PING
	Informed time.Duration // since its last INFO
}

// NodeWord is what one candidate answered to ROLE and INFO replication.
type NodeWord struct {
	Address string
	Err     string // why there is no answer; ROLE decides
	Role    string // RoleMaster or RoleSlave
	Link    string // of a replica: connected, sync, ...
	Offset  int64
	LastIO  time.Duration // of a replica: since it last heard its master; negative: not known
}

// inquiryTime bounds one round of questions besides Config.Timeout for each.
const inquiryTime = 5 * time.Second

// Inquire asks every declared Sentinel of a master, with the credential that a
// switchover uses, and every candidate. It only reads. The replicas are asked
// before the master, so that what the master took meanwhile makes a replica look
// further behind, never closer. An unknown id gives an empty Testimony. May be
// called concurrently.
func (w *Watcher) Inquire(ctx context.Context, id, master string) Testimony {
	w.mu.Lock()
	m, ok := w.masters[id]
	w.mu.Unlock()
	if !ok {
		return Testimony{}
	}
	ctx, cancel := context.WithTimeout(ctx, inquiryTime)
	defer cancel()
	spec := m.spec // never changed once it is there
	t := Testimony{Sentinels: make([]Word, len(spec.Sentinels)), Nodes: make([]NodeWord, len(spec.Candidates))}
	var asked sync.WaitGroup
	for i, s := range spec.Sentinels {
		asked.Go(func() { t.Sentinels[i] = w.askSentinel(ctx, spec, s) })
	}
	last := -1
	for i, c := range spec.Candidates {
		if c == master {
			last = i
			continue
		}
		asked.Go(func() { t.Nodes[i] = w.askNode(ctx, spec, c) })
	}
	asked.Wait()
	if last >= 0 {
		t.Nodes[last] = w.askNode(ctx, spec, master)
	}
	w.spellAll(ctx, m, &t)
	return t
}

// spellAll gives addresses the candidates' spelling. Names that have to be
// looked up first get a moment.
func (w *Watcher) spellAll(ctx context.Context, m *master, t *Testimony) {
	const moment = 300 * time.Millisecond
	for turn := range 2 {
		strange := false
		spell := func(address string) string {
			w.mu.Lock()
			defer w.mu.Unlock()
			spelled := w.spell(m, address)
			strange = strange || spelled != "" && !slices.Contains(m.spec.Candidates, spelled)
			return spelled
		}
		for i := range t.Sentinels {
			s := &t.Sentinels[i]
			s.Address = spell(s.Address)
			for j := range s.Replicas {
				s.Replicas[j].Address = spell(s.Replicas[j].Address)
			}
		}
		if !strange || turn > 0 || len(w.namesOf(m)) == 0 {
			return
		}
		pause(ctx, moment, nil)
	}
}

// namesOf lists the candidates that are declared by host name.
func (w *Watcher) namesOf(m *master) (names []string) {
	for _, c := range m.spec.Candidates {
		if host, _, err := net.SplitHostPort(c); err == nil && net.ParseIP(host) == nil {
			names = append(names, host)
		}
	}
	return names
}

// ordering is the credential that a switchover uses: by default that of the watch.
func (m Master) ordering() Access {
	if m.Order == nil {
		return m.Sentinel
	}
	return *m.Order
}

func (w *Watcher) askSentinel(ctx context.Context, m Master, address string) Word {
	ctx, cancel := context.WithTimeout(ctx, 2*w.cfg.Timeout)
	defer cancel()
	said := Word{Sentinel: address}
	s, err := w.open(ctx, address, m.ordering(), pollBuffer)
	if err == nil {
		defer s.close()
		said, err = interview(ctx, s.conn, m)
		said.Sentinel = address
	}
	if err != nil {
		return Word{Sentinel: address, Err: worded(ctx, err).Error()}
	}
	return said
}

// interview is one pipelined write. The getter alone names the address; the pair
// with the epoch counts only if it says the same on both sides.
func interview(ctx context.Context, conn *redis.Conn, m Master) (Word, error) {
	pipe := conn.Pipeline()
	ask := func(c redis.Cmder) { _ = pipe.Process(ctx, c) }
	user := m.ordering().User
	if user == "" {
		user = "default"
	}
	before := redis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", m.Name)
	state := redis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", m.Name)
	replicas := redis.NewMapStringStringSliceCmd(ctx, "SENTINEL", "REPLICAS", m.Name)
	after := redis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", m.Name)
	quorum := redis.NewStringCmd(ctx, "SENTINEL", "CKQUORUM", m.Name)
	info := redis.NewStringCmd(ctx, "INFO", "sentinel")
	allowed := redis.NewStringCmd(ctx, "ACL", "DRYRUN", user, "SENTINEL", "FAILOVER", m.Name)
	for _, c := range []redis.Cmder{before, state, replicas, after, quorum, info, allowed} {
		ask(c)
	}
	_, execErr := pipe.Exec(ctx)
	for _, c := range []redis.Cmder{before, state, replicas, after} {
		if errors.Is(c.Err(), redis.Nil) {
			return Word{}, fmt.Errorf("%w: no such master", errReply)
		}
		if err := c.Err(); err != nil {
			return Word{}, err
		}
	}
	if len(before.Val()) != 2 || len(after.Val()) != 2 || len(state.Val()) == 0 {
		return Word{}, errors.Join(errReply, execErr)
	}
	if !slices.Equal(before.Val(), after.Val()) {
		return Word{}, errMoved
	}
	said, err := wordOf(before.Val(), state.Val(), replicas.Val())
	if err != nil {
		return Word{}, err
	}
	if err := quorum.Err(); err != nil {
		if !replied(err) {
			return Word{}, err
		}
		said.Quorum = err.Error()
	}
	said.Tilt = strings.Contains(info.Val(), "sentinel_tilt:1")
	said.Denied = allowed.Err() == nil && allowed.Val() != "OK"
	return said, nil
}

func wordOf(address []string, state map[string]string, replicas []map[string]string) (Word, error) {
	epoch, err := strconv.ParseUint(state["config-epoch"], 10, 64)
	if err != nil {
		return Word{}, fmt.Errorf("%w: config-epoch %q", errReply, state["config-epoch"])
	}
	said := Word{
		Address: net.JoinHostPort(address[0], address[1]), Epoch: epoch, Flags: strings.Split(state["flags"], ","), State: state["failover-state"],
		FailoverTimeout: millis(state["failover-timeout"]), DownAfter: millis(state["down-after-milliseconds"]), Known: number(state["num-slaves"]),
	}
	for _, r := range replicas {
		priority, err := strconv.Atoi(r["slave-priority"])
		if err != nil {
			return Word{}, fmt.Errorf("%w: slave-priority %q of %s", errReply, r["slave-priority"], r["name"])
		}
		offset, err := strconv.ParseInt(r["slave-repl-offset"], 10, 64)
		if err != nil {
			return Word{}, fmt.Errorf("%w: slave-repl-offset %q of %s", errReply, r["slave-repl-offset"], r["name"])
		}
		said.Replicas = append(said.Replicas, Replica{
			Address: net.JoinHostPort(r["ip"], r["port"]), RunID: r["runid"], Flags: strings.Split(r["flags"], ","), Priority: priority, Offset: offset,
			Link: r["master-link-status"], LinkDown: millis(r["master-link-down-time"]), Silent: millis(r["last-ok-ping-reply"]), Informed: millis(r["info-refresh"]),
		})
	}
	return said, nil
}

// millis of a field that newer servers may leave out.
func millis(s string) time.Duration {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

func (w *Watcher) askNode(ctx context.Context, m Master, address string) NodeWord {
	ctx, cancel := context.WithTimeout(ctx, 2*w.cfg.Timeout)
	defer cancel()
	said := NodeWord{Address: address, LastIO: -1}
	s, err := w.open(ctx, address, m.Redis, roleBuffer)
	if err != nil {
		said.Err = worded(ctx, err).Error()
		return said
	}
	defer s.close()
	role := redis.NewSliceCmd(ctx, "ROLE")
	if err := s.conn.Process(ctx, role); err != nil {
		said.Err = worded(ctx, err).Error()
		return said
	}
	if err := said.take(role.Val()); err != nil {
		said.Err = err.Error()
		return said
	}
	if info, err := s.conn.Info(ctx, "replication").Result(); err == nil {
		said.LastIO = lastIO(info)
	}
	return said
}

// take reads an answer to ROLE: master, offset, replicas; or slave, host, port,
// link, offset.
func (n *NodeWord) take(role []any) error {
	at := func(i int) any {
		if i < len(role) {
			return role[i]
		}
		return nil
	}
	n.Role, _ = at(0).(string)
	switch n.Role {
	case RoleMaster:
		n.Offset, _ = at(1).(int64)
	case RoleSlave:
		n.Link, _ = at(3).(string)
		n.Offset, _ = at(4).(int64)
	default:
		return fmt.Errorf("%w: role %q", errReply, n.Role)
	}
	return nil
}

func lastIO(info string) time.Duration {
	for line := range strings.Lines(info) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "master_last_io_seconds_ago:"); ok {
			if s, err := strconv.Atoi(n); err == nil && s >= 0 {
				return time.Duration(s) * time.Second
			}
		}
	}
	return -1
}
