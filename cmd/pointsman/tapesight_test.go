package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/sentinel"
)

// scriptSees changes what every node sees of every master, in the words that
// the real watcher and judge have for it.
func (w *tape) scriptSees(args []string) error {
	if err := need(args, 1, "sees all|unseen REDIS|link REDIS WORD|silent SENTINEL|splits SENTINEL ADDRESS"); err != nil {
		return err
	}
	changes := map[string]func(*api.Sight, []string) error{
		"all": func(*api.Sight, []string) error { return nil }, "unseen": unseen, "link": link, "silent": silent, "splits": splits,
	}
	change, ok := changes[args[0]]
	if !ok {
		return fmt.Errorf("unknown word %q", args[0])
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sees = func(s *api.Sight) { _ = change(s, args[1:]) }
	return nil
}

var errNone = errors.New("no such address")

func redisOf(s *api.Sight, address string) (*pointsmanv1.RoleReport, error) {
	for _, r := range s.Roles {
		if r.GetAddress() == address {
			return r, nil
		}
	}
	return nil, errNone
}

func sentinelOf(s *api.Sight, address string) (*pointsmanv1.SentinelReport, error) {
	for _, r := range s.Sentinels {
		if r.GetAddress() == address {
			return r, nil
		}
	}
	return nil, errNone
}

func unseen(s *api.Sight, args []string) error {
	r, err := redisOf(s, args[0])
	if err == nil {
		r.Role, r.Link, r.Master, r.Error, r.Age, r.NodeId = 0, "", "", "", nil, ""
	}
	return err
}

func link(s *api.Sight, args []string) error {
	r, err := redisOf(s, args[0])
	if err == nil {
		r.Link = args[1]
	}
	return err
}

func alert(code, text string, severity pointsmanv1.AlertSeverity) *pointsmanv1.Alert {
	return &pointsmanv1.Alert{Code: code, Message: text, Subject: "cache", Severity: severity, Age: durationpb.New(12 * time.Second)}
}

func silent(s *api.Sight, args []string) error {
	r, err := sentinelOf(s, args[0])
	if err == nil {
		r.Reachable, r.Subscribed, r.Error = false, false, "dial: connection refused"
		s.Alerts = append(s.Alerts, alert(sentinel.AlertSilent, "sentinel "+args[0]+": "+r.GetError(), pointsmanv1.AlertSeverity_ALERT_SEVERITY_WARNING))
	}
	return err
}

func splits(s *api.Sight, args []string) error {
	r, err := sentinelOf(s, args[0])
	if err == nil {
		was := r.GetMaster()
		r.Master = args[1]
		s.Standing = pointsmanv1.MasterState_MASTER_STATE_DISPUTED
		s.Alerts = append(s.Alerts, alert(sentinel.AlertDisagree, "sentinels name "+was+" and "+args[1], pointsmanv1.AlertSeverity_ALERT_SEVERITY_WARNING))
	}
	return err
}

func (w *tape) scriptDrift(args []string) error {
	if err := need(args, 2, "drift ACTION WORDS"); err != nil {
		return err
	}
	return w.do(fsm.NoteDrift{Action: fsm.ActionID(args[0]), Found: strings.TrimPrefix(strings.Join(args[1:], " "), "none")})
}

func (w *tape) scriptLost(args []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = nil
	for _, id := range args {
		w.lost = append(w.lost, fsm.NodeID(id))
	}
	return nil
}
