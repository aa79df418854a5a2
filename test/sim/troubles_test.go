package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/pointsman/pointsman/sentinel"
)

// forgotten plays SENTINEL RESET on the leading Sentinel between promotion and
// hello: it names the old master at the new epoch, the others the new one, and
// nothing mends that before the next switch.
func (r *redis) forgotten(e event) {
	r.change(e.Master, func(m *master) {
		m.epoch++
		old := m.truth
		m.truth, m.stands = e.Address, m.epoch
		m.promoted = append(m.promoted, promotion{old, m.epoch}, promotion{e.Address, m.epoch})
		m.roles[old], m.roles[e.Address] = sentinel.RoleUnreachable, sentinel.RoleMaster
		m.says[e.Sentinel].epoch, m.says[e.Sentinel].address = m.epoch, old
	})
	time.Sleep(e.Lag)
	r.change(e.Master, func(m *master) {
		for i := range m.says {
			if i != e.Sentinel {
				m.tell(i, m.hello())
			}
		}
	})
}

// reset plays SENTINEL RESET: one Sentinel forgets its peers, not its epochs.
func (r *redis) reset(e event) {
	r.change(e.Master, func(m *master) { m.says[e.Sentinel].others, m.says[e.Sentinel].leads = 0, false })
	time.Sleep(2 * time.Second)
	r.change(e.Master, func(m *master) { m.says[e.Sentinel].others = sentinelsEach - 1 })
}

// seeded plays one Sentinel that starts from its first configuration: another
// run id, the first master at epoch 0, until a hello tells it.
func (r *redis) seeded(e event) {
	r.change(e.Master, func(m *master) {
		m.says[e.Sentinel] = says(fmt.Sprintf("seeded-%s-%d-%d", m.id, e.Sentinel, m.epoch), m.candidates[0], 0)
	})
	time.Sleep(e.Lag)
	r.change(e.Master, func(m *master) { m.tell(e.Sentinel, m.hello()) })
}

// flap plays a Sentinel whose word comes and goes, and is an older one at times.
func (r *redis) flap(e event) {
	for began, n := time.Now(), 0; time.Since(began) < e.For; n++ {
		r.change(e.Master, func(m *master) {
			s := &m.says[e.Sentinel]
			switch n % 3 {
			case 0:
				s.seen = false
			case 1:
				s.seen = true
				s.address, s.epoch = m.older(s.epoch)
			case 2:
				m.tell(e.Sentinel, m.hello())
			}
		})
		time.Sleep(e.Lag)
	}
	r.change(e.Master, func(m *master) {
		m.says[e.Sentinel].seen = true
		m.tell(e.Sentinel, m.hello())
	})
}

// older is what a file of before that epoch holds.
func (m *master) older(epoch uint64) (address string, at uint64) {
	address, at = m.candidates[0], min(1, epoch)
	if m.wiped {
		return m.truth, min(1, epoch)
	}
	for _, p := range m.promoted {
		if p.Epoch < epoch && p.Epoch > at {
			address, at = p.Address, p.Epoch
		}
	}
	return address, at
}

// calm lists the switches that nothing else about their master was near to.
func (r *redis) calm(id string) []news {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.masters[id]
	return slices.Clone(m.news)
}
