package coordinator

import (
	"errors"
	"fmt"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/sentinel"
)

// mastersOf says what to watch for a spec. A master whose certificates cannot
// be read on this node is left out and named in the error; the others are watched.
func mastersOf(spec fsm.Spec) ([]sentinel.Master, error) {
	rev, err := api.DecodeSpec(spec)
	if err != nil {
		return nil, err
	}
	var masters []sentinel.Master
	var errs []error
	for _, m := range rev.GetSpec().GetMasters() {
		made, err := masterOf(m)
		if err != nil {
			errs = append(errs, fmt.Errorf("master %s: %w", m.GetId(), err))
			continue
		}
		masters = append(masters, made)
	}
	return masters, errors.Join(errs...)
}

func masterOf(m *pointsmanv1.MasterSpec) (out sentinel.Master, err error) {
	s, r := m.GetSentinel(), m.GetRedis()
	out = sentinel.Master{ID: m.GetId(), Name: s.GetName(), Sentinels: s.GetAddresses()}
	for _, c := range m.GetCandidates() {
		out.Candidates = append(out.Candidates, c.GetAddress())
	}
	if out.Sentinel, err = accessOf(s.GetUser(), s.GetPassword(), s.GetTls()); err != nil {
		return out, fmt.Errorf("sentinel: %w", err)
	}
	if o := s.GetSwitchover(); o != nil {
		order, err := accessOf(o.GetUser(), o.GetPassword(), s.GetTls())
		if err != nil {
			return out, fmt.Errorf("sentinel.switchover: %w", err)
		}
		out.Order = &order
	}
	if out.Redis, err = accessOf(r.GetUser(), r.GetPassword(), r.GetTls()); err != nil {
		return out, fmt.Errorf("redis: %w", err)
	}
	return out, out.Validate()
}

// accessOf resolves no password: that is done at each dial, so that a rotated
// one is found.
func accessOf(user, password string, t *pointsmanv1.ClientTls) (a sentinel.Access, err error) {
	a.User = user
	if password != "" {
		secret, err := config.ParseSecret(password)
		if err != nil {
			return a, err
		}
		a.ID, a.Password = password, secret.Resolve
	}
	if t != nil {
		a.ID += "|" + t.GetCa() + "|" + t.GetCert() + "|" + t.GetServerName()
		a.TLS, err = config.ClientTLS(t)
	}
	return a, err
}
