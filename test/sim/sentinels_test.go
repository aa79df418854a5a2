package sim

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pointsman/pointsman/sentinel"
)

const sentinelsEach = 3

// redis is the world that the coordinators watch: each master's nodes and what
// its three Sentinels say. It is moved by the plan's events only.
type redis struct {
	mu      sync.Mutex
	masters map[string]*master
	changed chan struct{}
	fences  *fences // nil: nobody fences; it hears of each promotion
}

type master struct {
	id         string
	candidates []string
	truth      string // the master that the Sentinels will agree on
	epoch      uint64 // the highest that was given out
	stands     uint64 // that of the truth
	says       [sentinelsEach]saying
	roles      map[string]string
	switching  bool
	began      time.Time   // of the last switch
	promoted   []promotion // every one that a Sentinel announced, in order
	news       []news      // of ordinary switches
	wiped      bool        // epochs began again

}

// saying is one Sentinel's word.
type saying struct {
	runID, address string
	epoch          uint64
	seen, leads    bool
	others         int // Sentinels that it knows
}

func says(runID, address string, epoch uint64) saying {
	return saying{runID: runID, address: address, epoch: epoch, seen: true, others: sentinelsEach - 1}
}

type promotion struct {
	Address string
	Epoch   uint64
}

// news is when a switch was first announced, and how long until all say so.
type news struct {
	Epoch uint64
	At    time.Time
	Lag   time.Duration
}

func newRedis(masters []masterPlan) *redis {
	r := &redis{masters: map[string]*master{}, changed: make(chan struct{})}
	for _, m := range masters {
		made := &master{id: m.ID, candidates: m.Candidates, truth: m.Candidates[0], epoch: 1, stands: 1, roles: map[string]string{}}
		for i := range made.says {
			made.says[i] = says(fmt.Sprintf("run-%s-%d", m.ID, i), made.truth, 1)
		}
		for i, c := range m.Candidates {
			made.roles[c] = sentinel.RoleSlave
			if i == 0 {
				made.roles[c] = sentinel.RoleMaster
			}
		}
		r.masters[m.ID] = made
	}
	return r
}

func (r *redis) change(id string, f func(m *master)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.masters[id])
	if r.fences != nil {
		r.fences.follow(id, r.masters[id].promoted)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// votesCount is how long a watcher takes a failover that was begun to be under
// way, where it comes to nothing (sentinel, switchingFor).
const votesCount = 15 * time.Second

// view is what a node that reaches everything would see now, a poll's age ago.
func (r *redis) view(id string, reaches bool, c clock) (sentinel.View, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, now := r.masters[id], c.at(time.Now())
	at := now.Add(-5 * time.Millisecond)
	v := sentinel.View{Master: id, At: now, Switching: m.switching && reaches && time.Since(m.began) < votesCount}
	if reaches && !m.began.IsZero() {
		v.Began = c.at(m.began)
	}
	for i, s := range m.says {
		report := sentinel.Report{
			Sentinel: fmt.Sprintf("sentinel-%s-%d:26379", id, i), RunID: s.runID, Address: s.address, Epoch: s.epoch,
			Seen: s.seen && reaches, At: at, Failover: s.leads, OtherSentinels: s.others, Replicas: len(m.candidates) - 1,
		}
		if !report.Seen {
			report.Err = "i/o timeout"
		}
		v.Reports = append(v.Reports, report)
	}
	for _, c := range m.candidates {
		role := sentinel.Role{Address: c, Role: m.roles[c], At: at}
		if !reaches {
			role.Role, role.Err = sentinel.RoleUnreachable, "i/o timeout"
		}
		v.Roles = append(v.Roles, role)
	}
	return v, r.changed
}

// switchTo plays a failover as Sentinel does it: votes, promotion, the leading
// Sentinel's word at once, the others' within lags.
func (r *redis) switchTo(e event) {
	r.change(e.Master, func(m *master) {
		m.switching, m.began = true, time.Now()
		m.roles[m.truth] = sentinel.RoleUnreachable
		m.says[e.Sentinel].leads = true
	})
	time.Sleep(200 * time.Millisecond)
	var mine promotion
	r.change(e.Master, func(m *master) {
		m.epoch++
		old := m.truth
		m.truth, m.stands = e.Address, m.epoch
		mine = promotion{e.Address, m.epoch}
		m.promoted = append(m.promoted, mine)
		m.news = append(m.news, news{Epoch: m.epoch, At: time.Now(), Lag: e.Lag})
		m.roles[m.truth] = sentinel.RoleMaster
		m.roles[old] = sentinel.RoleUnreachable
		if e.Address == old {
			m.roles[old] = sentinel.RoleMaster
		}
		m.tell(e.Sentinel, mine)
	})
	for i := range sentinelsEach {
		if i == e.Sentinel {
			continue
		}
		time.Sleep(e.Lag / 2)
		r.change(e.Master, func(m *master) { m.tell(i, mine) })
	}
	r.change(e.Master, func(m *master) { m.switching = m.epoch > mine.Epoch && m.switching; m.says[e.Sentinel].leads = false })
}

// hello is what a Sentinel that has missed it hears of the truth. Between the two
// promotions of a conflict that is still the master before.
func (m *master) hello() promotion { return promotion{m.truth, m.stands} }

// tell is a hello: a Sentinel takes a higher epoch only.
func (m *master) tell(i int, p promotion) {
	if p.Epoch > m.says[i].epoch {
		m.says[i].address, m.says[i].epoch = p.Address, p.Epoch
	}
}

// conflict plays two Sentinels that each promoted a node at one epoch: the
// first is master for a moment, then the others' candidate stays.
func (r *redis) conflict(e event) {
	var first, second promotion
	r.change(e.Master, func(m *master) {
		m.epoch++
		old := m.truth
		first = promotion{e.Other, m.epoch}
		m.promoted = append(m.promoted, first)
		m.roles[old], m.roles[first.Address] = sentinel.RoleUnreachable, sentinel.RoleMaster
		m.tell(e.Sentinel, first)
	})
	time.Sleep(e.Lag)
	r.change(e.Master, func(m *master) {
		second = promotion{e.Address, first.Epoch}
		m.promoted = append(m.promoted, second)
		m.truth, m.stands = second.Address, second.Epoch
		m.roles[first.Address], m.roles[second.Address] = sentinel.RoleSlave, sentinel.RoleMaster
		for i := range m.says {
			if i != e.Sentinel {
				m.tell(i, second)
			}
		}
	})
	time.Sleep(8 * time.Second)
	r.change(e.Master, func(m *master) { m.says[e.Sentinel].address = m.says[(e.Sentinel+1)%sentinelsEach].address })
}

// returned plays an old master that comes back and says so for ten seconds,
// while one Sentinel, restarted from an old file, names it again.
func (r *redis) returned(e event) {
	r.change(e.Master, func(m *master) {
		if e.Address != m.truth {
			m.roles[e.Address] = sentinel.RoleMaster
		}
		m.says[e.Sentinel].address, m.says[e.Sentinel].epoch = m.older(m.says[e.Sentinel].epoch)
	})
	time.Sleep(e.Lag)
	r.change(e.Master, func(m *master) { m.tell(e.Sentinel, m.hello()) })
	time.Sleep(10 * time.Second)
	r.change(e.Master, func(m *master) {
		if e.Address != m.truth {
			m.roles[e.Address] = sentinel.RoleSlave
		}
	})
}

// wiped plays Sentinels that all lost their files: epochs begin again.
func (r *redis) wiped(e event) {
	r.change(e.Master, func(m *master) {
		m.epoch, m.stands, m.wiped = 1, 1, true
		for i := range m.says {
			m.says[i] = says(fmt.Sprintf("again-%s-%d", m.id, i), m.truth, 1)
		}
	})
}

// away plays a Sentinel that does not answer for a while.
func (r *redis) away(e event) {
	r.change(e.Master, func(m *master) { m.says[e.Sentinel].seen = false })
	time.Sleep(e.For)
	r.change(e.Master, func(m *master) { m.says[e.Sentinel].seen = true })
}

// told is what stands for a master when all is quiet.
func (r *redis) told(id string) (truth string, promoted []promotion) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.masters[id]
	return m.truth, slices.Clone(m.promoted)
}
