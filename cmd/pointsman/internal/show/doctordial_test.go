package show

import "testing"

// TestDialed judges what real servers answered: those of the samples, and each
// slip that the dial is there to find.
func TestDialed(t *testing.T) {
	shut := Publishing{Refused: true, Error: "NOAUTH Authentication required."}
	own := Publishing{User: "observer", Known: true}
	sane := map[string]string{"down-after-milliseconds": "2000", "failover-timeout": "10000"}
	with := func(name, value string) map[string]string {
		all := map[string]string{name: value}
		for k, v := range sane {
			if k != name {
				all[k] = v
			}
		}
		return all
	}
	for name, row := range map[string]struct {
		d     Dialed
		check string
		want  Grade
	}{
		"shut":              {Dialed{Sentinel: true, Own: own, Anyone: shut, Settings: sane}, "hello channel", Passed},
		"open default user": {Dialed{Own: own, Anyone: Publishing{User: "default", Known: true, May: true}}, "hello channel", Warned},
		"own may publish":   {Dialed{Own: Publishing{User: "app", Known: true, May: true}, Anyone: shut}, "hello channel", Warned},
		"no DRYRUN":         {Dialed{Anyone: Publishing{User: "default", Error: "ERR unknown subcommand"}}, "hello channel", Warned},
		"may not ask":       {Dialed{Anyone: Publishing{Error: "NOPERM this user has no permissions"}}, "hello channel", Skipped},
		"unreachable":       {Dialed{Error: "connection refused"}, "dial", Warned},
		"unresolved":        {Dialed{Unresolved: "secret does not resolve"}, "dial", Skipped},
		"hasty":             {Dialed{Sentinel: true, Anyone: shut, Settings: with("down-after-milliseconds", "1000")}, "down-after-milliseconds", Warned},
		"six minutes":       {Dialed{Sentinel: true, Anyone: shut, Settings: with("failover-timeout", "180000")}, "failover-timeout", Warned},
		"sane":              {Dialed{Sentinel: true, Anyone: shut, Settings: sane}, "failover-timeout", Passed},
		"old script":        {Dialed{Sentinel: true, Anyone: shut, Settings: with("client-reconfig-script", "/opt/lb.sh")}, "reconfig-script", Warned},
		"our script":        {Dialed{Sentinel: true, Anyone: shut, Settings: with("client-reconfig-script", "/opt/pointsman-notify")}, "reconfig-script", Passed},
		"unknown name":      {Dialed{Sentinel: true, Anyone: shut, SettingsError: "ERR No such master"}, "settings", Warned},
		"lone master":       {Dialed{Anyone: shut, Settings: map[string]string{"role": "master"}}, "min-replicas", Warned},
		"guarded master":    {Dialed{Anyone: shut, Settings: map[string]string{"role": "master", "min_slaves_good_slaves": "2"}}, "min-replicas", Passed},
	} {
		found := false
		for _, c := range row.d.Checks() {
			if c.Name != row.check {
				continue
			}
			found = true
			if c.Grade != row.want {
				t.Errorf("%s: %s is %s, want %s: %s", name, c.Name, c.Grade, row.want, c.Why)
			}
			if c.Grade != Passed && c.Do == "" {
				t.Errorf("%s: nothing to do is said", name)
			}
		}
		if !found {
			t.Errorf("%s: %s was not checked", name, row.check)
		}
	}
}
