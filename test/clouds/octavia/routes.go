package octavia

import (
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
)

// route serves a call to Octavia. The caller holds mu.
func (s *Sim) route(c *Call, r *http.Request, body []byte) (answer, error) {
	user, err := s.authenticate(c, r)
	if err != nil {
		return answer{}, err
	}
	if n := s.knobs.RatePerMinute; n > 0 && !s.withinRate("octavia "+user, n) {
		status := s.knobs.RateStatus
		if status == 0 {
			status = http.StatusTooManyRequests
		}
		return answer{}, s.tooMany(status)
	}
	p := strings.Split(strings.Trim(c.Path, "/"), "/")
	if len(p) < 3 || p[0] != "lbaas" {
		return answer{}, refuse(http.StatusNotFound, "The resource could not be found.")
	}
	switch what := c.Method + " " + p[1] + " " + itoa(len(p)); what {
	case "GET loadbalancers 3", "GET listeners 3", "GET pools 3":
		return s.get(p[1], p[2])
	case "PUT listeners 3":
		return s.putListener(c, p[2], body)
	case "GET pools 4", "PUT pools 4", "POST pools 4":
		if p[3] == "members" {
			return s.members(c, r, p[2], body)
		}
	case "DELETE pools 5":
		if p[3] == "members" {
			return answer{status: http.StatusNoContent}, s.deleteMember(c, p[2], p[4])
		}
	}
	return answer{}, refuse(http.StatusNotFound, "The resource could not be found.")
}

func absent(kind, id string) error {
	return refuse(http.StatusNotFound, "%s %s not found.", kind, id)
}

func (s *Sim) get(kind, id string) (answer, error) {
	for _, b := range s.balancers {
		t := b.asOf(s.knobs.ReadLag)
		switch kind {
		case "loadbalancers":
			if t.balancer.ID == id {
				return jsonAnswer(http.StatusOK, object{"loadbalancer": t.balancer.body(s.knobs)}), nil
			}
		case "listeners":
			if l, ok := t.listeners[id]; ok {
				return jsonAnswer(http.StatusOK, object{"listener": l.body(s.knobs)}), nil
			}
		case "pools":
			if p, ok := t.pools[id]; ok {
				return jsonAnswer(http.StatusOK, object{"pool": p.body(s.knobs)}), nil
			}
		}
	}
	return answer{}, absent(strings.TrimSuffix(kind, "s"), id)
}

func (s *Sim) ofListener(id string) *balancer {
	for _, b := range s.balancers {
		if _, ok := b.stored.listeners[id]; ok {
			return b
		}
	}
	return nil
}

func (s *Sim) ofPool(id string) *balancer {
	for _, b := range s.balancers {
		if _, ok := b.stored.pools[id]; ok {
			return b
		}
	}
	return nil
}

// putListener takes the fields that a body names; null is the default, what is left out stays. The caller holds mu.
func (s *Sim) putListener(c *Call, id string, body []byte) (answer, error) {
	var r struct {
		Listener map[string]json.RawMessage `json:"listener"`
	}
	if json.Unmarshal(body, &r) != nil || len(r.Listener) == 0 {
		return answer{}, refuse(http.StatusBadRequest, "Validation failure: No listener object supplied.")
	}
	b := s.ofListener(id)
	if b == nil {
		return answer{}, absent("Listener", id)
	}
	before := b.stored.listeners[id]
	root := b.stored.balancer.Status
	err := s.change(b, []string{id, before.Pool}, func(t *tree) error {
		l := t.listeners[id]
		if err := l.set(r.Listener, *t); err != nil {
			return err
		}
		t.listeners[id] = l
		c.Listener = &ListenerWrite{
			ID: id, PoolBefore: before.Pool, PoolAfter: l.Pool, TextBefore: before.Description, TextAfter: l.Description,
			StatusBefore: before.Status, LBBefore: root, OthersBefore: others(before), OthersNow: others(l),
		}
		return nil
	})
	if err != nil {
		c.Listener = nil
		return answer{}, err
	}
	s.took(c)
	switch s.knobs.PutAnswer {
	case PutEmpty:
		return answer{status: http.StatusAccepted}, nil
	case PutOld:
		return jsonAnswer(http.StatusOK, object{"listener": before.body(s.knobs)}), nil
	}
	return jsonAnswer(http.StatusOK, object{"listener": b.stored.listeners[id].body(s.knobs)}), nil
}

func (l *Listener) set(fields map[string]json.RawMessage, t tree) error {
	for name, raw := range fields {
		var text *string
		var yes *bool
		var into any = &text
		if name == "admin_state_up" {
			into = &yes
		}
		if json.Unmarshal(raw, into) != nil {
			return refuse(http.StatusBadRequest, "Invalid input for field/attribute %s.", name)
		}
		value := ""
		if text != nil {
			value = *text
		}
		switch name {
		case "default_pool_id":
			if _, ok := t.pools[value]; value != "" && !ok {
				return absent("Pool", value)
			}
			l.Pool = value
		case "description":
			if len(value) > 255 {
				return refuse(http.StatusBadRequest, "Invalid input for field/attribute description. Value should have a maximum character requirement of 255")
			}
			l.Description = value
		case "name":
			l.Name = value
		case "admin_state_up":
			l.Disabled = yes != nil && !*yes
		default:
			return refuse(http.StatusBadRequest, "Unknown attribute for argument listener_: %s", name)
		}
	}
	return nil
}

// members serves a pool's list: GET, PUT for all of it, POST for one more.
func (s *Sim) members(c *Call, r *http.Request, pool string, body []byte) (answer, error) {
	b := s.ofPool(pool)
	if b == nil {
		return answer{}, absent("Pool", pool)
	}
	switch c.Method {
	case http.MethodPut:
		return answer{status: http.StatusAccepted}, s.putMembers(c, pool, body, r.URL.Query().Get("additive_only") == "true")
	case http.MethodPost:
		return s.postMember(c, b, pool, body)
	}
	p := b.asOf(s.knobs.ReadLag).pools[pool]
	out := []object{}
	for _, m := range p.Members {
		out = append(out, m.body(s.knobs, p.Status))
	}
	return jsonAnswer(http.StatusOK, object{"members": out}), nil
}

// memberBody is a member in a request.
type memberBody struct {
	Address string  `json:"address"`
	Port    int     `json:"protocol_port"`
	Name    *string `json:"name"`
	Weight  *int    `json:"weight"`
	Up      *bool   `json:"admin_state_up"`
	Backup  *bool   `json:"backup"`
}

func (m memberBody) valid() error {
	switch {
	case net.ParseIP(m.Address) == nil || m.Port < 1 || m.Port > 65535:
		return refuse(http.StatusBadRequest, "Invalid input for field/attribute address. Value: '%s'.", m.Address)
	case m.Weight != nil && (*m.Weight < 0 || *m.Weight > 256):
		return refuse(http.StatusBadRequest, "Invalid input for field/attribute weight. Value: '%d'.", *m.Weight)
	}
	return nil
}

// over lays what a request names over a member.
func (m memberBody) over(old Member) Member {
	if m.Name != nil {
		old.Name = *m.Name
	}
	if m.Weight != nil {
		old.Weight = *m.Weight
	}
	if m.Up != nil {
		old.Disabled = !*m.Up
	}
	if m.Backup != nil {
		old.Backup = *m.Backup
	}
	return old
}

func (m memberBody) fresh() Member {
	return m.over(Member{ID: rand.Text(), Address: m.Address, Port: m.Port, Weight: 1})
}

// putMembers makes a pool's members those of the list, known by address and port; additive keeps the others. The caller holds mu.
func (s *Sim) putMembers(c *Call, pool string, body []byte, additive bool) error {
	var r struct {
		Members []memberBody `json:"members"`
	}
	if json.Unmarshal(body, &r) != nil || r.Members == nil {
		return refuse(http.StatusBadRequest, "Validation failure: No members supplied.")
	}
	b := s.ofPool(pool)
	if b == nil {
		return absent("Pool", pool)
	}
	if len(r.Members) == 0 && len(b.stored.pools[pool].Members) == 0 {
		return nil // nothing to nothing: taken, and no change
	}
	err := s.change(b, []string{pool}, func(t *tree) error {
		p := t.pools[pool]
		next, err := replaced(p.Members, r.Members, additive)
		if err != nil {
			return err
		}
		p.Members = next
		t.pools[pool] = p
		return nil
	})
	if err == nil {
		s.took(c)
	}
	return err
}

// replaced is what a list makes of a pool's members.
func replaced(members []Member, list []memberBody, additive bool) (next []Member, err error) {
	old, met := map[string]Member{}, map[string]bool{}
	for _, m := range members {
		old[m.key()] = m
	}
	for _, m := range list {
		if err := m.valid(); err != nil {
			return nil, err
		}
		fresh := m.fresh()
		known, exists := old[fresh.key()]
		switch {
		case met[fresh.key()] && exists:
			return nil, refuse(http.StatusBadRequest, "Member %s:%d is given twice.", m.Address, m.Port)
		case met[fresh.key()]:
			return nil, refuse(http.StatusConflict, "Another member on this pool is already using ip %s on protocol_port %d", m.Address, m.Port)
		case exists:
			fresh = m.over(known)
		}
		met[fresh.key()] = true
		next = append(next, fresh)
	}
	if additive {
		for _, m := range members {
			if !met[m.key()] {
				next = append(next, m)
			}
		}
	}
	return next, nil
}

func (s *Sim) postMember(c *Call, b *balancer, pool string, body []byte) (answer, error) {
	var r struct {
		Member memberBody `json:"member"`
	}
	if json.Unmarshal(body, &r) != nil {
		return answer{}, refuse(http.StatusBadRequest, "Validation failure: No member supplied.")
	}
	fresh := r.Member.fresh()
	err := s.change(b, []string{pool}, func(t *tree) error {
		if err := r.Member.valid(); err != nil {
			return err
		}
		p := t.pools[pool]
		if slices.ContainsFunc(p.Members, func(m Member) bool { return m.key() == fresh.key() }) {
			return refuse(http.StatusConflict, "Another member on this pool is already using ip %s on protocol_port %d", fresh.Address, fresh.Port)
		}
		p.Members = append(p.Members, fresh)
		t.pools[pool] = p
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	s.took(c)
	return jsonAnswer(http.StatusCreated, object{"member": fresh.body(s.knobs, PendingUpdate)}), nil
}

func (s *Sim) deleteMember(c *Call, pool, id string) error {
	b := s.ofPool(pool)
	if b == nil {
		return absent("Pool", pool)
	}
	err := s.change(b, []string{pool}, func(t *tree) error {
		p := t.pools[pool]
		i := slices.IndexFunc(p.Members, func(m Member) bool { return m.ID == id })
		if i < 0 {
			return absent("Member", id)
		}
		p.Members = slices.Delete(p.Members, i, i+1)
		t.pools[pool] = p
		return nil
	})
	if err == nil {
		s.took(c)
	}
	return err
}
