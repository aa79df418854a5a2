package sentinel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// pollBuffer holds a batch's write; its reply is read in several turns.
const pollBuffer = 16 << 10

// poll reads one Sentinel for ever.
func (w *Watcher) poll(ctx context.Context, p *process) {
	retry := w.newRetry()
	log := w.cfg.Logger.With("sentinel", p.address)
	said := ""
	for ctx.Err() == nil {
		err := w.pollOnce(ctx, p, func() {
			retry.Reset()
			if said != "" {
				log.Info("sentinel answers again")
				said = ""
			}
		})
		if ctx.Err() != nil {
			return
		}
		if said != plain(err) {
			said = plain(err)
			log.Warn("sentinel lost", "error", said)
		}
		w.lost(p, err)
		pause(ctx, retry.NextBackOff(), nil)
	}
}

// pollOnce lives as long as one connection. good is called after each answer.
func (w *Watcher) pollOnce(ctx context.Context, p *process, good func()) error {
	s, err := w.open(ctx, p.address, w.accessOf(p), pollBuffer)
	if err != nil {
		return err
	}
	defer s.close()
	w.allDue(p)
	for ctx.Err() == nil {
		jobs, wait := w.take(p, time.Now())
		if len(jobs) == 0 {
			pause(ctx, wait, p.nudge)
			continue
		}
		reports, err := read(ctx, s.conn, jobs)
		if err != nil {
			return err
		}
		good()
		w.deliver(p, jobs, reports)
	}
	return ctx.Err()
}

// allDue: a new connection reads everything at once.
func (w *Watcher) allDue(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range p.refs {
		r.due = time.Time{}
	}
}

// answer holds the commands of one master in a pipeline.
type answer struct {
	before, after *redis.StringSliceCmd
	state         *redis.MapStringStringCmd
}

// read does one pipelined write: for each master the getter, SENTINEL MASTER
// for the config-epoch, and the getter again. The leading Sentinel's MASTER
// shows the old address with the new epoch until the failover's end, so only the
// getter names the address; and two reads of one pipeline may straddle a switch,
// so the pair counts only if the getter says the same on both sides. The old
// spellings work on Redis and Valkey alike.
func read(ctx context.Context, conn *redis.Conn, jobs []job) ([]Report, error) {
	reports, moved, err := readOnce(ctx, conn, jobs)
	for range 3 {
		if err != nil || len(moved) == 0 {
			break
		}
		again := make([]job, len(moved))
		for i, at := range moved {
			again[i] = jobs[at]
		}
		var more []Report
		var still []int
		more, still, err = readOnce(ctx, conn, again)
		if err != nil {
			break
		}
		for i, at := range moved {
			reports[at] = more[i]
		}
		for i, at := range still {
			still[i] = moved[at]
		}
		moved = still
	}
	return reports, err
}

// readOnce returns also the indices of the jobs whose answers moved meanwhile.
func readOnce(ctx context.Context, conn *redis.Conn, jobs []job) ([]Report, []int, error) {
	answers := make([]answer, len(jobs))
	pipe := conn.Pipeline()
	id := redis.NewStringCmd(ctx, "SENTINEL", "MYID")
	_ = pipe.Process(ctx, id)
	for i, j := range jobs {
		a := answer{
			before: redis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", j.name),
			state:  redis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", j.name),
			after:  redis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", j.name),
		}
		_ = pipe.Process(ctx, a.before)
		_ = pipe.Process(ctx, a.state)
		_ = pipe.Process(ctx, a.after)
		answers[i] = a
	}
	// Exec returns the first error of any command; each is looked at below. When
	// the login fails it leaves the commands without one.
	_, execErr := pipe.Exec(ctx)
	at := time.Now()
	if id.Err() == nil && id.Val() == "" {
		return nil, nil, cmp.Or(execErr, errReply)
	}
	if err := id.Err(); err != nil && !narrow(err) {
		return nil, nil, err
	}
	reports := make([]Report, len(jobs))
	var moved []int
	for i, a := range answers {
		r, err := a.report()
		if err != nil && !replied(err) && !errors.Is(err, errReply) && !errors.Is(err, errMoved) {
			return nil, nil, err
		}
		r.RunID, r.At = id.Val(), at
		if errors.Is(err, errMoved) {
			moved = append(moved, i)
		}
		if err != nil {
			r.Err = plain(err)
		}
		reports[i] = r
	}
	return reports, moved, nil
}

// report is Seen unless it returns an error.
func (a answer) report() (Report, error) {
	for _, err := range []error{a.state.Err(), a.before.Err(), a.after.Err()} {
		if errors.Is(err, redis.Nil) {
			return Report{}, fmt.Errorf("%w: no such master", errReply)
		}
		if err != nil {
			return Report{}, err
		}
	}
	if len(a.before.Val()) != 2 || len(a.after.Val()) != 2 {
		return Report{}, fmt.Errorf("%w to the getter", errReply)
	}
	address := net.JoinHostPort(a.before.Val()[0], a.before.Val()[1])
	if address != net.JoinHostPort(a.after.Val()[0], a.after.Val()[1]) {
		return Report{}, errMoved
	}
	state := a.state.Val()
	epoch, err := strconv.ParseUint(state["config-epoch"], 10, 64)
	if err != nil {
		return Report{}, fmt.Errorf("%w: config-epoch %q", errReply, state["config-epoch"])
	}
	r := Report{Address: address, Epoch: epoch, Seen: true, Flags: state["flags"]}
	for flag := range strings.SplitSeq(r.Flags, ",") {
		r.Failover = r.Failover || flag == "failover_in_progress"
	}
	r.DownAfter = time.Duration(number(state["down-after-milliseconds"])) * time.Millisecond
	r.OtherSentinels = number(state["num-other-sentinels"])
	r.Replicas = number(state["num-slaves"])
	return r, nil
}

// number of a field that newer servers may leave out.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// narrow: the ACL or an old version refuses MYID; the id then stays unknown.
func narrow(err error) bool {
	return replied(err) && (strings.HasPrefix(err.Error(), "NOPERM") || strings.HasPrefix(err.Error(), "ERR"))
}
