package sentinel

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// channels are what a subscription asks for, by name: an observer's ACL need
// not allow patterns. A refused channel costs at most Rest.
func channels() []string {
	return []string{
		"+promoted-slave", "+switch-master", "+config-update-from", "+selected-slave",
		"+vote-for-leader", "+try-failover", "+elected-leader", "+new-epoch", "-role-change", "+role-change",
		"+sdown", "-sdown", "+odown", "-odown", "+tilt", "-tilt", "+failover-end", "+monitor", "-monitor",
		"-failover-abort-not-elected", "-failover-abort-no-good-slave", "-failover-abort-slave-timeout",
		"-failover-abort-master-timeout",
	}
}

// Spans after events.
const (
	tiltFor      = 31 * time.Second // Sentinel's own 30 s; -tilt may be lost with a connection
	switchingFor = 15 * time.Second // from a vote to the promotion it takes 0.2 s, an election at most 10 s
	eventBuffer  = 4 << 10
)

// subscribe listens to one Sentinel for ever, on a connection of its own.
func (w *Watcher) subscribe(ctx context.Context, p *process) {
	retry := w.newRetry()
	for ctx.Err() == nil {
		if err := w.listen(ctx, p, retry.Reset); err != nil {
			w.cfg.Logger.Debug("subscription lost", "sentinel", p.address, "error", plain(err))
		}
		pause(ctx, retry.NextBackOff(), nil)
	}
}

// listen lives as long as one connection. Silence longer than Timeout is asked
// with PING; without an answer in another Timeout the connection is dead.
func (w *Watcher) listen(ctx context.Context, p *process, good func()) error {
	s, err := w.open(ctx, p.address, w.accessOf(p), eventBuffer)
	if err != nil {
		return err
	}
	defer s.close()
	sub := s.client.Subscribe(ctx)
	defer sub.Close()
	for _, c := range channels() { // one by one: a single refused name would refuse all
		if err := sub.Subscribe(ctx, c); err != nil {
			return err
		}
	}
	w.allDue(p) // what was published before is read instead
	signal(p.nudge)
	defer w.hears(p, false)
	asked := false
	for ctx.Err() == nil {
		msg, err := sub.ReceiveTimeout(ctx, w.cfg.Timeout)
		if timedOut(err) {
			if asked {
				return errLost
			}
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			asked = true
			continue
		}
		if err != nil && !narrow(err) {
			return err
		}
		asked = false
		good()
		w.hears(p, true)
		if m, ok := msg.(*redis.Message); ok && err == nil {
			w.event(p, m.Channel, m.Payload)
		}
	}
	return ctx.Err()
}

// hears notes whether a Sentinel's events reach this node, in the reports too.
func (w *Watcher) hears(p *process, now bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.heard == now {
		return
	}
	p.heard = now
	for _, r := range p.refs {
		r.m.reports[r.index].Subscribed = now
		r.m.tell()
	}
}

// masterOf finds the master's name in an event:
//
//	+switch-master     NAME old-ip old-port new-ip new-port
//	about the master   master NAME ip port …
//	about another      slave|sentinel name ip port @ NAME ip port
//	+new-epoch 7, +vote-for-leader ID 7, +tilt …: none, ""
func masterOf(channel, payload string) string {
	f := strings.Fields(payload)
	switch {
	case channel == "+switch-master" && len(f) == 5:
		return f[0]
	case len(f) >= 4 && f[0] == "master":
		return f[1]
	case len(f) >= 8 && f[4] == "@":
		return f[5]
	}
	return ""
}

// event turns what a Sentinel published into reads. It sets nothing that a read
// can tell; only tilt, votes and aborts, which no permitted command shows.
func (w *Watcher) event(p *process, channel, payload string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	switch channel {
	case "+tilt":
		p.tilt = now.Add(tiltFor)
	case "-tilt":
		p.tilt = time.Time{}
	}
	name := masterOf(channel, payload)
	for _, r := range p.refs {
		switch {
		case name == r.m.spec.Name:
			w.about(r.m, p, channel, now)
		case name == "" && (len(p.refs) <= w.cfg.Batch || inTrouble(r.m)):
			// A vote or an epoch does not say whose it is: those that look ill.
			if channel == "+vote-for-leader" && inTrouble(r.m) {
				w.switching(r.m, now)
				if alone(p, r.m) && votedFor(payload) > newest(r.m) {
					r.m.begin(now)
				}
			}
			w.readNow(r.m)
		}
	}
}

// about handles an event that names its master.
func (w *Watcher) about(m *master, p *process, channel string, now time.Time) {
	switch channel {
	case "+try-failover", "+elected-leader", "+selected-slave":
		m.begin(now)
		w.switching(m, now)
	case "+promoted-slave":
		w.switching(m, now)
	case "+failover-end":
		m.switching = time.Time{}
	}
	if strings.HasPrefix(channel, "-failover-abort") {
		m.switching = time.Time{}
		m.note(Note{Sentinel: p.address, Channel: channel, At: now})
		m.tell()
	}
	w.heat(m, now)
}

func (w *Watcher) switching(m *master, now time.Time) {
	if !now.Before(m.switching) {
		m.tell()
	}
	m.switching = now.Add(switchingFor)
}

// begin, under mu, notes that a failover was begun. Whoever waits is told, since
// it may have ended meanwhile and begun again.
func (m *master) begin(now time.Time) {
	m.began = now
	m.tell()
}

// votedFor is the epoch of a vote's payload, "<leader id> <epoch>"; 0: none.
func votedFor(payload string) uint64 {
	f := strings.Fields(payload)
	if len(f) != 2 {
		return 0
	}
	epoch, err := strconv.ParseUint(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return epoch
}

// newest is the highest config-epoch that a Sentinel reported of the master: a
// vote that is not above it is of a failover that is over.
func newest(m *master) (epoch uint64) {
	for _, r := range m.reports {
		epoch = max(epoch, r.Epoch)
	}
	return epoch
}

// alone: of all masters of this Sentinel only this one is in trouble, so that a
// vote, which does not name its master, is about it.
func alone(p *process, m *master) bool {
	return !slices.ContainsFunc(p.refs, func(r *ref) bool { return r.m != m && inTrouble(r.m) })
}

// inTrouble: some Sentinel sees this master down or switching.
func inTrouble(m *master) bool {
	for _, r := range m.reports {
		if r.Seen && r.Flags != "master" {
			return true
		}
	}
	return false
}
